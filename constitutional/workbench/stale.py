"""What an edit of a constitution costs: which rows of a run it makes stale, and what redoing them takes.

The run is planned again, by the code that plans every run, from what its ledger holds: the recipe that it was made with, the
inputs of its rows, and the generations that are remembered. So the plan is the one that the next `revise` into that
directory will make, as long as nothing but the constitution changes. No engine is loaded, no source is read, nothing
is written, and a writer may be at work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from constitutional.constitution import Constitution
from constitutional.errors import ConfigError, TemplateError
from constitutional.jobs.cost import CostEstimate, estimate_cost, guess_tokens
from constitutional.jobs.sl_cai_recipe import Recipe, read_recipe
from constitutional.jobs.sl_cai_rows import SLCAIRows
from constitutional.ledger import Ledger, PlanCounts, PlannedRow
from constitutional.pipeline import count_remembered
from constitutional.records import Row
from constitutional.rundir import open_ledger
from constitutional.stages.revise import Reviser
from constitutional.templates import PromptSet, load_prompt_set
from constitutional.workbench.diff import diff_constitutions


@dataclass(frozen=True, slots=True)
class EditCost:
    """What the next `revise` into a run will do under another constitution.

    Attributes:
        run: the run directory.
        made_with: the constitution that its rows were made with.
        plan: the rows, as that `revise` will plan them; `plan.stale` of them are stale.
        stale_by_principle: of the stale rows, those that drew a principle or would draw it now, by the id of each
            principle that differs from `made_with`, most rows first. A row may count for several.
        stale_anyway: stale rows that would be so with `made_with` too: the prompt set has changed, or this version
            of the package makes rows in another way.
        prompt_set: the folder of the prompt set that it was planned with.
        prompt_set_changed: whether that is not what it was.
        redo: what the stale rows cost, at most: where a new revision fails a check, what follows is as it was.
        whole: what all rows to do cost, those included that no edit is to blame for.
    """

    run: Path
    made_with: Constitution
    plan: PlanCounts
    stale_by_principle: Mapping[str, int]
    stale_anyway: int
    prompt_set: Path
    prompt_set_changed: bool
    redo: CostEstimate
    whole: CostEstimate

    @property
    def unfinished(self) -> int:
        """Rows to do that are not stale: never finished, or to be tried again."""
        return self.plan.to_do - self.plan.stale

    def to_row(self) -> Row:
        """The cost as plain JSON."""
        plan = self.plan
        return {
            "path": str(self.run),
            "rows": {name: getattr(plan, name) for name in ("kept", "to_do", "stale", "retried", "bad")},
            "stale_by_principle": dict(self.stale_by_principle),
            "stale_anyway": self.stale_anyway,
            "prompt_set": {"path": str(self.prompt_set), "changed": self.prompt_set_changed},
            "redo": _estimate_row(self.redo),
            "whole": _estimate_row(self.whole),
        }


def made_with(run: Path) -> Constitution:
    """The constitution that the rows of a run were made with, whatever has become of its file.

    Raises:
        ConfigError: it is no run, or does not hold that.
    """
    ledger = open_ledger(run)
    try:
        return read_recipe(ledger).constitution
    finally:
        ledger.close()


async def cost_of_edit(
    run: Path, constitution: Constitution, *, prompt_set: str | Path | PromptSet | None = None
) -> EditCost:
    """What the next `revise` into a run will do if all stays as it is but the constitution.

    Args:
        run: the run directory.
        constitution: the one that `revise` will be given.
        prompt_set: likewise; None is the run's own.

    Returns:
        The plan and its cost; `EditCost.plan` is what `revise --dry-run` says.

    Raises:
        ConfigError: it is no run of `revise`, or does not hold what it was made with; or its settings don't go with
            the constitution.
        ConstitutionError: the constitution has nothing that `revise` can draw.
        TemplateError: the prompt set is not there, or not usable.
    """
    ledger = open_ledger(run)
    try:
        stored = ledger.read_meta("recipe")
        recipe = read_recipe(ledger)
        prompts = _prompt_set(recipe, prompt_set)
        before = Reviser(recipe.constitution, prompts, recipe.settings)
        after = Reviser(constitution, prompts, recipe.settings)
        rows = SLCAIRows(after, recipe.data.helpful_samples, recipe.engine)
        plan = ledger.plan(rows.planned_again(row) for row in _inputs(ledger))
        if ledger.read_meta("recipe") != stored:
            raise ConfigError(f"{run} was planned anew while it was read: run this again")
        blame = _Blame(before, after, SLCAIRows(before, recipe.data.helpful_samples, recipe.engine))
        stale = await count_remembered(ledger, recipe.engine, rows.work, blame.each(ledger.stale()))
        rest = await count_remembered(ledger, recipe.engine, rows.work, ledger.planned(stale=False))
        about = await guess_tokens(ledger, recipe.engine, rows.work, plan.to_do)
        return EditCost(
            run,
            recipe.constitution,
            plan,
            dict(blame.by_principle.most_common()),
            blame.anyway,
            prompts.path,
            prompts.fingerprint(*recipe.settings.templates) != recipe.prompt_set_hash,
            estimate_cost(ledger, *stale, about),
            estimate_cost(ledger, stale[0] + rest[0], stale[1] + rest[1], about),
        )
    finally:
        ledger.close()


class _Blame:
    """Finds out why rows are stale.

    Args:
        before: as the run was made.
        after: as it would be.
        unedited: the rows as they would be planned now with the constitution of `before`.
    """

    def __init__(self, before: Reviser, after: Reviser, unedited: SLCAIRows) -> None:
        self.by_principle: Counter[str] = Counter()
        self.anyway = 0
        self._before, self._after, self._unedited = before, after, unedited
        self._drawn = [(reviser, _drawable(reviser)) for reviser in (before, after)]
        diff = diff_constitutions(before.constitution, after.constitution)
        self._names = {id: change.id for change in diff.principles for id in change.ids}

    def each(self, rows: Iterable[PlannedRow]) -> Iterator[tuple[str, str, Row]]:
        """Hand the stale rows on, and count what each is owed to."""
        for row in rows:
            if self._unedited.planned_again(row).key == row.key:
                self.by_principle.update(self._principles(row.id))
            else:
                self.anyway += 1
            yield row.kind, row.id, row.input

    def _principles(self, id: str) -> set[str]:
        """The edited principles that a chain drew, or would draw now, in a round that is not what it was."""
        (before, old), (after, new) = self._drawn
        found: set[str] = set()
        for was, now in zip(before.draw(id), after.draw(id), strict=True):
            shown_before = {p.id: old[p.id].shown for p in was}
            shown_after = {p.id: new[p.id].shown for p in now}
            both = shown_before.keys() | shown_after.keys()
            moved = {p for p in both if shown_before.get(p) != shown_after.get(p)}
            if not moved and list(shown_before) != list(shown_after):
                moved = both  # the same principles in another order
            found.update(self._names[p] for p in moved if old.get(p) != new.get(p))
        return found


class _Drawable(NamedTuple):
    """All of a principle that decides which rows draw it, and what these are shown."""

    weight: float
    shown: str


def _drawable(reviser: Reviser) -> dict[str, _Drawable]:
    rendered = reviser.prompts.principle_fields(*reviser.settings.templates)
    return {p.id: _Drawable(p.weight, p.fingerprint(*rendered)) for p in reviser.constitution.for_revise()}


def _inputs(ledger: Ledger) -> Iterator[PlannedRow]:
    for row in ledger.inputs():
        if not row.input and not row.outcome:
            raise ConfigError(
                f"{ledger.path.parent} does not hold the input of {row.id!r}: an earlier version of constitutional "
                "has worked on it. Run its `constitutional revise` command again: that adds what is missing"
            )
        yield row


def _prompt_set(recipe: Recipe, given: str | Path | PromptSet | None) -> PromptSet:
    if isinstance(given, PromptSet):
        return given
    if given is None and not recipe.prompt_set.is_dir():
        raise TemplateError(
            f"the run's prompt set {recipe.prompt_set} is not there any more; name the one that the next "
            "run will use (--prompt-set)"
        )
    return load_prompt_set(given if given is not None else recipe.prompt_set)


def _estimate_row(estimate: CostEstimate) -> Row:
    return {
        "generations_to_make": estimate.missing,
        "generations_remembered": estimate.remembered,
        "prompt_tokens": estimate.prompt_tokens,
        "completion_tokens": estimate.completion_tokens,
        "seconds": estimate.seconds,
    }
