"""The engine as the workbench uses it: started at the first request that nobody has answered yet, asked nothing twice.

Between two saves of a file almost everything that a trial asks stays the same. `RememberingEngine` answers that from a ledger,
under the same keys as a run does; the ledger in the user's cache outlives the command, so that a trial that asks
nothing new loads no model at all. A request that was sent for a trial that is no longer wanted stays in flight for a
moment: where the next trial asks it again, it is joined rather than sent anew.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from constitutional.engines.base import Engine
from constitutional.errors import ConfigError, DamagedError, EngineDied, EngineError
from constitutional.ledger import Ledger
from constitutional.records import Choice, Generation, Message, Row, Sampling
from constitutional.remembering import RequestKeys, RowEngine, Shared, Stats
from constitutional.scheduler import Scheduler
from constitutional.supervisor import Supervisor

MOST_BYTES = 256 << 20
"""A ledger in the cache that has grown larger than this is emptied when it is opened next."""
GRACE_S = 0.5
"""For so long a request goes on that nobody waits for any more."""
_KIND = "try"

_T = TypeVar("_T")
Say = Callable[[str], object]


def _nobody(sentence: str) -> None:
    """For those who need not be told."""


_Request = tuple[tuple[Message, ...], Sampling, int]


class RememberingEngine:
    """An engine that remembers; satisfies `engines.base.Engine`.

    Args:
        engine: where everything new is generated; neither prepared nor started yet.
        ledger: where it is remembered; see `open_memory`.
        starting: what to hold open while the engine is being started, as a display.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        *,
        starting: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._engine, self._ledger, self._stats = _OnDemand(engine, starting), ledger, Stats()
        self._shared: Shared | None = None
        self._numbers = itertools.count()
        self.identity, self.slots = engine.identity, engine.slots
        self.context_length, self.dies_with_us = engine.context_length, engine.dies_with_us

    @property
    def made(self) -> int:
        """Generations that the engine has made so far."""
        return self._engine.made

    @property
    def remembered(self) -> int:
        """Generations that were answered without it."""
        return self._stats.recalled + self._stats.generated - self._engine.made

    @property
    def gone(self) -> bool:
        """Whether the engine died and did not come up again."""
        return self._shared is not None and self._shared.supervisor.fatal is not None

    async def prepare(self) -> None:
        """See `Engine.prepare`."""
        if self._shared is not None:
            return
        engine = self._engine
        await engine.prepare()
        self.identity, self.slots, self.context_length = engine.identity, engine.slots, engine.context_length
        # There are no rows waiting to be started: the scheduler only keeps to the engine's slots.
        scheduler = Scheduler(max(1, engine.slots), 0, 1, lambda: None)
        supervisor = Supervisor(engine, self._stats)
        keys = RequestKeys(engine.identity)
        self._shared = Shared(engine, self._ledger, keys, self._stats, scheduler, supervisor)

    async def start(self) -> None:
        """The engine is started by the first request that needs it."""
        await self.prepare()

    async def close(self) -> None:
        """Close the engine, if it was ever started, and the ledger."""
        await self._engine.drop_all()
        await self._engine.close()
        self._ledger.close()

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`; draws that are remembered are not generated again."""
        return await (await self._row()).generate(messages, sampling, n)

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`; what is remembered is not scored again."""
        return await (await self._row()).choose(messages, options, terminator)

    async def _row(self) -> RowEngine:
        """An engine for one request, under a name of its own, since other processes use the same ledger."""
        await self.prepare()
        assert self._shared is not None
        row = RowEngine(self._shared, _KIND, f"{os.getpid()}:{next(self._numbers)}", steps=1)
        row.holds_start = False
        return row


class Memory(Ledger):
    """A ledger that is only of use, never needed: one that is found damaged, whenever, is moved aside and begun anew.

    Args:
        path: the file, made where there is none.
        fresh: recall only what was stored through this object, which so replaces what the file held before.
        say: takes a sentence for the user where it had to be begun anew.
    """

    def __init__(self, path: Path, *, fresh: bool = False, say: Say = _nobody) -> None:
        self._own: set[str] | None = set() if fresh else None
        self._say = say
        try:
            super().__init__(path)
        except DamagedError as error:
            self._begin_anew(error)

    def recall(self, key: str) -> list[Any] | None:
        """See `Ledger.recall`."""
        if self._own is not None and key not in self._own:
            return None
        return self._mending(lambda: super(Memory, self).recall(key))

    def sent(self, kind: str, id: str) -> None:
        """See `Ledger.sent`."""
        self._mending(lambda: super(Memory, self).sent(kind, id))

    def answered(
        self,
        kind: str,
        id: str,
        remember: Sequence[tuple[str, object]] = (),
        *,
        more_in_flight: bool = False,
        totals: Row | None = None,
    ) -> None:
        """See `Ledger.answered`."""
        self._mending(
            lambda: super(Memory, self).answered(
                kind, id, remember, more_in_flight=more_in_flight, totals=totals
            )
        )
        if self._own is not None:
            self._own.update(key for key, _ in remember)

    def forget_generations(self) -> None:
        """See `Ledger.forget_generations`."""
        self._mending(super().forget_generations)

    def _mending(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except DamagedError as error:
            self._begin_anew(error)
            return work()

    def _begin_anew(self, error: DamagedError) -> None:
        self.close()
        aside = self.path.with_name(f"{self.path.name}.damaged")
        try:
            for end in ("", "-wal", "-shm"):  # what SQLite would take for the new file's own
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{end}").replace(f"{aside}{end}")
            _make(self.path)
        except OSError as why:
            raise ConfigError(f"{self.path} is damaged and can't be moved aside: {why.strerror}") from why
        super().__init__(self.path)
        self._say(
            f"what was remembered is damaged ({error.__cause__}), so it is begun anew; the file is now {aside}"
        )


def open_memory(path: Path | None, *, fresh: bool = False, say: Say = _nobody) -> Ledger:
    """Open the ledger that generations are remembered in.

    Args:
        path: a file, made where there is none; any number of processes may use it. None remembers for as long as the
            process lives.
        fresh: don't recall what it holds already; what is generated anew replaces it.
        say: takes a sentence for the user where the file is damaged, or can't be used: then the ledger is one in memory.
    """
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
            ledger = Memory(path, fresh=fresh, say=say)
            if path.stat().st_size > MOST_BYTES:
                ledger.forget_generations()
            return ledger
        except (OSError, ConfigError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            say(f"what is generated now will not be remembered in {path}: {reason}")
    return Ledger(Path(":memory:"))


def _make(path: Path) -> None:
    """Make a file where there is none."""
    path.touch(mode=0o600)  # what was generated is for the user's eyes


class _OnDemand:
    """An engine that starts when it is first asked, and is asked the same thing once by all who wait for it."""

    def __init__(self, engine: Engine, starting: Callable[[], AbstractContextManager[object]]) -> None:
        self.made = 0
        self._engine, self._starting = engine, starting
        self._flights: dict[_Request, _Flight] = {}
        self._start: asyncio.Task[None] | None = None
        self._up = False
        self._copy()

    def _copy(self) -> None:
        engine = self._engine
        self.identity, self.slots = engine.identity, engine.slots
        self.context_length, self.dies_with_us = engine.context_length, engine.dies_with_us

    async def prepare(self) -> None:
        await self._engine.prepare()
        self._copy()

    async def start(self) -> None:
        """Start it, once for all who ask; who gives up waiting does not stop it, since loading can't be stopped."""
        if self._up:
            return
        if self._start is None or self._start.done():
            self._start = asyncio.create_task(self._start_now())
        await asyncio.shield(self._start)

    async def _start_now(self) -> None:
        with self._starting():
            await self._engine.start()
        self._up = True
        self._copy()

    async def close(self) -> None:
        if self._start is not None and not self._start.done():
            await asyncio.wait({self._start})
        self._up = False
        await self._engine.close()

    async def drop_all(self) -> None:
        """Cancel the requests that nobody waits for any more."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.task.cancel()
        await asyncio.gather(*(flight.task for flight in flights), return_exceptions=True)

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        key = (tuple(messages), sampling, n)
        flight = self._flights.get(key)
        if flight is None:
            task = asyncio.create_task(self._send(messages, sampling, n))
            flight = self._flights[key] = _Flight(task, lambda: self._flights.pop(key, None))
        generations = await flight.join()
        if not flight.counted:
            flight.counted = True
            self.made += n
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        await self._ready()
        choice = await self._engine.choose(messages, options, terminator)
        self.made += 1
        return choice

    async def _send(self, messages: Sequence[Message], sampling: Sampling, n: int) -> list[Generation]:
        await self._ready()
        return await self._engine.generate(messages, sampling, n)

    async def _ready(self) -> None:
        try:
            await self.start()
        except EngineDied as error:  # it never came up, so that another try would only take as long to fail
            raise EngineError(str(error)) from error


class _Flight:
    """A request in flight, and how many wait for its answer."""

    def __init__(self, task: asyncio.Task[list[Generation]], forget: Callable[[], object]) -> None:
        self.task, self.waiting, self.counted = task, 0, False
        self._forget = forget
        self._over = False
        task.add_done_callback(lambda _: self._end())

    async def join(self) -> list[Generation]:
        self.waiting += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self.waiting -= 1
            if not self.waiting and not self.task.done():
                asyncio.get_running_loop().call_later(GRACE_S, self._drop)

    def _drop(self) -> None:
        if not self.waiting and not self.task.done():
            self._end()
            self.task.cancel()

    def _end(self) -> None:
        """Nobody can join any more: what asks the same from now on is another request."""
        if not self._over:
            self._over = True
            self._forget()
