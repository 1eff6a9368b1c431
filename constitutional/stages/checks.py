"""Checks of a revision: the ways in which a model's answer is not a revision.

Weak models return the response as it was, a critique of it, or one of the few-shot examples; any model can be cut off by
its token limit. Such a revision is kept on the row, named, counted, and by default not trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from constitutional.records import Step

CHECKS: dict[str, str] = {
    "empty": "there is no text",
    "truncated": "the token limit cut it off",
    "unchanged": "it is the text that was to be revised",
    "critique": "it talks about the response instead of being one, or repeats the critique",
    "copied-example": "it repeats a few-shot example",
    "copied-prompt": "it repeats the user's message",
}
"""Every check, with what it means for the revision that fails it."""

_GRAM = 4
_SAME = 0.6  # share of word 4-grams above which one text repeats another
_ABOUT_A_RESPONSE = re.compile(
    r"(critique|revision) ?(request)?:"
    r"|(overall, |in (this|the) (\w+ )?response, )?"
    r"(the|this|your|my) (assistant'?s? )?(last |previous |preceding |above |original |initial |revised )*"
    r"(response|reply|answer|assistant|critique|revision)\b"
    r"(?! (is|was)? ?(to|that|depends|yes|no)\b)",
    re.IGNORECASE,
)


def failed_checks(
    revision: Step, *, before: str, critique: str | None, examples: Iterable[str] = (), prompt: str = ""
) -> tuple[str, ...]:
    """The names of the checks that a revision fails, in the order of `CHECKS`; empty for a good one.

    Args:
        revision: the revision.
        before: the text that was to be revised.
        critique: the critique it was to follow, where there was one.
        examples: the revisions and critiques of the few-shot examples that the model was shown.
        prompt: the user's message that the response is about.
    """
    text = revision.text
    if not text:
        return ("empty",)
    found = []
    if revision.finish_reason == "length":
        found.append("truncated")
    if _words(text) == _words(before):
        found.append("unchanged")
    elif (_ABOUT_A_RESPONSE.match(text) and not _ABOUT_A_RESPONSE.match(before)) or (
        critique and _overlap(text, critique) >= _SAME and _overlap(text, critique) > _overlap(text, before)
    ):
        found.append("critique")
    if any(_overlap(text, example) >= _SAME for example in examples) and "unchanged" not in found:
        found.append("copied-example")
    if prompt.strip() and _overlap(text, prompt) >= _SAME and _overlap(before, prompt) < _SAME:
        found.append("copied-prompt")
    return tuple(found)


def is_clean(critique: str, marker: str) -> bool:
    """Whether a critique says, with the prompt set's marker as its whole text or its last sentence, that all is well."""
    wanted = r"\W+".join(map(re.escape, _words(marker)))
    return bool(re.search(rf"(?:^|[.!?:\n])\W*{wanted}\W*$", critique.casefold()))


def _overlap(text: str, other: str) -> float:
    """Share of `text`'s word 4-grams that occur in `other`; of short texts, whether they are the same."""
    grams = _grams(text)
    return len(grams & _grams(other)) / len(grams)


@lru_cache(maxsize=256)
def _grams(text: str) -> frozenset[tuple[str, ...]]:
    words = _words(text)
    if len(words) < _GRAM:
        return frozenset({tuple(words)})
    return frozenset(tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.casefold()) or [text.strip()]
