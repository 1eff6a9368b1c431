"""The engine as one row of a run sees it: remembered, scheduled, counted, and mended when it dies.

A stage awaits `generate` and `choose` of what looks like any other engine. Behind them, in this order: a generation
that the ledger remembers is answered at once, one that another row is just asking for when it is answered; otherwise the request
waits for a slot, is recorded as sent, goes to the real engine, and its answer is stored before the stage sees it. When the engine dies it is started again, and each request that
was in flight is then tried alone, so that the one that kills it is found; after three deaths the row has failed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any, TypeVar

from constitutional.assignment import draw_seed
from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import BadAnswer, EngineDied, EngineError
from constitutional.ledger import Ledger
from constitutional.records import Choice, Generation, Message, Row, Sampling
from constitutional.scheduler import Scheduler
from constitutional.supervisor import Supervisor

DEATHS_OF_A_ROW = 3  # tries of a row that keeps killing the engine

T = TypeVar("T", bound=Generation | Choice)


class KilledEngine(EngineError):
    """The engine died each time this row's request was sent."""

    reason = "killed_engine"


class NotRemembered(Exception):
    """A replay came to a generation that is still to be made. Never reaches a user."""


@dataclass(slots=True)
class Stats:
    """What this process has done in a run so far; a progress display reads it.

    Attributes:
        rows: finished rows by status.
        reasons: rows that are not ok, by reason.
        rounds: critique → revision rounds of finished rows.
        generated: generations that the engine made.
        recalled: generations answered from memory.
        prompt_tokens, completion_tokens, cached_tokens: of the generations made.
        restarts: how often the engine died and was started again.
        first_row_s: seconds from `started` to the first finished row.
    """

    rows: dict[str, int] = field(default_factory=lambda: {"ok": 0, "skipped": 0, "failed": 0})
    reasons: dict[str, int] = field(default_factory=dict)
    rounds: int = 0
    generated: int = 0
    recalled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    restarts: int = 0
    started: float = field(default_factory=monotonic)
    first_row_s: float | None = None

    def totals(self, before: Row) -> Row:
        """What a run has cost over all its processes: `before` and this one. Sums, but for the first row's time."""
        seconds = self.elapsed_s
        first = self.first_row_s
        known = before.get("first_row_seconds")
        if known is None and first is not None:
            known = round(before.get("seconds", 0.0) + first, 3)
        sums = {
            "seconds": round(seconds, 3),
            "generated": self.generated,
            "recalled": self.recalled,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "engine_restarts": self.restarts,
        }
        summed = {name: round(value + before.get(name, 0), 3) for name, value in sums.items()}
        return {"processes": before.get("processes", 0) + 1, **summed, "first_row_seconds": known}

    @property
    def finished(self) -> int:
        """Rows finished."""
        return sum(self.rows.values())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first request could be sent."""
        return monotonic() - self.started


class RequestKeys:
    """Keys of generations under one engine: hashes of all that determines them."""

    def __init__(self, identity: dict[str, str]) -> None:
        decisive = {name: value for name, value in identity.items() if name != "model"}  # a name for people
        self._base = blake2b(json.dumps(decisive, sort_keys=True).encode(), digest_size=16)

    def generation(self, messages: Sequence[Message], sampling: Sampling) -> str:
        """The key of one draw."""
        return self._key(
            "generate",
            messages,
            [
                sampling.temperature,
                sampling.top_p,
                sampling.top_k,
                sampling.max_tokens,
                sampling.stop,
                sampling.seed,
            ],
        )

    def choice(self, messages: Sequence[Message], options: Sequence[str], terminator: str | None) -> str:
        """The key of one scoring of options."""
        return self._key("choose", messages, [list(options), terminator])

    def _key(self, verb: str, messages: Sequence[Message], rest: object) -> str:
        digest = self._base.copy()
        digest.update(json.dumps([verb, [[m.role, m.content] for m in messages], rest]).encode())
        return digest.hexdigest()


@dataclass(slots=True)
class Shared:
    """What the rows of a run share.

    Attributes:
        totals: gives what the run has cost so far, to be stored with each answer; None where nobody keeps accounts.
        asked: the keys of the requests that are not answered yet.
    """

    engine: Engine
    ledger: Ledger
    keys: RequestKeys
    stats: Stats
    scheduler: Scheduler
    supervisor: Supervisor
    totals: Callable[[], Row | None] = lambda: None
    asked: dict[str, asyncio.Future[None]] = field(default_factory=dict)


class RowEngine:
    """An engine for one row; see the module's docstring. It satisfies `engines.base.Engine`.

    Args:
        shared: what the rows of the run share.
        kind: the row's kind.
        id: the row's id.
        steps: how many steps the row takes at most.
        deaths: how often a process died with this row in flight.

    Attributes:
        holds_start: whether the slot that the row was started with is still to be used or given back.
    """

    def __init__(self, shared: Shared, kind: str, id: str, steps: int, deaths: int = 0) -> None:
        self._shared, self._kind, self._id, self._steps = shared, kind, id, steps
        self._deaths = deaths
        self._suspect = deaths > 1  # one death of a whole process is most likely the user's doing
        self._depth = 0  # steps answered: requests that are asked at once are equally deep
        self._died_in = -1
        self._outstanding = 0
        self._joined = 0  # its requests that wait for an answer another row has asked for
        self._failures = {"own": 0, "joined": 0}
        self.holds_start = True
        self.identity = shared.engine.identity
        self.slots = shared.engine.slots
        self.context_length = shared.engine.context_length
        self.dies_with_us = shared.engine.dies_with_us

    @property
    def joined_failure(self) -> bool:
        """Whether nothing has failed but requests that another row has sent."""
        return self._failures["joined"] > 0 and not self._failures["own"]

    async def prepare(self) -> None:
        """The run has prepared the engine."""

    async def start(self) -> None:
        """The run has started the engine."""

    async def close(self) -> None:
        """The run closes the engine."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`; draws that are remembered are not generated again."""
        draws = [sampling.with_seed(draw_seed(sampling.seed, draw)) for draw in range(n)]
        if n == 1:
            return [await self._draw(messages, draws[0])]
        results = await asyncio.gather(
            *(self._draw(messages, draw) for draw in draws), return_exceptions=True
        )
        generations = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            generations.append(result)
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`; what is remembered is not scored again."""
        key = self._shared.keys.choice(messages, options, terminator)
        if (value := await self._known(key)) is not None:
            return Choice(tuple(value[0]), value[1], value[2])

        async def ask() -> Choice:
            return await self._shared.engine.choose(messages, options, terminator)

        return await self._once(key, ask, lambda c: [c.logprobs, c.other_logprob, c.prompt_tokens])

    async def _known(self, key: str) -> list[Any] | None:
        """What is remembered under a key, or will be when somebody else's same request is answered; None: it is to be asked."""
        shared = self._shared
        while (value := shared.ledger.recall(key)) is None:
            if (answered := shared.asked.get(key)) is None:
                return None
            if self.holds_start:  # it needs no slot to wait, and who asks may wait for just this one
                self.holds_start = False
                shared.scheduler.skip()
            await self._join(answered)
        shared.stats.recalled += 1
        self._depth += 1
        return value

    async def _join(self, answered: asyncio.Future[None]) -> None:
        """Wait for an answer that another row has asked for; it fails as the request does."""
        self._joined += 1
        if self._joined == 1:
            self._shared.scheduler.park()
        try:
            await asyncio.shield(answered)
        except Exception:
            self._failures["joined"] += 1
            raise
        finally:
            self._joined -= 1
            if not self._joined:
                self._shared.scheduler.unpark()

    async def _once(self, key: str, ask: Callable[[], Awaitable[T]], kept: Callable[[T], list[Any]]) -> T:
        """Send a request whose answer is not known; whoever needs the same answer meanwhile waits for it."""
        answered = self._shared.asked[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(ask, lambda answer: (key, kept(answer)))
        except Exception as error:
            self._failures["own"] += 1
            answered.set_exception(error)
            answered.exception()  # nobody may be waiting to retrieve it
            raise
        finally:
            del self._shared.asked[key]
            if not answered.done():  # answered, or given up here: then the next one asks
                answered.set_result(None)

    async def _draw(self, messages: Sequence[Message], sampling: Sampling) -> Generation:
        key = self._shared.keys.generation(messages, sampling)
        if (value := await self._known(key)) is not None:
            text, finish_reason, prompt_tokens, completion_tokens, escaped = value
            return Generation(text, finish_reason, prompt_tokens, completion_tokens, 0, escaped)

        async def ask() -> Generation:
            got = (await self._shared.engine.generate(messages, sampling))[0]
            try:
                got.text.encode()
            except UnicodeEncodeError as error:
                raise BadAnswer(f"the text is not valid Unicode: {error}") from error
            return got

        return await self._once(
            key,
            ask,
            lambda g: [g.text, g.finish_reason, g.prompt_tokens, g.completion_tokens, g.escaped],
        )

    def _count(self, answer: Generation | Choice) -> None:
        self._depth += 1
        stats = self._shared.stats
        stats.generated += 1
        stats.prompt_tokens += answer.prompt_tokens
        stats.cached_tokens += answer.cached_tokens
        if isinstance(answer, Generation):
            stats.completion_tokens += answer.completion_tokens

    async def _ask(self, ask: Callable[[], Awaitable[T]], remember: Callable[[T], tuple[str, Any]]) -> T:
        """Send one request under a slot, again after each death of the engine, and store its answer."""
        shared = self._shared
        depth = self._depth
        left = max(1, self._steps - depth)
        cause: EngineError | None = None
        while True:
            if self._deaths >= DEATHS_OF_A_ROW:
                why = f" ({cause})" if cause else ""
                raise KilledEngine(f"the engine died {self._deaths} times with this row in flight{why}")
            alone = self._suspect
            first, self.holds_start = self.holds_start, False
            await shared.scheduler.acquire(depth, left, first=first, alone=alone)
            try:
                life = await shared.supervisor.alive()
                self._outstanding += 1
                shared.ledger.sent(self._kind, self._id)
                kept: list[tuple[str, Any]] = []
                try:
                    answer = await ask()
                    kept.append(remember(answer))
                    self._count(answer)
                    return answer
                finally:
                    self._outstanding -= 1
                    if kept or not self._outstanding:
                        more = self._outstanding > 0
                        totals = shared.totals() if kept else None
                        shared.ledger.answered(self._kind, self._id, kept, more_in_flight=more, totals=totals)
                    if kept:
                        shared.supervisor.deaths_in_a_row = 0
                        self._forgive()
            except EngineDied as error:
                if shared.supervisor.fatal:
                    raise
                self._deaths += life > self._died_in  # requests of the row that die together are one death
                self._died_in = max(life, self._died_in)
                self._suspect = True
                cause = error
            finally:
                shared.scheduler.release(alone=alone)
            await shared.supervisor.revive(life, cause)

    def _forgive(self) -> None:
        if self._deaths and self._shared.engine.dies_with_us:
            self._shared.ledger.forgive(self._kind, self._id)
        self._deaths, self._suspect = 0, False


class Replay:
    """An engine that only remembers: it shows how far a row gets without a new generation.

    Attributes:
        recalled: how many generations were remembered before the first that was not.
    """

    def __init__(self, engine: Engine | EngineFacts, ledger: Ledger) -> None:
        self._ledger, self._keys = ledger, RequestKeys(engine.identity)
        self.recalled = 0
        self.identity = engine.identity
        self.slots = engine.slots
        self.context_length = engine.context_length
        self.dies_with_us = False

    async def prepare(self) -> None:
        """Nothing to find out."""

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """The remembered draws.

        Raises:
            NotRemembered: one of them is still to be made.
        """
        generations = []
        for draw in range(n):
            key = self._keys.generation(messages, sampling.with_seed(draw_seed(sampling.seed, draw)))
            text, finish_reason, prompt_tokens, completion_tokens, escaped = self._recall(key)
            generations.append(Generation(text, finish_reason, prompt_tokens, completion_tokens, 0, escaped))
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """The remembered scores.

        Raises:
            NotRemembered: they are still to be asked for.
        """
        value = self._recall(self._keys.choice(messages, options, terminator))
        return Choice(tuple(value[0]), value[1], value[2])

    def _recall(self, key: str) -> list[Any]:
        value = self._ledger.recall(key)
        if value is None:
            raise NotRemembered
        self.recalled += 1
        return value
