"""What a run says of itself: what made it, and by which weights its principles were drawn.

The ledger knows it from the moment that the run is planned. Runs of earlier versions have it in their manifest, written when they
end, and without the weights: these are then those of the constitution's file, if that still holds what it held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constitutional.constitution import Constitution, load_constitution
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.jobs.sl_cai_recipe import read_recipe
from constitutional.ledger import Ledger
from constitutional.records import Row
from constitutional.rundir import open_ledger, read_manifest
from constitutional.stages.revise import STAGE


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run; None is what is not.

    Attributes:
        path: its directory.
        constitution: id of the constitution.
        version: of the constitution.
        model: name of the model.
        rounds: rounds that a chain has at most.
        principles_per_round: principles that a round follows together.
        critique: whether revisions follow a critique.
        stop_when_clean: whether a critique that finds nothing ends its chain.
        weights: of the principles that can be drawn, by id.
        why_no_weights: a clause for a person, where they are not known.
    """

    path: Path
    constitution: str | None = None
    version: int | None = None
    model: str | None = None
    rounds: int | None = None
    principles_per_round: int | None = None
    critique: bool | None = None
    stop_when_clean: bool | None = None
    weights: Mapping[str, float] | None = None
    why_no_weights: str = ""


def read_facts(run: Path, ledger: Ledger, constitution: Constitution | None = None) -> RunFacts:
    """What a run says of itself.

    Args:
        run: its directory.
        ledger: the one in it.
        constitution: where to take the weights from instead.

    Raises:
        ConfigError: it is a run of another stage.
        ConstitutionError: no principle of the given constitution can be drawn.
    """
    if ledger.read_meta("recipe") is not None:
        recipe = read_recipe(ledger)
        made_with = recipe.constitution
        found: Row = {"id": made_with.id, "version": made_with.version}
        model, settings = recipe.engine.identity.get("model"), recipe.settings.model_dump()
        weights, why = _weights_of(constitution or made_with)
    else:
        manifest = read_manifest(run) or {}
        stage = manifest.get("stage", STAGE)
        if stage != STAGE:
            raise ConfigError(
                f"{run} is a run of the stage {stage!r}; analyse reads the runs of `constitutional revise`"
            )
        found, settings = manifest.get("constitution") or {}, manifest.get("settings") or {}
        model = (manifest.get("engine") or {}).get("model")
        weights, why = _weights_of(constitution) if constitution else _weights_of_file(found)
    return RunFacts(
        path=run,
        constitution=found.get("id"),
        version=found.get("version"),
        model=model,
        rounds=settings.get("rounds"),
        principles_per_round=settings.get("principles_per_round"),
        critique=settings.get("critique"),
        stop_when_clean=settings.get("stop_when_clean"),
        weights=weights,
        why_no_weights=why,
    )


def stage_of(run: Path) -> str | None:
    """The stage that a run is of; None where it does not say.

    Raises:
        ConfigError: it is no run, or can't be read.
    """
    ledger = open_ledger(run)
    try:
        recipe = ledger.read_meta("recipe")
    finally:
        ledger.close()
    stage = (recipe if isinstance(recipe, dict) else read_manifest(run) or {}).get("stage")
    return stage if isinstance(stage, str) else None


def count_rows(ledger: Ledger, kind: str, called: str, command: str) -> dict[str, int]:
    """How many rows of a kind a run has by status: `ok`, `failed`, `skipped`, `to_do`.

    Args:
        ledger: the run's.
        kind: of the rows.
        called: what a person calls them.
        command: what makes them.

    Raises:
        ConfigError: it has none.
    """
    run = ledger.path.parent
    counts = {"ok": 0, "failed": 0, "skipped": 0, "to_do": 0}
    others = set()
    for (found, status, _), count in ledger.counts().items():
        if found == kind:
            counts[status or "to_do"] = counts.get(status or "to_do", 0) + count
        else:
            others.add(found)
    if not sum(counts.values()):
        if not others:
            raise ConfigError(f"{run} has no rows yet; its run was stopped before they were planned")
        has = ", ".join(map(repr, sorted(others)))
        raise ConfigError(
            f"{run} holds no {called} but rows of the kind {has}; this analyses the runs of `constitutional {command}`"
        )
    return counts


def _weights_of(constitution: Constitution) -> tuple[dict[str, float] | None, str]:
    return {principle.id: principle.weight for principle in constitution.for_revise()}, ""


def _weights_of_file(found: Row) -> tuple[dict[str, float] | None, str]:
    """The weights in the file that a manifest names, if it is what it was; else why not."""
    path = found.get("path")
    if not path:
        return None, "this run does not say; name the constitution with --constitution"
    try:
        constitution = load_constitution(Path(path))
    except ConstitutionError:
        return None, f"{path} can't be read any more; name the constitution with --constitution"
    if constitution.hash != found.get("hash"):
        return (
            None,
            f"{path} has changed since; name the constitution that the run was made with by --constitution",
        )
    return _weights_of(constitution)
