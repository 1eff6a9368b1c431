"""Reading which of two options a judge has written, where it can't be asked for log-probabilities.

The text goes on from the answer's prefix, as `The better response is (`. Only what can't mean anything else is read: an
unreadable answer is a failure, never a vote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_DECORATION = " \t\r\n([{*_`\"'“‘"  # that may come before an option, of Markdown, quotes and brackets
_CLOSED = (
    r"(?=$|[)\]}.:;,*_`\"”\n\r])"  # what may follow: "A)" and "A" are answers, "A good one" and "A's" are not
)


def read_answer(text: str, options: Sequence[str]) -> int | None:
    """Which option a judge's answer names.

    An option counts at the very start, where a bracket, a full stop or the end of the text follows it, or in brackets anywhere (as
    from a judge that starts its sentence again). An answer that names several in brackets is none.

    Args:
        text: what the judge wrote after the answer's prefix.
        options: the texts that stand for the responses, such as A and B.

    Returns:
        The option's index, or None where the answer can't be read.
    """
    named = {
        index
        for index, option in enumerate(options)
        if re.search(rf"[(\[]\s*{re.escape(option.strip())}\s*[)\]]", text)
    }
    start = text.lstrip(_DECORATION)
    for index, option in enumerate(options):
        if re.match(re.escape(option.strip()) + _CLOSED, start):
            named.add(index)
    return named.pop() if len(named) == 1 else None
