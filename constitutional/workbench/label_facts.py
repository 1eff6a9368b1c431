"""What a run of `label` says of itself: what made it, how it asked, and by which weights its principles were drawn or averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constitutional.constitution import Constitution, Principle
from constitutional.errors import ConfigError, InputError
from constitutional.ledger import Ledger
from constitutional.rundir import read_manifest
from constitutional.stages.label import STAGE, LabelSettings


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What is known of a run of `label`.

    Attributes:
        path: its directory.
        constitution: id of the constitution.
        version: of the constitution.
        model: name of the judge.
        settings: how comparisons were labelled.
        drawable: weights of the principles that can be drawn, by id.
        averaged: weights of the principles in a label's mean; all 1 where principles are drawn.
    """

    path: Path
    constitution: str
    version: int
    model: str | None
    settings: LabelSettings
    drawable: Mapping[str, float]
    averaged: Mapping[str, float]

    @property
    def per_label(self) -> int:
        """Principles that a label asks."""
        asked = self.settings.principles
        return len(self.drawable) if asked == "all" else min(asked, len(self.drawable))


def read_label_facts(ledger: Ledger, constitution: Constitution | None = None) -> LabelFacts:
    """What a run of `label` says of itself.

    Args:
        ledger: the run's.
        constitution: where to take the expected draws from instead; the weights in the mean stay those of the run.

    Raises:
        ConfigError: it is a run of another stage, or does not hold what it was made with.
        ConstitutionError: no principle of the given constitution can be drawn.
    """
    run, recipe = ledger.path.parent, ledger.read_meta("recipe")
    if recipe is None:
        if not ledger.counts():
            raise ConfigError(f"{run} has no rows yet; its run was stopped before they were planned")
        stage = (read_manifest(run) or {}).get("stage")
        raise ConfigError(
            f"{run} is a run of the stage {stage!r}, not of {STAGE!r}"
            if stage not in (None, STAGE)
            else f"{run} does not hold what it was made with: run its `constitutional label` command again as it was: "
            "that adds it, and asks nothing that was answered"
        )
    stage = recipe.get("stage") if isinstance(recipe, dict) else None
    if stage != STAGE:
        raise ConfigError(f"{run} is a run of the stage {stage!r}, not of {STAGE!r}")
    try:
        made_with = recipe["constitution"]
        own = Constitution(
            made_with["id"], [Principle(**one) for one in made_with["principles"]], made_with["version"]
        )
        settings = LabelSettings.model_validate(recipe["settings"])
        usable, model = own.for_label(), recipe["engine"]["identity"].get("model")
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise ConfigError(
            f"{ledger.path}: what the run was made with can't be read ({type(error).__name__}: {error}). "
            "Another version of constitutional may have made it: run its `constitutional label` command again"
        ) from error
    weights = {principle.id: principle.weight for principle in usable}
    asks_all = settings.principles == "all" or settings.principles >= len(usable)
    drawable = {p.id: p.weight for p in constitution.for_label()} if constitution else weights
    averaged = weights if asks_all else dict.fromkeys(weights, 1.0)
    return LabelFacts(run, own.id, own.version, model, settings, drawable, averaged)
