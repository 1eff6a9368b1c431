"""SL-CAI data: a constitution and prompts in, chains and supervised fine-tuning data out (Bai et al. 2022, section 3).

`build_sl_cai` is the main job: it draws principles, has the model respond, criticise and revise, and writes a run directory whose
`sft` and `chains` load with plain `datasets` and, unmodified, into TRL's SFTTrainer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from constitutional.assignment import content_hash
from constitutional.constitution import Constitution, load_constitution
from constitutional.engines import EngineSettings, open_engine
from constitutional.engines.base import Engine
from constitutional.errors import ConfigError, nearest
from constitutional.job import JobOptions, Report, Watcher, run_job
from constitutional.ledger import Ledger, PlannedRow, StoredRow
from constitutional.pipeline import Work
from constitutional.records import Conversation, Message, Outcome, Prompt, Row, Step
from constitutional.rundir import DataSet
from constitutional.sources import PromptSource, read_prompts
from constitutional.stages.checks import CHECKS
from constitutional.stages.respond import respond
from constitutional.stages.revise import STAGE, Reviser, ReviseSettings
from constitutional.templates import PromptSet, load_prompt_set

CHAIN, HELPFUL = "chain", "helpful"


class DataSettings(BaseModel):
    """What goes into the SFT data. A change rewrites the data and generates nothing.

    Attributes:
        revisions: every good revision of a chain, as in the paper, or only the last.
        keep_failing: checks whose failure does not keep a revision out.
        helpful_samples: responses sampled for each helpful prompt; the paper's two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revisions: Literal["all", "last"] = "all"
    keep_failing: tuple[str, ...] = ()
    helpful_samples: int = Field(default=2, ge=1)


class SLCAIJob:
    """The job of making SL-CAI data; satisfies `job.Job`.

    Args:
        source: red-team prompts.
        helpful: helpful prompts, or None.
        reviser: makes the chains.
        settings: what goes into the SFT data.
        identity: the engine's.
        context_length: the engine's.
    """

    stage = STAGE
    title = "SL-CAI data"

    def __init__(
        self,
        source: PromptSource,
        helpful: PromptSource | None,
        reviser: Reviser,
        settings: DataSettings,
        identity: Mapping[str, str],
        context_length: int | None,
    ) -> None:
        for check in settings.keep_failing:
            if check not in CHECKS or check == "empty":
                valid = set(CHECKS) - {"empty"}
                raise ConfigError(
                    f"keep_failing: {check!r} is no check that can be waived; {nearest(check, valid)}"
                )
        self._source, self._helpful, self._reviser, self._settings = source, helpful, reviser, settings
        chain, constitution = reviser.settings, reviser.constitution
        self._helpful_key = content_hash(
            HELPFUL,
            reviser.prompts.fingerprint("respond"),
            repr(chain.sampling),
            chain.seed,
            chain.overlong,
            settings.helpful_samples,
        )
        context = str(context_length) if chain.overlong == "drop-oldest" else ""
        self._engine_key = content_hash(context, *(v for k, v in sorted(identity.items()) if k != "model"))
        self.work = {
            CHAIN: Work(
                self._run_chain, chain.steps, lambda row: chain.steps - (row["response"] is not None)
            ),
            HELPFUL: Work(self._run_helpful, 1, lambda row: settings.helpful_samples),
        }
        sampling = {
            name: getattr(chain, name) for name in ("seed", "temperature", "top_p", "top_k", "max_tokens")
        }
        self.binding = {**{name: value for name, value in identity.items() if name != "model"}, **sampling}
        self.summary = (
            f"Critique → revision chains in the words of the constitution `{constitution.id}` "
            f"(version {constitution.version}), {chain.rounds} rounds, seed {chain.seed}, "
            f"made by `{identity['model']}` with the {identity['engine']} engine."
        )
        self.record = {
            "constitution": {
                "id": constitution.id,
                "version": constitution.version,
                "hash": constitution.hash,
                "path": str(constitution.path) if constitution.path else None,
                "principles": [principle.id for principle in constitution.for_revise()],
            },
            "prompt_set": {
                "id": reviser.prompts.id,
                "path": str(reviser.prompts.path),
                "hash": reviser.prompts.fingerprint(*chain.templates),
            },
            "settings": {**chain.model_dump(mode="json"), **settings.model_dump(mode="json")},
            "sources": {"prompts": source.path, "helpful": helpful.path if helpful else None},
        }
        self._sft: Counter[str] = Counter()
        self._checks: Counter[str] = Counter()
        self._revisions = 0

    # ------------------------------------------------------------------ in

    def rows(self) -> Iterator[PlannedRow]:
        """Every input row: the red-team prompts, then the helpful ones."""
        yield from self._planned(self._source, CHAIN)
        if self._helpful:
            yield from self._planned(self._helpful, HELPFUL)

    def _planned(self, source: PromptSource, kind: str) -> Iterator[PlannedRow]:
        for row in source:
            if row.prompt is None:
                outcome = Outcome("skipped", row.reason, detail=row.detail)
                yield PlannedRow(kind, row.id, f"bad:{row.reason}:{row.detail}", {}, outcome)
                continue
            prompt = row.prompt
            messages = [[message.role, message.content] for message in prompt.messages]
            if kind == CHAIN:
                stage_key = self._reviser.key(prompt)
            else:
                stage_key = content_hash(self._helpful_key, prompt.id, repr(messages))
            yield PlannedRow(
                kind,
                row.id,
                content_hash(self._engine_key, stage_key),
                {"messages": messages, "response": prompt.response},
            )

    # ------------------------------------------------------------------ through

    async def _run_chain(self, id: str, input: Row, engine: Engine) -> Outcome:
        chain = await self._reviser.chain(_prompt(id, input), engine)
        detail = None
        if chain.status == "failed":
            failed = Counter(check for round in chain.rounds for check in round.checks)
            detail = ", ".join(f"{check} × {count}" for check, count in sorted(failed.items())) or None
        return Outcome(chain.status, chain.reason, detail=detail, result=chain.to_row())

    async def _run_helpful(self, id: str, input: Row, engine: Engine) -> Outcome:
        prompt, chain = _prompt(id, input), self._reviser.settings
        responses = await respond(
            prompt,
            engine,
            self._reviser.prompts,
            chain.sampling,
            n=self._settings.helpful_samples,
            seed=chain.seed,
            overlong=chain.overlong,
        )
        result = {
            "prompt": [message.to_row() for message in prompt.messages],
            "responses": [[step.text, step.finish_reason] for step in responses],
        }
        if not any(_is_good(step) for step in responses):
            return Outcome(
                "failed", "no_good_response", detail="every sample is empty or truncated", result=result
            )
        return Outcome("ok", result=result)

    # ------------------------------------------------------------------ out

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`sft` and `chains`."""
        sft, chains = _schemas()
        self._sft.clear()
        self._checks.clear()
        self._revisions = 0
        described = (
            "every good revision" if self._settings.revisions == "all" else "each chain's last good revision"
        )
        return {
            "sft": DataSet(
                self._sft_rows(ledger), sft, f"`prompt`, `completion`: {described}, for SFTTrainer"
            ),
            "chains": DataSet(
                map(self._chain_row, ledger.rows(CHAIN)),
                chains,
                "every input with its response, critiques and revisions",
            ),
        }

    def counts(self) -> Row:
        """Rows of the SFT data by source, revisions, how many failed which check, and columns that nothing used."""
        sources = [source for source in (self._source, self._helpful) if source]
        return {
            "sft": dict(sorted(self._sft.items())),
            "revisions": self._revisions,
            "failed_checks": {check: self._checks[check] for check in CHECKS},
            "ignored_columns": sorted({name for source in sources for name in source.ignored_columns}),
        }

    def _chain_row(self, stored: StoredRow) -> Row:
        row = stored.result or {"prompt": _messages(stored.input), "response": None, "rounds": []}
        for round in row["rounds"]:
            self._revisions += round["revision"] is not None
            self._checks.update(round["checks"])
        return {
            **row,
            "id": stored.id,
            "status": stored.status,
            "reason": stored.reason,
            "detail": stored.detail,
        }

    def _sft_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows(CHAIN):
            if stored.result:
                for number, text in self._completions(stored.result):
                    yield self._sft_row(stored, number, text, "revision" if number else "response")
        for stored in ledger.rows(HELPFUL):
            for text, finish_reason in (stored.result or {}).get("responses", ()):
                if _is_good(Step(text, finish_reason, 0, 0)):
                    yield self._sft_row(stored, 0, text, "helpful")

    def _sft_row(self, stored: StoredRow, number: int, text: str, source: str) -> Row:
        assert stored.result is not None
        self._sft[source] += 1
        return {
            "prompt": stored.result["prompt"],
            "completion": [Message("assistant", text).to_row()],
            "id": stored.id,
            "round": number,
            "source": source,
        }

    def _completions(self, chain: Row) -> list[tuple[int, str]]:
        """(round from 1, text) of what a chain gives to train on; round 0 is a response that a critique approved."""
        waived = set(self._settings.keep_failing)
        good = [
            (number, round["revision"])
            for number, round in enumerate(chain["rounds"], 1)
            if round["revision"] and waived.issuperset(round["checks"])
        ]
        if not good and chain["reason"] == "clean":
            whole = chain["response_finish_reason"] == "stop" or "truncated" in waived
            return [(0, chain["response"])] if whole else []
        return good if self._settings.revisions == "all" else good[-1:]


def build_sl_cai(
    prompts: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | None = None,
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
        model: short for `EngineSettings(model=…)`.
        engine: an engine, or settings for one.
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
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigError(
            "an event loop is running here, as in a notebook: `await build_sl_cai_async(…)` instead"
        )
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
    engine: Engine | EngineSettings | None = None,
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
    source = read_prompts(prompts, split=split, limit=limit)
    helpful_source = read_prompts(helpful, split=split) if helpful is not None else None
    if engine is None:
        engine = EngineSettings(model=model)
    if isinstance(engine, EngineSettings):
        engine = open_engine(engine)

    def make(prepared: Engine) -> SLCAIJob:
        return SLCAIJob(
            source,
            helpful_source,
            reviser,
            data or DataSettings(),
            prepared.identity,
            prepared.context_length,
        )

    return await run_job(make, engine, Path(out), options, watcher)


def _prompt(id: str, input: Row) -> Prompt:
    return Prompt(id, tuple(Message(role, content) for role, content in input["messages"]), input["response"])


def _messages(input: Row | None) -> list[Row]:
    messages: Conversation = tuple(
        Message(role, content) for role, content in (input or {}).get("messages", ())
    )
    return [message.to_row() for message in messages]


def _is_good(step: Step) -> bool:
    return bool(step.text) and step.finish_reason == "stop"


def _schemas() -> tuple[Any, Any]:
    """Arrow schemas of `sft` and `chains`."""
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    sft = pa.schema(
        [
            ("prompt", conversation),
            ("completion", conversation),
            ("id", text),
            ("round", number),
            ("source", text),
        ]
    )
    round = pa.struct(
        [
            ("principles", pa.list_(text)),
            ("critique", text),
            ("critique_finish_reason", text),
            ("revision", text),
            ("revision_finish_reason", text),
            ("checks", pa.list_(text)),
        ]
    )
    chains = pa.schema(
        [
            ("id", text),
            ("prompt", conversation),
            ("response", text),
            ("response_finish_reason", text),
            ("rounds", pa.list_(round)),
            ("status", text),
            ("reason", text),
            ("detail", text),
            ("prompt_tokens", number),
            ("completion_tokens", number),
            ("dropped_turns", number),
            ("escaped", number),
        ]
    )
    return sft, chains
