"""Scores: a constitution and responses in, a score from −1 to 1 for each of them out (direct RLAIF; Lee et al. 2023).

`score_responses` reads responses from a file, or the chains or SFT data of a run, asks the judge (`stages/score.py`)
and writes a run directory with the data set `scores`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from constitutional.assignment import content_hash
from constitutional.constitution import Constitution, load_constitution
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine
from constitutional.errors import ChoiceUnsupported, ConfigError, OptionNotShown
from constitutional.estimates import Tally
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.made_with import constitution_facts, constitution_record, prompt_set_record
from constitutional.jobs.sl_cai_rows import bad_input
from constitutional.ledger import Ledger, PlannedRow, StoredRow
from constitutional.pipeline import Work
from constitutional.records import Message, Outcome, Prompt, Row
from constitutional.rundir import DataSet
from constitutional.sources.responses import ResponseSource, read_responses
from constitutional.stages.score import STAGE, Scorer, ScoreSettings
from constitutional.stages.score_votes import VOTE_FIELDS
from constitutional.templates import PromptSet, load_prompt_set

KIND = "score"
_WRITE_INSTEAD = "Have it write them instead: --written"
_WAYS_OUT = {
    OptionNotShown.reason: f"the judge's ratings are not all among the tokens that its server shows. {_WRITE_INSTEAD}"
}


class ScoreJob:
    """The job of scoring responses; satisfies `job.Job`.

    Args:
        source: the responses.
        scorer: asks the judge.
        engine: prepared.
    """

    stage = STAGE
    title = "Scores"

    def __init__(self, source: ResponseSource, scorer: Scorer, engine: Engine) -> None:
        self._source, self._scorer = source, scorer
        self._all, self._rounds = Tally(), dict[int, Tally]()
        self._votes: Counter[str] = Counter()
        settings, constitution, identity = scorer.settings, scorer.constitution, engine.identity
        self._engine_key = content_hash(
            *(value for name, value in sorted(identity.items()) if name != "model")
        )
        self.work = {KIND: Work(self._run, scorer.requests, lambda row: scorer.requests, _WAYS_OUT)}
        scale = settings.scale
        names = ("seed", "written") + (
            ("temperature", "top_p", "top_k", "max_tokens") if settings.written else ()
        )
        self.binding = {
            **{name: value for name, value in identity.items() if name != "model"},
            **{name: getattr(settings, name) for name in names},
            "low": scale.low,
            "high": scale.high,
        }
        asked = (
            "all principles" if settings.principles == "all" else f"{settings.principles} drawn principles"
        )
        how = "written" if settings.written else "expected"
        self.summary = (
            f"Responses rated from {scale.low} to {scale.high} ({how} ratings) under {asked} of the constitution "
            f"`{constitution.id}` (version {constitution.version}), seed {settings.seed}, by `{identity['model']}` with the "
            f"{identity['engine']} engine; `score` is the mean rating moved to [-1, 1]."
        )
        made_with = {
            "prompt_set": prompt_set_record(scorer.prompts, settings.template),
            "settings": settings.model_dump(mode="json"),
        }
        principles = [asdict(principle) for principle in constitution.principles]
        self.record = {
            "constitution": constitution_record(constitution, constitution.for_label()),
            **made_with,
            "sources": {"responses": source.path},
            "data_set": source.data_set,
        }
        self.recipe: Row = {
            "stage": STAGE,
            "constitution": {**constitution_facts(constitution), "principles": principles},
            **made_with,
            "engine": {"identity": dict(identity), "context_length": engine.context_length},
        }

    def rows(self) -> Iterator[PlannedRow]:
        """Every response of the input."""
        for row in self._source:
            if row.item is None:
                yield bad_input(KIND, row.id, row.reason, row.detail)
                continue
            messages = [[message.role, message.content] for message in row.item.messages]
            place = {"source_id": row.source_id, "round": row.round}
            yield PlannedRow(
                KIND,
                row.id,
                content_hash(self._engine_key, self._scorer.key(row.item, of=row.source_id)),
                {"messages": messages, "response": row.item.response, **place},
            )

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`scores`."""
        self._all, self._rounds, self._votes = Tally(), {}, Counter()
        return {
            "scores": DataSet(
                self._score_rows(ledger),
                _schema(),
                "each response with its score from −1 to 1, and the votes behind it",
            )
        }

    def counts(self) -> Row:
        """Mean scores, by round where chains were scored, and how many votes count, are flagged, or can't be read.

        The rounds of a chain are about one prompt, and so no independent scores: the standard error is over chains.
        """
        return {
            "scores": _mean(self._all),
            "scores_by_round": [
                {"round": key, **_mean(found)} for key, found in sorted(self._rounds.items())
            ],
            "votes": dict(sorted(self._votes.items())),
            "ignored_columns": list(self._source.ignored_columns),
        }

    async def _run(self, id: str, input: Row, engine: Engine) -> Outcome:
        messages = tuple(Message(role, content) for role, content in input["messages"])
        try:
            found = await self._scorer.score(
                Prompt(id, messages, input["response"]), engine, of=input["source_id"]
            )
        except ChoiceUnsupported as error:
            raise ConfigError(
                f"the judge's ratings can't be scored by their probabilities: {error}. {_WRITE_INSTEAD}"
            ) from error
        result = {
            **{name: getattr(found, name) for name in ("score", "rating", "standard_error", "flagged")},
            "votes": [vote.to_row() for vote in found.votes],
        }
        if found.score is None:
            return Outcome("failed", found.reason, detail=found.detail, result=result)
        return Outcome("ok", detail=found.detail, result=result)

    def _score_rows(self, ledger: Ledger) -> Iterator[Row]:
        """The rows of `scores`; the responses of one source, such as the rounds of a chain, stand side by side."""
        for _, rows in groupby(self._rows_with_scores(ledger.rows(KIND)), key=lambda row: row["source_id"]):
            scores = []
            for row in rows:
                scores.append(row["score"])
                if row["round"] is not None:
                    self._rounds.setdefault(row["round"], Tally()).add([row["score"]])
                yield row
            self._all.add(scores)

    def _rows_with_scores(self, stored_rows: Iterable[StoredRow]) -> Iterator[Row]:
        for stored in stored_rows:
            result, input = stored.result, stored.input
            if result is None or input is None:
                continue
            self._votes["flagged"] += result["flagged"]
            self._votes.update(vote["reason"] or "counted" for vote in result["votes"])
            if stored.status != "ok":
                continue
            yield {
                **result,
                "id": stored.id,
                "prompt": [Message(role, content).to_row() for role, content in input["messages"]],
                "response": input["response"],
                "source_id": input["source_id"],
                "round": input["round"],
            }


def _mean(found: Tally) -> Row:
    """A mean score with its standard error."""
    error = found.standard_error()
    return {
        "count": found.n,
        "mean": round(found.total / found.n, 6) if found.n else None,
        "standard_error": None if error is None else round(error, 6),
    }


def score_responses(
    responses: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: ScoreSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
    data_set: str | None = None,
) -> Report:
    """Score responses; the same call again goes on from where it stopped.

    Args:
        responses: a file with rows of `prompt` and `response`, or a run directory; see
            `sources.responses.read_responses`.
        constitution: a name, a file, or a constitution.
        out: the run directory.
        model: what `EngineSettings` calls so.
        engine: an engine, settings for one, or the name of a kind.
        prompt_set: a name, a folder, or a prompt set.
        settings: how a response is scored.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows at most.
        data_set: `chains` or `sft`, where `responses` is a run directory.

    Returns:
        How it went; `report.manifest["counts"]` holds the counts.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("score_responses_async")
    given: dict[str, Any] = {
        "model": model,
        "engine": engine,
        "prompt_set": prompt_set,
        "settings": settings,
        "options": options,
        "watcher": watcher,
        "split": split,
        "limit": limit,
        "data_set": data_set,
    }
    return asyncio.run(score_responses_async(responses, constitution, out, **given))


async def score_responses_async(
    responses: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: ScoreSettings | None = None,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
    data_set: str | None = None,
) -> Report:
    """`score_responses` for callers that have an event loop, such as notebooks."""
    if not isinstance(constitution, Constitution):
        constitution = load_constitution(constitution)
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    scorer = Scorer(constitution, prompt_set, settings or ScoreSettings())
    source = read_responses(responses, split=split, limit=limit, data_set=data_set)
    engine = chosen_engine(engine, model)
    return await run_job(
        lambda prepared: ScoreJob(source, scorer, prepared), engine, Path(out), options, watcher
    )


def _schema() -> Any:
    """The Arrow schema of `scores`."""
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int32(), pa.float64()
    types = {"sample": whole, "rating": real, "mass": real}
    vote = pa.struct([(name, types.get(name, text)) for name in VOTE_FIELDS])
    return pa.schema(
        [
            ("id", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("response", text),
            ("score", real),
            ("rating", real),
            ("standard_error", real),
            ("flagged", whole),
            ("votes", pa.list_(vote)),
            ("source_id", text),
            ("round", whole),
        ]
    )
