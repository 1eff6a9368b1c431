"""What some jobs can do beside what every `job.Job` does; `run_job` asks which of it a job can."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from constitutional.engines.base import Engine
from constitutional.jobs.cost import CostEstimate
from constitutional.ledger import Ledger
from constitutional.records import Row


@runtime_checkable
class Growing(Protocol):
    """A job that knows only from its answers how many rows it needs."""

    def grow(self, ledger: Ledger) -> bool:
        """Called when the rows planned so far are done: whether `rows` gives more of them now."""
        ...


@runtime_checkable
class Costing(Protocol):
    """A job whose rows ask for the same as one another, so that their costs don't add up."""

    async def cost(self, ledger: Ledger, engine: Engine) -> CostEstimate:
        """What the rows that the ledger's plan would compute take, without time."""
        ...


@runtime_checkable
class Finishing(Protocol):
    """A job that makes more of its data, as figures."""

    def finish(self, out: Path, manifest: Row) -> None:
        """Called when the data have been published, while nobody else may write into `out`."""
        ...
