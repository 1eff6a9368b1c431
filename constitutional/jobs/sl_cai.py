"""SL-CAI data: a constitution and prompts in, chains and supervised fine-tuning data out (Bai et al. 2022, section 3).

`build_sl_cai` is the main job: it draws principles, has the model respond, criticise and revise, and writes a run directory whose
`sft` and `chains` load with plain `datasets` and, unmodified, into TRL's SFTTrainer. Beside it: `sl_cai_rows.py`, what a row is
keyed by and how it is made; `sl_cai_data.py`, what rows are published as; `sl_cai_recipe.py`, what a run was made with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from constitutional.constitution import Constitution, load_constitution
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine, EngineFacts
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.made_with import constitution_record, prompt_set_record
from constitutional.jobs.sl_cai_data import DataSettings, SLCAIData
from constitutional.jobs.sl_cai_recipe import Recipe
from constitutional.jobs.sl_cai_rows import CHAIN, HELPFUL, SLCAIRows, bad_input
from constitutional.ledger import Ledger, PlannedRow
from constitutional.records import Row
from constitutional.rundir import DataSet
from constitutional.sources import PromptSource, read_prompts
from constitutional.stages.revise import STAGE, Reviser, ReviseSettings, check_examples
from constitutional.templates import PromptSet, load_prompt_set

__all__ = ["CHAIN", "HELPFUL", "DataSettings", "SLCAIJob", "build_sl_cai", "build_sl_cai_async"]


class SLCAIJob:
    """The job of making SL-CAI data; satisfies `job.Job`.

    Args:
        source: red-team prompts.
        helpful: helpful prompts, or None.
        reviser: makes the chains.
        settings: what goes into the SFT data.
        engine: prepared.
    """

    stage = STAGE
    title = "SL-CAI data"

    def __init__(
        self,
        source: PromptSource,
        helpful: PromptSource | None,
        reviser: Reviser,
        settings: DataSettings,
        engine: Engine,
    ) -> None:
        self._source, self._helpful = source, helpful
        self._data = SLCAIData(settings)
        self._rows = SLCAIRows(reviser, settings.helpful_samples, engine)
        self.work = self._rows.work
        chain, constitution, identity = reviser.settings, reviser.constitution, engine.identity
        sampling = {
            name: getattr(chain, name) for name in ("seed", "temperature", "top_p", "top_k", "max_tokens")
        }
        self.binding = {**{name: value for name, value in identity.items() if name != "model"}, **sampling}
        self.summary = (
            f"Critique → revision chains in the words of the constitution `{constitution.id}` "
            f"(version {constitution.version}), {chain.rounds} rounds, seed {chain.seed}, "
            f"made by `{identity['model']}` with the {identity['engine']} engine."
        )
        prompt_set = prompt_set_record(reviser.prompts, *chain.templates)
        self.record = {
            "constitution": constitution_record(constitution, constitution.for_revise()),
            "prompt_set": prompt_set,
            "settings": {**chain.model_dump(mode="json"), **settings.model_dump(mode="json")},
            "sources": {"prompts": source.path, "helpful": helpful.path if helpful else None},
        }
        facts = EngineFacts(dict(identity), engine.context_length)
        recipe = Recipe(constitution, reviser.prompts.path, prompt_set["hash"], chain, settings, facts)
        self.recipe = recipe.to_row()

    def rows(self) -> Iterator[PlannedRow]:
        """Every input row: the red-team prompts, then the helpful ones."""
        yield from self._planned(self._source, CHAIN)
        if self._helpful:
            yield from self._planned(self._helpful, HELPFUL)

    def _planned(self, source: PromptSource, kind: str) -> Iterator[PlannedRow]:
        for row in source:
            if row.prompt is None:
                yield bad_input(kind, row.id, row.reason, row.detail)
            else:
                yield self._rows.planned(kind, row.prompt)

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`sft` and `chains`."""
        return self._data.data(ledger)

    def counts(self) -> Row:
        """Rows of the SFT data by source, revisions, how many failed which check, and columns that nothing used."""
        sources = [source for source in (self._source, self._helpful) if source]
        ignored = sorted({name for source in sources for name in source.ignored_columns})
        return {**self._data.counts(), "ignored_columns": ignored}


def build_sl_cai(
    prompts: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    helpful: str | Path | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: ReviseSettings | None = None,
    data: DataSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """Make SL-CAI data; the same call again goes on from where it stopped.

    Args:
        prompts: red-team prompts: a file or hub id, see `sources.read_prompts`.
        constitution: a name, a file, or a constitution.
        out: the run directory.
        model: what `EngineSettings` calls so.
        engine: an engine, settings for one, or the name of a kind.
        helpful: helpful prompts to mix sampled responses in for.
        prompt_set: a name, a folder, or a prompt set.
        settings: how chains are made.
        data: what goes into the SFT data.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows of the prompts at most.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("build_sl_cai_async")
    return asyncio.run(
        build_sl_cai_async(
            prompts,
            constitution,
            out,
            model=model,
            engine=engine,
            helpful=helpful,
            prompt_set=prompt_set,
            settings=settings,
            data=data,
            options=options,
            watcher=watcher,
            split=split,
            limit=limit,
        )
    )


async def build_sl_cai_async(
    prompts: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    helpful: str | Path | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: ReviseSettings | None = None,
    data: DataSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """`build_sl_cai` for callers that have an event loop, such as notebooks."""
    if not isinstance(constitution, Constitution):
        constitution = load_constitution(constitution)
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    reviser = Reviser(constitution, prompt_set, settings or ReviseSettings())
    check_examples(prompt_set, reviser.settings)
    source = read_prompts(prompts, split=split, limit=limit)
    helpful_source = read_prompts(helpful, split=split) if helpful is not None else None
    engine = chosen_engine(engine, model)

    def make(prepared: Engine) -> SLCAIJob:
        return SLCAIJob(source, helpful_source, reviser, data or DataSettings(), prepared)

    return await run_job(make, engine, Path(out), options, watcher)
