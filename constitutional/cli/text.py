"""Text of models and users on a terminal: made inert, and compared word by word."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from constitutional.words import UNSPACED

# Control characters but tab and newline, those that reorder or hide text (bidirectional overrides, zero width, tags),
# and halves of surrogate pairs, which can't be written. The two joiners stay: Persian and emoji are spelt with them.
_ACTIVE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)

_ALIKE = 0.4


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main`, to which a reader that has seen enough is no failure."""
        raise BrokenPipeError


def data_console(file: IO[str] | None = None) -> Console:
    """Standard output (or `file`) for texts of models and users: nothing in them is markup, and what is piped is not wrapped at 80 columns."""
    console = _Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.soft_wrap, console.width = True, 250
    return console


def inert(text: str) -> str:
    """The text with every character that could act on a terminal, or mislead its reader, shown as its code."""
    return _ACTIVE.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text.replace("\r\n", "\n"))


def inert_line(text: str) -> str:
    """The same on one line, for what has to be a line of its own: a file's name may have line ends in it."""
    return inert(text).replace("\n", "\\u{a}")


def hanging(console: Console, text: Text, indent: int) -> Text:
    """A text whose lines are indented but for the first, and broken between words where a terminal would break them anywhere.

    Args:
        console: where it will be printed; what is piped is not broken.
        text: with whatever stands in front of its first line.
        indent: columns.
    """
    lines = list(text.split("\n", allow_blank=True))
    if console.is_terminal:
        width = max(console.width - indent, 20)
        lines = [part for line in lines for part in (line.wrap(console, width) or [line])]
    return Text("\n" + " " * indent).join(lines)


def duration(seconds: float) -> str:
    """`12 s`, `3 min 05 s` or `2 h 07 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """A value as JSON that people can read too; the characters that `inert` shows as codes are escaped, as JSON does it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _ACTIVE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def word_diff(before: str, after: str, *, colour: bool) -> Text:
    """`after`, with what was added and taken away since `before` marked.

    Args:
        before: the text that was rewritten.
        after: the text that it became.
        colour: mark by colour and strokes; otherwise as `[-taken-]` and `{+added+}`.
    """
    old, new = split_words(inert(before)), split_words(inert(after))
    diff = Text()
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            diff.append("".join(new[b0:b1]))
            continue
        for words, style, left, right in (
            (old[a0:a1], "red strike", "[-", "-]"),
            (new[b0:b1], "green underline", "{+", "+}"),
        ):
            text = "".join(words)
            if not text:
                continue
            if colour:
                # words that ended a line or the text have no white space with them
                apart = (
                    style.startswith("green")
                    and old[a0:a1]
                    and _ends_a_word(diff.plain)
                    and not text[0].isspace()
                )
                diff.append(" " if apart else "").append(text, style=style)
            elif text.strip():
                diff.append(f"{left}{text.strip()}{right}" + (" " if text[-1].isspace() else ""))
    return diff


def are_alike(before: str, after: str) -> bool:
    """Whether two texts have enough in common for marks of what differs to help a reader."""
    old, new = bare_words(before), bare_words(after)
    return SequenceMatcher(None, old, new, autojunk=False).ratio() >= _ALIKE


def bare_words(text: str) -> list[str]:
    """The words of a text without white space; of scripts without spaces, its characters."""
    return [word for piece in split_words(text) if (word := piece.strip())]


def _ends_a_word(text: str) -> bool:
    return bool(re.search(rf"[^\s{UNSPACED}]\Z", text))


def split_words(text: str) -> list[str]:
    """A text in pieces that a difference is told by: words with the white space after them; of scripts without spaces, characters."""
    return re.findall(rf"[{UNSPACED}]\s*|[^\s{UNSPACED}]+\s*|^\s+", text)
