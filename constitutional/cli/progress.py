"""How a job goes, on a terminal or as JSON lines, on standard error; and what Ctrl-C does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from constitutional.cli.spinner import Spinner
from constitutional.cli.text import duration, inert, json_text
from constitutional.engines.base import Engine, Logged
from constitutional.jobs.cost import CostEstimate
from constitutional.jobs.refusals import loss_line
from constitutional.ledger import PlanCounts
from constitutional.numbers import counted
from constitutional.pipeline import Pipeline
from constitutional.remembering import Stats

_EVERY_S = 10.0  # between JSON lines


def plan_line(plan: PlanCounts) -> str:
    """`1,903 rows kept, 97 to do` and whatever else there is to say."""
    parts = [f"{counted(plan.kept, 'row')} kept", f"{plan.to_do:,} to do"]
    parts += [f"{plan.stale:,} of them stale"] if plan.stale else []
    parts += [f"{plan.retried:,} tried again"] if plan.retried else []
    parts += [counted(plan.bad, "bad input")] if plan.bad else []
    parts += [f"{plan.dropped:,} no longer in the input"] if plan.dropped else []
    return ", ".join(parts)


def estimate_line(estimate: CostEstimate, *, at_most: bool = False) -> str:
    """What the plan would cost; `at_most` says that it may cost less."""
    line = "at most " if at_most and estimate.missing else ""
    line += f"{counted(estimate.missing, 'generation')} to make ({estimate.remembered:,} more are remembered)"
    if not estimate.missing or estimate.prompt_tokens is None:
        return line
    made, known = estimate.completion_tokens, estimate.seconds is not None
    generated = f" and {'' if known else 'at most '}{made:,} generated" if made else ""
    # without a rate of the run's own, answers that are asked about again are guessed at their full length
    line += f": {'at most ' if made and not known else ''}about {estimate.prompt_tokens:,} prompt{generated} tokens"
    if estimate.seconds is None:
        return f"{line}; how long that takes is known once this run has generated something"
    return f"{line}, {duration(estimate.seconds)} at the last run's rate"


class Display:
    """Watches a job; see `job.Watcher`. Use it as a context manager.

    Args:
        stream: where to write; a terminal gets a live display, anything else JSON lines.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        stream = stream or sys.stderr
        try:  # a descriptor of our own: engines redirect the process's while they load
            self._stream: IO[str] = os.fdopen(
                os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace"
            )
        except (OSError, ValueError, AttributeError):
            self._stream = stream
        self.live = stream.isatty()
        self.console = Console(
            file=self._stream,
            force_terminal=self.live or None,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=not self.live,
        )
        self._progress: Progress | None = None
        self._task: asyncio.Task[None] | None = None
        self._status: Spinner | None = None
        self._interrupts = 0
        self._pipeline: Pipeline | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def planned(self, plan: PlanCounts, estimate: CostEstimate | None) -> None:
        """See `Watcher`."""
        if self.live:
            if estimate:  # of a dry run, whose plan is what the command prints
                return
            self.console.print(plan_line(plan))
            if loss := loss_line(plan):
                self.console.print(f"warning: {loss}", style="bold")
            return
        fields: dict[str, object] = {
            name: getattr(plan, name) for name in ("kept", "to_do", "stale", "retried", "bad", "dropped")
        }
        if estimate:
            fields |= {"generations_to_make": estimate.missing, "generations_remembered": estimate.remembered}
            fields |= {
                name: getattr(estimate, name)
                for name in ("prompt_tokens", "completion_tokens", "seconds")
                if getattr(estimate, name) is not None
            }
        if loss := loss_line(plan):
            fields |= {"lost": sum(plan.lost.values()), "warning": loss}
        self.line("plan", message=plan_line(plan), **fields)

    def loading(self, engine: Engine) -> None:
        """See `Watcher`."""
        what = f"loading {engine.identity['model']} into {engine.identity['engine']}"
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(
                number, self._leave
            )  # nothing is in flight yet, and a loading library can't be stopped
        if engine.identity["engine"] == "none":
            return
        log = engine.log if isinstance(engine, Logged) else None
        if self.live:
            self._status = Spinner(
                self.console, inert(f"{what} …"), inert(f" · its log is {log}") if log else ""
            )
        else:
            self.line("loading", message=what, **engine.identity, **({"log": str(log)} if log else {}))

    def running(self, pipeline: Pipeline) -> None:
        """See `Watcher`."""
        self._end()
        self._pipeline = pipeline
        self._catch_interrupts()
        if self.live:
            self._progress = _progress(self.console)
            self._progress.add_task("rows", total=pipeline.to_do, left="", text="")
            self._progress.start()
        self._task = asyncio.get_running_loop().create_task(self._follow(pipeline))

    def publishing(self) -> None:
        """See `Watcher`."""
        if self._pipeline:
            self._report(self._pipeline)
        self._end()
        if self.live:
            self._status = Spinner(self.console, "writing the data …")
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, _interrupted)  # a run that is stopped here is published by the same command

    async def _follow(self, pipeline: Pipeline) -> None:
        while True:
            self._report(pipeline)
            await asyncio.sleep(0.2 if self.live else _EVERY_S)

    def _report(self, pipeline: Pipeline) -> None:
        stats = pipeline.stats
        if self._progress:
            eta = _eta(stats, pipeline)
            self._progress.update(
                self._progress.task_ids[0],
                completed=stats.finished,
                left=f"{duration(eta)} left" if eta is not None else "",
                text=_text(stats),
            )
        elif not self.live:
            self.line("progress", to_do=pipeline.to_do, **_fields(stats, pipeline))

    def _end(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None
        if self._status:
            self._status.stop()
            self._status = None
        if self._progress:
            self._progress.stop()
            self._progress = None

    def line(self, event: str, **fields: object) -> None:
        """Write one JSON line."""
        with contextlib.suppress(OSError, ValueError):  # a reader that has gone away must not stop a job
            self._stream.write(_json_line(event, **fields) + "\n")
            self._stream.flush()

    # ------------------------------------------------------------------ interrupts

    def _catch_interrupts(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self._interrupt)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._interrupt))

    def _interrupt(self) -> None:
        assert self._pipeline is not None
        self._interrupts += 1
        if self._interrupts > 1:
            self._pipeline.abort()
            return
        waiting = self._pipeline.in_flight
        self._pipeline.stop()
        text = f"stopping when the {waiting} requests in flight have been answered; again to drop them"
        if self.live:
            self.console.print(text)
        else:
            self.line("stopping", message=text)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        # A signal comes in the middle of anything, a write to the stream included, which can't be entered twice.
        with contextlib.suppress(RuntimeError):
            self._end()
        text = "interrupted while the engine was loading; the same command goes on from here"
        line = text if self.live else _json_line("stopped", message=text)
        with contextlib.suppress(OSError):
            os.write(self._stream.fileno(), f"{line}\n".encode())
        os._exit(130)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def default_interrupts() -> Iterator[None]:
    """Give the signals back as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, _interrupted)  # asyncio's own handler would wait for the plan to be made
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _json_line(event: str, **fields: object) -> str:
    return json_text({"event": event, "time": round(time.time(), 3), **fields}, indent=None)


def _fields(stats: Stats, pipeline: Pipeline) -> dict[str, object]:
    elapsed = stats.elapsed_s or 1e-9
    eta = _eta(stats, pipeline)
    return {
        "rows": stats.finished,
        **stats.rows,
        "rounds": stats.rounds,
        "generations": stats.generated,
        "remembered": stats.recalled,
        "generations_per_second": round(stats.generated / elapsed, 1),
        "tokens_per_second": round(stats.completion_tokens / elapsed, 1),
        "prefix_cache_hits": round(stats.cached_tokens / stats.prompt_tokens, 3)
        if stats.prompt_tokens
        else None,
        "engine_restarts": stats.restarts,
        "elapsed_seconds": round(elapsed, 1),
        "eta_seconds": round(eta, 1) if eta is not None else None,
    }


class _Parts(ProgressColumn):
    """What else there is to say, on one line: as much of it as has room beside the other columns."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["text"], no_wrap=True, overflow="ellipsis")


def _progress(console: Console) -> Progress:
    # rich takes room from columns that may wrap before it takes any from the others
    return Progress(
        TextColumn("rows"),
        BarColumn(max(6, min(40, console.width // 4 - 12)), table_column=Column()),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
        _Parts(Column()),
        TimeElapsedColumn(),
        console=console,
    )


def _text(stats: Stats) -> str:
    """The rest of a line of progress, the first things first, since a narrow terminal cuts it off."""
    elapsed = stats.elapsed_s or 1e-9
    bad = stats.rows["skipped"] + stats.rows["failed"]
    parts = [f"{bad:,} skipped or failed"] if bad else []
    parts += [f"engine restarted {counted(stats.restarts, 'time')}"] if stats.restarts else []
    if (
        stats.generated and not stats.completion_tokens
    ):  # probabilities of answers are read, nothing is written
        parts += [f"{stats.generated / elapsed:,.1f} requests/s"]
    else:
        parts += [f"{stats.completion_tokens / elapsed:,.1f} tok/s"]
    parts += [counted(stats.generated, "generation")]
    parts += [counted(stats.rounds, "round")] if stats.rounds else []
    if stats.prompt_tokens:
        parts.append(f"{stats.cached_tokens / stats.prompt_tokens:.0%} of prompts cached")
    return " · ".join(parts)


def _eta(stats: Stats, pipeline: Pipeline) -> float | None:
    """Seconds left, from the generations made so far against those that the rows left may need."""
    done = stats.generated + stats.recalled
    if not stats.generated or not done:
        return None
    return (
        max(0.0, pipeline.needed - done) / stats.generated * stats.elapsed_s
        if stats.finished < pipeline.to_do
        else 0.0
    )
