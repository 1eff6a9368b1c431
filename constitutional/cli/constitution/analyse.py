"""`constitutional constitution analyse`: what each principle did in a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from constitutional.cli.constitution.analysis_columns import Column, S
    from constitutional.constitution import Constitution
    from constitutional.workbench.analysis import Analysis
    from constitutional.workbench.label_analysis import LabelAnalysis

_PAIRS = 3  # pairs of principles that agree most, and least, that are printed


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
    """Say what each principle did in the run in the directory RUN, of `revise` or `label`.

    Of `revise`: how often it was drawn, how often its critique found something, how much its revisions changed and how many failed
    their checks; whose critiques are the same as another's, or the same whatever the response.

    Of `label`: how decisive it is, whether its answers go by position, how it agrees with the others and with people, and which
    labels hang on it.

    What needs attention comes first. Works while the run is being written.
    """
    from contextlib import nullcontext

    from rich.console import Console

    from constitutional.cli.text import data_console, inert, json_text
    from constitutional.constitution import load_constitution

    weights = load_constitution(constitution) if constitution else None
    waiting = Console(stderr=True)
    with waiting.status("reading the rows …") if waiting.is_terminal else nullcontext():
        analysis = _analyse(run, weights)
    if as_json:
        click.echo(json_text(analysis.to_json()))
    else:
        _print(data_console(), analysis)
    if figures:
        from constitutional.report.analysis import draw_all
        from constitutional.report.figures import save

        for path in save(draw_all(analysis), figures):
            click.echo(inert(str(path)), err=as_json)


def _analyse(run: Path, weights: Constitution | None) -> Analysis | LabelAnalysis:
    """The analysis that the run's stage has."""
    from constitutional.errors import ConfigError
    from constitutional.stages.label import STAGE as LABEL
    from constitutional.stages.revise import STAGE as REVISE
    from constitutional.workbench.analysis import analyse as analyse_chains
    from constitutional.workbench.label_analysis import analyse_labels
    from constitutional.workbench.run_facts import stage_of

    stage = stage_of(run)
    if stage == LABEL:
        return analyse_labels(run, weights)
    if stage in (None, REVISE):
        return analyse_chains(run, weights)
    raise ConfigError(
        f"{run} is a run of the stage {stage!r}, in which principles do nothing that could be compared; analyse reads the "
        "runs of `constitutional revise` and `constitutional label`"
    )


def _print(console: Console, analysis: Analysis | LabelAnalysis) -> None:
    from rich.text import Text

    from constitutional.cli.constitution.analysis_columns import ROOMY, chain_columns, label_columns
    from constitutional.cli.text import hanging, inert
    from constitutional.workbench.label_analysis import LabelAnalysis

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
    console.print(Text(inert(f"{facts.path}: {who}" if who else str(facts.path)), "bold"))
    if isinstance(analysis, LabelAnalysis):
        unit = "comparisons"
        for line in _label_lines(analysis):
            console.print(line)
        table = _table(label_columns(analysis, console.width), analysis.principles, analysis.overall)
    else:
        unit = "chains"
        chains = sum(analysis.chains.values())
        console.print(f"chains: {analysis.analysed:,} of {chains:,}; rounds: {analysis.rounds:,}")
        table = _table(chain_columns(analysis, console.width), analysis.principles, analysis.overall)
    console.print()
    console.print(table)
    console.print()
    if console.width < ROOMY:
        console.print(Text("A wider terminal, a pipe and --json show more columns.", "dim"), end="\n\n")
    if isinstance(analysis, LabelAnalysis):
        for line in _pair_lines(analysis):
            console.print(Text(inert(line)))
    if analysis.remarks:
        console.print(Text("what to look at", "bold"))
        for remark in analysis.remarks:
            console.print(hanging(console, Text(inert(f"- {remark.text}")), 2))
        console.print()
    for note in (
        *analysis.notes,
        f"Intervals are of 95%, over {unit}.",
        "docs/analysis.md says how all this is measured.",
    ):
        console.print(Text(inert(note), "dim"))


def _label_lines(analysis: LabelAnalysis) -> Iterator[str]:
    """What the labels come to as a whole."""
    from constitutional.numbers import with_interval

    votes, total = analysis.overall.votes, sum(analysis.comparisons.values())
    cast, counted = (votes.cast, votes.counted) if votes else (0, 0)
    yield f"comparisons: {analysis.analysed:,} of {total:,}; labels: {analysis.labels:,}; votes: {counted:,} of {cast:,} count"
    if analysis.decisive:
        line = f"labels: mean |p − ½| {analysis.decisive.value:.3f}"
        if analysis.people:
            line += (
                f"; {with_interval(analysis.people, '.0%')} prefer what people prefer, of {analysis.human:,}"
            )
        yield line


def _pair_lines(analysis: LabelAnalysis) -> Iterator[str]:
    """The pairs of principles that agree most and least."""
    from constitutional.numbers import number
    from constitutional.workbench.label_attention import FEW

    pairs = sorted(
        (pair for pair in analysis.pairs if pair.correlation and pair.agree.n >= FEW),
        key=lambda pair: (-pair.correlation.value if pair.correlation else 0, pair.first, pair.second),
    )
    if not pairs:
        return
    most, least = pairs[:_PAIRS], pairs[_PAIRS:][: -_PAIRS - 1 : -1]
    for name, some in (("agree most" if least else "agreement", most), ("agree least", least)):
        if some:
            yield f"{name} (correlation of p, same response preferred, comparisons)"
        for pair in some:
            assert pair.correlation
            value = number(pair.correlation.value, ".2f")
            yield f"  {value:>5}  {pair.agree.value:>4.0%}  {pair.agree.n:>6,}  {pair.first}, {pair.second}"
    yield ""


def _table(columns: Sequence[Column[S]], principles: Sequence[S], overall: S) -> Table:
    """A row a principle, and one of all together."""
    from rich.table import Table

    from constitutional.cli.text import inert

    shown = [column for column in columns if column.shown]
    lines: list[S] = [*principles, overall]
    table = Table(box=None, pad_edge=False, show_edge=False)
    longest = max(len(stats.id) for stats in lines)
    table.add_column("principle", overflow="fold", min_width=min(longest, 24))
    for column in shown:
        table.add_column(column.name, justify="left" if column.left else "right", no_wrap=True)
    table.add_column("look at", overflow="fold", min_width=12)
    for stats in lines:
        cells = [inert(column.read(stats)) for column in shown]
        style = "bold" if stats is overall else None
        table.add_row(inert(stats.id), *cells, ", ".join(stats.remarks), style=style)
    return table
