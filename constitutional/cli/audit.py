"""`constitutional audit`: how good a labeler is, under several settings, measured against people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings
from constitutional.cli.label_options import label_options
from constitutional.engines import EngineSettings
from constitutional.stages.label import LabelSettings

_AT_LEAST = ("agreement", "decisiveness")
_OF_ATTACKS = ("steered", "shift", "flips")
_FLIPS = " (flips counts labels that are merely disturbed, too; steered= and shift= don't)"
_AT_MOST = ("log-loss", "brier", "ece", "orders-disagree", *_OF_ATTACKS)


def _list(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from constitutional.attacks import ATTACKS
    from constitutional.jobs.audit_settings import VARIATIONS

    lists = {
        "--vary": {name: what for name, (what, _) in VARIATIONS.items()},
        "--attack": {kind: attack.description for kind, attack in ATTACKS.items()},
    }
    for flag, named in lists.items():
        wide = max(map(len, named))
        click.echo("\n".join([f"{flag}:", *(f"  {name:{wide}}  {what}" for name, what in named.items())]))
    ctx.exit()


def _kinds(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Find COMPARISONS that were taken for a kind of attack, since they stand behind an `--attack` without one."""
    from constitutional.errors import ConfigError

    for kind in value:
        if kind != "all" and not ctx.resilient_parsing and Path(kind).exists():
            from constitutional.attacks import ATTACKS

            if kind not in ATTACKS:
                raise ConfigError(
                    f"--attack takes {kind!r} for a kind of attack, but that is a file or folder: put COMPARISONS "
                    "before --attack, or say --attack all"
                )
    return value


@click.command()
@click.argument("comparisons", type=str)
@click.option("--constitution", "-c", required=True, help="A name (see `constitution list`) or a file.")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@engine_options
@click.option(
    "--vary",
    multiple=True,
    default=("all",),
    show_default="all",
    metavar="NAME",
    help="Compare the baseline with this variant of it (--list names them), all, or none. Repeatable.",
)
@click.option(
    "--setting",
    "--settings",
    "own",
    multiple=True,
    metavar="'NAME: KEY_NAME=VALUE, ...'",  # with `NAME=` in it, a configuration file may map names to settings
    help='Compare it with a setting of your own, as "four: principles=4, examples=0": what is changed. Repeatable.',
)
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    is_flag=False,
    flag_value="all",
    metavar="[KIND]",
    callback=_kinds,
    help="Also have the worse response attack the judge: by this kind of attack, or by all of them. Repeatable.",
)
@click.option(
    "--attack-pairs",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Comparisons to attack, drawn for each kind.",
)
@click.option(
    "--fail-under",
    multiple=True,
    metavar="MEASURE=VALUE",
    help=f"Exit with code 5 where the baseline has less: {', '.join(_AT_LEAST)}. Repeatable.",
)
@click.option(
    "--fail-over",
    multiple=True,
    metavar="MEASURE=VALUE",
    help=f"Exit with code 5 where the baseline has more: {', '.join(_AT_MOST)}. Repeatable.",
)
@label_options
@click.option(
    "--split", default="train", show_default=True, help="Of a data set from the hub or saved by datasets."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read this many comparisons at most.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be done and what each setting costs; ask nothing."
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every row, as of model or sampling, or replaces them all.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the rows that failed for good.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="List what --vary and --attack take, and exit.",
)
@config_option
@click.pass_context
def audit(ctx: click.Context, /, **values: Any) -> None:
    """Measure how good a labeler is on COMPARISONS that people have judged, and which settings suit it.

    COMPARISONS is what `label` reads; its rows also have to say what people prefer: `chosen` and `rejected`, `corrects` and
    `incorrects`, a `probability`, or votes.

    The baseline is what the flags say. Every comparison is labelled under it and under variants of it with one thing changed.
    Each is measured against people: agreement, log-loss, Brier score, calibration, position bias, tokens; and against the
    baseline, on the same comparisons. The report ends with the settings to use. `constitutional show DIR` prints it again.

    With --attack, the response that people find worse tries to steer the judge, in some fifty ways, and it is counted how often
    the label flips.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_audit(values, debug=ctx.obj["debug"]))


def run_audit(values: dict[str, Any], *, debug: bool = False) -> int:
    """Run the job as the flags say and print the report.

    Args:
        values: the command's arguments; `engine` holds `EngineSettings`.
        debug: let the engine log.

    Returns:
        The exit code: 0, or 1 where rows failed.

    Raises:
        ThresholdMissed: a measure of the baseline is worse than it may be.
    """
    from constitutional.cli.progress import Display, default_interrupts
    from constitutional.cli.report import print_loss, print_plan, print_summary
    from constitutional.cli.show_audit import print_audit, print_costs
    from constitutional.cli.text import data_console, json_text
    from constitutional.engines import open_engine
    from constitutional.errors import ConfigError
    from constitutional.jobs.audit import audit_labeler
    from constitutional.jobs.audit_settings import read_setting
    from constitutional.jobs.job import JobOptions
    from constitutional.rundir import ENGINE_LOG

    settings = settings_from(LabelSettings, {name: values[name] for name in LabelSettings.model_fields})
    thresholds = [
        *_thresholds("--fail-under", values["fail_under"], _AT_LEAST),
        *_thresholds("--fail-over", values["fail_over"], _AT_MOST),
    ]
    attacked = [name for _, name, _ in thresholds if name in _OF_ATTACKS]
    if attacked and not values["attacks"]:
        raise ConfigError(f"--fail-over {attacked[0]}=… needs --attack: without it nothing is attacked")
    out, chosen = Path(values["out"]), values["engine"]
    assert isinstance(chosen, EngineSettings)
    with Display() as display, default_interrupts():
        found = audit_labeler(
            values["comparisons"],
            values["constitution"],
            out,
            engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
            prompt_set=values["prompt_set"],
            settings=settings,
            vary=values["vary"],
            variants=_unique(map(read_setting, values["own"])),
            attacks=values["attacks"],
            attack_pairs=values["attack_pairs"],
            options=JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"]),
            watcher=display,
            split=values["split"],
            limit=values["limit"],
        )
    if found.audit is None:
        if values["as_json"]:
            from dataclasses import asdict

            click.echo(json_text({"costs": [asdict(cost) for cost in found.costs]}))
        else:
            print_plan(found.report)
            print_costs(data_console(), found.costs)
        return 0
    print_summary(found.report, display)
    if values["as_json"]:
        click.echo(json_text(found.audit))
    else:
        print_audit(data_console(), out, found.audit)
    print_loss(found.report, display)
    _check(found.audit, thresholds)
    return 1 if found.report.failed else 0


def _unique(settings: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    from constitutional.errors import ConfigError

    found: dict[str, dict[str, Any]] = {}
    for name, changes in settings:
        if name in found:
            raise ConfigError(f"--setting {name}: this name is given twice")
        found[name] = changes
    return found


def _thresholds(flag: str, given: Sequence[str], measures: Sequence[str]) -> list[tuple[str, str, float]]:
    """(flag, measure, bound) of each threshold."""
    from constitutional.errors import ConfigError, nearest

    found = []
    for text in given:
        name, equals, bound = text.partition("=")
        name = name.strip().replace("_", "-")
        try:
            number = float(bound)
        except ValueError:
            number = math.nan
        if not equals or not math.isfinite(number):
            raise ConfigError(f"{flag} {text!r}: has to be MEASURE=VALUE, as {measures[0]}=0.6")
        if name not in measures:
            other = "--fail-over" if flag == "--fail-under" else "--fail-under"
            elsewhere = name in (*_AT_LEAST, *_AT_MOST)
            hint = f"{name} is for {other}" if elsewhere else nearest(name, measures)
            raise ConfigError(f"{flag} {text!r}: there is no such measure here; {hint}")
        found.append((flag, name, number))
    return found


def _check(audit: dict[str, Any], thresholds: Sequence[tuple[str, str, float]]) -> None:
    """Compare the baseline with the thresholds.

    Raises:
        ThresholdMissed: a measure is worse than it may be, or could not be measured.
    """
    from constitutional.errors import ThresholdMissed

    missed = []
    for flag, name, bound in thresholds:
        where = (
            (audit["attacks"] or {}).get("overall") or {}
            if name in _OF_ATTACKS
            else audit["settings"][0]["measures"]
        )
        value = (where.get(name.replace("-", "_")) or {}).get("value")
        if value is None:
            missed.append(
                f"{name} of the baseline could not be measured, so {flag} {name}={bound:g} is missed"
            )
        elif value < bound if flag == "--fail-under" else value > bound:
            missed.append(
                f"{name} of the baseline is {value:.4g}, {flag.removeprefix('--fail-')} the {bound:g} of {flag}"
                + (_FLIPS if name == "flips" else "")
            )
    if missed:
        raise ThresholdMissed("\n".join(missed))
