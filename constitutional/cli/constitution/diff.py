"""`constitutional constitution diff`: two constitutions side by side, and what an edit costs a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from constitutional.cli.complete import constitutions, prompt_sets
from constitutional.numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.constitution import Constitution
    from constitutional.workbench.diff import ConstitutionDiff, FieldChange, PrincipleChange
    from constitutional.workbench.stale import EditCost

_STYLES = {"added": "bold green", "removed": "bold red", "renamed": "bold yellow", "changed": "bold cyan"}
_SIGNS = {"added": "+", "removed": "-", "renamed": "~", "changed": "~"}
_GIT_REVISION = re.compile(r"[^:]{2,}:.+")


@click.command("diff")
@click.argument("names", nargs=-1, metavar="[BEFORE] [AFTER]", shell_complete=constitutions)
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also say which rows of this run the change makes stale, and what redoing them costs.",
)
@click.option(
    "--prompt-set",
    shell_complete=prompt_sets,
    help="With --run: the prompt set that the next run will use; its own if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if they differ, as `git diff` does.")
@click.pass_context
def diff(
    ctx: click.Context,
    names: tuple[str, ...],
    run: Path | None,
    prompt_set: str | None,
    as_json: bool,
    exit_code: bool,
) -> None:
    """Compare the constitutions BEFORE and AFTER (names or files), principle by principle and word by word.

    With --run, one is enough: BEFORE is then the constitution that the run was made with, as it was. AFTER too may be
    left out: it is then the same file as it is now. Nothing is generated and nothing is written; the run may be at work.

    Exits with 0 whether they differ or not, unless --exit-code is given.

    A version in git: `git show HEAD:constitutions/mine.yaml > before.yaml`, then compare that file.
    """
    from constitutional.cli.text import data_console, json_text
    from constitutional.workbench.diff import describe, diff_constitutions

    before, after = _pair(names, run, prompt_set)
    found = diff_constitutions(before, after)
    console, row = data_console(), found.to_row()
    if not as_json:
        _print_diff(console, found, run if len(names) < 2 else None)
    if run:
        cost = _cost(run, after, prompt_set)
        same = cost.made_with.hash == before.hash
        row["run"] = {"made_with": describe(cost.made_with), "made_with_before": same, **cost.to_row()}
        if not as_json:
            _print_cost(console, cost, before, after)
    if as_json:
        click.echo(json_text(row))
    if exit_code and found:
        ctx.exit(1)


def _pair(
    names: tuple[str, ...], run: Path | None, prompt_set: str | None
) -> tuple[Constitution, Constitution]:
    """The two to compare."""
    from constitutional.errors import ConfigError
    from constitutional.registry import exists
    from constitutional.workbench.stale import made_with

    if len(names) > 2:
        raise ConfigError(f"two constitutions can be compared, not {len(names)}")
    if run is None:
        if len(names) < 2:
            raise ConfigError(
                "name two constitutions to compare; or one and a run, as --run DIR, to compare it with what the run was "
                "made with"
            )
        if prompt_set is not None:
            raise ConfigError("--prompt-set is of use with --run only")
        return _load(names[0]), _load(names[1])
    recorded = made_with(run)
    if len(names) == 2:
        return _load(names[0]), _load(names[1])
    if names:
        return recorded, _load(names[0])
    if recorded.path is None:
        raise ConfigError(
            f"the constitution of {run} was made in Python and has no file: name the one to compare"
        )
    if not exists(recorded.path):
        raise ConfigError(
            f"{recorded.path}, which {run} was made with, is not there any more: name the file that it is now"
        )
    return recorded, _load(str(recorded.path))


def _load(name: str) -> Constitution:
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConfigError
    from constitutional.registry import exists

    revision = _GIT_REVISION.fullmatch(name)
    if revision and not exists(Path(name)):
        raise ConfigError(
            f"there is no file {name!r}. For a version in git: `git show {name} > before.yaml`, then compare before.yaml"
        )
    return load_constitution(name)


def _cost(run: Path, after: Constitution, prompt_set: str | None) -> EditCost:
    import asyncio

    from constitutional.cli.progress import default_interrupts
    from constitutional.workbench.stale import cost_of_edit

    with default_interrupts():
        return asyncio.run(cost_of_edit(run, after, prompt_set=prompt_set))


# ---------------------------------------------------------------------- the difference


def _print_diff(console: Console, found: ConstitutionDiff, run: Path | None) -> None:
    """Print what differs; `run` is given where `before` is what it was made with."""
    from rich.text import Text

    from constitutional.cli.text import inert

    for sign, constitution, place in (
        ("---", found.before, f"as {run} was made with it" if run else found.before.path),
        ("+++", found.after, found.after.path),
    ):
        head = f"{sign} {constitution.id}, version {constitution.version} ({place})"
        console.print(Text(inert(head), "bold"))
    for field in found.meta:
        _print_field(console, field, "")
    for change in found.principles:
        console.print("", Text(_head(change), _STYLES[change.kind]), sep="\n")
        for field in change.fields:
            both = change.before is not None and change.after is not None
            if both or field.field != "weight" or 1.0 not in (field.before, field.after):
                _print_field(console, field, "  ", mark=both)
        if change.kind == "renamed":
            console.print(
                "  Its texts are the same, but rows that drew it are redone: the id decides the draw."
            )
    if found.moved:
        console.print("", Text(f"moved: {', '.join(found.moved)}. The order redoes nothing."), sep="\n")
    console.print("", Text(_summary(found), "bold"), sep="\n")


def _head(change: PrincipleChange) -> str:
    """`~ privacy: reworded, reweighted`."""
    about: list[str] = [change.kind] if change.kind != "changed" else []
    if change.kind in ("changed", "renamed"):
        fields = {field.field for field in change.fields}
        about += ["reworded"] if change.reworded else []
        about += ["reweighted"] if change.reweighted else []
        about += [f"other {name}" for name in ("tags", "source") if name in fields]
    return f"{_SIGNS[change.kind]} {' → '.join(change.ids)}: {', '.join(about)}"


def _print_field(console: Console, field: FieldChange, indent: str, *, mark: bool = True) -> None:
    """Print one field; `mark` says whether it was added or removed where the head above does not."""
    from rich.text import Text

    from constitutional.cli.text import are_alike, hanging, inert, word_diff

    def say(name: str, shown: Text) -> None:
        console.print(hanging(console, Text.assemble((f"{indent}{name}: ", "dim"), shown), len(indent) + 2))

    before, after, name = field.before, field.after, field.field
    if before is None or after is None:
        name += f" ({'added' if before is None else 'removed'})" if mark else ""
        shown = Text(inert(_plain(before if after is None else after)))
    elif isinstance(before, str) and isinstance(after, str) and name != "id":
        if not are_alike(before, after):  # marks would be all there is to see
            say(f"{name}, before", Text(inert(before)))
            say(f"{name}, after", Text(inert(after)))
            return
        shown = word_diff(before, after, colour=console.color_system is not None)
    else:
        shown = Text(inert(f"{_plain(before)} → {_plain(after)}"))
    say(name, shown)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _summary(found: ConstitutionDiff) -> str:
    counts = found.counts()
    total = counts["unchanged"]
    if not found:
        return f"no differences: {counted(total, 'principle')}, all the same"
    words = {"relabelled": "with other tags or source"}
    listed = ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.items() if count)
    return f"principles: {listed}"


# ---------------------------------------------------------------------- its cost


def _print_cost(console: Console, cost: EditCost, before: Constitution, after: Constitution) -> None:
    """Print what the next run, with `after`, will do."""
    from rich.text import Text

    from constitutional.cli.progress import estimate_line
    from constitutional.cli.text import hanging, inert

    def say(text: str, style: str = "") -> None:
        indent = len(text) - len(text.lstrip()) + 2
        console.print(hanging(console, Text(inert(text), style), indent))

    plan, made = cost.plan, cost.made_with
    say("")
    if made.hash != before.hash:
        which = f"{made.id}, version {made.version}, hash {made.hash}"
        if made.hash == after.hash:
            known = f"was made with the second of the two ({which}), not with the first"
        elif made.id in (before.id, after.id):
            known = f"was made with another state of {made.id} ({which})"
        else:
            known = f"was made with neither of the two, but with {which}"
        say(f"{cost.run} {known}; its rows are counted against that.", "yellow")
    total = plan.kept + plan.to_do + plan.bad
    say(f"{cost.run}: {plan.stale:,} of {total:,} rows are stale, {plan.kept:,} are kept", "bold")
    if cost.stale_anyway:
        why = (
            f"the prompt set {cost.prompt_set} is not what it was"
            if cost.prompt_set_changed
            else "this version of constitutional makes rows in another way than the one that made them"
        )
        say(f"  {cost.stale_anyway:,} of them whatever the constitution says: {why}.", "yellow")
    for id, rows in cost.stale_by_principle.items():
        say(f"  {id}: {counted(rows, 'row')}")
    if sum(cost.stale_by_principle.values()) > plan.stale - cost.stale_anyway:
        say("  (a row counts for each principle that it drew, or would draw now)")
    if plan.stale:
        say(f"redoing them: {estimate_line(cost.redo, at_most=True)}")
    if cost.unfinished:
        retried = f", {plan.retried:,} of them to try again" if plan.retried else ""
        whole = estimate_line(cost.whole, at_most=True)
        say(f"{cost.unfinished:,} more rows are to do anyway{retried}; with them: {whole}")
    if plan.bad:
        say(f"{counted(plan.bad, 'input')} can't be worked on")
