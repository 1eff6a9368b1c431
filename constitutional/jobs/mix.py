"""The job of mixing: preferences of several sources in, one preference data set with a train and a test split out.

No engine is asked, so this is no `job.Job`: the same command again does all of it again, to the same bytes. The sources are read
three times, once for what `stages/mix.py` decides on and once for each split that is written, so that no text is held in memory, and
once more where rows were skipped, for the ledger; one that changes in between is found by its hashes and counts, and refused. If a check fails that was not waived, nothing is written.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from constitutional.assignment import content_hash
from constitutional.errors import ConfigError, Place, SourceError, nearest
from constitutional.feedback import Preference
from constitutional.jobs.job import package_versions
from constitutional.jobs.mix_plan import MixPlan
from constitutional.jobs.mix_published import (
    held_out_already,
    is_hard_mix,
    missing_ids,
    mix_manifest,
    published_ids,
)
from constitutional.jobs.refusals import refuse_own_input
from constitutional.jobs.sl_cai_rows import bad_input
from constitutional.ledger import Ledger, PlannedRow
from constitutional.records import Row
from constitutional.rundir import LEDGER, DataSet, RunDirectory, read_manifest, split_files
from constitutional.sources.preferences import PreferenceSource, read_preferences
from constitutional.stages.mix import STAGE, Facts, MixSettings, Part, mix, pair_hash, refuse_unmeant
from constitutional.stages.mix_checks import check_mix, refuse_unknown

_SAY_EVERY = 1000  # rows

Reading = Callable[[str, int], None]
"""Is told how many rows of which source have been read."""


@dataclass(frozen=True, slots=True)
class MixReport:
    """How a mix went.

    Attributes:
        out: the run directory.
        plan: what went into it, and what the checks found.
        manifest: as published; None for a dry run.
        lost: how many rows of the mix that was there before are not in this one, or would not be.
    """

    out: Path
    plan: MixPlan
    manifest: Row | None = None
    lost: int = 0


def mix_preferences(
    sources: Mapping[str, str | Path],
    out: str | Path,
    *,
    settings: MixSettings | None = None,
    splits: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> MixReport:
    """Mix preferences into one data set that TRL's Reward and DPO trainers load as it is.

    Args:
        sources: where the preferences are, by the name that the rows' `source` will say; see `read_preferences`.
        out: the run directory.
        settings: how much of each, the split, and which checks may fail.
        splits: which split of a source to read, by its name, where it is not `train`.
        dry_run: decide and check only; nothing is written.

    Returns:
        What went into the mix, and what the checks found.

    Raises:
        ConfigError: a check fails that was not waived, or settings that can't be meant.
        SourceError: a source is damaged, or changes while it is read.
        RunLockedError: another process writes this run.
    """
    refuse_out(out, sources)
    plan = plan_mix(sources, settings=settings, splits=splits)
    plan.refuse_failing()
    return preview_mix(plan, out) if dry_run else publish_mix(plan, out)


def plan_mix(
    sources: Mapping[str, str | Path],
    *,
    settings: MixSettings | None = None,
    splits: Mapping[str, str] | None = None,
    reading: Reading | None = None,
) -> MixPlan:
    """Read the sources once, decide what each gives, and make all checks; see `mix_preferences`."""
    settings, splits = settings or MixSettings(), splits or {}
    if not sources:
        raise ConfigError("there is nothing to mix: name at least one source")
    refuse_unknown(settings.allow)
    refuse_unmeant(list(sources), settings)
    for name in splits:
        if name not in sources:
            raise ConfigError(f"--split names the unknown source {name!r}; {nearest(name, sources)}")
    paths = {name: Path(path) for name, path in sources.items()}
    plan = MixPlan(settings, paths, splits, (), ())
    parts = mix([_facts(plan, name, reading or _silence) for name in sources], settings)
    return replace(plan, parts=parts, findings=check_mix(parts, settings))


def preview_mix(plan: MixPlan, out: str | Path) -> MixReport:
    """What publishing a plan would take out of the mix that is there; nothing is written. See `mix_preferences`."""
    refuse_out(out, plan.paths)
    path = Path(out)
    before = published_ids(path, read_manifest(path))
    rows = (row["id"] for test in (False, True) for row in _rows(plan, test=test))
    return MixReport(path, plan, lost=missing_ids(before, rows) if len(before) else 0)


def publish_mix(plan: MixPlan, out: str | Path) -> MixReport:
    """Write the data sets of a plan; see `mix_preferences`. Checks that fail are the caller's to heed."""
    refuse_out(out, plan.paths)
    # `datasets` can't load a split without rows, nor then the others
    held_out = {"test": _rows(plan, test=True)} if any((p.taken & p.test).any() for p in plan.parts) else {}
    description = "`prompt`, `chosen`, `rejected`, `chosen_probability`: for RewardTrainer and DPOTrainer"
    with RunDirectory(Path(out)) as run:
        before = published_ids(run.path, read_manifest(run.path))
        run.ledger.plan(_skipped(plan))
        run.ledger.apply_plan({"stage": STAGE})
        data = DataSet(_rows(plan, test=False), preference_schema(), description, held_out)
        names = ", ".join(f"`{part.facts.name}` ({part.rows:,})" for part in plan.parts)
        manifest = run.publish(
            {"preferences": data},
            {
                "title": "Preferences",
                "summary": f"Preferences of {names}, seed {plan.settings.seed}. A `chosen_probability` of exactly ½ is a tie: "
                "leave such rows out where labels have to be hard.",
                "stage": STAGE,
                "settings": plan.settings.model_dump(mode="json"),
                "sources": {part.facts.name: _provenance(plan, part.facts) for part in plan.parts},
                "checks": [finding.to_row() for finding in plan.findings],
                "counts": plan.counts(),
                "timings": {},
                "versions": package_versions(),
            },
        )
        lost = missing_ids(before, published_ids(run.path, manifest).to_pylist()) if len(before) else 0
    return MixReport(Path(out), plan, manifest, lost)


def refuse_out(out: str | Path, sources: Mapping[str, str | Path]) -> None:
    """Refuse a directory that holds what a mix would replace.

    Raises:
        ConfigError: it is one of the sources, or another stage's run.
    """
    path = Path(out)
    refuse_own_input(sources, path)
    stage = (read_manifest(path) or {"stage": STAGE})["stage"]
    if stage == STAGE and (path / LEDGER).is_file():
        ledger = Ledger(path / LEDGER, read_only=True)
        try:
            stage = "another stage" if ledger.read_meta("binding") else STAGE
        finally:
            ledger.close()
    if stage != STAGE:
        raise ConfigError(f"{path} holds a run of {stage}, which a mix would replace: choose another --out")


def preference_schema() -> Any:
    """The Arrow schema of `preferences`."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    return pa.schema(
        [
            ("id", text),
            ("prompt", conversation),
            ("chosen", conversation),
            ("rejected", conversation),
            ("chosen_probability", number),
            ("source", text),
            ("weight", number),
        ]
    )


def _silence(source: str, rows: int) -> None:
    """Say nothing."""


def _open(plan: MixPlan, name: str) -> PreferenceSource:
    return read_preferences(plan.paths[name], name=name, split=plan.splits.get(name, "train"))


def _facts(plan: MixPlan, name: str, reading: Reading) -> Facts:
    """What is known of a source after reading it once; of one that can't be read at all, why."""
    facts = Facts(name)
    mixed = mix_manifest(plan.paths[name])
    hard = is_hard_mix(mixed)
    if plan.splits.get(name, "train") == "train":
        facts.held_out = held_out_already(mixed, plan.settings)
    try:
        for row in _open(plan, name):
            if row.reason:
                facts.skip(row.reason)
            else:
                facts.add(row.id, row.pairs, soft=row.soft and not hard, settings=plan.settings)
            if row.identical:
                facts.dropped["identical_responses"] = (
                    facts.dropped.get("identical_responses", 0) + row.identical
                )
            if facts.rows % _SAY_EVERY == 0:
                reading(name, facts.rows)
    except SourceError as error:
        if facts.rows:  # the file is damaged further down
            raise
        facts.unusable = str(error)
    return facts


def _skipped(plan: MixPlan) -> Iterator[PlannedRow]:
    """The rows that made no pair, for the ledger, where `show` finds them."""
    for part in plan.parts:
        if part.facts.skipped:
            reasons: Counter[str] = Counter()
            for row in _open(plan, part.facts.name):
                if row.reason:
                    reasons[row.reason] += 1
                    yield bad_input(f"{STAGE}:{part.facts.name}", row.id, row.reason, row.detail)
            if reasons != part.facts.skipped:
                raise _changed(plan, part.facts.name)


def _rows(plan: MixPlan, *, test: bool) -> Iterator[Row]:
    """One side of the split, the sources evenly interleaved so that no reader has to shuffle to get a mix."""
    sides = [part.taken & (part.test if test else ~part.test) for part in plan.parts]
    streams = [
        _spread(_pairs(plan, part, mask), int(mask.sum()), place)
        for place, (part, mask) in enumerate(zip(plan.parts, sides, strict=True))
        if mask.any()
    ]
    for _, _, pair in heapq.merge(*streams, key=lambda entry: entry[:2]):
        yield {**pair.to_row(), "id": f"{pair.source}/{pair.id}"}


def _spread(pairs: Iterator[Preference], count: int, place: int) -> Iterator[tuple[float, int, Preference]]:
    for number, pair in enumerate(pairs):
        yield (number + 0.5) / count, place, pair


def _pairs(plan: MixPlan, part: Part, mask: Any) -> Iterator[Preference]:
    """The pairs of a source that the mask names, read again and known again by their hashes."""
    name, known = part.facts.name, part.facts.content
    pairs = (pair for row in _open(plan, name) for pair in row.pairs)
    number = 0
    for pair in pairs:
        if number >= len(known) or (mask[number] and pair_hash(pair) != known[number]):
            raise _changed(plan, name)
        if mask[number]:
            yield pair
        number += 1
    if number < len(known):
        raise _changed(plan, name)


def _changed(plan: MixPlan, name: str) -> SourceError:
    return SourceError(
        "it has changed while it was read; run the same command again", Place(plan.paths[name])
    )


def _provenance(plan: MixPlan, facts: Facts) -> Row:
    """Where a source's pairs come from; of a run, what it was made with."""
    path = plan.paths[facts.name]
    split = plan.splits.get(facts.name, "train")
    found: Row = {"path": str(path), "split": split, "pairs_hash": content_hash(facts.content.tobytes())}
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is None:
        return found
    run = {
        name: manifest[name] for name in ("stage", "constitution", "engine", "settings") if name in manifest
    }
    files = split_files(manifest["data"].get("preferences", {}))
    return {**found, "run": {**run, "sha256": files.get(split, {}).get("sha256")}}
