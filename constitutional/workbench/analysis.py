"""What each principle did in a run: how often it was drawn, what its critiques found, what its revisions changed, what failed.

`analyse` reads the ledger of a run of `revise`, once and row by row, so it works while the run goes on and its memory does not
grow with the run. Everything that is said is said with the number of observations behind it, and intervals take the chain as
the unit (`estimates.py`). A quantity that the run can't have is absent, never 0: without critiques nothing is said of
critiques. What is measured, and how, is in docs/analysis.md.

What is known of a principle comes in sections (`draws`, `critiques`, `revisions` of `PrincipleStats`). Runs of `label` are analysed
beside it, in `label_analysis.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from constitutional.constitution import Constitution
from constitutional.errors import ConfigError
from constitutional.estimates import Estimate, draw_shares
from constitutional.jobs.sl_cai_rows import CHAIN
from constitutional.ledger import StoredRow
from constitutional.records import Row
from constitutional.rundir import open_ledger
from constitutional.stages.revise import STAGE
from constitutional.workbench.attention import KINDS, remark_on
from constitutional.workbench.critiques import CritiqueSample, Likeness, words
from constitutional.workbench.principle_stats import PrincipleStats, RoundTally, Seen, see
from constitutional.workbench.remarks import Remark, severity
from constitutional.workbench.run_facts import RunFacts, count_rows, read_facts


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the principles of a run did.

    Attributes:
        run: what is known of the run.
        chains: how many there are, by status (`ok`, `failed`, `skipped`, `to_do`).
        analysed: finished chains with at least one round.
        rounds: their rounds.
        found_by: how it was told whether a critique found something: `marker`, `phrases`, or None without critiques.
        overall: all principles together.
        by_round: the same by round, the first first.
        principles: what needs attention first.
        likenesses: of critiques, for each pair of principles; empty without critiques.
        remarks: what to look at, the gravest first.
        notes: what has to be known to read the figures.
    """

    run: RunFacts
    chains: Mapping[str, int]
    analysed: int
    rounds: int
    found_by: str | None
    overall: PrincipleStats
    by_round: tuple[PrincipleStats, ...]
    principles: tuple[PrincipleStats, ...]
    likenesses: tuple[Likeness, ...]
    remarks: tuple[Remark, ...]
    notes: tuple[str, ...]

    @property
    def found_measured(self) -> bool:
        """Whether it says anything that so many critiques found something: not where no phrase told of one that did not."""
        critiques = self.overall.critiques
        return critiques is not None and (self.found_by == "marker" or critiques.found.value < 1)

    def to_json(self) -> dict[str, Any]:
        """The analysis as `analyse --json` prints it; the keys are documented in docs/analysis.md."""
        facts = self.run
        return {
            "format": 1,
            "run": {
                "path": str(facts.path),
                "stage": STAGE,
                "constitution": facts.constitution,
                "version": facts.version,
                "model": facts.model,
                "rounds": facts.rounds,
                "principles_per_round": facts.principles_per_round,
                "chains": dict(self.chains),
            },
            "analysed": {"chains": self.analysed, "rounds": self.rounds},
            "found_by": self.found_by,
            "found_measured": self.found_measured,
            "remarks": [
                {"kind": remark.kind, "principles": list(remark.principles), "text": remark.text}
                for remark in self.remarks
            ],
            "notes": list(self.notes),
            "overall": _stats_json(self.overall),
            "by_round": [_stats_json(stats) for stats in self.by_round],
            "principles": [
                {"id": stats.id, "remarks": list(stats.remarks), **_stats_json(stats)}
                for stats in self.principles
            ],
            "critique_pairs": [
                {
                    "principles": [likeness.first, likeness.second],
                    "same_chain": _estimate_json(likeness.same_chain),
                    "elsewhere": _rounded(likeness.elsewhere),
                    "elsewhere_pairs": likeness.pairs,
                }
                for likeness in self.likenesses
                if likeness.same_chain or likeness.pairs
            ],
        }


def analyse(run: str | Path, constitution: Constitution | None = None) -> Analysis:
    """Say what each principle did in a run.

    Args:
        run: the directory of a run of `revise`, finished or not.
        constitution: take the weights from there instead of from what the run itself says of them.

    Raises:
        ConfigError: it is no run, one of another stage, or none of its chains is finished.
        ConstitutionError: no principle of the given constitution can be drawn.
    """
    ledger = open_ledger(Path(run))
    try:
        chains = count_rows(ledger, CHAIN, "chains", "revise")
        facts = read_facts(Path(run), ledger, constitution)
        reader = _Reader(CritiqueSample(sum(chains.values())))
        for stored in ledger.rows(CHAIN):
            try:
                reader.read(stored)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ConfigError(
                    f"{run}: the row {stored.id!r} is not a chain as `revise` makes them "
                    f"({type(error).__name__}: {error})"
                ) from error
    finally:
        ledger.close()
    if not reader.rounds:
        raise ConfigError(_why_nothing(run, chains))
    return reader.analysis(facts, chains)


@dataclass
class _Reader:
    """Takes chain after chain, and keeps sums."""

    sample: CritiqueSample
    analysed: int = 0
    rounds: int = 0
    per_round: int = 0
    ended_clean: bool = False
    overall: RoundTally = field(default_factory=RoundTally)
    by_round: dict[int, RoundTally] = field(default_factory=dict)
    principles: dict[str, RoundTally] = field(default_factory=dict)

    def read(self, stored: StoredRow) -> None:
        """Take one row; one that is not finished, or has no rounds, shows nothing."""
        result = stored.result or {}
        rounds: list[Row] = result.get("rounds", [])
        if not rounds:
            return
        before = words(result["response"])
        seen: list[Seen] = []
        by_principle: dict[str, list[Seen]] = {}
        critiques: list[tuple[tuple[str, ...], str]] = []
        for number, round in enumerate(rounds, 1):
            ids = tuple(round["principles"])
            after = None if round["revision"] is None else words(round["revision"])
            seen.append(see(number, round, before, after))
            for id in ids:
                by_principle.setdefault(id, []).append(seen[-1])
            if seen[-1].phrased:  # those that find nothing are alike for a good reason
                critiques.append((ids, round["critique"]))
            self.per_round = max(self.per_round, len(ids))
            self.ended_clean |= after is None
            if after is not None and not seen[-1].checks:
                before = after  # the next round starts from the last good revision
        self.overall.add(seen)
        for one in seen:
            self.by_round.setdefault(one.number, RoundTally()).add([one])
        for id, some in by_principle.items():
            self.principles.setdefault(id, RoundTally()).add(some)
        self.sample.add(stored.id, critiques)
        self.analysed += 1
        self.rounds += len(rounds)

    def analysis(self, facts: RunFacts, chains: Mapping[str, int]) -> Analysis:
        """What all of it comes to."""
        weights = facts.weights or {}
        per_round = facts.principles_per_round or self.per_round
        expected = dict(zip(weights, draw_shares(list(weights.values()), per_round), strict=True))
        found_by = None
        if self.overall.critiques:
            found_by = "marker" if facts.stop_when_clean or self.ended_clean else "phrases"
        ids = sorted({*self.principles, *weights})
        likenesses = tuple(self.sample.likenesses(ids)) if found_by else ()
        elsewhere = {like.first: (like.elsewhere, like.pairs) for like in likenesses if like.itself}
        overall = self.overall.stats("all principles", self.rounds, found_by=found_by)
        principles = [
            self.principles.get(id, RoundTally()).stats(
                id,
                self.rounds,
                found_by=found_by,
                expected=expected.get(id, 0.0 if weights else None),
                elsewhere=elsewhere.get(id, (None, 0)),
            )
            for id in ids
        ]
        remarks = remark_on(overall, principles, likenesses, weights or None, found_by)
        principles = [
            replace(stats, remarks=tuple(r.kind for r in remarks if stats.id in r.principles))
            for stats in principles
        ]
        principles.sort(key=lambda stats: (severity(stats.remarks, KINDS), -_failed(stats), stats.id))
        return Analysis(
            facts,
            chains,
            self.analysed,
            self.rounds,
            found_by,
            overall,
            tuple(
                tally.stats(f"round {number}", self.rounds, found_by=found_by)
                for number, tally in sorted(self.by_round.items())
            ),
            tuple(principles),
            likenesses,
            remarks,
            _notes(facts, chains, per_round, found_by),
        )


def _failed(stats: PrincipleStats) -> float:
    return stats.revisions.failed.value if stats.revisions else -1.0


def _why_nothing(run: str | Path, chains: Mapping[str, int]) -> str:
    total = sum(chains.values())
    if chains["to_do"]:
        return (
            f"{run}: there is nothing to analyse yet; of {total:,} chains {total - chains['to_do']:,} are finished, "
            "and none of them has a round of revision"
        )
    return (
        f"{run}: none of its {total:,} chains has a round of revision ({chains['skipped']:,} skipped, "
        f"{chains['failed']:,} failed); `constitutional show {run}` says why"
    )


def _notes(
    facts: RunFacts, chains: Mapping[str, int], per_round: int, found_by: str | None
) -> tuple[str, ...]:
    notes = []
    if chains["to_do"]:
        notes.append(
            f"The run is not finished: {chains['to_do']:,} of {sum(chains.values()):,} chains are still to do."
        )
    if facts.weights is None:
        notes.append(f"How often each principle should be drawn is not known: {facts.why_no_weights}.")
    if per_round > 1:
        notes.append(
            f"Each round follows {per_round} principles together; what it shows is credited to each of them."
        )
    if found_by == "marker":
        notes.append("A critique found something unless it ended its chain with the prompt set's marker.")
    elif found_by == "phrases":
        notes.append(
            "A critique found something unless its last sentence plainly says, in English, that all is well."
        )
    else:
        notes.append("Revisions were asked for directly, so nothing is said of critiques.")
    return tuple(notes)


def _stats_json(stats: PrincipleStats) -> dict[str, Any]:
    """The sections that there are."""
    draws, critiques, revisions = stats.draws, stats.critiques, stats.revisions
    found: dict[str, Any] = {
        "draws": {
            "rounds": draws.rounds,
            "chains": draws.chains,
            "share": draws.share.to_json(),
            "expected_share": _rounded(draws.expected),
        }
    }
    if critiques:
        found["critiques"] = {
            "count": critiques.count,
            "found_something": critiques.found.to_json(),
            "truncated": critiques.truncated,
            "alike_elsewhere": _rounded(critiques.elsewhere),
            "alike_pairs": critiques.pairs,
        }
    if revisions:
        found["revisions"] = {
            "count": revisions.count,
            "edit_distance": _estimate_json(revisions.changed),
            "edit_distance_first_round": _estimate_json(revisions.changed_first),
            "edit_distance_later_rounds": _estimate_json(revisions.changed_later),
            "edit_distance_passed": _estimate_json(revisions.changed_good),
            "length_ratio": _estimate_json(revisions.length),
            "failed": revisions.failed.to_json(),
            "failed_checks": dict(revisions.checks),
            "failed_causes": dict(revisions.causes),
        }
    return found


def _estimate_json(estimate: Estimate | None) -> dict[str, Any] | None:
    return estimate.to_json() if estimate else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
