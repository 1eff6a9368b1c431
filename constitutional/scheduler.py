"""Which request goes next: depth first, the tail together.

An engine has a number of slots. While more than twice as many chains are unstarted as there are slots, the deepest
ready step goes first: its prefix is still warm in the engine's cache, finished rows come early, and only about as many
chains are open as there are slots. For the last chains the one with most steps left goes first, starting included, so
that the engine does not run dry while a few long chains finish alone. Only the chain that is furthest keeps going before all
others until one has ended, so that the first row comes early in small runs too.

There is no barrier anywhere. After an answer the next choice is made a few turns of the event loop later, so that the
chain that has just been answered can put its next request on the table first.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

_TURNS_TO_WAIT = (
    6  # turns of the event loop from an answer to the answered chain's next request, with some to spare
)

PARKED = 16  # chains a slot that wait for what another asks for, without a slot; with more none is started


@dataclass(order=True, slots=True)
class Waiting:
    """A request that waits for a slot; the one with the smallest rank goes first."""

    rank: tuple[int, ...]
    depth: int = field(compare=False)
    left: int = field(compare=False)
    arrival: int = field(compare=False)
    ready: asyncio.Future[None] = field(compare=False)


class Scheduler:
    """Grants the engine's slots to requests, and to chains that have not started.

    Args:
        slots: how many requests may be in flight.
        unstarted: how many chains there are to start.
        steps: how many steps a chain has.
        start: called to start the next one, which then asks for its slot with `acquire` or gives it back with `skip`.
    """

    def __init__(self, slots: int, unstarted: int, steps: int, start: Callable[[], None]) -> None:
        self.slots, self.unstarted, self.steps = slots, unstarted, steps
        self.in_flight = 0
        self.tail = False
        self._start = start
        self._parked = 0
        self._granted_starts = 0  # slots held for chains that were started and have not asked yet
        self._waiting: list[Waiting] = []
        self._alone: list[Waiting] = []
        self._alone_in_flight = False
        self._arrivals = 0
        self._dispatch_due = False
        self._stopped = False
        self._any_ended = False
        self._deepest = 0

    def rank(self, waiting: Waiting) -> tuple[int, ...]:
        """What a waiting request is ordered by: depth first, and in the tail by most steps left."""
        return (-waiting.left if self.tail else -waiting.depth, waiting.arrival)

    def starts_before(self, waiting: Waiting) -> bool:
        """Whether starting a chain goes before the first of the waiting requests."""
        return self.tail and waiting.left < self.steps

    def held_back(self, waiting: Waiting) -> bool:
        """Whether even the first of the waiting requests has to wait although a slot is free: never."""
        return False

    def begin(self) -> None:
        """Start the first chains."""
        self._dispatch()

    def stop(self) -> None:
        """Grant nothing more; requests that wait are cancelled."""
        self._stopped = True
        for waiting in self._waiting + self._alone:
            waiting.ready.cancel()
        self._waiting, self._alone = [], []

    async def acquire(self, depth: int, left: int, *, first: bool, alone: bool = False) -> None:
        """Wait for a slot.

        Args:
            depth: how many steps of the chain are done.
            left: how many it still has to take, this one included (an upper bound where it may stop early).
            first: whether this is the first request of a chain that the scheduler started: it holds its slot already.
            alone: wait until nothing else is in flight, and keep everything else out.

        Raises:
            asyncio.CancelledError: the scheduler was stopped.
        """
        if first:
            self._granted_starts -= 1
            if not alone and not self._stopped:
                self.in_flight += 1
                return
        self._arrivals += 1
        ready = asyncio.get_running_loop().create_future()
        waiting = Waiting((), depth, left, self._arrivals, ready)
        waiting.rank = self.rank(waiting)
        heapq.heappush(self._alone if alone else self._waiting, waiting)
        if self._stopped:
            ready.cancel()
        self._dispatch_soon()
        try:
            await ready
        except asyncio.CancelledError:
            if not ready.cancelled():  # granted and cancelled in the same turn
                self.release(alone=alone)
            raise

    def release(self, *, alone: bool = False) -> None:
        """Give a slot back."""
        self.in_flight -= 1
        if alone:
            self._alone_in_flight = False
        self._dispatch_soon()

    def ended(self) -> None:
        """A chain has ended: from the first one on, none has to lead."""
        self._any_ended = True

    def skip(self) -> None:
        """Give back the slot of a chain that was started and has needed none."""
        self._granted_starts -= 1
        self._dispatch_soon()

    def park(self) -> None:
        """A chain waits for what another has asked for. It needs no slot, but with many of these none is started."""
        self._parked += 1

    def unpark(self) -> None:
        """A chain that was parked goes on."""
        self._parked -= 1
        self._dispatch_soon()

    def _dispatch_soon(self) -> None:
        if self._dispatch_due or self._stopped:
            return
        self._dispatch_due = True
        loop = asyncio.get_running_loop()

        def later(turns: int) -> None:
            if turns:
                loop.call_soon(later, turns - 1)
            else:
                self._dispatch_due = False
                self._dispatch()

        loop.call_soon(later, _TURNS_TO_WAIT)

    def _dispatch(self) -> None:
        if self._stopped or self._alone_in_flight:
            return
        self._alone = [waiting for waiting in self._alone if not waiting.ready.cancelled()]
        if self._alone:
            if self.in_flight == 0 and self._granted_starts == 0:
                self._alone_in_flight = True
                self._grant(self._alone.pop(0))
            return
        while self.in_flight + self._granted_starts < self.slots:
            if not self.tail and self.unstarted <= 2 * self.slots:
                self.tail = True
                for waiting in self._waiting:
                    waiting.rank = self.rank(waiting)
                heapq.heapify(self._waiting)
            while self._waiting and self._waiting[0].ready.cancelled():
                heapq.heappop(self._waiting)
            if self.tail and self._grant_to_leader():
                continue
            startable = self.unstarted and self._parked < PARKED * self.slots
            if startable and (not self._waiting or self.starts_before(self._waiting[0])):
                self.unstarted -= 1
                self._granted_starts += 1
                self._start()
            elif self._waiting and not self.held_back(self._waiting[0]):
                self._grant(heapq.heappop(self._waiting))
            else:
                return

    def _grant_to_leader(self) -> bool:
        """In the tail, until a chain has ended, one that is further than any was goes first: so a first row comes early."""
        if self._any_ended or not self._waiting:
            return False
        leader = max(self._waiting, key=lambda waiting: waiting.depth)
        if leader.depth <= self._deepest or leader.ready.cancelled():
            return False
        self._waiting.remove(leader)
        heapq.heapify(self._waiting)
        self._grant(leader)
        return True

    def _grant(self, waiting: Waiting) -> None:
        self.in_flight += 1
        self._deepest = max(self._deepest, waiting.depth)
        waiting.ready.set_result(None)
