"""What each principle did in a run of `label`: how often it was drawn, how decisive it is, whether it goes by position, and what it does to labels.

`analyse_labels` reads the ledger once and row by row, so it works while the run goes on; it keeps sums, a few for every two
principles, so its memory does not grow with the run. The unit of every interval is the comparison. A quantity that the run can't have
is absent, never 0: with one principle a label nothing is said of how principles agree, and a remark says what would tell. Whatever is
said stays as it is where a comparison's responses are swapped. What is measured, and how, is in docs/analysis.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from constitutional.constitution import Constitution
from constitutional.errors import ConfigError
from constitutional.estimates import Estimate, Tally, draw_shares
from constitutional.jobs.label_data import KIND
from constitutional.ledger import StoredRow
from constitutional.rundir import open_ledger
from constitutional.workbench.correlations import Pair, PairSums, same_side, side
from constitutional.workbench.label_attention import KINDS, remark_on_labels
from constitutional.workbench.label_facts import LabelFacts, read_label_facts
from constitutional.workbench.label_json import label_json
from constitutional.workbench.label_stats import LabelStats, VoteTally, effects, read_votes
from constitutional.workbench.remarks import Remark, severity
from constitutional.workbench.run_facts import count_rows


@dataclass(frozen=True, slots=True)
class LabelAnalysis:
    """What the principles of a run of `label` did.

    Attributes:
        run: what is known of the run.
        comparisons: how many there are, by status (`ok`, `failed`, `skipped`, `to_do`).
        analysed: comparisons with votes; those whose votes all do not count are among them.
        labels: those with a label.
        decisive: mean of |label - ½|; None without labels.
        human: comparisons with people's label that prefers a response.
        people: share of these on which the label prefers it too; None without them.
        overall: all principles together.
        principles: what needs attention first.
        pairs: of principles that voted on the same comparisons; empty where labels ask one each.
        remarks: what to look at, the gravest first.
        notes: what has to be known to read the figures.
    """

    run: LabelFacts
    comparisons: Mapping[str, int]
    analysed: int
    labels: int
    decisive: Estimate | None
    human: int
    people: Estimate | None
    overall: LabelStats
    principles: tuple[LabelStats, ...]
    pairs: tuple[Pair, ...]
    remarks: tuple[Remark, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The analysis as `analyse --json` prints it; the keys are documented in docs/analysis.md."""
        return label_json(self)


def analyse_labels(run: str | Path, constitution: Constitution | None = None) -> LabelAnalysis:
    """Say what each principle did in a run of `label`.

    Args:
        run: its directory, finished or not.
        constitution: expect draws by its weights instead of by those that the run was made with.

    Raises:
        ConfigError: it is no run, one of another stage, or none of its comparisons has votes.
        ConstitutionError: no principle of the given constitution can be drawn.
    """
    ledger = open_ledger(Path(run))
    try:
        comparisons = count_rows(ledger, KIND, "labels", "label")
        facts = read_label_facts(ledger, constitution)
        reader = _Reader(facts)
        for stored in ledger.rows(KIND):
            try:
                reader.read(stored)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ConfigError(
                    f"{run}: the row {stored.id!r} is not a label as `label` makes them ({type(error).__name__}: {error})"
                ) from error
    finally:
        ledger.close()
    if not reader.analysed:
        raise ConfigError(_why_nothing(run, comparisons))
    return reader.analysis(comparisons)


@dataclass
class _Reader:
    """Takes label after label, and keeps sums."""

    facts: LabelFacts
    analysed: int = 0
    most_together: int = 0
    label: Tally = field(default_factory=Tally)
    people: Tally = field(default_factory=Tally)
    human: int = 0
    ties: int = 0
    overall: VoteTally = field(default_factory=VoteTally)
    principles: dict[str, VoteTally] = field(default_factory=dict)
    pairs: PairSums = field(default_factory=PairSums)

    def read(self, stored: StoredRow) -> None:
        """Take one row; one without votes shows nothing."""
        result = stored.result or {}
        opinions = read_votes(result.get("votes", []), self.facts.settings)
        if not opinions:
            return
        human = (stored.input or {}).get("human")
        wanted = None if human is None or not side(human - 0.5) else human - 0.5
        used = {id: opinion.used for id, opinion in opinions.items() if opinion.used is not None}
        done = effects(used, self.facts.averaged)
        self.overall.add(list(opinions.values()), [done.get(id) for id in opinions], wanted)
        for id, opinion in opinions.items():
            self.principles.setdefault(id, VoteTally()).add([opinion], [done.get(id)], wanted)
        self.pairs.add(used)
        self.analysed += 1
        self.most_together = max(self.most_together, len(used))
        self.ties += human is not None and wanted is None
        probability = result.get("probability")
        if probability is not None:
            self.label.add([abs(probability - 0.5)])
            self.human += wanted is not None
            self.people.add([] if wanted is None else [same_side(probability - 0.5, wanted)])

    def analysis(self, comparisons: Mapping[str, int]) -> LabelAnalysis:
        """What all of it comes to."""
        facts = self.facts
        weights = facts.drawable
        expected = dict(zip(weights, draw_shares(list(weights.values()), facts.per_label), strict=True))
        ids = sorted({*self.principles, *weights})
        clamped = facts.settings.lower > 0
        principles = [
            self.principles.get(id, VoteTally()).stats(
                id, self.analysed, clamped=clamped, expected=expected.get(id, 0.0)
            )
            for id in ids
        ]
        pairs = tuple(self.pairs.pairs())
        remarks = remark_on_labels(principles, pairs, weights, self.most_together)
        principles = [
            replace(stats, remarks=tuple(r.kind for r in remarks if stats.id in r.principles))
            for stats in principles
        ]
        principles.sort(key=lambda stats: (severity(stats.remarks, KINDS), -_decisive(stats), stats.id))
        return LabelAnalysis(
            facts,
            comparisons,
            self.analysed,
            self.label.n,
            self.label.mean(within=(0, 0.5)),
            self.human,
            self.people.proportion(),
            self.overall.stats("all principles", self.analysed, clamped=clamped),
            tuple(principles),
            pairs,
            remarks,
            _notes(facts, comparisons, self.ties),
        )


def _decisive(stats: LabelStats) -> float:
    return stats.decisive.raw.value if stats.decisive else -1.0


def _why_nothing(run: str | Path, comparisons: Mapping[str, int]) -> str:
    total = sum(comparisons.values())
    if comparisons["to_do"]:
        return (
            f"{run}: there is nothing to analyse yet; of {total:,} comparisons {total - comparisons['to_do']:,} are "
            "finished, and none of them has votes"
        )
    return (
        f"{run}: none of its {total:,} comparisons has votes ({comparisons['skipped']:,} skipped, "
        f"{comparisons['failed']:,} failed); `constitutional show {run}` says why"
    )


def _notes(facts: LabelFacts, comparisons: Mapping[str, int], ties: int) -> tuple[str, ...]:
    settings, notes = facts.settings, []
    if comparisons["to_do"]:
        notes.append(
            f"The run is not finished: {comparisons['to_do']:,} of {sum(comparisons.values()):,} comparisons are still to do."
        )
    if settings.lower > 0:
        notes.append(
            f"Votes are clamped to {settings.lower:g}–{1 - settings.lower:g} in labels; how decisive a principle is, and its "
            "position bias, are of p before that."
        )
    if not settings.both_orders:
        notes.append("Each vote showed one order, drawn by a hash, so a position bias is noise in every p.")
    if settings.votes == "sampled":
        notes.append("Votes are counted answers, each 0 or 1; they have no mass.")
    if ties:
        notes.append(f"{ties:,} of people's labels prefer neither response and are left out.")
    return tuple(notes)
