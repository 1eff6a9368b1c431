"""Split a JSON array into its elements without parsing it, in the memory of one element.

A parser would give up at the first broken element, and recurse as deep as the data nest. This one only knows
strings and brackets, so a broken element ends where its brackets say, and the next one is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK = 2**16
_OUTSIDE = re.compile(rb'["\[\]{},]')
_IN_STRING = re.compile(rb'["\\]')


def array_elements(file: BinaryIO, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """The elements of the array that a file holds.

    What follows the array's end, or the rest where it has none, comes as a last element that is no JSON.

    Args:
        file: positioned at its start; its first byte that is not white space (or a byte order mark) is `[`.
        limit: bytes that an element may have.

    Yields:
        The line an element begins on, from 1, and its bytes; None where it is longer than the limit.
    """
    splitter = _Splitter(limit)
    while chunk := file.read(_CHUNK):
        yield from splitter.feed(chunk)
    yield from splitter.end()


class _Splitter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._depth = 0
        self._in_string = False
        self._skip = 0  # an escaped character that the next chunk begins with
        self._ended = False
        self._line = 1  # where `_element` begins
        self._element = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        start, at = 0, self._skip  # chunk[start:at] is part of the element
        self._skip = 0
        while not self._ended and at < len(chunk):
            found = (_IN_STRING if self._in_string else _OUTSIDE).search(chunk, at)
            if not found:
                break
            at = found.end()
            mark = found.group()
            if mark == b'"':
                self._in_string = not self._in_string
            elif mark == b"\\":
                at += 1
            elif mark in b"[{":
                self._depth += 1
                if self._depth == 1:  # the array itself: what came before it is no element
                    self._line += chunk.count(b"\n", 0, at)
                    start = at
            elif mark in b"]}":
                self._depth -= 1
                if self._depth == 0:
                    self._ended = True
                    self._add(chunk[start : at - 1])
                    start = at
                    yield from self._flush(keep_blank=False)
            elif self._depth == 1:
                self._add(chunk[start : at - 1])
                start = at
                yield from self._flush(keep_blank=True)
        self._skip = max(0, at - len(chunk)) if self._in_string else 0
        self._add(chunk[start:])

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        if not self._ended:
            self._add(b" ")
        yield from self._flush(keep_blank=not self._ended)

    def _add(self, part: bytes) -> None:
        if self._too_long or len(self._element) + len(part) > self._limit:
            self._too_long = True
            self._line += self._element.count(b"\n") + part.count(b"\n")
            self._element.clear()
        else:
            self._element += part

    def _flush(self, keep_blank: bool) -> Iterator[tuple[int, bytes | None]]:
        element = bytes(self._element)
        body = element.strip()
        if self._too_long:
            yield self._line, None
        elif body or keep_blank:
            yield self._line + element[: len(element) - len(element.lstrip())].count(b"\n"), body
        self._line += element.count(b"\n")
        self._element.clear()
        self._too_long = False
