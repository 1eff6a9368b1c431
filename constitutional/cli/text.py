"""Text of models and users on a terminal: made inert, and compared word by word."""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher
from typing import IO, Any

from rich.console import Console
from rich.text import Text

# Control characters but tab and newline, those that reorder or hide text (bidirectional overrides, zero width, tags),
# and halves of surrogate pairs, which can't be written.
_ACTIVE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)


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
    old, new = _words(inert(before)), _words(inert(after))
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
                diff.append(text, style=style)
            elif text.strip():
                diff.append(f"{left}{text.strip()}{right}" + (" " if text[-1].isspace() else ""))
    return diff


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|^\s+", text)
