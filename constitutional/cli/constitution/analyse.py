"""`constitutional constitution analyse`: what each principle did in a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from constitutional.workbench.analysis import Analysis
    from constitutional.workbench.estimates import Estimate
    from constitutional.workbench.principle_stats import PrincipleStats

_WIDE, _ROOMY = (
    160,
    112,
)  # columns of a terminal from which intervals, and all columns of the table, fit into it


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also draw it, as PNG and SVG files in this folder.",
)
@click.option(
    "--constitution", "-c", help="Take the weights from here, for a run that does not say them itself."
)
def analyse(run: Path, as_json: bool, figures: Path | None, constitution: str | None) -> None:
    """Say what each principle did in the run in the directory RUN.

    How often it was drawn, how often its critique found something, how much its revisions changed and how many failed their
    checks; whose critiques are the same as another's, or the same whatever the response. What needs attention comes first.

    Works while the run is being written.
    """
    from contextlib import nullcontext

    from rich.console import Console

    from constitutional.cli.text import data_console, inert, json_text
    from constitutional.constitution import load_constitution
    from constitutional.workbench.analysis import analyse as analyse_run

    weights = load_constitution(constitution) if constitution else None
    waiting = Console(stderr=True)
    with waiting.status("reading the chains …") if waiting.is_terminal else nullcontext():
        analysis = analyse_run(run, weights)
    if as_json:
        click.echo(json_text(analysis.to_json()))
    else:
        _print(data_console(), analysis)
    if figures:
        from constitutional.report.analysis import draw_all
        from constitutional.report.figures import save

        for path in save(draw_all(analysis), figures):
            click.echo(inert(str(path)), err=as_json)


def _print(console: Console, analysis: Analysis) -> None:
    from rich.text import Text

    from constitutional.cli.text import inert

    facts = analysis.run
    who = ", ".join(
        text
        for text in (
            f"constitution {facts.constitution}" if facts.constitution else "",
            f"version {facts.version}" if facts.version else "",
            facts.model or "",
        )
        if text
    )
    chains = sum(analysis.chains.values())
    console.print(Text(inert(f"{facts.path}: {who}" if who else str(facts.path)), "bold"))
    console.print(f"chains: {analysis.analysed:,} of {chains:,}; rounds: {analysis.rounds:,}", end="\n\n")
    console.print(_table(analysis, console.width))
    console.print()
    if console.width < _ROOMY:
        console.print(Text("A wider terminal, a pipe and --json show more columns.", "dim"), end="\n\n")
    if analysis.remarks:
        console.print(Text("what to look at", "bold"))
        for remark in analysis.remarks:
            console.print(Text(inert(f"- {remark.text}")))
        console.print()
    for note in (
        *analysis.notes,
        "Intervals are of 95%, over chains.",
        "docs/analysis.md says how all this is measured.",
    ):
        console.print(Text(inert(note), "dim"))


def _table(analysis: Analysis, width: int) -> Table:
    """A row a principle; the columns that there are data and room for."""
    from rich.table import Table

    from constitutional.cli.text import inert

    overall, wide, roomy = analysis.overall, width >= _WIDE, width >= _ROOMY
    critiques, revisions = overall.critiques is not None, overall.revisions is not None
    later = bool(overall.revisions and overall.revisions.changed_later)
    expected = any(stats.draws.expected is not None for stats in analysis.principles)
    columns: list[tuple[str, bool, Callable[[PrincipleStats], str]]] = [
        ("drawn", True, lambda stats: f"{stats.draws.rounds:,}"),
        ("expected", roomy and expected, _expected),
        (
            "found",
            analysis.found_measured,
            lambda stats: _percent(stats.critiques.found if stats.critiques else None, wide),
        ),
        (
            "changed",
            revisions,
            lambda stats: _percent(stats.revisions.changed_first if stats.revisions else None, wide),
        ),
        (
            "later",
            roomy and later,
            lambda stats: _percent(stats.revisions.changed_later if stats.revisions else None, wide),
        ),
        (
            "length",
            revisions,
            lambda stats: _ratio(stats.revisions.length if stats.revisions else None, wide),
        ),
        (
            "failed",
            revisions,
            lambda stats: _percent(stats.revisions.failed if stats.revisions else None, wide),
        ),
        ("alike", roomy and critiques, _alike),
        ("mostly", roomy and revisions, _mostly),
    ]
    table = Table(box=None, pad_edge=False, show_edge=False)
    longest = max(len(stats.id) for stats in (*analysis.principles, overall))
    table.add_column("principle", overflow="fold", min_width=min(longest, 24))
    for name, shown, _ in columns:
        if shown:
            table.add_column(name, justify="left" if name == "mostly" else "right", no_wrap=True)
    table.add_column("look at", overflow="fold", min_width=12)
    for stats in (*analysis.principles, overall):
        cells = [inert(read(stats)) for _, shown, read in columns if shown]
        style = "bold" if stats is overall else None
        table.add_row(inert(stats.id), *cells, ", ".join(stats.remarks), style=style)
    return table


def _expected(stats: PrincipleStats) -> str:
    draws = stats.draws
    return "" if draws.expected is None else f"{draws.expected * draws.share.n:,.1f}"


def _alike(stats: PrincipleStats) -> str:
    critiques = stats.critiques
    return "" if critiques is None or critiques.elsewhere is None else f"{critiques.elsewhere:.2f}"


def _mostly(stats: PrincipleStats) -> str:
    checks = stats.revisions.checks if stats.revisions else {}
    return max(checks, key=lambda check: checks[check]) if checks else ""


def _percent(estimate: Estimate | None, wide: bool) -> str:
    if estimate is None:
        return ""
    if not wide or estimate.low is None or estimate.high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} ({estimate.low:.0%}–{estimate.high:.0%})"


def _ratio(estimate: Estimate | None, wide: bool) -> str:
    if estimate is None:
        return ""
    if not wide or estimate.low is None or estimate.high is None:
        return f"×{estimate.value:.2f}"
    return f"×{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
