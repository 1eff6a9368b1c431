"""`constitutional mix`: preferences of several sources in one data set."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.numbers import counted
from constitutional.stages.mix import MixSettings
from constitutional.stages.mix_checks import CHECKS

if TYPE_CHECKING:
    from constitutional.jobs.mix import MixReport
    from constitutional.jobs.mix_plan import MixPlan

T = TypeVar("T")
_NAME = re.compile(r"[\w.-]+")
_PAIR = "NAME=VALUE"


class _Named(click.ParamType[Any]):
    """A value of one source, as `helpful=0.5`; a pair of its name and the value."""

    name = "pair"

    def __init__(self, kind: Callable[[str], object], example: str) -> None:
        self._kind, self._example = kind, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):  # from a file for --config
            return value
        name, separator, text = value.partition("=")
        name, text = name.strip(), _unquoted(text.strip())
        try:
            if not separator:
                raise ValueError
            return name, self._kind(text)
        except ValueError:
            given = f"{name}={text}" if separator else name
            as_in = f"{name or 'helpful'}={self._example}"
            self.fail(f"{given}: has to be a source's name and a value, as {as_in}", param, ctx)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="[NAME=]SOURCE...")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@click.option(
    "--proportion",
    "-p",
    type=_Named(float, "0.5"),
    multiple=True,
    metavar=_PAIR,
    help="A source's share of the mix, as helpful=0.5. Repeatable.",
)
@click.option(
    "--count",
    "-n",
    type=_Named(int, "1000"),
    multiple=True,
    metavar=_PAIR,
    help="How many rows of a source, as helpful=1000. Repeatable.",
)
@click.option("--total", type=click.IntRange(min=1), help="How many rows altogether, with --proportion.")
@click.option(
    "--test",
    type=float,
    default=0.05,
    show_default=True,
    help="About which share to hold out, split by conversation; 0 for none.",
)
@click.option(
    "--split-by",
    type=click.Choice(["opening", "prompt"]),
    default="opening",
    show_default=True,
    help="What stays on one side: conversations with the same first turn, or with the same whole prompt.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw and of the split.")
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice(list(CHECKS)),
    help="Go on though this check fails. Repeatable.",
)
@click.option(
    "--split",
    type=_Named(str, "test"),
    multiple=True,
    metavar=_PAIR,
    help="Which split of a source to read, as helpful=test. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Decide and check only; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@config_option
def mix(**values: Any) -> None:
    """Mix preferences of several sources into one data set, with checks that fail loudly.

    A SOURCE is a run of `label` or `mix`, or a file or data set of preferences: chosen and rejected responses, hh-rlhf transcripts,
    annotators' votes, rankings, ratings. NAME is what its rows' `source` will say; without one it is the file's name.

    Without --proportion or --count all rows are taken. With --proportion the scarcest source limits the mix. Rows are drawn by a
    hash, so a larger mix contains the smaller one. If a check fails nothing is written, and the exit code is 2.
    """
    from constitutional.cli.show_mix import print_findings
    from constitutional.cli.text import data_console, json_text
    from constitutional.jobs.mix import plan_mix, preview_mix, publish_mix, refuse_out

    sources = _sources(values["sources"])
    given = {
        "proportions": _by_name("--proportion", values["proportion"]),
        "counts": _by_name("--count", values["count"]),
        **{name: values[name] for name in ("total", "test", "split_by", "seed", "allow")},
    }
    settings, out = settings_from(MixSettings, given), Path(values["out"])
    splits = _by_name("--split", values["split"])
    refuse_out(out, sources)
    with _Progress() as progress:
        plan = plan_mix(sources, settings=settings, splits=splits, reading=progress.reading)
    report = None
    if plan.can_be_written:
        with _Progress() as progress:
            progress.say("comparing with the mix that is there" if values["dry_run"] else "writing")
            report = preview_mix(plan, out) if values["dry_run"] else publish_mix(plan, out)
    # only now, since whoever reads the tables may go away in the middle of them
    if values["as_json"]:
        click.echo(json_text(_as_json(plan)))
    else:
        print_findings(data_console(), plan.counts(), [finding.to_row() for finding in plan.findings])
    # on one terminal the sentences stand right above
    plan.refuse_failing(briefly=not values["as_json"] and sys.stdout.isatty() and sys.stderr.isatty())
    if report and report.manifest and not values["as_json"]:
        _print_end(report)
    if report and report.lost:
        click.echo(f"warning: {_loss(report)}", err=True)


def _loss(report: MixReport) -> str:
    """What the mix that was there loses, and how it comes back."""
    rows, one = counted(report.lost, "row"), report.lost == 1
    if report.manifest is None:
        return f"{rows} of the mix that is there would not be in this one; another --out keeps both"
    return (
        f"{rows} of the mix that was there before {'is' if one else 'are'} not in this one. The command as it was before "
        "makes that one again, as long as its sources are what they were; another --out keeps both"
    )


def _print_end(report: MixReport) -> None:
    from constitutional.cli.text import inert

    assert report.manifest is not None
    splits = report.manifest["counts"]["splits"]
    held = "; ".join(
        f"{name} {counted(split['rows'], 'row')}, {split['ties']:,} of them ties"
        for name, split in splits.items()
    )
    click.echo(f"{held}\nconstitutional show {inert(quote(str(report.out)))}", err=True)
    click.echo(f'datasets.load_dataset("{inert(str(report.out))}", "preferences")', err=True)


class _Progress:
    """One line on a terminal that says what is being read; nothing elsewhere."""

    def __enter__(self) -> _Progress:
        from rich.console import Console

        console = Console(stderr=True)
        self._status = console.status("reading", spinner="line") if console.is_terminal else None
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._status:
            self._status.stop()

    def say(self, text: str) -> None:
        """Say what is being done."""
        if self._status:
            from rich.text import Text

            from constitutional.cli.text import inert

            self._status.update(Text(inert(text)))

    def reading(self, source: str, rows: int) -> None:
        """See `jobs.mix.Reading`."""
        self.say(f"reading {source}: {counted(rows, 'row')}")


def _as_json(plan: MixPlan) -> dict[str, Any]:
    return {
        "settings": plan.settings.model_dump(mode="json"),
        "counts": plan.counts(),
        "checks": [finding.to_row() for finding in plan.findings],
    }


def _sources(given: Sequence[str]) -> dict[str, str]:
    """Each source's path by its name."""
    from constitutional.errors import ConfigError
    from constitutional.sources.preferences import source_name

    found: dict[str, str] = {}
    for text in given:
        name, separator, path = text.partition("=")
        if Path(text).exists() or not separator or not _NAME.fullmatch(name):
            name, path = source_name(text), text
        else:
            path = _unquoted(path)
        if not path:
            raise ConfigError(f"{text!r}: after {name}= comes the path of a file, folder or run, or a hub id")
        if name in found:
            raise ConfigError(f"two sources are called {name!r}; name them, as first={path}")
        found[name] = path
    return found


def _by_name(option: str, given: Sequence[tuple[str, T]]) -> dict[str, T]:
    """The values of a repeatable option by the source's name."""
    from constitutional.errors import ConfigError

    found: dict[str, T] = {}
    for name, value in given:
        if name in found:
            raise ConfigError(f"{option} is given twice for {name}")
        found[name] = value
    return found


def _unquoted(text: str) -> str:
    """A value as it was meant: one of a mapping in a file of settings comes as a JSON text."""
    try:
        value = json.loads(text) if text.startswith('"') else text
    except ValueError:  # a name that begins with a quotation mark
        return text
    return value if isinstance(value, str) else text
