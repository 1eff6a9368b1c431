"""Red-team prompts: seeds in, more prompts like them out, deduplicated and counted (Bai et al. 2022, section 3.2).

`write_redteam_prompts` writes a run directory whose `prompts` are read by `revise` and `compare` as they are. Its
rows are requests. How many it takes is known only from the answers: the job plans some, judges what came back in the
order of the requests, and plans more until enough prompts are accepted or the budget is spent. Judging in that order,
and no further than to the last prompt that is wanted, makes the data the same whatever came back first, and however
many requests were planned at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from constitutional.assignment import content_hash
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.made_with import prompt_set_record
from constitutional.jobs.redteam_filter import REASONS, FilterSettings, PromptFilter, Verdict
from constitutional.jobs.redteam_seeds import Seeds, read_seeds
from constitutional.ledger import Ledger, PlannedRow, StoredRow
from constitutional.numbers import counted
from constitutional.pipeline import Work
from constitutional.records import Message, Outcome, Row
from constitutional.rundir import LEDGER, DataSet
from constitutional.sources.rows import content_id
from constitutional.stages.redteam import STAGE, RedteamRequest, RedteamSettings, Seed, SeedDraw, Writer
from constitutional.stages.written_list import ListItem
from constitutional.templates import PromptSet, load_prompt_set

KIND = "request"
NO_LIST = "no_list"
_SPARE = 1.1  # more requests than the yield so far says, since copies become more frequent
_FEWEST = 20  # requests of the smallest default budget
_BUDGET = 10  # times the requests that it would take if every prompt were accepted


class AcceptSettings(FilterSettings):
    """Which prompts are kept, and when there are enough. A change asks only for what is missing then.

    Attributes:
        count: how many prompts are wanted.
        most_requests: how many requests are made at most; None is ten times as many as would do if every prompt were
            accepted, and 20 at least.
    """

    count: int = Field(default=100, ge=1)
    most_requests: int | None = Field(default=None, ge=1)


class RedteamJob:
    """The job of writing red-team prompts; satisfies `job.Job` and `abilities.Growing`.

    Args:
        seeds: to write more like.
        writer: makes the requests.
        settings: which prompts are kept.
        engine: prepared.
    """

    stage = STAGE
    title = "Red-team prompts"

    def __init__(self, seeds: Seeds, writer: Writer, settings: AcceptSettings, engine: Engine) -> None:
        self._seeds, self._writer, self._settings = seeds, writer, settings
        writing, identity = writer.settings, engine.identity
        self._slots = engine.slots
        self._draw = SeedDraw(seeds.seeds, seeds.topics, writing)
        fewest = math.ceil(settings.count / writing.prompts_per_request)
        self.budget = settings.most_requests or max(_FEWEST, _BUDGET * fewest)
        self._planned = min(self.budget, fewest)
        self._engine_key = content_hash(
            *(value for name, value in sorted(identity.items()) if name != "model")
        )
        self._restart()
        self.work = {KIND: Work(self._run, 1)}
        shown = min(writing.seeds_per_request, len(seeds.seeds))
        names = ("seed", "temperature", "top_p", "top_k", "max_tokens", "prompts_per_request")
        self.binding = {
            **{name: value for name, value in identity.items() if name != "model"},
            **{name: getattr(writing, name) for name in names},
            "seeds_per_request": shown,
            "topics": bool(seeds.topics),
        }
        self.summary = (
            f"Red-team prompts written by `{identity['model']}` with the {identity['engine']} engine, seed {writing.seed}, "
            f"{shown} of {counted(len(seeds.seeds), 'seed')} shown at a time; copies and near "
            f"copies (similarity from {settings.similarity:g} on) are left out."
        )
        made_with = {
            "prompt_set": prompt_set_record(writer.prompts, "redteam"),
            "settings": {**writing.model_dump(mode="json"), **settings.model_dump(mode="json")},
        }
        self.record = {**made_with, "sources": {"seeds": seeds.path, "topics": seeds.topics_path}}
        self.recipe: Row = {
            "stage": STAGE,
            **made_with,
            "engine": {"identity": dict(identity), "context_length": engine.context_length},
        }

    def go_on(self, out: Path) -> None:
        """Plan no fewer requests than a run in `out` has before the first that would be asked anew.

        What comes after that one may no longer be needed, and where it is, its answers are remembered.
        """
        if not (out / LEDGER).exists():
            return
        ledger = Ledger(out / LEDGER, read_only=True)
        try:
            held = 0
            for number, row in zip(range(self.budget), ledger.inputs(), strict=False):
                if (row.kind, row.key) != (KIND, self._request(number).key):
                    break
                held += 1
            self._planned = max(self._planned, held)
        finally:
            ledger.close()

    def rows(self) -> Iterator[PlannedRow]:
        """The requests planned so far."""
        return map(self._request, range(self._planned))

    def grow(self, ledger: Ledger) -> bool:
        """Plan more requests, by the yield so far, where prompts are missing and the budget allows it."""
        self._judge(ledger)
        accepted, planned = self._filter.accepted, self._planned
        if accepted >= self._settings.count or planned >= self.budget:
            return False
        missing = self._settings.count - accepted
        wanted = planned + math.ceil(_SPARE * missing * planned / max(1, accepted))
        self._planned = min(self.budget, wanted, max(2 * planned, planned + self._slots))
        return True

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`prompts` and `rejected`."""
        self._judge(ledger)
        prompts, rejected = _schemas()
        return {
            "prompts": DataSet(
                self._prompt_rows(ledger),
                prompts,
                "`id`, `prompt`: the accepted prompts, for `revise` and `compare`",
            ),
            "rejected": DataSet(
                self._rejected_rows(ledger), rejected, "the other ones, each with the reason"
            ),
        }

    def counts(self) -> Row:
        """Prompts wanted and accepted, what was rejected for which reason, and how many requests that took."""
        rejected = Counter(v.reason for verdicts in self._verdicts for v in verdicts if v.reason)
        candidates = self._filter.accepted + rejected.total()
        return {
            "wanted": self._settings.count,
            "accepted": self._filter.accepted,
            "candidates": candidates,
            "rejected": {reason: rejected[reason] for reason in REASONS if rejected[reason]},
            "yield": round(self._filter.accepted / candidates, 4) if candidates else None,
            "requests": len(self._verdicts),
            "requests_not_needed": self._planned - len(self._verdicts),
            "most_requests": self.budget,
            "seeds": self._seeds.to_row(),
        }

    def _request(self, number: int) -> PlannedRow:
        request = self._draw.request(number)
        key = content_hash(self._engine_key, self._writer.key(request))
        seeds = [[seed.id, seed.text] for seed in request.seeds]
        return PlannedRow(KIND, request.id, key, {"seeds": seeds, "topic": request.topic})

    async def _run(self, id: str, input: Row, engine: Engine) -> Outcome:
        request = RedteamRequest(id, tuple(Seed(*seed) for seed in input["seeds"]), input["topic"])
        written = await self._writer.write(request, engine)
        result = {
            "items": [[item.text, item.cut] for item in written.items],
            "finish_reason": written.finish_reason,
        }
        if not written.items:
            return Outcome("failed", NO_LIST, detail="the answer holds no list", result=result)
        return Outcome("ok", result=result)

    def _restart(self) -> None:
        self._filter = PromptFilter(self._seeds.seeds, self._settings)
        self._verdicts: list[list[Verdict]] = []  # by request
        self._read: list[str | None] = []  # status of each request when it was judged

    def _judge(self, ledger: Ledger) -> None:
        """Judge the answers in the order of their requests, until enough prompts are accepted.

        What was judged before stands, unless a request before it has ended in another way since: one that had timed
        out.
        """
        statuses = [stored.status for stored in ledger.rows(KIND)]
        if statuses[: len(self._read)] != self._read:
            self._restart()
        for number, stored in enumerate(ledger.rows(KIND)):
            if number < len(self._read):
                continue
            if self._filter.accepted >= self._settings.count:
                return
            verdicts: list[Verdict] = []
            for id, item in _items(stored):
                if self._filter.accepted >= self._settings.count:
                    break
                verdicts.append(self._filter.judge(id, item))
            self._verdicts.append(verdicts)
            self._read.append(stored.status)

    def _judged(self, ledger: Ledger) -> Iterator[tuple[Verdict, str, ListItem, Row]]:
        """Every candidate that was judged: the verdict, its id and text, and where it came from."""
        for number, (stored, verdicts) in enumerate(zip(ledger.rows(KIND), self._verdicts, strict=False), 1):
            input = stored.input or {"seeds": [], "topic": None}
            place = {"request": number, "seeds": [id for id, _ in input["seeds"]], "topic": input["topic"]}
            for (id, item), verdict in zip(_items(stored), verdicts, strict=False):
                yield verdict, id, item, place

    def _prompt_rows(self, ledger: Ledger) -> Iterator[Row]:
        for verdict, id, item, place in self._judged(ledger):
            if verdict.reason is None:
                yield {"id": id, "prompt": [Message("user", item.text).to_row()], **place}

    def _rejected_rows(self, ledger: Ledger) -> Iterator[Row]:
        for verdict, _, item, place in self._judged(ledger):
            if verdict.reason is not None:
                yield {"text": item.text, "reason": verdict.reason, "like": verdict.like, **place}


def _items(stored: StoredRow) -> Iterator[tuple[str, ListItem]]:
    """The candidates of a request, each with the id that it has if it is accepted: that of any prompt of this text."""
    for text, cut in (stored.result or {}).get("items", ()):
        yield content_id((Message("user", text),), None), ListItem(text, cut)


def write_redteam_prompts(
    seeds: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    topics: str | Path | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: RedteamSettings | None = None,
    accept: AcceptSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """Have a model write more red-team prompts; the same call again goes on from where it stopped.

    Args:
        seeds: prompts to write more like: a file or hub id, see `sources.read_prompts`.
        out: the run directory.
        model: what `EngineSettings` calls so.
        engine: an engine, settings for one, or the name of a kind.
        topics: a file of topics, of which each request names one; None names none.
        prompt_set: a name, a folder, or a prompt set.
        settings: how prompts are written.
        accept: which are kept, and how many are wanted.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set of seeds to read.
        limit: read this many seeds at most.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts. Fewer prompts than wanted may have been accepted.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("write_redteam_prompts_async")
    given: dict[str, Any] = {
        "model": model,
        "engine": engine,
        "topics": topics,
        "prompt_set": prompt_set,
        "settings": settings,
        "accept": accept,
        "options": options,
        "watcher": watcher,
        "split": split,
        "limit": limit,
    }
    return asyncio.run(write_redteam_prompts_async(seeds, out, **given))


async def write_redteam_prompts_async(
    seeds: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    topics: str | Path | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: RedteamSettings | None = None,
    accept: AcceptSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """`write_redteam_prompts` for callers that have an event loop, such as notebooks."""
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    writer = Writer(prompt_set, settings or RedteamSettings())
    wanted = accept or AcceptSettings()
    read = read_seeds(seeds, topics, split=split, limit=limit)
    engine = chosen_engine(engine, model)

    def make(prepared: Engine) -> RedteamJob:
        job = RedteamJob(read, writer, wanted, prepared)
        job.go_on(Path(out))
        return job

    return await run_job(make, engine, Path(out), options, watcher)


def _schemas() -> tuple[Any, Any]:
    """Arrow schemas of `prompts` and `rejected`."""
    import pyarrow as pa

    text = pa.string()
    place = [("request", pa.int32()), ("seeds", pa.list_(text)), ("topic", text)]
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    prompts = pa.schema([("id", text), ("prompt", conversation), *place])
    return prompts, pa.schema([("text", text), ("reason", text), ("like", text), *place])
