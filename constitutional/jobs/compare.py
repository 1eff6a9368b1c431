"""Comparisons from a model: prompts in, pairs of its responses out (Bai et al. 2022, section 4.1).

`build_comparisons` runs the stage `compare` over prompts into a run directory whose `comparisons` the labeler reads. Pairs of two
models are made of two runs with one response a prompt each, by `jobs/join.py`: one engine a run, and none that has to share the
machine with another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from constitutional.assignment import content_hash
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine
from constitutional.jobs.compare_data import SAMPLED, CompareData
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.made_with import prompt_set_record
from constitutional.ledger import Ledger, PlannedRow
from constitutional.numbers import counted
from constitutional.pipeline import Work
from constitutional.records import Message, Outcome, Prompt, Row
from constitutional.rundir import DataSet
from constitutional.sources import PromptSource, read_prompts
from constitutional.stages.compare import STAGE, Comparer, CompareSettings
from constitutional.templates import PromptSet, load_prompt_set

__all__ = ["CompareJob", "build_comparisons", "build_comparisons_async"]


class CompareJob:
    """The job of sampling responses and pairing them; satisfies `job.Job`.

    Args:
        source: the prompts.
        comparer: samples and pairs.
        engine: prepared.
    """

    stage = STAGE

    def __init__(self, source: PromptSource, comparer: Comparer, engine: Engine) -> None:
        self._source, self._comparer = source, comparer
        settings, identity = comparer.settings, engine.identity
        self._single = settings.samples == 1
        adapter = f" with adapter {identity['adapter'][:8]}" if identity.get("adapter") else ""
        self._data = CompareData(identity["model"] + adapter)
        # where turns are dropped to fit, the data depend on how much fits
        context = str(engine.context_length) if settings.overlong == "drop-oldest" else ""
        decisive = {name: value for name, value in sorted(identity.items()) if name != "model"}
        self._engine_key = content_hash(context, *decisive.values())
        self.title = "Responses" if self._single else "Comparisons"
        what = "One response" if self._single else f"{settings.samples} responses, in pairs,"
        warmth = ", ".join(f"{temperature:g}" for temperature in settings.temperature)
        self.summary = (
            f"{what} to each prompt at temperature {warmth}, seed {settings.seed}, "
            f"made by `{identity['model']}{adapter}` with the {identity['engine']} engine."
        )
        sampling = {name: getattr(settings, name) for name in ("seed", "top_p", "top_k", "max_tokens")}
        self.binding = {
            **decisive,
            **sampling,
            "temperature": sorted(set(settings.temperature), reverse=True),
        }
        prompt_set = prompt_set_record(comparer.prompts, "respond")
        self.record = {
            "prompt_set": prompt_set,
            "settings": settings.model_dump(mode="json"),
            "sources": {"prompts": source.path},
        }
        self.recipe: Row = {
            "stage": STAGE,
            "prompt_set": prompt_set,
            "settings": settings.model_dump(mode="json"),
            "engine": {"identity": dict(identity), "context_length": engine.context_length},
        }
        self.work = {SAMPLED: Work(self._run, settings.samples)}

    def rows(self) -> Iterator[PlannedRow]:
        """Every prompt, in order."""
        for row in self._source:
            if row.prompt is None:
                outcome = Outcome("skipped", row.reason, detail=row.detail)
                yield PlannedRow(SAMPLED, row.id, f"bad:{row.reason}:{row.detail}", {}, outcome)
            else:
                key = content_hash(self._engine_key, self._comparer.key(row.prompt))
                messages = [[message.role, message.content] for message in row.prompt.messages]
                yield PlannedRow(SAMPLED, row.id, key, {"messages": messages})

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`comparisons`, or `responses` where there is one a prompt."""
        return self._data.responses(ledger) if self._single else self._data.comparisons(ledger)

    def counts(self) -> Row:
        """Pairs by what became of them, truncated responses, redraws, what was changed in prompts, and unused columns."""
        return {**self._data.counts(), "ignored_columns": sorted(self._source.ignored_columns)}

    async def _run(self, id: str, input: Row, engine: Engine) -> Outcome:
        prompt = Prompt(id, tuple(Message(role, content) for role, content in input["messages"]))
        sampled = await self._comparer.sample(prompt, engine)
        result: Row = {"prompt": [message.to_row() for message in sampled.prompt]}
        if self._single:
            (step,) = sampled.responses
            result["responses"] = [[step.text, step.finish_reason]]
            result["temperature"] = self._comparer.settings.per_response[0]
            result["redraws"] = sampled.redraws
        else:
            result["pairs"] = [pair.to_row() for pair in sampled.pairs]
        result |= {"dropped_turns": sampled.dropped_turns, "escaped": sampled.escaped}
        if sampled.reason is None:
            return Outcome("ok", result=result)
        redraws = (
            sampled.pairs[0].redraws if sampled.pairs else sampled.redraws
        )  # the reason is of the first pair
        detail = f"after {counted(redraws, 'redraw')}" if redraws else "nothing was drawn again"
        return Outcome("skipped", sampled.reason, detail=detail, result=result)


def build_comparisons(
    prompts: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: CompareSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """Sample responses to prompts and pair them; the same call again goes on from where it stopped.

    Args:
        prompts: a file or hub id, see `sources.read_prompts`.
        out: the run directory.
        model: what `EngineSettings` calls so.
        engine: an engine, settings for one, or the name of a kind.
        prompt_set: a name, a folder, or a prompt set; its template `respond` is used.
        settings: how responses are sampled and paired.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows of the prompts at most.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("build_comparisons_async")
    return asyncio.run(
        build_comparisons_async(
            prompts,
            out,
            model=model,
            engine=engine,
            prompt_set=prompt_set,
            settings=settings,
            options=options,
            watcher=watcher,
            split=split,
            limit=limit,
        )
    )


async def build_comparisons_async(
    prompts: str | Path,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: CompareSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """`build_comparisons` for callers that have an event loop, such as notebooks."""
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    comparer = Comparer(prompt_set, settings or CompareSettings())
    source = read_prompts(prompts, split=split, limit=limit)
    engine = chosen_engine(engine, model)
    return await run_job(
        lambda prepared: CompareJob(source, comparer, prepared), engine, Path(out), options, watcher
    )
