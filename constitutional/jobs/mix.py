"""The job of mixing: preferences of several sources in, one preference data set with a train and a test split out.

No engine is asked, so this is no `job.Job`: the same command again does all of it again, to the same bytes. The sources are read
three times, once for what `stages/mix.py` decides on and once for each split that is written, so that no text is held in memory, and
once more where rows were skipped, for the ledger; one that changes in between is found by its hashes and counts, and refused. If a check fails that was not waived, nothing is written.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from constitutional.assignment import content_hash
from constitutional.errors import ConfigError, Place, Problem, SourceError, nearest
from constitutional.feedback import Preference
from constitutional.jobs.job import package_versions
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
from constitutional.numbers import counted
from constitutional.records import Row
from constitutional.rundir import LEDGER, DataSet, RunDirectory, read_manifest, split_files
from constitutional.sources.preferences import PreferenceSource, read_preferences
from constitutional.stages.mix import STAGE, Facts, MixSettings, Part, mix, pair_hash, refuse_unmeant
from constitutional.stages.mix_checks import Finding, check_mix, refuse_unknown

_SAY_EVERY = 1000  # rows

Reading = Callable[[str, int], None]
"""Is told how many rows of which source have been read."""


@dataclass(frozen=True, slots=True)
class MixPlan:
    """What a mix would be.

    Attributes:
        settings: what was asked for.
        paths: of the sources, by name.
        splits: which split of a source is read, by name, where it is not `train`.
        parts: what each source gives.
        findings: of all checks.
    """

    settings: MixSettings
    paths: Mapping[str, Path]
    splits: Mapping[str, str]
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The checks that fail and were not waived."""
        return tuple(finding for finding in self.findings if finding.state == "fail")

    @property
    def can_be_written(self) -> bool:
        """Whether no check fails and there is something to train on."""
        return not self.failing and self._rows_on(test=False) > 0

    def refuse_failing(self, *, briefly: bool = False) -> None:
        """Refuse to go on where a check fails, or where nothing is left to train on, which can't be waived.

        Args:
            briefly: say only how many fail and how to waive them, where the user has read what they found.

        Raises:
            ConfigError: each such check, with how to waive it; or that there is nothing, with the ways out.
        """
        if briefly and (count := len(self.failing)):
            allow = " ".join(f"--allow {check}" for check in dict.fromkeys(f.check for f in self.failing))
            raise ConfigError(
                f"{count} checks fail, so nothing is written. Mend them, or say {allow}"
                if count > 1
                else f"a check fails, so nothing is written. Mend it, or say {allow}"
            )
        problems = [
            Problem(
                f"check {finding.check}{f', {finding.source}' if finding.source else ''}: "
                f"{finding.sentence.removesuffix('.')}{'' if finding.sentence.endswith('?') else '.'} "
                f"Mend it, or say --allow {finding.check}"
            )
            for finding in self.failing
        ]
        if problems:
            raise ConfigError(problems)
        if not self.can_be_written:
            raise ConfigError(self._nothing())

    def _rows_on(self, *, test: bool) -> int:
        return sum(int((part.taken & (part.test == test)).sum()) for part in self.parts)

    def _nothing(self) -> str:
        """That there is nothing to train on, why, and what can be done."""
        if not (held_out := self._rows_on(test=True)):
            return "there is nothing to mix: no source gives a row"
        ways = ["--test 0 holds nothing out", "another --seed holds out others"]
        if self.settings.split_by == "opening":
            ways.append("--split-by prompt goes by the whole prompt")
        if "leakage" in self.settings.allow:
            same = f"the same {self.settings.split_by}"
        else:
            same = f"the same {self.settings.split_by} or the same two responses"
            ways.append("--allow leakage parts the same two responses")
        return (
            f"there is nothing to train on: test has {counted(held_out, 'row')}, and train none. "
            f"Rows with {same} are on one side of the split: {', '.join(ways[:-1])}, and {ways[-1]}"
        )

    def counts(self) -> Row:
        """Rows read, by outcome; what each source gave; what each split holds."""
        reasons: Counter[str] = Counter()
        for part in self.parts:
            reasons.update(part.facts.skipped)
        total = sum(part.facts.rows for part in self.parts)
        rows = {"total": total, "ok": total - reasons.total(), "skipped": reasons.total(), "failed": 0}
        return {
            "rows": {**rows, "reasons": dict(sorted(reasons.items()))},
            "sources": {part.facts.name: _counts_of_source(part) for part in self.parts},
            "splits": {
                name: _counts_of_split(self.parts, test)
                for name, test in (("train", False), ("test", True))
                if not test or self.settings.test
            },
        }


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


def _counts_of_source(part: Part) -> Row:
    facts = part.facts
    skipped = sum(facts.skipped.values())
    return {
        "rows": facts.rows,
        "ok": facts.rows - skipped,
        "skipped": skipped,
        "reasons": dict(sorted(facts.skipped.items())),
        "pairs": len(facts),
        "available": round(facts.available, 6),
        "drawn": {"rows": part.rows, "weight": round(part.weight, 6)},
        "train": int((part.taken & ~part.test).sum()),
        "test": int((part.taken & part.test).sum()),
        "ties": int((part.drawn("probability") == 0.5).sum()),
    }


def _counts_of_split(parts: Sequence[Part], test: bool) -> Row:
    probability = [part.drawn("probability", test=test) for part in parts]
    return {
        "rows": sum(map(len, probability)),
        "weight": round(sum(float(part.drawn("weight", test=test).sum()) for part in parts), 6),
        "ties": sum(int((values == 0.5).sum()) for values in probability),
    }
