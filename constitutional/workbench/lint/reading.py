"""A constitution's file as the rules see it: its own texts, where each of their words stands, and the rules that a comment switches off.

`# lint: ignore=RULE` (or several, with commas) on the line of a key, or on comment lines right above it, switches rules off for that
key; at the start of a principle, for the whole principle. What the loader refuses stays refused, so that can't be switched off.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from constitutional.composition import Examined
from constitutional.constitution_file import PrincipleEntry
from constitutional.errors import Place
from constitutional.workbench.lint.language import is_english
from constitutional.yamlfile import Document, Steps

MAX_READ = 20_000
"""So many characters of a text are searched; far less is far too long for a request."""

_MAX_LINE = 2_000  # of a line, so much is searched for a comment
_TEXTS = ("critique", "revision", "preference")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML counts lines
_IGNORE = re.compile(r"(?:^|\s)#\s*lint:\s*ignore\s*=\s*([\w-]+(?:\s*,\s*[\w-]+)*)")
_CODE = re.compile(r"`[^`\n]{0,500}`")
_QUOTED = re.compile(
    r"`[^`\n]{0,500}`|\"[^\"\n]{0,500}\"|“[^”]{0,500}”|„[^“”]{0,500}[“”]|«[^»]{0,500}»|「[^」]{0,500}」"
    r"|(?<!\w)'[^'\n]{0,500}'(?!\w)|(?<!\w)‘[^’]{0,500}’(?!\w)"
)


def estimate_tokens(text: str) -> int:
    """How many tokens a text has, roughly: four ASCII characters or one other character a token."""
    ascii = sum(character < "\x80" for character in text)
    return -(-ascii // 4) + len(text) - ascii


@dataclass(frozen=True, slots=True)
class Limits:
    """What `over-budget` goes by.

    Attributes:
        budget: tokens that one text may have.
        count_tokens: counts them.
        counted_by: what counts them, for messages; empty where it is an estimate.
    """

    budget: int = 200
    count_tokens: Callable[[str], int] = estimate_tokens
    counted_by: str = ""


@dataclass(frozen=True)
class Text:
    """One text of a file.

    Attributes:
        steps: where it stands in the document.
        field: its key.
        text: what the file says.
        english: whether it is English, by itself or (where it is short) together with the file's other texts.
        limits: what it may cost.
    """

    steps: Steps
    field: str
    text: str
    english: bool
    limits: Limits

    @cached_property
    def head(self) -> str:
        """The part of it that is searched."""
        return self.text[:MAX_READ]

    def in_quotes(self, at: int) -> bool:
        """Whether a place is within quotation marks or backticks: the text speaks of what stands there."""
        return _within(self._quoted, at)

    def in_code(self, at: int) -> bool:
        """Whether a place is within backticks."""
        return _within(self._code, at)

    @cached_property
    def _quoted(self) -> list[tuple[int, int]]:
        return [found.span() for found in _QUOTED.finditer(self.head)]

    @cached_property
    def _code(self) -> list[tuple[int, int]]:
        return [found.span() for found in _CODE.finditer(self.head)]


@dataclass(frozen=True)
class LintFile:
    """A constitution's file that can be read to its end.

    Attributes:
        examined: what the loader makes of it.
        document: its content.
        entries: its own principles, also those that the loader refuses.
        limits: what its texts may cost.
    """

    examined: Examined
    document: Document
    entries: tuple[PrincipleEntry, ...]
    limits: Limits

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """Its own texts, in the order of the file, less the empty ones."""
        found: list[tuple[Steps, str, str]] = []
        if self.examined.file:
            found.append((("description",), "description", self.examined.file.description))
        for index, entry in enumerate(self.entries):
            given = [name for name in (*_TEXTS, "source") if name in entry.model_fields_set]
            found += [(("principles", index, name), name, getattr(entry, name)) for name in given]
            found += [(("principles", index, "tags", at), "tags", tag) for at, tag in enumerate(entry.tags)]
        together = " ".join(text[:1000] for _, name, text in found[:500] if name in _TEXTS)
        return tuple(
            Text(steps, name, text, is_english(text[:MAX_READ], together), self.limits)
            for steps, name, text in found
            if text.strip()
        )

    def place(self, text: Text, start: int | None = None, end: int | None = None) -> Place:
        """Where some words of a text stand; where they can't be found, as after an escape, where the text starts."""
        whole = self.document.place(*text.steps)
        if start is None or whole.line is None or whole.column is None:
            return whole
        words = text.text[start:end].split()
        pattern = re.compile(
            r"\s+".join(re.escape(word).replace("'", "''?").replace('"', r'\\?"') for word in words)
        )
        earlier = sum(1 for _ in pattern.finditer(text.text, 0, start))
        here = whole.line, whole.column
        first, last = self._offset(here), self._offset(self._after(here))
        found = next(islice(pattern.finditer(self.document.source, first, last), earlier, None), None)
        if not words or found is None:
            return whole
        line = bisect_right(self._line_starts, found.start())
        return Place(whole.path, line, found.start() - self._line_starts[line - 1] + 1, whole.field)

    def ignored(self, steps: Steps) -> frozenset[str]:
        """The rules that comments switch off for the value at some steps."""
        return frozenset(rule for rule, _ in self._comments(steps))

    def comments(self) -> Iterator[tuple[str, Place]]:
        """Every rule that a comment switches off, and where the comment is."""
        if not _IGNORE.search(self.document.source):
            return
        seen = set()
        for index, entry in enumerate(self.entries):
            for steps in (
                ("principles", index),
                *(("principles", index, name) for name in entry.model_fields_set),
            ):
                for rule, place in self._comments(steps):
                    if (rule, place) not in seen:
                        seen.add((rule, place))
                        yield rule, place

    def _comments(self, steps: Steps) -> Iterator[tuple[str, Place]]:
        anchors = [self.document.key_positions.get(steps[:3])]
        if steps[:1] == ("principles",) and len(steps) > 1:
            anchors.append(self.document.positions.get(steps[:2]))
        for anchor in anchors:
            if anchor is None:
                continue
            line, column = anchor
            yield from self._ignores(line, column)
            line -= 1
            # A comment that is indented deeper than the key may be the last line of a text.
            while line >= 1 and (above := self._line(line)).lstrip(" ").startswith("#"):
                if len(above) - len(above.lstrip(" ")) >= column:
                    break
                yield from self._ignores(line, 1)
                line -= 1

    def _ignores(self, line: int, column: int) -> Iterator[tuple[str, Place]]:
        found = _IGNORE.search(self._line(line, column))
        if found:
            place = Place(self.document.path, line, column + found.start() + found.group().index("#"))
            for rule in found[1].split(","):
                yield rule.strip(), place

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.document.source))]

    @cached_property
    def _positions(self) -> list[tuple[int, int]]:
        return sorted({*self.document.positions.values(), *self.document.key_positions.values()})

    def _line(self, number: int, column: int = 1) -> str:
        starts = self._line_starts
        first = starts[number - 1] + column - 1
        end = min(starts[number] if number < len(starts) else len(self.document.source), first + _MAX_LINE)
        return self.document.source[first:end].rstrip("\r\n\x85\u2028\u2029")

    def _offset(self, position: tuple[int, int] | None) -> int:
        if position is None or position[0] > len(self._line_starts):
            return len(self.document.source)
        return self._line_starts[position[0] - 1] + position[1] - 1

    def _after(self, position: tuple[int, int]) -> tuple[int, int] | None:
        at = bisect_right(self._positions, position)
        return self._positions[at] if at < len(self._positions) else None


def _within(spans: list[tuple[int, int]], at: int) -> bool:
    return any(start <= at < end for start, end in spans)
