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
    if not len(edges):
        return {}
    from scipy.sparse import coo_array  # type: ignore[import-untyped]
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    ends = np.concatenate((whole[edges], whole[edges + 1]))
    known, places = np.unique(
        ends, return_inverse=True
    )  # sorted, so that the first of a group is its smallest
    graph = coo_array((np.ones(len(edges)), np.split(places, 2)), shape=(len(known), len(known)))
    _, group = connected_components(graph, directed=False)
    _, first, of = np.unique(group, return_index=True, return_inverse=True)
    return dict(zip(known.tolist(), known[first][of].tolist(), strict=True))


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
