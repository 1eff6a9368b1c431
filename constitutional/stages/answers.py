"""Reading which of two options a judge has written, where it can't be asked for log-probabilities.

The text goes on from the answer's prefix, as `The better response is (`. Only what can't mean anything else is read: an
unreadable answer is a failure, never a vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What may come before an option: Markdown, quotes, brackets. What may follow one: "A)" is an answer, but neither
# "A good one" nor "A, or B" is.
_DECORATION = r"[\s(\[{*_`\"'“‘]*"
_CLOSING = r"[)\]}.*_`\"”\n\r]"


def read_answer(
    text: str, options: Sequence[str], *, prefix: str = "", truncated: bool = False
) -> int | None:
    """Which option a judge's answer names.

    An option counts at the very start, or after the prefix where the judge begins its sentence again, if a bracket, a full stop
    or the end of the text follows it. It does not count if another option is named as well: before a bracket, or so at
    the start of a line.

    Args:
        text: what the judge wrote after the answer's prefix.
        options: the texts that stand for the responses, such as A and B.
        prefix: what the judge was made to begin with.
        truncated: whether the token limit cut the answer off: the end of the text then ends no option.

    Returns:
        The option's index, or None where the answer can't be read.
    """
    patterns = [re.escape(option.strip()) for option in options]
    words = r"\s+".join(map(re.escape, prefix.rstrip(" \t([{*_`\"'“‘").split()))
    restated = rf"(?:(?i:{words}){_DECORATION})?" if words else ""
    closed = rf"(?={_CLOSING})" if truncated else rf"(?={_CLOSING}|$)"
    found = [
        index
        for index, option in enumerate(patterns)
        if re.match(rf"{_DECORATION}{restated}{option}{closed}", text)
    ]
    if len(found) != 1:
        return None
    others = "|".join(option for index, option in enumerate(patterns) if index != found[0])
    named = rf"(?<!\w)(?:{others})\s*[)\]]|^{_DECORATION}(?:{others})(?={_CLOSING}|$)"
    return None if re.search(named, text, re.MULTILINE) else found[0]
