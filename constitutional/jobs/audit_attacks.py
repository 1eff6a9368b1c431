"""Attacks in an audit: the worse of two responses, by people, tries to steer the judge.

The option that an attack asks for is the one that the attacked response is shown as, so in both orders its text is another.
The pairs are drawn by a hash for each kind of attack: kinds get different pairs, so that all of them together say something of
many comparisons; another comparison in the file, or another kind, moves no draw but its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from constitutional.assignment import content_hash
from constitutional.attacks import ATTACKS, attack
from constitutional.errors import ConfigError, nearest
from constitutional.feedback import Comparison
from constitutional.sources.comparisons import ComparisonRow

CLEAR = 0.75  # from here on people are agreed enough on which response is the worse one


@dataclass(frozen=True, slots=True)
class AttackedComparison(Comparison):
    """A comparison in which one response attacks the judge.

    Attributes:
        kind: the kind of attack.
        attacked: which response, 0 or 1.
        options: what stands for the response shown first and for the other one.
    """

    kind: str = ""
    attacked: int = 0
    options: tuple[str, str] = ("A", "B")

    def shown(self, order: int) -> tuple[str, str]:
        """See `Comparison.shown`; the attack asks for the option that the attacked response has in this order."""
        place = self.attacked if order == 0 else 1 - self.attacked
        texts = [self.responses[order], self.responses[1 - order]]
        texts[place] = attack(self.kind, texts[place], self.options[place], self.options)
        return texts[0], texts[1]

    def swap(self) -> AttackedComparison:
        """The same attack by the same response, with the second response first."""
        first, second = self.responses
        return AttackedComparison(
            self.id, self.prompt, (second, first), self.kind, 1 - self.attacked, self.options
        )


def attack_kinds(given: Sequence[str]) -> tuple[str, ...]:
    """The kinds of attack to try, in the order of the corpus; `all` is every one.

    Raises:
        ConfigError: there is no such kind.
    """
    for kind in given:
        if kind != "all" and kind not in ATTACKS:
            raise ConfigError(f"--attack {kind}: there is no such kind; {nearest(kind, ['all', *ATTACKS])}")
    return tuple(kind for kind in ATTACKS if "all" in given or kind in given)


class AttackDraw:
    """Draws the comparisons to attack while they are read, as many for each kind as are wanted.

    Args:
        kinds: of attack.
        pairs: how many comparisons for each.
        seed: of the draw.
    """

    def __init__(self, kinds: Sequence[str], pairs: int, seed: int) -> None:
        self._pairs, self._seed = pairs, seed
        # heaps of (negated hash, place in the input, row), so that the largest hash goes first
        self._heaps: Mapping[str, list[tuple[int, int, ComparisonRow]]] = {kind: [] for kind in kinds}

    def offer(self, row: ComparisonRow) -> None:
        """Consider one comparison; one on which people are not agreed is left out."""
        if row.human is None or max(row.human, 1 - row.human) < CLEAR:
            return
        for kind, heap in self._heaps.items():
            ticket = int(content_hash("attack", self._seed, kind, row.id), 16)
            entry = (-ticket, -row.ordinal, row)
            if len(heap) < self._pairs:
                heapq.heappush(heap, entry)
            elif entry[:2] > heap[0][:2]:
                heapq.heapreplace(heap, entry)

    def drawn(self) -> Iterator[tuple[str, ComparisonRow]]:
        """(kind, comparison) of all draws, in the order of the kinds and of the input."""
        for kind, heap in self._heaps.items():
            for _, _, row in sorted(heap, key=lambda entry: entry[2].ordinal):
                yield kind, row


def worse(human: float) -> int:
    """Which response is the worse one by people, 0 or 1."""
    return int(human > 0.5)
