"""What a job refuses to do to a run that is there already, unless it is told to, and what it says of finished rows that leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from constitutional.errors import ConfigError
from constitutional.jobs.abilities import Growing
from constitutional.ledger import Ledger, PlanCounts
from constitutional.numbers import counted
from constitutional.rundir import read_manifest

if TYPE_CHECKING:
    from constitutional.jobs.job import Job, JobOptions


def refuse_rebinding(job: Job, ledger: Ledger, out: Path, options: JobOptions) -> None:
    """Refuse to replace another stage's run, or to redo all of this one unasked."""
    before = ledger.read_meta("binding")
    # a mix has no rows that were worked on: what it is, its data say
    published = (read_manifest(out) or {}).get("stage", job.stage)
    planned = (
        (ledger.read_meta("recipe") or {}).get("stage", job.stage) if ledger.has_results() else job.stage
    )
    for made in (published, planned):
        if made != job.stage:
            raise ConfigError(
                f"{out} is a run of {made!r}, which one of {job.stage!r} would replace: choose another --out"
            )
    if not before or options.rebuild or not ledger.has_results():
        return
    changes = [
        f"{name} was {before.get(name)!r} and is now {job.binding.get(name)!r}"
        for name in sorted(before.keys() | job.binding.keys())
        if before.get(name) != job.binding.get(name)
    ]
    if changes:
        raise ConfigError(
            f"{'; '.join(changes)}: that would redo every row of {ledger.path.parent}. "
            "Choose another --out, or say --rebuild"
        )


def refuse_own_input(sources: Mapping[str, str | Path | None], out: Path) -> None:
    """Refuse a run directory that is also what is read: publishing would replace the input.

    Args:
        sources: where the inputs are, by name.
        out: the run directory.

    Raises:
        ConfigError: one of them is the directory, or a file of its data.
    """
    for name, source in sources.items():
        if source is None or not out.exists() or not Path(source).exists():
            continue
        if out.samefile(source) or (out / "data").resolve() in Path(source).resolve().parents:
            raise ConfigError(f"--out {out} is the source {name!r} itself: choose another --out")


def refuse_replacing(job: Job, plan: PlanCounts, ledger: Ledger, out: Path, options: JobOptions) -> None:
    """Refuse a plan that keeps none of the rows that are finished, unasked: it is of other inputs.

    A row that is done again under the same id stays, and a run of which some rows stay goes on: the others are named. The rows of a job
    that grows are numbered requests: of those, one that is done again is another.
    """
    finished = sum(count for (_, status, _), count in ledger.counts().items() if status == "ok")
    leaves_none = not plan.kept if isinstance(job, Growing) else sum(plan.lost.values()) == finished
    if not options.rebuild and finished and leaves_none:
        rows = "the only finished row" if finished == 1 else f"none of the {finished:,} finished rows"
        verb = "is not" if finished == 1 else "is"
        raise ConfigError(
            f"{rows} of {out} {verb} in this input: its data would be replaced by those of other inputs. "
            "Choose another --out, or say --rebuild"
        )


def loss_line(plan: PlanCounts) -> str | None:
    """What a plan takes out of the data that are there, and how it comes back; None where it takes nothing."""
    whole = sum(plan.lost.values())
    attacks = sum(count for kind, count in plan.lost.items() if kind.startswith("attack:"))
    parts = [
        counted(count, f"finished {what}")
        for count, what in ((whole - attacks, "row"), (attacks, "attack"))
        if count
    ]
    if not parts:
        return None
    of_it = (
        "is not part of this command, and leaves" if whole == 1 else "are not part of this command, and leave"
    )
    return (
        f"{' and '.join(parts)} of this run {of_it} its data sets. The command as it was before brings "
        f"{'it' if whole == 1 else 'them'} back without asking anything again; another --out keeps both"
    )
