"""What to look at in the analysis of a run of `revise`: a few plain sentences, each with the number that it rests on.

When a remark is made is in `remarks.py`. Principles with too few rounds get that one remark and no other on what they did.

Three kinds go by the value itself: `boilerplate`, since the pairs of critiques that it is a mean of share critiques, so that no
interval of ours fits; `run-fails` and `critiques-cut-off`, which say what share of the run was lost, whatever another run would lose.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from constitutional.numbers import with_interval
from constitutional.workbench.critiques import IDENTICAL, Likeness
from constitutional.workbench.principle_stats import PrincipleStats, Revisions
from constitutional.workbench.remarks import (
    Remark,
    high_end,
    in_order,
    listed,
    low_end,
    remarks_on_draws,
    value_range,
    widened,
)

FEW_ROUNDS = 10
"""Rounds below which a principle is not judged."""
FEW_CHAINS = 5
"""Chains with critiques of both below which two principles are not compared."""
MUCH = 0.2
"""Share of a run's revisions from which a check that they fail is a matter of the whole run."""
RARELY = 0.25
"""A principle's critiques find something rarely where the whole interval is below this."""
HARDLY = 0.15
"""A principle's revisions hardly change anything where the whole interval of the edit distance is below this."""
BOILERPLATE = 0.6
"""Likeness of a principle's critiques on different chains from which they are boilerplate."""

KINDS = (
    "never-drawn",
    "not-in-constitution",
    "off-weight",
    "fails",
    "near-identical",
    "boilerplate",
    "finds-little",
    "changes-little",
    "shortens",
    "lengthens",
    "run-fails",
    "critiques-cut-off",
    "always-finds",
    "few-rounds",
)
"""Every kind of remark, the gravest first."""

_ADVICE = {
    "empty": "have no text (`empty`): look at the prompt set, or take another model",
    "truncated": "were cut off by the token limit (`truncated`): raise --max-tokens",
    "unchanged": "are the text that was to be revised (`unchanged`): a larger model or other few-shot examples may help",
    "critique": "talk about the response instead of being one (`critique`): a larger model or other few-shot examples may help",
    "copied-example": "repeat a few-shot example (`copied-example`): a larger model or other examples may help",
    "copied-prompt": "repeat the user's message (`copied-prompt`): a larger model or another prompt set may help",
}


def remark_on(
    overall: PrincipleStats,
    principles: Sequence[PrincipleStats],
    likenesses: Sequence[Likeness],
    drawable: Collection[str] | None = None,
    found_by: str | None = None,
) -> tuple[Remark, ...]:
    """What there is to look at, the gravest first.

    Args:
        overall: all principles together.
        principles: each of them.
        likenesses: of their critiques.
        drawable: ids of the principles that the constitution has to draw; None where that is not known.
        found_by: see `Analysis`.
    """
    enough = [stats for stats in principles if stats.draws.rounds >= FEW_ROUNDS]
    found = [
        *remarks_on_draws(principles, drawable, "rounds", "more prompts or rounds"),
        *_outliers(overall, enough),
        *_alike(likenesses, {stats.id for stats in enough}),
        *_effects(enough),
        *_whole_run(overall),
        *_always(overall, found_by),
    ]
    few = [stats.id for stats in principles if 0 < stats.draws.rounds < FEW_ROUNDS]
    if few:
        text = f"drawn in fewer than {FEW_ROUNDS} rounds, too few to judge; run more prompts or rounds"
        found.append(Remark("few-rounds", tuple(few), f"{listed(few)}: {text}."))
    return in_order(found, KINDS)


def _always(overall: PrincipleStats, found_by: str | None) -> Iterator[Remark]:
    """Critiques all of which found something."""
    critiques = overall.critiques
    if not critiques or critiques.count < FEW_ROUNDS or critiques.found.value < 1:
        return
    if found_by == "phrases":
        text = (
            "No critique says plainly that all is well, so how often they found something is not measured; "
            "--stop-when-clean asks them to say so."
        )
    else:
        text = (
            f"Critique always finds something: all {critiques.count:,} did, though they were asked to say where all is well; "
            "read some of them."
        )
    yield Remark("always-finds", (), text)


def _outliers(overall: PrincipleStats, enough: Sequence[PrincipleStats]) -> Iterator[Remark]:
    """Principles whose revisions fail more often than those of the run."""
    if not overall.revisions or len(enough) < 2:
        return
    usual = overall.revisions.failed.value
    worst = [
        (stats.revisions.failed, stats.id, _most(stats.revisions))
        for stats in enough
        if stats.revisions and widened(stats.revisions.failed, len(enough))[0] > usual
    ]
    for failed, id, most in sorted(worst, key=lambda one: (-one[0].value, one[1])):
        text = f"{with_interval(failed, '.0%')} of its revisions fail a check, mostly `{most}`; of the whole run's, {usual:.0%}"
        yield Remark("fails", (id,), f"{id}: {text}.")


def _alike(likenesses: Sequence[Likeness], enough: set[str]) -> Iterator[Remark]:
    for like in likenesses:
        same = like.same_chain
        if like.itself or not same or not {like.first, like.second} <= enough:
            continue
        if same.chains >= FEW_CHAINS and low_end(same) >= IDENTICAL:
            text = (
                f"on the same chains their critiques are near-identical (likeness {same.value:.2f}, {same.chains:,} chains); "
                "one of the two may do, or they need sharper critique requests"
            )
            yield Remark("near-identical", (like.first, like.second), f"{like.first}, {like.second}: {text}.")
    boilerplate = [
        (like.elsewhere, like.first)
        for like in likenesses
        if like.itself
        and like.elsewhere is not None
        and like.elsewhere >= BOILERPLATE
        and like.first in enough
    ]
    if boilerplate:
        boilerplate.sort(key=lambda one: (-one[0], one[1]))
        ids = [id for _, id in boilerplate]
        text = f"much the same critique whatever the response (likeness {value_range([x for x, _ in boilerplate])})"
        yield Remark("boilerplate", tuple(ids), f"{listed(ids)}: {text}.")


def _effects(enough: Sequence[PrincipleStats]) -> Iterator[Remark]:
    """Critiques that find little, revisions that change little, shorten or lengthen."""
    found = [(stats.critiques.found, stats.id) for stats in enough if stats.critiques]
    changed = [(s.revisions.changed, s.id) for s in enough if s.revisions and s.revisions.changed]
    length = [(s.revisions.length, s.id) for s in enough if s.revisions and s.revisions.length]
    for kind, estimates, above, limit, text in (
        (
            "finds-little",
            found,
            False,
            RARELY,
            "critiques found something in only {} of rounds; the request may be too narrow, or not for these prompts",
        ),
        (
            "changes-little",
            changed,
            False,
            HARDLY,
            "revisions hardly change a word (edit distance {}); does the revision request ask for anything?",
        ),
        (
            "shortens",
            length,
            False,
            0.5,
            "revisions are less than half as long as what they revise ({} of it); ask to keep what was helpful",
        ),
        (
            "lengthens",
            length,
            True,
            2.0,
            "revisions are more than twice as long as what they revise ({} of it)",
        ),
    ):
        beyond = [
            (estimate.value, id)
            for estimate, id in estimates
            if estimate.chains > 1 and (low_end(estimate) > limit if above else high_end(estimate) < limit)
        ]
        beyond.sort(key=lambda one: (-one[0] if above else one[0], one[1]))
        if beyond:
            ids = [id for _, id in beyond]
            share = value_range([value for value, _ in beyond], ".0%")
            yield Remark(kind, tuple(ids), f"{listed(ids)}: {text.format(share)}.")


def _whole_run(overall: PrincipleStats) -> Iterator[Remark]:
    revisions, critiques = overall.revisions, overall.critiques
    for check, count in revisions.checks.items() if revisions else ():
        assert revisions
        if count >= MUCH * revisions.count and count >= FEW_ROUNDS:
            advice = _ADVICE.get(check, f"fail the check `{check}`")
            yield Remark("run-fails", (), f"{count / revisions.count:.0%} of all revisions {advice}.")
    if critiques and critiques.truncated >= max(FEW_ROUNDS, MUCH * critiques.count):
        share = critiques.truncated / critiques.count
        text = f"{share:.0%} of all critiques were cut off by the token limit: raise --max-tokens."
        yield Remark("critiques-cut-off", (), text)


def _most(revisions: Revisions) -> str:
    return max(revisions.checks, key=lambda check: revisions.checks[check])
