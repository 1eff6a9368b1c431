"""Which of the prompts that a model has written are kept: each is accepted, or rejected for one typed reason.

Candidates come in the order of the requests that they answer, so that what is accepted does not depend on which
answer came first. Copies and near copies, of a seed or of a prompt accepted before, are those that share most of
their character 5-grams (Jaccard similarity); MinHash with locality-sensitive hashing (`datasketch`) finds whom to
compare with, so that time grows with the number of prompts and not with its square.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

from pydantic import Field, model_validator

from constitutional.errors import ConfigError
from constitutional.settings import Settings
from constitutional.stages.redteam import Seed
from constitutional.stages.written_list import ListItem
from constitutional.words import UNSPACED_ALPHABETS, find_words

REASONS: dict[str, str] = {
    "truncated": "the token limit cut it off",
    "too_long": "it has too many words",
    "unusable": "it holds control characters, or characters that could not be decoded",
    "debris": "it is a heading, half a sentence or an answer, or holds a placeholder, a role's label, a chat marker or a "
    "list's mark",
    "refusal": "the model declines to write, or speaks about the task",
    "too_short": "it has too few words",
    "wrong_script": "more than 30 % of its letters are of scripts that the seeds do not use",
    "repetitive": "it says the same sentence twice in a row, or the same few words over and over",
    "copied_seed": "it is a seed, but for case and punctuation",
    "near_seed": "it is nearly a seed",
    "duplicate": "it is a prompt accepted before, but for case and punctuation",
    "near_duplicate": "it is nearly a prompt accepted before",
}
"""Why a candidate is rejected; the first that holds counts."""

_GRAM = 5  # characters
_PERMUTATIONS = 128
_MISSES = (
    0.1,
    0.9,
)  # how much datasketch weighs false candidates, which we check, and missed ones, which are lost
_FOREIGN = 0.3  # share of letters of scripts that the seeds do not use
_KNOWN_SCRIPT = 0.01  # share of the seeds' letters that makes a script one of theirs
_FINEST = (
    0.95  # threshold up to which datasketch can lay out its bands; what it finds is compared exactly anyway
)
_SOUND = re.compile(rf"[{UNSPACED_ALPHABETS}]")
_SENTENCE = re.compile(r"[.!?。！？]+(?:\s+|$)")
_UNUSABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")
_DEBRIS = re.compile(
    r"[\W\d_]*\Z"  # nothing but punctuation and numbers
    r"|.*[:：,;]\Z"  # a heading, or half a sentence
    r"|(?:yes|no)[,.!:]\s[^?？]*\Z"  # an answer, unless it asks something
    r"|.*(?:<\|\w{1,40}\|>|</?s>|<(?:insert|your|name|topic)\b[^>]{0,80}>|\{\{|\(insert [^)]{0,80}\)"
    r"|\[(?:insert|your|name|topic|\.\.\.|…)[^\]]{0,80}\]|\b(?:assistant|human|user|ai):)"
    r"|(?:\d{1,3}[.)]|[-*•#>|])\s",
    re.IGNORECASE | re.DOTALL,
)
_DO = r"(?:help|assist|provide|write|create|generate|fulfil|fulfill|comply|continue|support|answer|give you|do that|produce|engage)"
_REFUSAL = re.compile(
    rf"(?:(?:i['’]?m|i am) (?:really |very |so )?sorry\b|sorry,|as an ai\b|(?:i['’]?m|i am) an ai\b"
    rf"|i (?:can(?:no|['’])?t|won['’]?t|will not|must not) {_DO}\b|(?:i['’]?m|i am) (?:not able|unable) to {_DO}\b"
    r"|(?:here are|these are|the following are|below are) |(?:sure|certainly|of course)[,!.])",
    re.IGNORECASE,
)


class FilterSettings(Settings):
    """Which prompts are kept. A change rewrites the data and asks only for what is missing then.

    Attributes:
        min_words: of a prompt.
        max_words: likewise.
        similarity: share of common character 5-grams from which on two prompts are near copies; 1 drops exact ones
            alone.
    """

    min_words: int = Field(default=3, ge=1)
    max_words: int = Field(default=60, ge=1)
    similarity: float = Field(default=0.7, ge=0.3, le=1)

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.min_words > self.max_words:
            raise ConfigError(
                f"min_words is {self.min_words} and max_words {self.max_words}: no prompt has both"
            )
        return self


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a candidate.

    Attributes:
        reason: one of `REASONS`; None where it is accepted.
        like: id of the seed, or of the prompt, that it is a copy or near copy of.
    """

    reason: str | None = None
    like: str | None = None


class PromptFilter:
    """Accepts prompts one after another; deterministic in their order.

    Args:
        seeds: what is to be no copy of.
        settings: which prompts are kept.

    Attributes:
        accepted: how many were accepted.
    """

    def __init__(self, seeds: Iterable[Seed], settings: FilterSettings) -> None:
        seeds = tuple(seeds)
        self.accepted = 0
        self._settings = settings
        self._scripts = _scripts_of(seeds)
        self._copies = _Copies(settings.similarity)
        for seed in seeds:
            self._copies.add(seed.id, seed.text, is_seed=True)

    def judge(self, id: str, item: ListItem) -> Verdict:
        """Accept or reject one candidate.

        Args:
            id: what it is called if it is accepted.
            item: the candidate.
        """
        reason = self._form(item)
        if reason:
            return Verdict(reason)
        like = self._copies.find(item.text)
        if like:
            kind = ("copied_seed" if like.is_seed else "duplicate") if like.exact else ""
            return Verdict(kind or ("near_seed" if like.is_seed else "near_duplicate"), like.id)
        self._copies.add(id, item.text, is_seed=False)
        self.accepted += 1
        return Verdict()

    def _form(self, item: ListItem) -> str | None:
        """What is wrong with a candidate taken for itself."""
        text, settings = item.text, self._settings
        words = len(find_words(text))
        if item.cut:
            return "truncated"
        if words > settings.max_words:  # before anything that takes longer
            return "too_long"
        if _UNUSABLE.search(text):
            return "unusable"
        if _DEBRIS.match(text):
            return "debris"
        if _REFUSAL.match(text):
            return "refusal"
        if words < settings.min_words:
            return "too_short"
        if self._is_foreign(text):
            return "wrong_script"
        return "repetitive" if _repeats(text) else None

    def _is_foreign(self, text: str) -> bool:
        letters = [char for char in text if char.isalpha()]
        foreign = sum(_script(char) not in self._scripts for char in letters)
        return bool(letters) and foreign > _FOREIGN * len(letters)


def normal_form(text: str) -> str:
    """A text without case, punctuation and spacing: two with the same are copies."""
    return " ".join(find_words(unicodedata.normalize("NFKC", text).casefold()))


def similarity(first: str, second: str) -> float:
    """The Jaccard similarity of two texts' character 5-grams, from 0 to 1."""
    a, b = _grams(normal_form(first)), _grams(normal_form(second))
    return len(a & b) / len(a | b)


@dataclass(frozen=True, slots=True)
class _Like:
    id: str
    is_seed: bool
    exact: bool


class _Copies:
    """Finds copies and near copies of the texts added so far."""

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHashLSH  # type: ignore[import-untyped]

        self._threshold = threshold
        self._exact: dict[str, int] = {}
        self._known: list[tuple[str, bool, str]] = []  # id, is_seed, normal form
        near = threshold < 1
        banded = min(threshold, _FINEST)
        self._index = MinHashLSH(banded, num_perm=_PERMUTATIONS, weights=_MISSES) if near else None
        self._last: tuple[str, Any] = ("", None)

    def find(self, text: str) -> _Like | None:
        """The text that this one is a copy or near copy of: of several near ones the nearest, and of these the first."""
        form = normal_form(text)
        if (place := self._exact.get(form)) is not None:
            id, is_seed, _ = self._known[place]
            return _Like(id, is_seed, exact=True)
        if self._index is None:
            return None
        grams = _grams(form)
        best, most = None, 0.0
        for place in sorted(self._index.query(self._sketch(form))):
            others = _grams(self._known[place][2])
            share = len(grams & others) / len(grams | others)
            if share >= self._threshold and share > most:
                best, most = place, share
        if best is None:
            return None
        id, is_seed, _ = self._known[best]
        return _Like(id, is_seed, exact=False)

    def add(self, id: str, text: str, *, is_seed: bool) -> None:
        """Add a text; one that is there already, as a seed given twice, is left out."""
        form = normal_form(text)
        if form in self._exact:
            return
        place = self._exact[form] = len(self._known)
        self._known.append((id, is_seed, form))
        if self._index is not None:
            self._index.insert(place, self._sketch(form), check_duplication=False)

    def _sketch(self, form: str) -> Any:
        """The MinHash of a text; that of the last one, which is asked for twice, is kept."""
        if self._last[0] != form:
            from datasketch import MinHash

            sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
            sketch.update_batch([gram.encode("utf-8", "surrogatepass") for gram in _grams(form)])
            self._last = form, sketch
        return self._last[1]


def _grams(form: str) -> frozenset[str]:
    return frozenset(form[start : start + _GRAM] for start in range(max(1, len(form) - _GRAM + 1)))


def _repeats(text: str) -> bool:
    """Whether a sentence comes twice in a row, a triple of words three times, or fewer than a third of the words differ.

    Where words are sounds, a triple is a word or less, so that six of them have to come again, and a ninth have to differ.
    """
    words = find_words(text.casefold())
    length, share = (6, 9) if 2 * sum(bool(_SOUND.match(word)) for word in words) > len(words) else (3, 3)
    sentences = [form for part in _SENTENCE.split(text) if (form := normal_form(part))]
    if any(one == other for one, other in pairwise(sentences)):
        return True
    runs = Counter(zip(*(words[start:] for start in range(length)), strict=False))
    return any(count > 2 for count in runs.values()) or share * len(set(words)) < len(words)


def _scripts_of(seeds: Iterable[Seed]) -> frozenset[str]:
    counts = Counter(_script(char) for seed in seeds for char in seed.text if char.isalpha())
    return frozenset(script for script, count in counts.items() if count >= _KNOWN_SCRIPT * counts.total())


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """The script of a letter, by the first word of its Unicode name."""
    return unicodedata.name(letter, "UNKNOWN").split()[0]
