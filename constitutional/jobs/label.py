"""Soft preferences from AI feedback: a constitution and comparisons in, labels and preferences out (Bai et al. 2022, section 4).

`label_comparisons` reads comparisons, asks the judge (`stages/label.py`) and writes a run directory whose `preferences` load with plain
`datasets` and, unmodified, into TRL's trainers. Beside it: `label_data.py`, what rows are published as.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from constitutional.assignment import content_hash
from constitutional.constitution import Constitution, load_constitution
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import ChoiceUnsupported, ConfigError, OptionNotShown
from constitutional.feedback import Comparison
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.label_data import KIND, LabelData, comparison_input, stored_comparison
from constitutional.jobs.made_with import constitution_facts, constitution_record, prompt_set_record
from constitutional.jobs.sl_cai_rows import bad_input
from constitutional.ledger import Ledger, PlannedRow
from constitutional.pipeline import Work
from constitutional.records import Outcome, Row
from constitutional.rundir import DataSet
from constitutional.sources.comparisons import ComparisonRow, ComparisonSource, read_comparisons
from constitutional.stages.label import STAGE, Labeler, LabelSettings
from constitutional.stages.votes import Unlabelled
from constitutional.templates import PromptSet, load_prompt_set

__all__ = ["LabelJob", "label_comparisons", "label_comparisons_async"]

_COUNT_INSTEAD = (
    "Have its answers counted instead: --votes sampled, with several --samples and a --temperature above 0"
)
WAYS_OUT = {
    OptionNotShown.reason: f"the judge's options are not among the tokens that its server shows. {_COUNT_INSTEAD}"
}
"""What to do where the first rows all fail for a reason; see `pipeline.Work`."""


class LabelRows:
    """Plans and makes the labels of one run.

    Args:
        labeler: makes the labels.
        engine: what answers depend on besides the request.

    Attributes:
        work: what to do with a row.
    """

    def __init__(self, labeler: Labeler, engine: Engine | EngineFacts) -> None:
        self._labeler = labeler
        self._engine_key = engine_key(labeler, engine)
        self.work = {KIND: Work(self._run, labeler.requests, ways_out=WAYS_OUT)}

    def planned(self, row: ComparisonRow) -> PlannedRow:
        """The row of one input, with its key."""
        if row.comparison is None:
            return bad_input(KIND, row.id, row.reason, row.detail)
        about = repr((row.human, row.weight))  # they change no vote, but what is published
        key = content_hash(self._engine_key, self._labeler.key(row.comparison), about)
        return PlannedRow(KIND, row.id, key, comparison_input(row.comparison, row.human, row.weight))

    async def _run(self, id: str, input: Row, engine: Engine) -> Outcome:
        return await label_outcome(self._labeler, stored_comparison(id, input), engine)


def engine_key(labeler: Labeler, engine: Engine | EngineFacts) -> str:
    """A hash of what labels depend on of the engine that is asked for them."""
    # where turns are dropped to fit, a label depends on how much fits
    context = str(engine.context_length) if labeler.settings.overlong == "drop-oldest" else ""
    decisive = (value for name, value in sorted(engine.identity.items()) if name != "model")
    return content_hash(context, *decisive)


async def label_outcome(labeler: Labeler, comparison: Comparison, engine: Engine) -> Outcome:
    """How labelling a comparison ends.

    Raises:
        ConfigError: the engine can't be asked for probabilities.
        EngineError: it could not answer.
    """
    try:
        label = await labeler.label(comparison, engine)
    except Unlabelled as error:
        votes = [vote.to_row() for vote in error.votes]
        return Outcome(
            error.status, error.reason, detail=str(error), result={"votes": votes} if votes else {}
        )
    except ChoiceUnsupported as error:
        raise ConfigError(
            f"this judge can't be asked for the probabilities of its answers ({error}). {_COUNT_INSTEAD}"
        ) from error
    return Outcome("ok", result=label.to_row())


class LabelJob:
    """The job of labelling comparisons; satisfies `job.Job`.

    Args:
        source: the comparisons.
        labeler: makes the labels.
        engine: prepared.
    """

    stage = STAGE
    title = "AI-feedback preferences"

    def __init__(self, source: ComparisonSource, labeler: Labeler, engine: Engine) -> None:
        self._source = source
        settings, constitution, identity = labeler.settings, labeler.constitution, engine.identity
        self._rows = LabelRows(labeler, engine)
        self._data = LabelData(constitution.id, settings.min_mass)
        self.work = self._rows.work
        self.binding = {
            **{name: value for name, value in identity.items() if name != "model"},
            **{name: getattr(settings, name) for name in ("seed", "votes", "chain_of_thought")},
            "sampling": ", ".join(f"{name} {value}" for name, value in settings.sampling.items()) or "none",
        }
        asked = "all principles" if labeler.asks_all else f"{settings.principles} drawn per label"
        how = "after reasoning" if settings.chain_of_thought else "directly"
        self.summary = (
            f"P(the first response is better), answered {how} under the constitution `{constitution.id}` (version "
            f"{constitution.version}; {asked}), seed {settings.seed}, by `{identity['model']}` with the "
            f"{identity['engine']} engine; `preferences` are derived from these labels."
        )
        made_with = {
            "prompt_set": prompt_set_record(labeler.prompts, *settings.templates),
            "settings": settings.model_dump(mode="json"),
        }
        self.record = {
            "constitution": constitution_record(constitution, constitution.for_label()),
            **made_with,
            "sources": {"comparisons": source.path},
        }
        about = {**constitution_facts(constitution), "description": constitution.description}
        principles = [asdict(principle) for principle in constitution.principles]
        self.recipe: Row = {
            "stage": STAGE,
            "constitution": {**about, "principles": principles},
            **made_with,
            "engine": {"identity": dict(identity), "context_length": engine.context_length},
        }

    def rows(self) -> Iterator[PlannedRow]:
        """Every input row."""
        return map(self._rows.planned, self._source)

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`preferences`, `labels` and `comparisons`."""
        return self._data.data(ledger)

    def counts(self) -> Row:
        """What labels and votes come to (see `LabelData.counts`), and columns that nothing used."""
        return {**self._data.counts(), "ignored_columns": sorted(self._source.ignored_columns)}


def label_comparisons(
    comparisons: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: LabelSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """Label comparisons; the same call again goes on from where it stopped.

    Args:
        comparisons: a file, a run of `compare` or `label`, or a hub id; see `sources.read_comparisons`.
        constitution: a name, a file, or a constitution; its principles need preference questions.
        out: the run directory.
        model: what `EngineSettings` calls so; the judge.
        engine: an engine, settings for one, or the name of a kind.
        prompt_set: a name, a folder, or a prompt set.
        settings: how a comparison is labelled.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows at most.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("label_comparisons_async")
    return asyncio.run(
        label_comparisons_async(
            comparisons,
            constitution,
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


async def label_comparisons_async(
    comparisons: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: LabelSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Report:
    """`label_comparisons` for callers that have an event loop, such as notebooks."""
    if not isinstance(constitution, Constitution):
        constitution = load_constitution(constitution)
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    labeler = Labeler(constitution, prompt_set, settings or LabelSettings())
    source = read_comparisons(comparisons, split=split, limit=limit)
    engine = chosen_engine(engine, model)
    return await run_job(lambda ready: LabelJob(source, labeler, ready), engine, Path(out), options, watcher)
