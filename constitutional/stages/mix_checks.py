"""Checks of a mix: what would spoil a reward model silently, each with its figures, each to be waived by name.

The papers check nothing of this; the limits are ours and stand below. What they guard against: a reward model that learns length
(Singhal et al. 2023, arXiv 2310.03716), labels without information, test rows that were trained on, a mix that is not what was asked.
All checks look at the pairs in the mix, but for the first three, which look at the whole source.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from constitutional.errors import ConfigError, nearest
from constitutional.estimates import Tally
from constitutional.numbers import counted, with_interval
from constitutional.records import Row
from constitutional.stages.mix import Facts, MixSettings, Part, shares

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CHECKS: dict[str, str] = {
    "empty-source": "a source is missing, or none of its rows can be used",
    "skipped-rows": "more than a tenth of a source's rows can't be used",
    "identical-responses": "a source has rows whose chosen and rejected responses are the same (they are left out)",
    "length-bias": "in a source, the chosen response is the longer one (or the shorter one) at least nine times in ten",
    "label-distribution": "nearly all labels of a source are certain, exactly ½, or the same",
    "duplicates": "two sources share a pair",
    "leakage": "the test split shares a conversation's opening, or both responses of a pair, with the train split",
    "proportions": "the mix, or its train split, is not what was asked for",
    "few-rows": "there are too few rows to train on or to test with",
}
"""What each check fails on, in the order in which they are made."""

MOST_SKIPPED = 0.1
LENGTH_LIMIT = 0.9  # fails at this share, or at 1 minus it, if the interval excludes ½
SAME_LABEL = 0.99  # of a source's labels
CERTAIN = 0.999  # from this probability on
FEWEST_LABELS = 5  # of which a distribution can be seen
MIX_TOLERANCE, TRAIN_TOLERANCE = 0.01, 0.05  # of a proportion, absolute
FEWEST_TRAIN, FEWEST_TEST = 100, 20  # rows


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name, see `CHECKS`.
        source: which source it is about; None where it is about the mix.
        passed: whether there is nothing to object to.
        sentence: what was found.
        figures: the same in numbers.
        waived: whether the check may fail.
    """

    check: str
    source: str | None
    passed: bool
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    waived: bool = False

    @property
    def state(self) -> str:
        """`pass`, `fail`, or `waived` where it fails and may."""
        return "pass" if self.passed else "waived" if self.waived else "fail"

    def to_row(self) -> Row:
        """The finding as the manifest has it."""
        return {
            "check": self.check,
            "source": self.source,
            "state": self.state,
            "sentence": self.sentence,
            "figures": dict(self.figures),
        }


def refuse_unknown(allow: Collection[str]) -> None:
    """Refuse to waive what is no check.

    Raises:
        ConfigError: a name that is none of `CHECKS`.
    """
    for name in allow:
        if name not in CHECKS:
            raise ConfigError(f"--allow {name}: there is no such check; {nearest(name, CHECKS)}")


def check_mix(parts: Sequence[Part], settings: MixSettings) -> tuple[Finding, ...]:
    """Make all checks.

    Args:
        parts: what each source gives.
        settings: what was asked for, and which checks may fail.

    Returns:
        The findings, in the order of `CHECKS`.
    """
    found = [
        *(_empty_source(part.facts) for part in parts),
        *(finding for part in parts if len(part.facts) for finding in _rows_of_source(part.facts)),
        *(_length_bias(part) for part in parts if part.rows),
        *(_label_distribution(part) for part in parts if part.rows),
        _duplicates(parts),
        *([_leakage(parts)] if settings.test else []),
        _proportions(parts, settings),
        *([_few_rows(parts, settings)] if any(part.rows for part in parts) else []),
    ]
    order = list(CHECKS)
    allowed = set(settings.allow)
    found.sort(key=lambda finding: order.index(finding.check))
    return tuple(replace(finding, waived=finding.check in allowed) for finding in found)


def _empty_source(facts: Facts) -> Finding:
    figures = {"rows": facts.rows, "pairs": len(facts)}
    if facts.unusable:
        return Finding("empty-source", facts.name, False, facts.unusable, figures)
    if not len(facts):
        sentence = f"none of its {_rows(facts.rows)} can be used ({_listed(facts.skipped)})"
        return Finding("empty-source", facts.name, False, sentence, figures)
    sentence = f"{_rows(facts.rows)}, {counted(len(facts), 'pair')}"
    return Finding("empty-source", facts.name, True, sentence, figures)


def _rows_of_source(facts: Facts) -> Iterator[Finding]:
    skipped = sum(facts.skipped.values())
    why = f" ({_listed(facts.skipped)})" if skipped else ""
    yield Finding(
        "skipped-rows",
        facts.name,
        skipped <= MOST_SKIPPED * facts.rows,
        f"{skipped:,} of {_rows(facts.rows)} can't be used{why}",
        {"rows": facts.rows, "skipped": skipped},
    )
    rows, pairs = facts.skipped.get("identical_responses", 0), facts.dropped.get("identical_responses", 0)
    left_out = "; they are left out" if rows or pairs else ""
    ranked = f" and {counted(pairs, 'pair')} of rankings or ratings" if pairs else ""
    yield Finding(
        "identical-responses",
        facts.name,
        not rows and not pairs,
        f"{_rows(rows)}{ranked} with the same response twice{left_out}",
        {"rows": rows, "pairs": pairs},
    )


def _length_bias(part: Part) -> Finding:
    """How often the chosen response is the longer one, of pairs that are no tie and differ in length; pairs of one prompt cluster."""
    import numpy as np

    longer, probability = part.drawn("length"), part.drawn("probability")
    decided = (longer != 0) & (probability != 0.5)
    _, prompts = np.unique(part.drawn("prompt")[decided], return_inverse=True)
    wins = (longer[decided] > 0).astype(float)
    tally = Tally()
    tally.add_chains(wins, prompts)
    share = tally.proportion()
    if share is None:
        sentence = "no pair is decided and differs in length"
        return Finding("length-bias", part.facts.name, True, sentence, {"pairs": 0})
    surely = share.low is not None and share.high is not None and not share.low <= 0.5 <= share.high
    one_sided = max(share.value, 1 - share.value) >= LENGTH_LIMIT - 1e-9
    sentence = f"the chosen response is longer in {with_interval(share, '.1%')} of {counted(share.n, 'pair')}"
    return Finding("length-bias", part.facts.name, not (one_sided and surely), sentence, share.to_json())


def _label_distribution(part: Part) -> Finding:
    import numpy as np

    probability, soft = part.drawn("probability"), bool(part.drawn("soft").any())
    values, counts = np.unique(probability, return_counts=True)
    certain, ties = float(np.mean(probability >= CERTAIN)), float(np.mean(probability == 0.5))
    same, common = float(counts.max() / len(probability)), float(values[counts.argmax()])
    kind = "soft labels" if soft else "hard labels"
    sentence = f"{kind}, mean {probability.mean():.3f}: {certain:.1%} certain, {ties:.1%} exactly ½"
    passed = True
    if len(probability) >= FEWEST_LABELS:
        if ties >= SAME_LABEL:
            passed, sentence = False, f"{sentence}: they say nothing of which response is better"
        elif soft and certain >= SAME_LABEL:
            passed, sentence = False, f"{sentence}: none says how sure it is"
        elif soft and same >= SAME_LABEL:
            passed = False
            sentence = f"{kind}, {same:.1%} of them {common:.3g}, as after a clamp: none says how sure it is"
    figures = {
        "rows": len(probability),
        "soft": soft,
        "mean": round(float(probability.mean()), 6),
        "certain": round(certain, 6),
        "ties": int(np.sum(probability == 0.5)),
        "most_common": common,
        "share_of_most_common": round(same, 6),
    }
    return Finding("label-distribution", part.facts.name, passed, sentence, figures)


def _duplicates(parts: Sequence[Part]) -> Finding:
    """Pairs (the same normalised prompt and responses, in any order) that two sources have in the mix."""
    import numpy as np

    seen: list[npt.NDArray[np.uint64]] = [_pairs(part) for part in parts]
    unique = [np.unique(pairs) for pairs in seen]
    values, counts = np.unique(np.concatenate(unique), return_counts=True)
    shared = values[counts > 1]
    which = [
        part.facts.name for part, pairs in zip(parts, unique, strict=True) if np.isin(shared, pairs).any()
    ]
    at_odds = _at_odds(parts, seen, shared)
    repeated = {
        part.facts.name: len(pairs) - len(once) for part, pairs, once in zip(parts, seen, unique, strict=True)
    }
    sentence = f"{counted(len(shared), 'pair')} in more than one source"
    if len(shared):
        first = _places(parts, seen, [shared[0]])
        sentence += f" ({', '.join(which)}), {at_odds:,} of them labelled the other way round"
        sentence += f"; for instance {' and '.join(first)}"
    if any(repeated.values()):
        sentence += f"; repeated within a source: {_listed(repeated)}"
    figures = {"shared": len(shared), "at_odds": at_odds, "repeated": repeated}
    return Finding("duplicates", None, not len(shared), sentence, figures)


def _pairs(part: Part) -> npt.NDArray[np.uint64]:
    """A hash for each pair in the mix that stands for its prompt and its responses."""
    import numpy as np

    prompt, responses = part.drawn("prompt"), part.drawn("responses")
    hashed: npt.NDArray[np.uint64] = prompt * np.uint64(0x9E3779B97F4A7C15) + responses  # modulo 2**64
    return hashed


def _at_odds(
    parts: Sequence[Part], pairs: Sequence[npt.NDArray[np.uint64]], shared: npt.NDArray[np.uint64]
) -> int:
    """How many of the shared pairs have both responses chosen, the one here and the other there; ties aside."""
    import numpy as np

    chosen: dict[int, set[int]] = {}
    for part, keys in zip(parts, pairs, strict=True):
        wanted = np.isin(keys, shared) & (part.drawn("probability") != 0.5)
        for key, first in zip(keys[wanted], part.drawn("first")[wanted], strict=True):
            chosen.setdefault(int(key), set()).add(int(first))
    return sum(len(sides) > 1 for sides in chosen.values())


def _leakage(parts: Sequence[Part]) -> Finding:
    """Test rows that share their opening, or both their responses, with a train row; whatever the split goes by."""
    import numpy as np

    shared, example = {}, ""
    for name in ("opening", "responses"):
        train = [part.drawn(name, test=False) for part in parts]
        test = [part.drawn(name, test=True) for part in parts]
        shared[name] = np.isin(np.concatenate(test), np.concatenate(train))
        if shared[name].any() and not example:
            wanted = np.concatenate(test)[shared[name]][:1]
            pair = [
                *_places(parts, test, wanted, test=True)[:1],
                *_places(parts, train, wanted, test=False)[:1],
            ]
            example = f"; for instance {' in test and '.join(pair)} in train"
    opening, responses = shared["opening"], shared["responses"]
    leaked = int((opening | responses).sum())
    sentence = (
        f"{leaked:,} of {_rows(len(opening))} of test share an opening or both responses with train{example}"
    )
    if opening.any():
        sentence += "; --split-by opening keeps openings on one side"
    figures = {
        "test": len(opening),
        "leaked": leaked,
        "same_opening": int(opening.sum()),
        "same_responses": int(responses.sum()),
    }
    return Finding("leakage", None, not leaked, sentence, figures)


def _places(
    parts: Sequence[Part],
    columns: Sequence[npt.NDArray[Any]],
    wanted: Collection[Any],
    *,
    test: bool | None = None,
) -> list[str]:
    """Where something stands, as `helpful row 12`: the first row of each source. Rows count from 1, bad ones too."""
    import numpy as np

    found = []
    for part, column in zip(parts, columns, strict=True):
        hits = np.flatnonzero(np.isin(column, list(wanted)))
        if len(hits):
            found.append(f"{part.facts.name} row {int(part.drawn('item', test=test)[hits[0]]) + 1:,}")
    return found


def _proportions(parts: Sequence[Part], settings: MixSettings) -> Finding:
    weight = {part.facts.name: part.weight for part in parts}
    train = {part.facts.name: float(part.drawn("weight", test=False).sum()) for part in parts}
    wanted = shares(list(weight), settings)
    whole, train_whole = sum(weight.values()), sum(train.values())
    figures: dict[str, Any] = {}
    wrong = []
    for part in parts:
        name, asked, there = part.facts.name, part.asked, part.facts.available
        share = weight[name] / whole if whole else 0.0
        train_share = train[name] / train_whole if train_whole else 0.0
        figures[name] = {
            "asked": asked,
            "available": round(there, 6),
            "weight": round(weight[name], 6),
            "rows": part.rows,
            "asked_share": wanted.get(name),
            "share": round(share, 6),
            "train_share": round(train_share, 6),
        }
        if asked is not None and asked > there + 1e-6:
            wrong.append(f"{name} has {there:,.6g} of the {asked:,.6g} rows asked for")
        elif name in wanted and abs(share - wanted[name]) > MIX_TOLERANCE:
            wrong.append(f"{name} is {share:.1%} of the mix instead of {wanted[name]:.1%}")
        elif name in wanted and settings.test and abs(train_share - wanted[name]) > TRAIN_TOLERANCE:
            wrong.append(
                f"{name} is {train_share:.1%} of the train split instead of {wanted[name]:.1%} (the split is by "
                "conversation: try another --seed or a smaller --test)"
            )
    reached = ", ".join(f"{name} {figure['share']:.1%}" for name, figure in figures.items())
    return Finding("proportions", None, not wrong, "; ".join(wrong) or f"by weight: {reached}", figures)


def _few_rows(parts: Sequence[Part], settings: MixSettings) -> Finding:
    train = sum(int((part.taken & ~part.test).sum()) for part in parts)
    test = sum(int((part.taken & part.test).sum()) for part in parts)
    wrong = [f"{_rows(train)} to train on, fewer than {FEWEST_TRAIN}"] if train < FEWEST_TRAIN else []
    wrong += [
        f"none of {part.facts.name}'s {_rows(part.rows)} is in the train split"
        for part in parts
        if part.rows and not (part.taken & ~part.test).any()
    ]
    if settings.test and test < FEWEST_TEST:
        margin = f": an accuracy on them is off by up to {0.98 / test**0.5:.0%}" if test else ""
        again = ", ".join(part.facts.name for part in parts if part.facts.held_out)
        # the same seed holds the same conversations out of every mix, so that none is trained on in one and tested on in another
        why = f"; a mix of this seed held them out of {again} already: another --seed holds out others"
        cure = f"a larger --test, or --test 0{why if again else ''}"
        if "leakage" not in settings.allow and (share := _commonest(parts)) > 1 - settings.test:
            cure = f"{share:.0%} of the pairs have the same two responses and are kept on one side: --allow leakage parts them"
        wrong.append(f"{_rows(test)} to test with, fewer than {FEWEST_TEST}{margin} ({cure})")
    held_out = f", {_rows(test)} to test with" if settings.test else ", no test split"
    sentence = "; ".join(wrong) or f"{_rows(train)} to train on{held_out}"
    return Finding("few-rows", None, not wrong, sentence, {"train": train, "test": test})


def _commonest(parts: Sequence[Part]) -> float:
    """The share of the pairs that have the same two responses, of those that most have."""
    import numpy as np

    responses = np.concatenate([part.facts.column("responses")[part.taken] for part in parts])
    return (
        float(np.unique(responses, return_counts=True)[1].max() / len(responses)) if len(responses) else 0.0
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)


def _rows(count: int) -> str:
    return counted(count, "row")
