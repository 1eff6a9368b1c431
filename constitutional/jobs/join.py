"""Comparisons from two files of responses, such as those of two models; no engine is asked.

Which of the two comes first in a comparison is a hash of the seed and the row's id, so that neither model always does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from constitutional.assignment import content_hash
from constitutional.engines.absent import AbsentEngine
from constitutional.engines.base import Engine
from constitutional.jobs.compare_data import JOINED, CompareData
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.ledger import Ledger, PlannedRow
from constitutional.pipeline import Work
from constitutional.records import Message, Outcome, Row
from constitutional.rundir import DataSet
from constitutional.sources.joining import JoinedRow, Response, ResponseJoin
from constitutional.stages.compare import STAGE, second_comes_first

__all__ = ["JoinJob", "join_responses", "join_responses_async"]
_VERSION = 1  # of what a pair is made into; part of every row's key


class JoinJob:
    """The job of pairing given responses; satisfies `job.Job`.

    Args:
        join: the pairs.
        seed: says which response of a pair comes first.
    """

    stage = STAGE
    title = "Comparisons"

    def __init__(self, join: ResponseJoin, seed: int) -> None:
        self._join, self._seed = join, seed
        self._data = CompareData("")
        self.summary = "Pairs of the responses of {} and {}, seed {}.".format(*join.names, seed)
        self.binding: Mapping[str, object] = {"engine": "none", "seed": seed}
        names = ("first", "second", "prompts")
        self.record = {
            "settings": {"seed": seed},
            "sources": dict(zip(names, join.paths, strict=False)),
        }
        self.recipe: Row = {"stage": STAGE, "joined": join.paths, "settings": {"seed": seed}}
        self.work = {JOINED: Work(self._run, 1, lambda row: 0)}

    def rows(self) -> Iterator[PlannedRow]:
        """Every row of both files, in a pair or alone."""
        return map(self._planned, self._join)

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`comparisons`."""
        return self._data.comparisons(ledger)

    def counts(self) -> Row:
        """Pairs by what became of them, truncated responses, and columns that nothing used."""
        return {**self._data.counts(), "ignored_columns": sorted(self._join.ignored_columns)}

    def _planned(self, row: JoinedRow) -> PlannedRow:
        if row.prompt is None or row.responses is None:
            outcome = Outcome("skipped", row.reason, detail=row.detail)
            return PlannedRow(JOINED, row.id, f"bad:{row.reason}:{row.detail}", {}, outcome)
        messages = [[message.role, message.content] for message in row.prompt]
        responses = [[r.text, r.model, r.finish_reason, r.temperature] for r in row.responses]
        key = content_hash(STAGE, JOINED, _VERSION, self._seed, row.id, repr(messages), repr(responses))
        return PlannedRow(JOINED, row.id, key, {"messages": messages, "responses": responses})

    async def _run(self, id: str, input: Row, engine: Engine) -> Outcome:
        pair = [Response(*response) for response in input["responses"]]
        reason = None
        if not all(response.text for response in pair):
            reason = "empty_response"
        elif pair[0].text == pair[1].text:
            reason = "identical_responses"
        if second_comes_first(self._seed, id):
            pair.reverse()
        row = {
            "id": id,
            "responses": [response.text for response in pair],
            "models": [response.model for response in pair],
            "finish_reasons": [response.finish_reason for response in pair],
            "temperatures": [response.temperature for response in pair],
            "redraws": 0,
            "reason": reason,
        }
        prompt = [Message(role, content).to_row() for role, content in input["messages"]]
        return Outcome("skipped" if reason else "ok", reason, result={"prompt": prompt, "pairs": [row]})


def join_responses(
    first: str | Path,
    second: str | Path,
    out: str | Path,
    *,
    prompts: str | Path | None = None,
    seed: int = 0,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """Pair the responses of two files to the same prompts, as those of two models.

    Args:
        first: a file of responses, or a run of `build_comparisons` with `samples=1`; see `sources.joining.ResponseJoin`.
        second: another one.
        out: the run directory.
        prompts: a file of prompts, for rows that have an `id` and no prompt.
        seed: says which response of a pair comes first.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows of the first file at most; rows of the second without a partner among them are
            left out then.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("join_responses_async")
    return asyncio.run(
        join_responses_async(
            first,
            second,
            out,
            prompts=prompts,
            seed=seed,
            options=options,
            watcher=watcher,
            split=split,
            limit=limit,
        )
    )


async def join_responses_async(
    first: str | Path,
    second: str | Path,
    out: str | Path,
    *,
    prompts: str | Path | None = None,
    seed: int = 0,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """`join_responses` for callers that have an event loop, such as notebooks."""
    join = ResponseJoin(first, second, prompts, split, limit)
    return await run_job(lambda _: JoinJob(join, seed), AbsentEngine(), Path(out), options, watcher)
