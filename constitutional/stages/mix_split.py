"""The train/test split of a mix: which pairs have to be on one side, and which side that is.

Two pairs are tied if they have the same conversation (its first turn, or all of it, as `split_by` says), or both their responses in
common: a pair that stands in a file twice, once under a mangled instruction, is the same pair. What is tied to one another, through
however many pairs, is a group, and a group is never split.

A group's side is the hash of (seed, its conversation with the smallest hash). So rows that are added or taken away move others only where
they tie groups, or were what tied them, and then only the groups that get another such conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]


def tied(conversations: Sequence[Hashes], responses: Sequence[Hashes]) -> dict[int, int]:
    """Which conversations are tied by their responses.

    Args:
        conversations: of each source, the hash of each pair's conversation.
        responses: of each source, the hash of each pair's two responses, in no order.

    Returns:
        For each conversation of a group of several, the one with the smallest hash.
    """
    import numpy as np

    if not conversations:
        return {}
    whole, pairs = np.concatenate(conversations), np.concatenate(responses)
    order = np.lexsort((whole, pairs))
    whole, pairs = whole[order], pairs[order]
    edges = np.flatnonzero((pairs[1:] == pairs[:-1]) & (whole[1:] != whole[:-1]))
    above: dict[int, int] = {}

    def root(one: int) -> int:
        while (parent := above.setdefault(one, one)) != one:
            above[one] = above[parent]
            one = above[one]
        return one

    for one, other in zip(whole[edges].tolist(), whole[edges + 1].tolist(), strict=True):
        smaller, larger = sorted((root(one), root(other)))
        above[larger] = smaller
    return {one: root(one) for one in above}


def moved(
    sides: Hashes, conversations: Hashes, groups: dict[int, int], side_of: Callable[[int], int]
) -> Hashes:
    """The sides of pairs, those of groups of several conversations moved to their group's.

    Args:
        sides: hash of each pair that the split goes by.
        conversations: hash of each pair's conversation.
        groups: see `tied`.
        side_of: the side of a conversation by itself.
    """
    import numpy as np

    if not groups:
        return sides
    known = np.array(sorted(groups), np.uint64)
    new = np.array([side_of(groups[one]) for one in known.tolist()], np.uint64)
    place = np.minimum(np.searchsorted(known, conversations), len(known) - 1)
    return np.where(known[place] == conversations, new[place], sides)
