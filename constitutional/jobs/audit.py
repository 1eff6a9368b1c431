"""How good is a labeler? Comparisons that people have judged in, agreement and calibration of several ways of labelling out.

`audit_labeler` labels every comparison under each setting (`audit_settings.py`), and measures the labels against people
(`evaluation/`). Beside it: `audit_rows.py`, what a row is keyed by and how it is made; `audit_attacks.py`, responses that try to
steer the judge; `audit_data.py`, what is published; `audit_cost.py`, what it would cost.

Bai et al. 2022 measure their labelers so on 438 comparisons (section 2: accuracy; section 4: calibration), Lee et al. 2023 by "AI
labeler alignment" and position bias. Deviation: every figure has an interval, and settings are compared on the same
comparisons, pair by pair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constitutional.constitution import Constitution, load_constitution
from constitutional.engines import EngineSettings, Kind, chosen_engine
from constitutional.engines.base import Engine
from constitutional.errors import ConfigError
from constitutional.jobs.audit_attacks import attack_kinds
from constitutional.jobs.audit_cost import SettingCost, audit_costs
from constitutional.jobs.audit_data import AuditData
from constitutional.jobs.audit_report import write_report
from constitutional.jobs.audit_rows import AuditRows
from constitutional.jobs.audit_settings import Setting, all_settings
from constitutional.jobs.cost import CostEstimate
from constitutional.jobs.job import JobOptions, Report, Watcher, refuse_running_loop, run_job
from constitutional.jobs.label import LabelJob
from constitutional.ledger import Ledger, PlannedRow
from constitutional.records import Row
from constitutional.rundir import DataSet
from constitutional.sources.comparisons import ComparisonSource, read_comparisons
from constitutional.stages.label import LabelSettings
from constitutional.templates import PromptSet, load_prompt_set

__all__ = ["AuditJob", "AuditReport", "audit_labeler", "audit_labeler_async"]

STAGE = "audit"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How an audit went.

    Attributes:
        report: how the job went.
        audit: what was found, as `audit.json` holds it (docs/audit.md); None for a dry run.
        costs: for a dry run, what each setting would cost.
    """

    report: Report
    audit: Row | None = None
    costs: tuple[SettingCost, ...] = ()


class AuditJob:
    """The job of auditing a labeler; satisfies `job.Job`, `abilities.Costing` and `abilities.Finishing`.

    Args:
        source: comparisons that people have judged.
        settings: the baseline first.
        attacks: kinds of attack on the baseline.
        attack_pairs: comparisons to attack, of each kind.
        engine: prepared.

    Attributes:
        costs: what each setting would cost, once `cost` has been called.
        audit: what was found, once `finish` has been called.
    """

    stage = STAGE
    title = "Audit of a labeler"

    def __init__(
        self,
        source: ComparisonSource,
        settings: Sequence[Setting],
        attacks: Sequence[str],
        attack_pairs: int,
        engine: Engine,
    ) -> None:
        labeler, identity = settings[0].labeler, engine.identity
        baseline = LabelJob(source, labeler, engine)  # an audit is bound to what its baseline is bound to
        constitution = labeler.constitution
        self._source = source
        self._rows = AuditRows(source, settings, attacks, attack_pairs, engine)
        about = {
            "judge": {name: identity[name] for name in ("model", "engine")},
            "constitution": {"id": constitution.id, "version": constitution.version},
            "prompt_set": labeler.prompts.id,
        }
        self._data = AuditData(settings, attacks, about)
        self.work = self._rows.work
        self.binding = baseline.binding
        several = f"{len(settings)} settings" if len(settings) > 1 else "one setting"
        self.summary = (
            f"Labels of comparisons that people have judged, under {several} of the labeler, and how good they are: the "
            f"constitution `{constitution.id}` (version {constitution.version}), seed {labeler.settings.seed}, judged by "
            f"`{identity['model']}` with the {identity['engine']} engine. `audit.json` holds the report, `figures/` draws it."
        )
        made_with = {
            "settings": {one.name: one.settings.model_dump(mode="json") for one in settings},
            "attacks": {"kinds": list(attacks), "pairs": attack_pairs} if attacks else None,
        }
        self.record = {**baseline.record, **made_with}
        self.recipe: Row = {**baseline.recipe, "stage": STAGE, **made_with}
        self.costs: tuple[SettingCost, ...] = ()
        self.audit: Row | None = None

    def rows(self) -> Iterator[PlannedRow]:
        """Every comparison under every setting, and the attacks."""
        return self._rows.planned()

    async def cost(self, ledger: Ledger, engine: Engine) -> CostEstimate:
        """See `abilities.Costing`."""
        self.costs, remembered = await audit_costs(ledger, engine, self.work)
        new, prompt_tokens, completion_tokens = (
            sum(getattr(cost, name) for cost in self.costs)
            for name in ("new", "prompt_tokens", "completion_tokens")
        )
        return CostEstimate(new + remembered, remembered, prompt_tokens, completion_tokens)

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`labels`, `measures`, `comparisons`, and `attacks` where there are any."""
        return self._data.data(ledger)

    def counts(self) -> Row:
        """Rows by setting and outcome (see `AuditData.counts`), and columns that nothing used."""
        return {**self._data.counts(), "ignored_columns": sorted(self._source.ignored_columns)}

    def finish(self, out: Path, manifest: Row) -> None:
        """Write `audit.json` and the figures."""
        self.audit = write_report(out, self._data, manifest)


def audit_labeler(
    comparisons: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: LabelSettings | None = None,
    vary: Sequence[str] = ("all",),
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    attacks: Sequence[str] = (),
    attack_pairs: int = 20,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> AuditReport:
    """Measure a labeler against people; the same call again goes on from where it stopped.

    Args:
        comparisons: that people have judged: a file, a run, or a hub id; see `sources.read_comparisons`.
        constitution: a name, a file, or a constitution; its principles need preference questions.
        out: the run directory.
        model: what `EngineSettings` calls so; the judge.
        engine: an engine, settings for one, or the name of a kind.
        prompt_set: a name, a folder, or a prompt set.
        settings: the baseline.
        vary: variants to compare with it: names of `audit_settings.VARIATIONS`, `all` or `none`.
        variants: further settings by name: what each changes of the baseline.
        attacks: kinds of attack to try on the baseline (`constitutional.attacks.ATTACKS`), or `all`.
        attack_pairs: comparisons to attack, of each kind.
        options: how the job is run.
        watcher: is told how it goes.
        split: which split of a data set to read.
        limit: read this many rows at most.

    Returns:
        How it went, and what was found.

    Raises:
        ConstitutionalError: see `errors.py`; call it outside of a running event loop.
    """
    refuse_running_loop("audit_labeler_async")
    given: dict[str, Any] = {
        "model": model,
        "engine": engine,
        "prompt_set": prompt_set,
        "settings": settings,
        "vary": vary,
        "variants": variants,
        "attacks": attacks,
        "attack_pairs": attack_pairs,
        "options": options,
        "watcher": watcher,
        "split": split,
        "limit": limit,
    }
    return asyncio.run(audit_labeler_async(comparisons, constitution, out, **given))


async def audit_labeler_async(
    comparisons: str | Path,
    constitution: str | Path | Constitution,
    out: str | Path,
    *,
    model: str | None = None,
    engine: Engine | EngineSettings | Kind | None = None,
    prompt_set: str | Path | PromptSet = "default",
    settings: LabelSettings | None = None,
    vary: Sequence[str] = ("all",),
    variants: Mapping[str, Mapping[str, Any]] | None = None,
    attacks: Sequence[str] = (),
    attack_pairs: int = 20,
    options: JobOptions | None = None,
    watcher: Watcher | None = None,
    split: str = "train",
    limit: int | None = None,
) -> AuditReport:
    """`audit_labeler` for callers that have an event loop, such as notebooks."""
    if not isinstance(constitution, Constitution):
        constitution = load_constitution(constitution)
    if not isinstance(prompt_set, PromptSet):
        prompt_set = load_prompt_set(prompt_set)
    if attack_pairs < 1:
        raise ConfigError(f"attack_pairs is {attack_pairs}, and at least 1 comparison has to be attacked")
    kinds = attack_kinds(attacks)
    compared = all_settings(constitution, prompt_set, settings or LabelSettings(), vary=vary, own=variants)
    source = read_comparisons(comparisons, split=split, limit=limit)
    engine = chosen_engine(engine, model)
    jobs: list[AuditJob] = []

    def make(prepared: Engine) -> AuditJob:
        jobs.append(AuditJob(source, compared, kinds, attack_pairs, prepared))
        return jobs[-1]

    report = await run_job(make, engine, Path(out), options, watcher)
    return AuditReport(report, jobs[-1].audit, jobs[-1].costs)
