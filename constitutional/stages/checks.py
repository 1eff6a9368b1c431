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
_WHOSE = r"(the|this|your|my)"
_WHICH = r"((assistant'?s?|original|initial|first|second|given|current) )*"
_AUXILIARY = r"(can|cannot|could|should|would|may|might|must|did|had|gave|made|told|went|took)"
_JUDGED = (
    r"(too|overly|harmful|harmless|(un)?helpful|rude|dangerous|(un)?safe|toxic|racist|sexist|offensive|biased|"
    r"misleading|vague|evasive|(in)?appropriate|(in)?sensitive|(in)?accurate|(un)?ethical|illegal|(dis)?respectful|polite)"
)
_ABOUT_A_RESPONSE = re.compile(
    r"(critique|revision) ?(request)?:"
    r"|(overall, |however, )?("
    # what can only be said of a response
    rf"in {_WHOSE} {_WHICH}(response|reply|answer),"
    rf"|{_WHOSE} {_WHICH}(assistant'?s?|previous|preceding|above|last|revised) (response|reply|answer|critique|revision)\b"
    rf"|the (ai )?assistant( and| [\w']+(s|ed)| {_AUXILIARY})\b"
    # a response that does something, unlike `the response time` and `the response of the body`
    rf"|{_WHOSE} {_WHICH}(response|reply|critique|revision)([:,]"
    r"| (?!(is|was) (to|that|due|yes|no|\d+)\b|(time|rate)s\b)"
    rf"([\w'’]+(s|ed|ly|n['’]t)|{_AUXILIARY}|also|above|you|i)\b)"
    # `the answer is harmful` judges one, `the answer is 42` gives one
    rf"|{_WHOSE} {_WHICH}answer (is|was|seems|sounds) (not |very |quite )*{_JUDGED}\b"
    rf"|{_WHOSE} {_WHICH}answer ([\w'’]+n['’]t|fails|contains|assumes|gives|provides|suggests|encourages|implies|lacks|ignores)\b"
    r")",
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
