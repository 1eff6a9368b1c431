"""What to look at in the analysis of a run of `label`: a few plain sentences, each with the numbers that it rests on.

When a remark is made is in `remarks.py`. Principles whose votes count on too few comparisons get that one remark and no other on what they
did. A principle that goes by position is not also called undecided, since the mean over both orders of an answer that goes by position is ½.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from constitutional.numbers import with_interval
from constitutional.workbench.correlations import Pair
from constitutional.workbench.label_stats import LabelStats
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

FEW = 10
"""Comparisons below which a principle, or two together, are not judged."""
UNDECIDED = 0.02
"""A principle never decides where the whole interval of the mean |p - ½| is below this."""
BOUND = 0.75
"""A principle goes by position where more than this share of its votes prefers the same place, the whole interval."""
DRIVES = 0.2
"""A principle drives the label where more labels than this share flip without it, the whole interval …"""
TIMES_OTHERS = 2.0
"""… and this many times as many as without another principle, on average."""
REDUNDANT = 0.9
"""Two principles are redundant where agreement and correlation are above this, both whole intervals."""
MUCH = 0.2
"""Share of votes from which it is much that they are flagged, or do not count."""
MOST = 0.8
"""Share of pairs from which it is the judge and not the principles that makes them redundant."""
_ASK_ALL = "`constitutional label` with --principles all asks every principle of each comparison"

KINDS = (
    "never-drawn",
    "not-in-constitution",
    "off-weight",
    "reversed",
    "against-people",
    "position-bound",
    "flagged",
    "votes-lost",
    "rationales-cut-off",
    "never-decides",
    "drives",
    "redundant",
    "same-whatever-asked",
    "one-principle",
    "few-together",
    "few-votes",
)
"""Every kind of remark, the gravest first."""


def remark_on_labels(
    principles: Sequence[LabelStats],
    pairs: Sequence[Pair],
    drawable: Collection[str] | None,
    most_together: int,
) -> tuple[Remark, ...]:
    """What there is to look at, the gravest first.

    Args:
        principles: each of them.
        pairs: how each two agree.
        drawable: ids of the principles that the constitution has to draw.
        most_together: principles whose votes count in the same label, at most.
    """
    enough = [stats for stats in principles if _comparisons(stats) >= FEW]
    ids = {stats.id for stats in enough}
    bound = list(_bound(enough))
    by_position = {id for remark in bound for id in remark.principles}
    found = [
        *remarks_on_draws(principles, drawable, "comparisons", "more comparisons"),
        *_reversed(enough),
        *_against_people(enough),
        *bound,
        *_votes(principles),
        *_undecided([stats for stats in enough if stats.id not in by_position]),
        *_drivers(enough),
        *_redundant([pair for pair in pairs if {pair.first, pair.second} <= ids]),
        *_one_at_a_time(principles, most_together),
        *_together(enough, pairs, most_together),
    ]
    few = [stats.id for stats in principles if stats.draws.rounds and stats not in enough]
    if few:
        text = f"votes that count on fewer than {FEW} comparisons, too few to judge; label more of them"
        found.append(Remark("few-votes", tuple(few), f"{listed(few)}: {text}."))
    return in_order(found, KINDS)


def _comparisons(stats: LabelStats) -> int:
    """Comparisons on which its votes count."""
    return stats.decisive.raw.chains if stats.decisive else 0


def _reversed(enough: Sequence[LabelStats]) -> Iterator[Remark]:
    """Principles that prefer what all others together do not."""
    known = [(stats.influence, stats.id) for stats in enough if stats.influence]
    against = [
        (influence.agree, influence.correlation, id)
        for influence, id in known
        if influence.agree.n >= FEW
        and widened(influence.agree, len(known))[1] < 0.5
        and influence.correlation
        and high_end(influence.correlation) < 0
    ]
    if len(known) == 2 and len(against) == 2:
        (agree, _, one), (_, _, other) = against
        text = f"they prefer the same response in only {with_interval(agree, '.0%')} of comparisons; is the question of one of them reversed?"
        yield Remark("reversed", (one, other), f"{one}, {other}: {text}")
        return
    for agree, correlation, id in sorted(against, key=lambda one: (one[0].value, one[2])):
        assert correlation
        text = (
            f"prefers the same response as the other principles together in only {with_interval(agree, '.0%')} of comparisons "
            f"(correlation {correlation.value:.2f}); is its question reversed?"
        )
        yield Remark("reversed", (id,), f"{id}: {text}")


def _against_people(enough: Sequence[LabelStats]) -> Iterator[Remark]:
    """Principles that prefer what people do not."""
    known = [(stats.people, stats.id) for stats in enough if stats.people and stats.people.n >= FEW]
    against = [(people.value, id) for people, id in known if widened(people, len(known))[1] < 0.5]
    yield from _one(
        "against-people",
        against,
        ".0%",
        "the response that people prefer is preferred in only {} of comparisons; is the question reversed?",
    )


def _bound(enough: Sequence[LabelStats]) -> Iterator[Remark]:
    """Principles whose answers go by what is shown first, or second."""
    known = [(stats.position.prefers_first, stats.id) for stats in enough if stats.position]
    for place, beyond in (
        ("first", [(first.value, id) for first, id in known if low_end(first) > BOUND]),
        ("second", [(1 - first.value, id) for first, id in known if high_end(first) < 1 - BOUND]),
    ):
        text = (
            f"the response shown {place} is preferred in {{}} of votes, whichever it is: they tell little of the responses; a larger "
            "judge or other examples may help"
        )
        yield from _one("position-bound", beyond, ".0%", text, highest_first=True)


def _votes(principles: Sequence[LabelStats]) -> Iterator[Remark]:
    """Votes that are flagged or do not count, and rationales that were cut off."""
    asked = [(stats.votes, stats.id) for stats in principles if stats.votes and stats.draws.rounds >= FEW]
    flagged = [(votes.flagged, id) for votes, id in asked if votes.flagged]
    for kind, estimates, text in (
        (
            "flagged",
            flagged,
            "the judge gave its answers too little probability in {} of votes: it would rather say something else; look at the prompt "
            "set, or leave such votes out with --low-mass exclude",
        ),
        (
            "votes-lost",
            [(votes.lost, id) for votes, id in asked],
            "{} of votes do not count; `constitutional show` tells the reasons of each",
        ),
    ):
        beyond = [(share.value, id) for share, id in estimates if low_end(share) > MUCH]
        yield from _one(kind, beyond, ".0%", text, highest_first=True)
    cut = [(votes.truncated / votes.cast, id) for votes, id in asked if votes.truncated >= MUCH * votes.cast]
    text = "{} of rationales were cut off by the token limit: raise --max-tokens"
    yield from _one("rationales-cut-off", cut, ".0%", text, highest_first=True)


def _undecided(enough: Sequence[LabelStats]) -> Iterator[Remark]:
    known = [(stats.decisive.raw, stats.id) for stats in enough if stats.decisive]
    hardly = [(raw.value, id) for raw, id in known if high_end(raw) < UNDECIDED]
    text = (
        "hardly ever a preference (mean |p - ½| {}); the question may not apply to these comparisons, or may be too hard for "
        "this judge"
    )
    yield from _one("never-decides", hardly, ".3f", text)


def _drivers(enough: Sequence[LabelStats]) -> Iterator[Remark]:
    """Principles on which the label hangs."""
    known = [(stats.influence, stats.id) for stats in enough if stats.influence]
    total = sum(influence.flips.value for influence, _ in known)
    for influence, id in sorted(known, key=lambda one: (-one[0].flips.value, one[1])):
        flips = influence.flips
        others = (total - flips.value) / max(1, len(known) - 1)
        if flips.n >= FEW and widened(flips, len(known))[0] > DRIVES and flips.value >= TIMES_OTHERS * others:
            text = (
                f"drives the label: without it {with_interval(flips, '.0%')} of labels prefer the other response (without another principle, "
                f"{others:.0%}), and labels move by {influence.moves.value:.3f} on average"
            )
            yield Remark("drives", (id,), f"{id}: {text}.")


def _redundant(pairs: Sequence[Pair]) -> Iterator[Remark]:
    """Principles that answer alike: in groups in which each two do."""
    judged = [pair for pair in pairs if pair.agree.n >= FEW]
    alike = {
        frozenset((pair.first, pair.second)): pair
        for pair in judged
        if pair.correlation and min(low_end(pair.agree), low_end(pair.correlation)) >= REDUNDANT
    }
    if not alike:
        return
    if len(judged) >= 3 and len(alike) >= MOST * len(judged):
        text = (
            f"the judge answers alike whichever principle it is asked: {len(alike):,} of {len(judged):,} pairs of principles "
            "prefer the same response nearly always; one principle would do for this judge"
        )
        yield Remark("same-whatever-asked", (), f"{text}.")
        return
    groups: list[set[str]] = []
    for names in sorted(alike, key=lambda names: (-_strength(alike[names]), sorted(names))):
        touched = [group for group in groups if group & names]
        merged = set(names).union(*touched)
        if all(frozenset((a, b)) in alike for a in merged for b in merged if a < b):
            groups = [group for group in groups if group not in touched] + [merged]
    for group in groups:
        ids = sorted(group)
        inside = [alike[frozenset((a, b))] for a in ids for b in ids if a < b]
        text = (
            f"prefer the same response in {value_range([pair.agree.value for pair in inside], '.0%')} of comparisons (correlation "
            f"{value_range([_strength(pair) for pair in inside])}, {min(pair.agree.n for pair in inside):,} comparisons); "
            "one of them may do"
        )
        yield Remark("redundant", tuple(ids), f"{listed(ids)}: {text}.")


def _one_at_a_time(principles: Sequence[LabelStats], most_together: int) -> Iterator[Remark]:
    """Whether no two principles ever voted on the same comparison; certain however few comparisons there are."""
    if most_together == 1 and sum(stats.draws.rounds > 0 for stats in principles) > 1:
        text = "each label asked one principle, so nothing is known of how principles agree and which of them drive a label"
        yield Remark("one-principle", (), f"{text}; {_ASK_ALL}.")


def _together(enough: Sequence[LabelStats], pairs: Sequence[Pair], most_together: int) -> Iterator[Remark]:
    """Where principles hardly vote on the same comparisons."""
    if len(enough) < 2 or most_together < 2:
        return
    ids = {stats.id for stats in enough}
    all_pairs = len(ids) * (len(ids) - 1) // 2
    few = all_pairs - sum({pair.first, pair.second} <= ids and pair.agree.n >= FEW for pair in pairs)
    if few:
        text = (
            f"{few:,} of {all_pairs:,} pairs of principles voted together on fewer than {FEW} comparisons, too few to say how they "
            f"agree; {_ASK_ALL}"
        )
        yield Remark("few-together", (), f"{text}.")


def _one(
    kind: str,
    beyond: Sequence[tuple[float, str]],
    pattern: str,
    text: str,
    *,
    highest_first: bool = False,
) -> Iterator[Remark]:
    """One remark of all principles that it is true of, the worst first; the text has a place for their values."""
    if not beyond:
        return
    sign = -1 if highest_first else 1
    ids = [id for _, id in sorted(beyond, key=lambda one: (sign * one[0], one[1]))]
    values = value_range([value for value, _ in beyond], pattern)
    yield Remark(kind, tuple(ids), f"{listed(ids)}: {text.format(values)}.")


def _strength(pair: Pair) -> float:
    assert pair.correlation
    return pair.correlation.value
