"""The recipe of a run of SL-CAI data: all that its rows were made with, as the run's ledger keeps it.

It is stored in the transaction that applies a plan, so it is at any moment what gave the rows their keys, which the
manifest, written when a run ends, is not. With it, and the inputs that the ledger holds too, a run can be planned
again without its sources and without an engine: `workbench/stale.py` says so what an edit costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import EngineFacts
from constitutional.errors import ConfigError, InputError
from constitutional.jobs.sl_cai_data import DataSettings
from constitutional.ledger import Ledger
from constitutional.records import Row
from constitutional.stages.revise import STAGE, ReviseSettings

_OTHER_USERS = ("label", "score", "audit")  # stages that use a constitution too


@dataclass(frozen=True)
class Recipe:
    """What a run is made with, but for its inputs.

    Attributes:
        constitution: as it was, whatever has become of its file.
        prompt_set: the folder.
        prompt_set_hash: `PromptSet.fingerprint` of the templates that chains render.
        settings: how chains are made.
        data: what goes into the SFT data.
        engine: what is known of the engine.
    """

    constitution: Constitution
    prompt_set: Path
    prompt_set_hash: str
    settings: ReviseSettings
    data: DataSettings
    engine: EngineFacts

    def to_row(self) -> Row:
        """The recipe as plain JSON."""
        constitution = self.constitution
        return {
            "stage": STAGE,
            "constitution": {
                "id": constitution.id,
                "version": constitution.version,
                "description": constitution.description,
                "path": _absolute(constitution.path),
                "principles": [asdict(principle) for principle in constitution.principles],
            },
            "prompt_set": {"path": _absolute(self.prompt_set), "hash": self.prompt_set_hash},
            "settings": self.settings.model_dump(mode="json"),
            "data": self.data.model_dump(mode="json"),
            "engine": {"identity": self.engine.identity, "context_length": self.engine.context_length},
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Row]) -> Recipe:
        """The recipe that `to_row` made this of.

        Raises:
            KeyError, TypeError, ValueError, InputError: it made none such.
        """
        stored = row["constitution"]
        constitution = Constitution(
            stored["id"],
            [Principle(**principle) for principle in stored["principles"]],
            stored["version"],
            stored["description"],
            Path(stored["path"]) if stored["path"] else None,
        )
        engine = row["engine"]
        return cls(
            constitution,
            Path(row["prompt_set"]["path"]),
            row["prompt_set"]["hash"],
            ReviseSettings.model_validate(row["settings"]),
            DataSettings.model_validate(row["data"]),
            EngineFacts(dict(engine["identity"]), engine["context_length"]),
        )


def read_recipe(ledger: Ledger) -> Recipe:
    """What the run that a ledger belongs to is made with.

    Raises:
        ConfigError: nothing is planned in it yet, an older version made it, or it is a run of another stage.
    """
    row, run = ledger.read_meta("recipe"), ledger.path.parent
    if row is None and not ledger.counts():
        raise ConfigError(f"{run} has no rows yet: its run was stopped before they were planned")
    if row is None:
        raise ConfigError(
            f"{run} does not hold what it was made with: an earlier version of constitutional made it. Run its "
            "`constitutional revise` command again as it was: that adds it, and redoes nothing that is finished"
        )
    stage = row.get("stage") if isinstance(row, dict) else None
    if stage != STAGE:
        instead = (
            f". For what an edit costs such a run, give its `constitutional {stage}` command again with --dry-run: it says "
            "which rows are stale, and what redoing them takes"
        )
        raise ConfigError(
            f"{run} is a run of the stage {stage!r}; this needs one of {STAGE!r}"
            + (instead if stage in _OTHER_USERS else "")
        )
    try:
        return Recipe.from_row(row)
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise ConfigError(
            f"{ledger.path}: what the run was made with can't be read ({type(error).__name__}: {error}). "
            "Another version of constitutional may have made it: run its `constitutional revise` command again"
        ) from error


def _absolute(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
