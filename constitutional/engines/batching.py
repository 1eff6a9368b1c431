"""Dynamic batching: callers await one answer each, one thread runs what is waiting as batches.

A caller that is cancelled doesn't disturb the batch it is in. A batch that fails is run again in halves, so
that one that needs too much memory shrinks until it fits, and a request that fails by itself fails alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, Protocol, TypeVar

from constitutional.errors import EngineDied, EngineError, RequestRefused

_GATHER_S = 0.005  # how long a batch with room waits for more: far less than any batch takes


class Wanted(Protocol):
    """What can be in a batch: something that can be told that nobody waits for it any more."""

    wanted: bool


R = TypeVar("R", bound=Wanted)
T = TypeVar("T")


class Batcher(Generic[R, T]):
    """Collects requests into batches.

    Args:
        run: runs a batch, in the thread of `executor`; one answer for each request. It may leave out the
        work for
            requests whose `wanted` turns false.
        joins: whether a request may join a batch that isn't empty.
        slots: the most requests in a batch.
        executor: an executor of one thread.
    """

    def __init__(
        self,
        run: Callable[[list[R]], list[T]],
        joins: Callable[[Sequence[R], R], bool],
        slots: int,
        executor: Executor,
    ) -> None:
        self._run, self._joins, self._slots, self._executor = run, joins, slots, executor
        self._waiting: deque[tuple[R, asyncio.Future[T]]] = deque()
        self._server: asyncio.Task[None] | None = None

    async def submit(self, request: R) -> T:
        """Wait for the answer to a request.

        Raises:
            RequestRefused: the request fails by itself.
            EngineDied: the device failed, or the batcher was closed.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        try:
            return await answer
        except asyncio.CancelledError:
            request.wanted = False
            raise

    async def close(self) -> None:
        """Stop after the current step; who still waits gets `EngineDied`."""
        server, self._server = self._server, None
        if server is not None:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    async def _serve(self) -> None:
        batch: list[tuple[R, asyncio.Future[T]]] = []
        try:
            while self._waiting:
                if len(self._waiting) < self._slots:
                    await asyncio.sleep(_GATHER_S)
                batch = self._take()
                if batch:
                    await self._answer(batch)
        finally:  # also when the task is cancelled: nobody may wait for ever
            for request, answer in [*batch, *self._waiting]:
                request.wanted = False
                _settle(answer, EngineDied("the engine was closed"))
            self._waiting.clear()

    def _take(self) -> list[tuple[R, asyncio.Future[T]]]:
        """The oldest request and, in order, those that may join it."""
        batch: list[tuple[R, asyncio.Future[T]]] = []
        left: deque[tuple[R, asyncio.Future[T]]] = deque()
        for request, answer in self._waiting:
            if answer.done():
                continue
            taken = [one for one, _ in batch]
            if not batch or (len(batch) < self._slots and self._joins(taken, request)):
                batch.append((request, answer))
            else:
                left.append((request, answer))
        self._waiting = left
        return batch

    async def _answer(self, batch: list[tuple[R, asyncio.Future[T]]]) -> None:
        requests = [request for request, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._executor, in_halves, self._run, requests)
        except Exception as error:
            for _, answer in batch:
                _settle(answer, error)
            return
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            _settle(answer, outcome)


def in_halves(run: Callable[[list[R]], list[T]], requests: list[R]) -> list[T | EngineError]:
    """Run a batch; where it fails, run its halves, down to single requests.

    Returns:
        For each request its answer, or `RequestRefused` where it fails by itself.

    Raises:
        EngineDied: the device itself is broken, and all that follows would fail too.
    """
    try:
        return list(run(requests))
    except (RuntimeError, MemoryError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if type(error).__name__ == "AcceleratorError" or reason.startswith("CUDA error"):
            raise EngineDied(f"the device failed: {reason}") from error
        if len(requests) == 1:
            return [RequestRefused(f"the model can't run this request: {reason}")]
    # Outside of the handler, whose traceback keeps the failed batch's tensors alive.
    half = len(requests) // 2
    return in_halves(run, requests[:half]) + in_halves(run, requests[half:])


def _settle(answer: asyncio.Future[T], outcome: T | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
