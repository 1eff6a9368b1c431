"""Ids of rows: given ones as they are, hashes of the content for the others, and none of them twice.

Ids that were seen are remembered as 64-bit hashes in one flat table of 8 bytes a slot (12 to 36 bytes a row
with its free slots and while it grows; a `set` of integers takes 70 to 100). Two different ids that share a
hash would be taken for duplicates: among ten million given ids the odds of one such pair are 3 in a
million.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

_FIRST_SIZE = 1024  # slots; a power of two


class SeenIds:
    """Which ids were handed out, in constant memory per row."""

    def __init__(self) -> None:
        self._seen = _HashTable()
        self._repeats: dict[int, int] = {}  # how often, of those alone that came more than once

    def claim_given(self, given: str) -> tuple[str, bool]:
        """Claim an id that a row brought along.

        Returns:
            The id and True, or a free one made from it and False where it was taken.
        """
        if self._seen.add(_hash(given)):
            return given, True
        count = self._repeats.get(_hash(given), 1)
        while True:
            count += 1
            name = f"{given} (duplicate {count})"
            if self._seen.add(_hash(name)):
                self._repeats[_hash(given)] = count
                return name, False

    def claim_content(self, content: str) -> str:
        """The id of a row without one: its content's hash, with the occurrence from the second one on."""
        if self._seen.add(_hash(content)):
            return content
        count = self._repeats.get(_hash(content), 1)
        while True:
            count += 1
            name = f"{content}-{count}"
            if self._seen.add(_hash(name)):
                self._repeats[_hash(content)] = count
                return name


class _HashTable:
    """A set of 64-bit integers other than 0: open addressing in one flat array, at most two thirds full."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SIZE))
        self._used = 0

    def add(self, key: int) -> bool:
        """Add a key; False where it was there."""
        if not _insert(self._slots, key):
            return False
        self._used += 1
        if self._used * 3 > len(self._slots) * 2:
            grown = array("Q", bytes(16 * len(self._slots)))
            for old in self._slots:
                if old:
                    _insert(grown, old)
            self._slots = grown
        return True


def _insert(slots: array[int], key: int) -> bool:
    mask = len(slots) - 1
    at = key & mask
    while slots[at]:
        if slots[at] == key:
            return False
        at = (at + 1) & mask
    slots[at] = key
    return True


def _hash(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1
