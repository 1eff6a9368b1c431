"""What critiques say, as far as it can be told without a model: whether they find something, and how alike they are.

A critique *finds nothing* where the run let such critiques end a chain (`stop_when_clean`): then the prompt set's
marker decides, and the chain has no revision in that round. Where it did not, `finds_nothing` reads the critique's last sentence,
in English, and in doubt says that something was found.

Two critiques that found something are as *alike* as the words that they share in the same order: 2 · (longest common subsequence) ÷ (words of
both), from 0 to 1. They are compared in two ways, which answer different questions:

- of two principles, on the same chain: do the two principles ask the same? (Critiques of different responses differ anyway.)
- of one principle, on different chains: does the critique depend on the response at all, or is it boilerplate?
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from constitutional.assignment import content_hash
from constitutional.estimates import Estimate, Tally
from constitutional.words import UNSPACED

SAMPLE = 60
"""Critiques of a principle that are kept to be compared with each other, on different chains."""
PAIR_SAMPLE = 30
"""Critiques of either of two principles that are compared, on different chains; fewer where there are many principles."""
COMPARISONS = 200_000
"""Comparisons of critiques of two principles, over all pairs of principles, at most."""
SAME_CHAIN_SAMPLE = 20_000
"""Chains, about, whose critiques are compared within the chain; of fewer all are."""
IDENTICAL = 0.8
"""Likeness from which two critiques count as near-identical."""

_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:['’][^\W{UNSPACED}]+)*")

_RESPONSE = r"(?:(?:the|this|my|your) )?(?:assistant['’]?s? )?(?:\w+ )?(?:response|reply|answer|revision)"
_FLAW = (
    r"(?:problem|issue|concern|flaw|harm|harmful|wrong|unethical|illegal|toxic|racist|sexist|offensive|bias|biased|rude|"
    r"cruel|dangerous|unsafe|inappropriate|misleading|objectionable|insensitive|disrespectful|hateful|manipulative|violent|"
    r"deceptive|discriminatory|preachy|evasive|condescending)s?"
)
_FINE = r"(?:fine|good|great|ok|okay|harmless|acceptable|appropriate|respectful|safe|ethical|legal|polite|kind|honest|accurate)"
_NOTHING_FOUND = re.compile(
    r"^\W*(?:overall|in short|in summary|so|therefore|thus|as far as i can tell)?\W*(?:"
    r"no (?:further )?(?:changes?|revisions?|edits?|rewriting|rewrite|improvements?) (?:is|are|was|were|seems?) "
    r"(?:needed|required|necessary|called for)|no (?:further )?(?:changes?|revisions?|edits?) (?:needed|required|necessary)|"
    r"nothing (?:in it |here )?(?:has|needs) to (?:be )?changed?|nothing needs changing|none|nothing|"
    r"no (?:problems?|issues?|concerns?|flaws?)(?: found| here)?|"
    rf"(?:there (?:is|are)|i (?:see|find|found|can see|can find)) (?:no |nothing )(?:\w+ ){{0,3}}?{_FLAW}\b[^,;:]*|"
    rf"i (?:do not|don['’]t|cannot|can['’]t|could not|couldn['’]t) (?:see|find) any(?:thing)? (?:\w+ ){{0,3}}?{_FLAW}\b[^,;:]*|"
    rf"{_RESPONSE} (?:is|was|seems|looks|appears) (?:already |perfectly |completely |entirely |quite |to be )*{_FINE}"
    rf"(?:,? and (?:already |perfectly |completely |entirely |quite )*{_FINE})*(?: as it (?:is|stands))?|"
    rf"{_RESPONSE} (?:is not|isn['’]t|was not|wasn['’]t) (?:\w+ly )?{_FLAW}(?:,? (?:(?:or|nor) )?(?:\w+ly )?{_FLAW})*(?: in any way| at all)?|"
    rf"{_RESPONSE} (?:does not|doesn['’]t|did not|didn['’]t) (?:contain|include|say|have|show|express|promote|encourage|suggest) "
    rf"any(?:thing)? (?:\w+ ){{0,3}}?{_FLAW}\b[^,;:]*"
    r")\W*$"
)
_TAKEN_BACK = re.compile(
    r"\b(?:but|however|although|though|except|yet|nevertheless|nonetheless|still|could|should|might|instead|better|"
    r"unless|while|whereas|rather|only|apart from)\b"
)


def words(text: str) -> list[str]:
    """The words of a text, whatever their case; of scripts without spaces, the characters."""
    return _WORD.findall(text.casefold())


def finds_nothing(critique: str) -> bool:
    """Whether a critique clearly says, as its whole text or its last sentence, that all is well (in English).

    It errs towards "found something": a critique in which anything is taken back ("but", "could", "instead", …) has found
    something, and so has one whose last sentence is not one of a few plain ways to say that nothing is wrong. A critique
    that the token limit cut off has no last sentence; leave it to the caller.
    """
    text = " ".join(critique.casefold().split())
    last = re.split(r"(?<=[.!?])\s+", text)[-1]
    return bool(_NOTHING_FOUND.match(last)) and not _TAKEN_BACK.search(text)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the critiques of two principles are, or of one (then `first` is `second`).

    Attributes:
        first: id of a principle.
        second: id of the other.
        same_chain: on the same chains; None where no chain has critiques of both. Of one principle: from two rounds that
            both drew it.
        elsewhere: mean over pairs of different chains, a sample of them; None where there are none.
        pairs: how many pairs that is.
    """

    first: str
    second: str
    same_chain: Estimate | None
    elsewhere: float | None
    pairs: int

    @property
    def itself(self) -> bool:
        """Whether it is of one principle."""
        return self.first == self.second


@dataclass(slots=True)
class CritiqueSample:
    """Critiques, gathered as the chains stream by: a few of each principle, and the likeness within chains.

    Which are kept is decided by a hash of the chain's id, so the same run gives the same sample in any order.

    Args:
        chains: how many chains there will be, about.
    """

    chains: int
    _kept: dict[str, list[tuple[int, str, list[str]]]] = field(default_factory=dict)
    _same_chain: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def add(self, chain: str, critiques: Sequence[tuple[tuple[str, ...], str]]) -> None:
        """Take the critiques of one chain that found something.

        Args:
            chain: its id.
            critiques: pairs of the principles in whose words one was asked for, and its text.
        """
        from rapidfuzz.distance import Indel

        ticket = int(content_hash("critique sample", chain), 16)
        texts = [(principles, words(text)) for principles, text in critiques]
        for principles, text in texts:
            for principle in principles:
                self._keep(principle, ticket, chain, text)
        if ticket * self.chains >= SAME_CHAIN_SAMPLE << 128:
            return
        found: dict[tuple[str, str], list[float]] = {}
        for (firsts, one), (seconds, other) in combinations(texts, 2):
            alike = Indel.normalized_similarity(one, other)
            for pair in {_ordered(first, second) for first in firsts for second in seconds}:
                found.setdefault(pair, []).append(alike)
        for pair, likenesses in found.items():
            self._same_chain.setdefault(pair, Tally()).add(likenesses)

    def _keep(self, principle: str, ticket: int, chain: str, text: list[str]) -> None:
        kept = self._kept.setdefault(principle, [])
        if len(kept) == SAMPLE and -ticket <= kept[0][0]:
            return
        if any(other == chain for _, other, _ in kept):
            return  # one critique a chain: those of two rounds are alike for reasons of their own
        heapq.heappush(kept, (-ticket, chain, text))
        if len(kept) > SAMPLE:
            heapq.heappop(kept)

    def likenesses(self, principles: Sequence[str]) -> Iterator[Likeness]:
        """How alike the critiques of each two principles are, and of each with itself, in the order given."""
        pairs = len(principles) * (len(principles) - 1) // 2
        few = max(5, min(PAIR_SAMPLE, int((COMPARISONS / max(1, pairs)) ** 0.5)))
        for index, first in enumerate(principles):
            yield self._likeness(first, first, SAMPLE)
            for second in principles[index + 1 :]:
                yield self._likeness(first, second, few)

    def _likeness(self, first: str, second: str, sample: int) -> Likeness:
        tally = self._same_chain.get(_ordered(first, second))
        elsewhere, count = self._elsewhere(first, second, sample)
        return Likeness(first, second, tally.mean(within=(0, 1)) if tally else None, elsewhere, count)

    def _elsewhere(self, first: str, second: str, sample: int) -> tuple[float | None, int]:
        """Mean likeness of pairs from different chains, and how many pairs."""
        import numpy as np
        from rapidfuzz.distance import Indel
        from rapidfuzz.process import cdist

        ones, others = (sorted(self._kept.get(p, ()), reverse=True)[:sample] for p in (first, second))
        if not ones or not others:
            return None, 0
        alike = cdist(
            [text for _, _, text in ones],
            [text for _, _, text in others],
            scorer=Indel.normalized_similarity,
            dtype=np.float64,
        )
        apart = np.array([[one != other for _, other, _ in others] for _, one, _ in ones])
        if first == second:
            apart = np.triu(apart, 1)
        count = int(apart.sum())
        return (float(alike[apart].sum() / count) if count else None), count


def _ordered(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)
