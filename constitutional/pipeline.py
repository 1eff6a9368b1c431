"""Items → stage → ledger: runs the rows of a plan through a stage until each has ended as ok, skipped or failed.

The pipeline knows nothing of what a stage does; a stage knows nothing of files, batching, retries or resume. Rows are
read from the ledger a page at a time, and only about as many are open as the engine has slots (three times as many in
the tail; besides, up to `scheduler.PARKED` times as many that wait for an answer another row has asked for), so memory
does not grow with the data set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import EngineError, EngineUnavailable, RequestTooLong, TemplateError
from constitutional.first_rows import FirstRows
from constitutional.ledger import Ledger
from constitutional.records import Outcome, Row
from constitutional.remembering import (
    NotRemembered,
    Replay,
    RequestKeys,
    RowEngine,
    Shared,
    Stats,
)
from constitutional.scheduler import Scheduler
from constitutional.supervisor import Supervisor

_TEMPLATE_ERRORS = 10  # inputs that a template fails on before it is the template that is wrong
_SAVE_EVERY_S = 5.0  # of totals, which are besides stored with each generation


@dataclass(frozen=True, slots=True)
class Work:
    """What to do with the rows of one kind.

    Attributes:
        run: the stage, as a function of one row's id and input, and an engine.
        steps: how many engine calls it makes one after another, at most.
        generations: how many generations a row with this input needs, at most; None is one a step.
        ways_out: what the user is to do where the first rows all fail for one of these reasons; see `FirstRows`.
    """

    run: Callable[[str, Row, Engine], Awaitable[Outcome]]
    steps: int
    generations: Callable[[Row], int] | None = None
    ways_out: Mapping[str, str] = field(default_factory=dict)


class Pipeline:
    """One run of some work over the rows to do of a ledger.

    Args:
        ledger: holds the rows; its plan has been applied.
        engine: prepared and started.
        work: what to do with each kind of row.
        slots: how many requests to keep in flight; None is the engine's own number.
        scheduler: the class that orders them; benchmarks compare others.

    Attributes:
        stats: what has been done so far.
        to_do: rows to do at the start.
        needed: engine calls that these take, at most.
        interrupted: whether `stop` ended the run, even if nothing was left to do by then.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        work: Mapping[str, Work],
        *,
        slots: int | None = None,
        scheduler: type[Scheduler] = Scheduler,
    ) -> None:
        self.stats = Stats()
        self._before: Row = ledger.read_meta("totals") or {}
        self.to_do = ledger.count_to_do()
        self.steps = max(w.steps for w in work.values())
        counts = ((work[kind], n) for (kind, status, _), n in ledger.counts().items() if status is None)
        self.needed = sum(n * (self.steps if one.generations else one.steps) for one, n in counts)
        self._ledger, self._engine, self._work = ledger, engine, work
        self._first_rows = FirstRows(ledger, {kind: one.ways_out for kind, one in work.items()})
        self._slots, self._scheduler_class = max(1, slots or engine.slots), scheduler
        self._saved = monotonic()
        self._scheduler: Scheduler | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None
        # inputs and not rows: the rows of one input share requests, and fail together
        self._transient_in_a_row: set[str] = set()
        self._template_errors: set[str] = set()
        self._stopping = False
        self.interrupted = False

    async def run(self) -> Stats:
        """Work until no row is to do, or `stop` is called.

        Returns:
            What was done; `stopped` tells whether rows are left.

        Raises:
            EngineError: the engine is gone for good, or a server stopped answering.
            ConfigError: the first rows have all failed, and what is to be done is known.
        """
        rows = self._ledger.to_do()
        deaths = self._ledger.count_deaths() if self._engine.dies_with_us else {}
        supervisor = Supervisor(self._engine, self.stats)
        self._scheduler = self._scheduler_class(
            self._slots, self.to_do, self.steps, lambda: self._start(shared, rows, deaths)
        )
        keys = RequestKeys(self._engine.identity)
        shared = Shared(
            self._engine, self._ledger, keys, self.stats, self._scheduler, supervisor, self._totals
        )
        self.stats.started = monotonic()
        if self.to_do:
            self._scheduler.begin()
        try:
            while self._tasks or (self._scheduler.unstarted and not self._stopping):
                if self._failure:
                    break
                self._wake.clear()
                await self._wake.wait()
            self.interrupted = self._stopping
            if self._failure:
                raise self._failure
        finally:
            self.stop()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._first_rows.release()
            if self.stats.finished or self.stats.generated:
                self.save_totals()
        return self.stats

    def save_totals(self) -> None:
        """Store what the run has cost so far, over all processes that worked on it."""
        self._saved = monotonic()
        self._ledger.write_meta("totals", self._totals())

    def _totals(self) -> Row:
        return self.stats.totals(self._before)

    @property
    def stopped(self) -> bool:
        """Whether rows are left to do."""
        return self.stats.finished < self.to_do

    @property
    def in_flight(self) -> int:
        """How many requests are with the engine."""
        return self._scheduler.in_flight if self._scheduler else 0

    def stop(self) -> None:
        """Send nothing more. `run` returns when what is in flight has been answered and stored."""
        self._stopping = True
        if self._scheduler:
            self._scheduler.stop()
        self._wake.set()

    def abort(self) -> None:
        """Don't wait for what is in flight either."""
        self.stop()
        for task in self._tasks:
            task.cancel()

    def _start(
        self, shared: Shared, rows: Iterator[tuple[str, str, Row]], deaths: dict[tuple[str, str], int]
    ) -> None:
        try:
            kind, id, input = next(rows)
            work = self._work[kind]
        except BaseException as error:  # this runs in a callback of the loop, which would only log it
            self._failure = self._failure or error
            self._wake.set()
            return
        engine = RowEngine(shared, kind, id, work.steps, deaths.get((kind, id), 0))
        task = asyncio.get_running_loop().create_task(self._run_row(kind, id, input, engine, shared))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failure:
            self._failure = error
        self._wake.set()

    async def _run_row(self, kind: str, id: str, input: Row, engine: RowEngine, shared: Shared) -> None:
        try:
            outcome = await self._work[kind].run(id, input, engine)
        except RequestTooLong as error:
            outcome = Outcome("skipped", error.reason, detail=str(error))
        except EngineError as error:
            if shared.supervisor.fatal:
                raise
            outcome = Outcome("failed", error.reason, transient=error.transient, detail=str(error))
        except TemplateError as error:
            self._template_errors.add(id)
            if len(self._template_errors) >= _TEMPLATE_ERRORS:
                raise
            outcome = Outcome("failed", "template_error", detail=str(error))
        finally:
            if engine.holds_start:
                shared.scheduler.skip()
        self._first_rows.finish(kind, id, outcome, joined=engine.joined_failure)
        shared.scheduler.ended()
        self._count(id, outcome, joined=engine.joined_failure)

    def _count(self, id: str, outcome: Outcome, *, joined: bool) -> None:
        stats = self.stats
        stats.rows[outcome.status] += 1
        stats.rounds += len(outcome.result.get("rounds", ()))
        if outcome.reason and outcome.status != "ok":
            stats.reasons[outcome.reason] = stats.reasons.get(outcome.reason, 0) + 1
        if stats.first_row_s is None:
            stats.first_row_s = stats.elapsed_s
        if monotonic() - self._saved > _SAVE_EVERY_S:
            self.save_totals()
        if not outcome.transient:
            self._transient_in_a_row.clear()
        elif not joined:
            self._transient_in_a_row.add(id)
        if len(self._transient_in_a_row) >= max(10, 2 * self._slots):
            raise EngineUnavailable(
                f"{len(self._transient_in_a_row)} inputs in a row failed for want of an answer ({outcome.detail}); "
                "what is finished is kept, and the same command goes on from there"
            )


async def count_remembered(
    ledger: Ledger,
    engine: Engine | EngineFacts,
    work: Mapping[str, Work],
    rows: Iterable[tuple[str, str, Row]] | None = None,
) -> tuple[int, int]:
    """How many generations some rows need, and how many of them are remembered.

    Each row is run against the ledger alone, until it asks for something that is not there.

    Args:
        ledger: holds the generations.
        engine: whose generations they are; it is not asked.
        work: what to do with each kind of row.
        rows: their (kind, id, input); None is all that the ledger's plan would compute.

    Returns:
        (generations needed, an upper bound where chains may stop early; generations remembered)
    """
    needed = remembered = 0
    for number, (kind, id, input) in enumerate(ledger.planned() if rows is None else rows):
        replay = Replay(engine, ledger)
        try:
            await work[kind].run(id, input, replay)
            needed += replay.recalled
        except NotRemembered:
            count = work[kind].generations
            needed += count(input) if count else work[kind].steps
        except (EngineError, TemplateError):  # the row fails there, and needs nothing more
            needed += replay.recalled
        remembered += replay.recalled
        if number % 100 == 0:
            await asyncio.sleep(0)
    return needed, remembered
