"""`constitutional constitution lint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from constitutional.cli.complete import constitutions, rules
from constitutional.numbers import counted

if TYPE_CHECKING:
    from rich.text import Text

    from constitutional.workbench.lint.linter import LintReport
    from constitutional.workbench.lint.rule import Finding

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command()
@click.argument("targets", metavar="[NAME_OR_FILE]...", nargs=-1, shell_complete=constitutions)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="github: annotations of a workflow.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="RULE",
    shell_complete=rules,
    help="Go by these rules only. Repeatable, or with commas.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="RULE",
    shell_complete=rules,
    help="Leave these rules out. Repeatable, or with commas.",
)
@click.option("--strict", is_flag=True, help="Let warnings fail, too.")
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Tokens that one text of a principle may have.",
)
@click.option("--model", "-m", help="Count tokens as this model does; estimated if not given.")
@click.option(
    "--explain", metavar="RULE", shell_complete=rules, help="Print what a rule finds, why, and its examples."
)
@click.pass_context
def lint(
    ctx: click.Context,
    targets: tuple[str, ...],
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    strict: bool,
    budget: int,
    model: str | None,
    explain: str | None,
) -> None:
    """Find mistakes in constitutions, and what is likely to go wrong with them.

    Takes names, files and folders; checks all in ./constitutions if none is given. Exits with 2 if there are errors, and with
    --strict if there are warnings; else with 0. The rules are in docs/lint.md.
    """
    from rich.text import Text

    from constitutional.cli.text import data_console, hanging
    from constitutional.workbench.lint.linter import chosen_rules, find_rule, lint, model_limits
    from constitutional.workbench.lint.page import explain as explained
    from constitutional.workbench.lint.reading import Limits

    console = data_console()
    if explain is not None:
        for line in explained(find_rule(explain)).splitlines():
            console.print(hanging(console, Text(line), len(line) - len(line.lstrip())))
        return
    selected, ignored = _ids("--select", select), _ids("--ignore", ignore)
    chosen_rules(selected, ignored)  # before a tokenizer is loaded for nothing
    limits = model_limits(model, budget) if model else Limits(budget)
    report = lint(targets, select=selected, ignore=ignored, limits=limits)
    if form == "json":
        click.echo(_as_json(report))
    else:
        for finding in report.findings:
            if form == "github":
                click.echo(_as_github(finding))
            else:
                console.print(hanging(console, _as_text(finding), 2))
        click.echo(_summary(report), err=form == "github")
    ctx.exit(2 if report.count("error") or (strict and report.count("warning")) else 0)


def _ids(option: str, given: tuple[str, ...]) -> list[str]:
    from constitutional.errors import ConfigError

    if any(
        not ids.strip(" ,") for ids in given
    ):  # an empty variable of a script: it would stand for all rules
        raise ConfigError(f"{option} names no rule")
    return [id.strip() for ids in given for id in ids.split(",") if id.strip()]


def _as_text(finding: Finding) -> Text:
    """A finding as one line: a continuous integration's log takes some lines for commands."""
    from rich.text import Text

    from constitutional.cli.text import inert_line

    place = finding.place
    where = ":".join(str(part) for part in (place.path, place.line, place.column) if part is not None)
    severity = (finding.severity, f"bold {_COLOURS[finding.severity]}")
    return Text.assemble(
        f"{inert_line(where)}: ", severity, f": {inert_line(finding.message)} ", (f"[{finding.rule}]", "dim")
    )


def _as_json(report: LintReport) -> str:
    from constitutional.cli.text import json_text

    findings = [
        {
            "rule": finding.rule,
            "severity": finding.severity,
            "message": finding.message,
            "path": str(finding.place.path),
            "line": finding.place.line,
            "column": finding.place.column,
            "field": finding.place.field,
        }
        for finding in report.findings
    ]
    counts = {
        "errors": report.count("error"),
        "warnings": report.count("warning"),
        "notes": report.count("note"),
    }
    files = [str(path) for path in report.files]
    return json_text({"files": files, "findings": findings, **counts, "ignored": report.ignored})


def _as_github(finding: Finding) -> str:
    """A finding as a command of GitHub's workflows, which marks the line in the pull request."""
    from constitutional.cli.text import inert

    place = finding.place
    values = {"file": place.path, "line": place.line, "col": place.column, "title": finding.rule}
    named = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in values.items() if value is not None)
    kind = "notice" if finding.severity == "note" else finding.severity
    return f"::{kind} {named}::{_escaped(inert(finding.message))}"


def _escaped(value: object, also: str = "") -> str:
    from constitutional.cli.text import inert

    text = inert(str(value))
    for character in f"%\r\n{also}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _summary(report: LintReport) -> str:
    counts = {
        "error": report.count("error"),
        "warning": report.count("warning"),
        "note": report.count("note"),
    }
    found = ", ".join(counted(count, noun) for noun, count in counts.items() if count) or "nothing found"
    ignored = f" ({report.ignored:,} ignored by comments)" if report.ignored else ""
    return f"{counted(len(report.files), 'file')}: {found}{ignored}"
