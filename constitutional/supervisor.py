"""Who starts a dead engine again: once for all rows that noticed, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from constitutional.engines.base import Engine
from constitutional.errors import EngineDied, EngineError

if TYPE_CHECKING:
    from constitutional.remembering import Stats

DEATHS_IN_A_ROW = 12  # deaths of the engine without one answer between them, then it is given up
_STARTS = 3


class Supervisor:
    """Starts a dead engine again, once for all who noticed."""

    def __init__(self, engine: Engine, stats: Stats) -> None:
        self.engine, self.stats = engine, stats
        self.lives = 0
        self.deaths_in_a_row = 0
        self.fatal: EngineError | None = None
        self._mending = asyncio.Lock()

    async def revive(self, life: int, cause: EngineError) -> None:
        """Make sure that a life later than `life` has begun.

        Raises:
            EngineDied: it keeps dying, or does not come up.
        """
        async with self._mending:
            if self.fatal:
                raise self.fatal
            if self.lives > life:
                return
            self.deaths_in_a_row += 1
            if self.deaths_in_a_row > DEATHS_IN_A_ROW:
                self.fatal = EngineDied(
                    f"the engine died {self.deaths_in_a_row} times without one answer between ({cause}); "
                    "what is finished is kept, and the same command goes on from there"
                )
                raise self.fatal
            await self._start_again()
            self.lives += 1
            self.stats.restarts += 1

    async def alive(self) -> int:
        """Wait while the engine is being started again; the number of its life."""
        if self._mending.locked():
            async with self._mending:
                pass
        if self.fatal:
            raise self.fatal
        return self.lives

    async def _start_again(self) -> None:
        for attempt in range(_STARTS):
            try:
                await self.engine.close()
                await self.engine.start()
                return
            except EngineDied as error:
                if attempt + 1 == _STARTS:
                    self.fatal = EngineDied(
                        f"the engine did not come up again after {_STARTS} tries: {error}"
                    )
                    raise self.fatal from error
                await asyncio.sleep(2.0**attempt)
