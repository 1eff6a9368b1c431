"""A constitution's file as the rules see it: its own texts, where each of their words stands, and the rules that a comment switches off.

`# lint: ignore=RULE` (or several, with commas) on the line of a key, or on comment lines right above it, switches rules off for that
key; at the start of a principle, for the whole principle. What the loader refuses stays refused, so that can't be switched off.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import itemgetter

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
        english: whether it is English.
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
        return tuple(
            Text(steps, name, text, is_english(text[:MAX_READ]), self.limits)
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

    def is_ignored(self, rule: str, steps: Steps) -> bool:
        """Whether a comment switches a rule off for the value at some steps."""
        return any(
            rule in self._rules_above(line, column)
            or any(rule == other for other, _ in self._ignores(line, column))
            for line, column in self._anchors(steps)
        )

    def comments(self) -> Iterator[tuple[str, Place]]:
        """Every rule that a comment switches off, and where the comment is."""
        if not _IGNORE.search(self.document.source):
            return
        keys: list[Steps] = [steps for steps in self.document.key_positions if len(steps) == 1]
        for index, entry in enumerate(self.entries):
            keys += [("principles", index), *(("principles", index, name) for name in entry.model_fields_set)]
        anchors = sorted({anchor for steps in keys for anchor in self._anchors(steps)})
        rightmost = dict(anchors)  # what is above a key is above those to the right of it, too
        found = [rule for anchor in anchors for rule in self._ignores(*anchor)]
        found += [
            (rule, at) for line in rightmost for deep, rule, at in self._above(line) if deep < rightmost[line]
        ]
        yield from dict.fromkeys(found)

    def _anchors(self, steps: Steps) -> set[tuple[int, int]]:
        """Where the key of the value at some steps is, and where its principle is: comments there are about it."""
        found = {self.document.key_positions.get(steps[:3])}
        if steps[:1] == ("principles",) and len(steps) > 1:
            found.add(self.document.positions.get(steps[:2]))
        return {anchor for anchor in found if anchor is not None}

    def _rules_above(self, line: int, column: int) -> frozenset[str]:
        """What the comments right above a key switch off."""
        above = self._above(line)
        count = bisect_left(above, column, key=itemgetter(0))
        if (line, count) not in self._rules:
            self._rules[line, count] = frozenset(rule for _, rule, _ in above[:count])
        return self._rules[line, count]

    def _above(self, line: int) -> list[tuple[int, str, Place]]:
        """What the comment lines right above a line switch off, from the lowest line up.

        Each is with the deepest indentation so far: a comment that is indented deeper than the key may be the last line of
        a text, so neither it nor those above it are about the key.
        """
        if line not in self._blocks:
            block = self._blocks[line] = []
            deepest, at = 0, line - 1
            while at >= 1 and (above := self._line(at)).lstrip(" ").startswith("#"):
                deepest = max(deepest, len(above) - len(above.lstrip(" ")))
                block += [(deepest, rule, place) for rule, place in self._ignores(at, 1)]
                at -= 1
        return self._blocks[line]

    @cached_property
    def _blocks(self) -> dict[int, list[tuple[int, str, Place]]]:
        """Kept from `_above`: thousands of keys may be on one line, and thousands of comments above it."""
        return {}

    @cached_property
    def _rules(self) -> dict[tuple[int, int], frozenset[str]]:
        """Kept from `_rules_above`, likewise."""
        return {}

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
