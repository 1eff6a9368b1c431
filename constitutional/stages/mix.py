"""Mix: which pairs of which source go into one preference data set, and on which side of the train/test split.

Bai et al. 2022 (arXiv 2212.08073, section 4.1) train one reward model on human preferences of helpfulness and AI preferences of
harmlessness; the paper does not say how the two are proportioned or split. Here:

- **Drawing.** Each row of a source has a key, the hash of (seed, source, id), and the rows with the smallest keys are drawn. So a
  draw does not depend on the order of the file, and a larger mix contains every smaller one of the same seed.
- **Amounts** are in weight. A pair weighs 1 and the pairs of one ranking or rating weigh 1 together, so an amount is a number of
  input rows. What is drawn is never more than was asked for, and short of it by less than one row.
- **Splitting** is by conversation, never by row: the side is a hash of the seed and the conversation's first turn, normalised, so that the
  same prompt of two sources is on one side, and so are the conversations that go on from one another (in hh-rlhf, one pair in
  25 goes on from another pair of the file). Conversations with a pair of the same two responses are on one side too (`mix_split.py`).

Nothing here holds a text: a source is known by its `Facts`, about 80 bytes a pair.
"""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from constitutional.assignment import content_hash
from constitutional.errors import ConfigError, Problem, nearest
from constitutional.feedback import Preference
from constitutional.records import Conversation
from constitutional.settings import Settings
from constitutional.stages.mix_split import moved, tied

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

STAGE = "mix"
MOST_ROWS = 10**12  # that can be asked for
_SLACK = 1e-6  # of a row: what sums of weights and of shares may be off


class MixSettings(Settings):
    """What goes into a mix.

    Attributes:
        seed: of the draw and of the split.
        proportions: the share of the whole mix that each source has, in weight. They sum to 1; one source may be left out, and has
            the rest. The scarcest source limits the mix.
        counts: how many rows of each source, in weight; a source that is not named gives all it has. Not with `proportions`.
        total: how many rows altogether, with `proportions`.
        test: about which share of the conversations is held out; 0 makes no split.
        split_by: what is kept on one side: all conversations with the same first user turn, or only those with the same
            whole prompt.
        allow: names of checks (see `mix_checks.CHECKS`) that may fail. With `leakage`, responses keep nothing on one side.
    """

    seed: int = 0
    proportions: Mapping[str, float] = Field(default_factory=dict)
    counts: Mapping[str, int] = Field(default_factory=dict)
    total: int | None = Field(default=None, ge=1, le=MOST_ROWS)
    test: float = Field(default=0.05, ge=0, lt=1)
    split_by: Literal["opening", "prompt"] = "opening"
    allow: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_meant(self) -> Self:
        problems = []
        for name, share in self.proportions.items():
            if not 0 < share <= 1:  # true for NaN too
                problems.append(f"proportion {name}={share:g}: a proportion is above 0 and at most 1")
        for name, count in self.counts.items():
            if count > MOST_ROWS:
                problems.append(f"count {name}: a count is at most {MOST_ROWS:,}")
            elif count < 1:
                problems.append(f"count {name}={count}: a count is at least 1; leave the source out instead")
        if self.proportions and self.counts:
            problems.append("proportions and counts can't be had together: one follows from the other")
        if self.total is not None and not self.proportions:
            problems.append("total needs proportions: say what each source's share of it is")
        if problems:
            raise ConfigError([Problem(message) for message in problems])
        return self


@dataclass(slots=True)
class Facts:
    """What is known of one source's pairs: hashes and numbers, a column each, in the order of the source.

    Attributes:
        name: of the source in the mix.
        rows: rows read, bad ones too.
        skipped: how many of them made no pair, by reason.
        dropped: pairs of rankings and ratings that were left out, by reason.
        unusable: why the source can't be read at all; None where it can.
        item: which input row the pair is of, from 0.
        key: draws the row; the pairs of one row share it.
        side: hash that the split goes by, of the conversation by itself.
        opening: hash of the normalised first user turn.
        prompt: hash of the normalised conversation, without system turns.
        responses: hash of the two normalised responses, in no order.
        content: hash of the pair as it is.
        probability: that the chosen response is better.
        weight: of the pair.
        length: 1 where the chosen response has more characters, -1 where it has fewer.
        first: 1 where the chosen response is the one with the smaller hash.
        soft: 1 where the source says how probable, not only which.
        held_out: whether a mix of this seed has taken out of the source already what this one would hold out.
    """

    name: str
    rows: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    unusable: str | None = None
    item: array[int] = field(default_factory=lambda: array("Q"))
    key: array[int] = field(default_factory=lambda: array("Q"))
    side: array[int] = field(default_factory=lambda: array("Q"))
    opening: array[int] = field(default_factory=lambda: array("Q"))
    prompt: array[int] = field(default_factory=lambda: array("Q"))
    responses: array[int] = field(default_factory=lambda: array("Q"))
    content: array[int] = field(default_factory=lambda: array("Q"))
    probability: array[float] = field(default_factory=lambda: array("d"))
    weight: array[float] = field(default_factory=lambda: array("d"))
    length: array[int] = field(default_factory=lambda: array("b"))
    first: array[int] = field(default_factory=lambda: array("b"))
    soft: array[int] = field(default_factory=lambda: array("b"))
    held_out: bool = False

    def __len__(self) -> int:
        return len(self.key)

    def skip(self, reason: str) -> None:
        """Count a row that made no pair."""
        self.rows += 1
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def add(self, id: str, pairs: Sequence[Preference], *, soft: bool, settings: MixSettings) -> None:
        """Take the pairs of the next row.

        Args:
            id: the row's, unique in the source.
            pairs: one, or those of a ranking.
            soft: whether the source says how probable, not only which.
            settings: its seed and what it splits by.
        """
        key = _number(settings.seed, STAGE, self.name, id)
        for pair in pairs:
            chosen, rejected = _number(normalised(pair.chosen)), _number(normalised(pair.rejected))
            opening, prompt = conversation_hashes(pair.prompt)
            self.item.append(self.rows)
            self.key.append(key)
            self.side.append(_side(settings, opening if settings.split_by == "opening" else prompt))
            self.opening.append(opening)
            self.prompt.append(prompt)
            self.responses.append(_number(min(chosen, rejected), max(chosen, rejected)))
            self.content.append(pair_hash(pair))
            self.probability.append(pair.chosen_probability)
            self.weight.append(pair.weight)
            self.length.append(
                (len(pair.chosen) > len(pair.rejected)) - (len(pair.chosen) < len(pair.rejected))
            )
            self.first.append(chosen <= rejected)
            self.soft.append(soft)
        self.rows += 1

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column by its name, as an array that shares its memory."""
        import numpy as np

        values: array[int] = getattr(self, name)
        kinds = {"Q": np.uint64, "d": np.float64, "b": np.int8}
        return (
            np.frombuffer(values, kinds[values.typecode]) if values else np.empty(0, kinds[values.typecode])
        )

    @property
    def available(self) -> float:
        """The weight of all pairs: how much can be drawn."""
        return math.fsum(self.weight)


@dataclass(frozen=True, slots=True)
class Part:
    """What one source gives to the mix.

    Attributes:
        facts: the source.
        asked: how much was to be drawn, in weight; None is all there is.
        taken: which pairs are in the mix.
        test: which of all pairs are on the side of the test split, drawn or not.
    """

    facts: Facts
    asked: float | None
    taken: Mask
    test: Mask

    @property
    def rows(self) -> int:
        """Pairs in the mix."""
        return int(self.taken.sum())

    @property
    def weight(self) -> float:
        """Their weight."""
        return float(self.facts.column("weight")[self.taken].sum())

    def drawn(self, column: str, *, test: bool | None = None) -> npt.NDArray[Any]:
        """A column of the pairs in the mix, or of those on one side of the split."""
        mask = self.taken if test is None else self.taken & (self.test if test else ~self.test)
        return self.facts.column(column)[mask]


def mix(sources: Sequence[Facts], settings: MixSettings) -> tuple[Part, ...]:
    """Decide what each source gives.

    Args:
        sources: all sources; unusable and empty ones too, which give nothing and leave their share to the others.
        settings: see the class.

    Returns:
        A part for each source, in order. Whether the amounts asked for were there, `mix_checks` says.

    Raises:
        ConfigError: settings that name no source, or that can't be meant.
    """
    refuse_unmeant([facts.name for facts in sources], settings)
    asked = amounts({facts.name: facts.available for facts in sources}, settings)
    conversations = [facts.column(settings.split_by) for facts in sources]
    groups = (
        tied(conversations, [facts.column("responses") for facts in sources])
        if settings.test and "leakage" not in settings.allow
        else {}
    )
    limit = min(int(settings.test * 2**64), 2**64 - 1)
    return tuple(
        Part(
            facts,
            asked.get(facts.name),
            _draw(facts, asked.get(facts.name)),
            moved(facts.column("side"), hashes, groups, lambda one: _side(settings, one)) < limit,
        )
        for facts, hashes in zip(sources, conversations, strict=True)
    )


def refuse_unmeant(names: Sequence[str], settings: MixSettings) -> None:
    """Refuse settings that don't fit the sources, before anything is read.

    Raises:
        ConfigError: an unknown source, or proportions that don't sum to 1.
    """
    problems = [
        f"the {option} names the unknown source {name!r}; {nearest(name, names)}"
        for option, given in (("proportion", settings.proportions), ("count", settings.counts))
        for name in given
        if name not in names
    ]
    if settings.proportions and not problems:
        left_out = [name for name in names if name not in settings.proportions]
        whole = math.fsum(settings.proportions.values())
        if len(left_out) > 1:
            problems.append(f"a proportion is missing for {', '.join(left_out)}: one alone may be left out")
        elif left_out and whole >= 1 - _SLACK:
            problems.append(f"the proportions leave nothing for {left_out[0]}: they sum to {whole:g}")
        elif not left_out and abs(whole - 1) > _SLACK:
            problems.append(f"the proportions have to sum to 1; they sum to {whole:g}")
    if problems:
        raise ConfigError([Problem(message) for message in problems])


def shares(names: Sequence[str], settings: MixSettings) -> dict[str, float]:
    """Each source's share of the mix, with that of the one that was left out; empty where no proportions were given."""
    given = dict(settings.proportions)
    if given:
        rest = max(0.0, 1 - math.fsum(given.values()))
        given.update({name: rest for name in names if name not in given})
    return given


def amounts(available: Mapping[str, float], settings: MixSettings) -> dict[str, float]:
    """How much of each source to draw, in weight; a source that is not in it gives all it has.

    With proportions p and no total, the mix is as large as the scarcest source allows: min over sources of available ÷ p. A source
    that has nothing leaves its share to the others, in proportion to theirs.
    """
    if not settings.proportions:
        return {name: float(count) for name, count in settings.counts.items()}
    there = {name: amount for name, amount in available.items() if amount > 0}
    wanted = {name: share for name, share in shares(list(available), settings).items() if name in there}
    whole = math.fsum(wanted.values())
    wanted = {name: share / whole for name, share in wanted.items()}
    if settings.total is not None:
        size = float(settings.total)
    else:
        size = min((there[name] / share for name, share in wanted.items()), default=0.0)
    return {name: share * size for name, share in wanted.items()}


def normalised(text: str) -> str:
    """A text as it is compared: compatible forms of a character, capitals and white space make no difference."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def conversation_hashes(prompt: Conversation) -> tuple[int, int]:
    """Hashes of a conversation's normalised first user turn, and of all of it. System turns don't count: they are settings."""
    turns = [(turn.role, normalised(turn.content)) for turn in prompt if turn.role != "system"]
    opening = next((text for role, text in turns if role == "user"), "")
    return _number(opening), _number(*(part for turn in turns for part in turn))


def pair_hash(pair: Preference) -> int:
    """A hash of all of a pair but its source, to know it again."""
    turns = [part for turn in pair.prompt for part in (turn.role, turn.content)]
    numbers = f"{pair.chosen_probability!r} {pair.weight!r}"
    return _number(pair.id, len(turns), *turns, pair.chosen, pair.rejected, numbers)


def _draw(facts: Facts, amount: float | None) -> Mask:
    """The rows with the smallest keys whose weights sum to at most `amount`; whole rows alone."""
    import numpy as np

    taken = np.ones(len(facts), dtype=np.bool_)
    if amount is None or not len(facts):
        return taken
    item = facts.column("item")
    order = np.lexsort((item, facts.column("key")))
    count = int(np.searchsorted(np.cumsum(facts.column("weight")[order]), amount + _SLACK, side="right"))
    while 0 < count < len(order) and item[order[count]] == item[order[count - 1]]:
        count -= 1
    taken[order[count:]] = False
    return taken


def _side(settings: MixSettings, conversation: int) -> int:
    """The hash that decides on which side of the split a conversation is by itself."""
    return _number(settings.seed, "split", conversation)


def _number(*parts: str | int) -> int:
    """A hash of 64 bits. Among a million different texts, the odds that any two share one are 3 in 100 million."""
    return int(content_hash(*parts)[:16], 16)
