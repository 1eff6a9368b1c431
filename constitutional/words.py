"""What a word is, in any script: letters and digits with the marks on them; where no spaces are put between words, one character."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

UNSPACED_ALPHABETS = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai and Lao, Burmese, Khmer, as within the brackets of a regular expression: a character is a sound."""
UNSPACED = rf"{UNSPACED_ALPHABETS}\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""All scripts without spaces between words, Chinese and Japanese too; likewise."""
_JOINERS = "\u200c\u200d"  # they join or part letters of one word, as in Persian and Hindi
_MARKS_END = 0x1E000  # beyond are just marks of notations and of scripts out of use


def find_words(text: str) -> list[str]:
    """The words of a text, in order. The vowel signs of Hindi, Tamil or Thai belong to the letter before."""
    return _pattern().findall(text)


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    codes = range(0x300, _MARKS_END)
    marks = [code for code in codes if unicodedata.category(chr(code)) in ("Mn", "Mc")]
    spans: list[list[int]] = []
    for code in marks:
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    within = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans) + _JOINERS
    return re.compile(rf"[{UNSPACED}][{within}]*|[^\W{UNSPACED}](?:[^\W{UNSPACED}]|[{within}])*")
