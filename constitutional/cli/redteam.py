"""`constitutional redteam`: more red-team prompts, written by a model from a few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings, sampling_options
from constitutional.engines import EngineSettings
from constitutional.numbers import counted
from constitutional.stages.redteam import RedteamSettings

_DEFAULTS = {name: field.default for name, field in RedteamSettings.model_fields.items()}
_ACCEPT = ("count", "most_requests", "min_words", "max_words", "similarity")


@click.command()
@click.argument("seeds", type=str)
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@click.option("--count", "-n", type=int, required=True, help="How many prompts are wanted.")
@engine_options
@click.option("--topics", help="A file of topics, one a line; each request names one of them.")
@click.option(
    "--seeds-per-request",
    type=int,
    default=_DEFAULTS["seeds_per_request"],
    show_default=True,
    help="Seeds that one request shows.",
)
@click.option(
    "--prompts-per-request",
    type=int,
    default=_DEFAULTS["prompts_per_request"],
    show_default=True,
    help="Prompts that one request asks for.",
)
@click.option(
    "--most-requests",
    type=int,
    help="Stop after this many requests; ten times as many as would do at best if not given.",
)
@click.option("--min-words", type=int, default=3, show_default=True, help="Of a prompt.")
@click.option("--max-words", type=int, default=60, show_default=True, help="Of a prompt.")
@click.option(
    "--similarity",
    type=float,
    default=0.7,
    show_default=True,
    help="Share of common character 5-grams from which on two prompts are copies.",
)
@click.option(
    "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws seeds and seeds every request.")
@sampling_options(RedteamSettings, of="each answer")
@click.option(
    "--split", default="train", show_default=True, help="Of a data set from the hub or saved by datasets."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read this many seeds at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be asked first; generate nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every request, as of model or sampling, or leaves none of the finished ones in.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the requests that failed for good.")
@config_option
@click.pass_context
def redteam(ctx: click.Context, /, **values: Any) -> None:
    """Have a model write more prompts like SEEDS, until COUNT are accepted.

    SEEDS is whatever `revise` reads as prompts; those of one user turn are used. Each request shows a few of them.
    What comes back is filtered: cut off, too short or long, refusals, copies and near copies; `rejected` holds these
    with their reasons.

    The run directory can be given to `revise` and `compare` as it is. The same command again goes on where it
    stopped, and with a larger --count asks only for what is missing.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_redteam(values, debug=ctx.obj["debug"]))


def run_redteam(values: dict[str, Any], *, debug: bool = False) -> int:
    """Run the job as the flags say and print how it went.

    Args:
        values: the command's arguments; `engine` holds `EngineSettings`.
        debug: let the engine log.

    Returns:
        The exit code: 0, or 1 where requests failed or fewer prompts than wanted were accepted.
    """
    from constitutional.cli.progress import Display, default_interrupts
    from constitutional.cli.report import print_plan, print_report
    from constitutional.engines import open_engine
    from constitutional.jobs.job import JobOptions
    from constitutional.jobs.redteam import AcceptSettings, write_redteam_prompts
    from constitutional.rundir import ENGINE_LOG

    settings = settings_from(RedteamSettings, {name: values[name] for name in RedteamSettings.model_fields})
    accept = settings_from(AcceptSettings, {name: values[name] for name in _ACCEPT})
    out, chosen = Path(values["out"]), values["engine"]
    assert isinstance(chosen, EngineSettings)
    with Display() as display, default_interrupts():
        report = write_redteam_prompts(
            values["seeds"],
            out,
            engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
            topics=values["topics"],
            prompt_set=values["prompt_set"],
            settings=settings,
            accept=accept,
            options=JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"]),
            watcher=display,
            split=values["split"],
            limit=values["limit"],
        )
    if not report.manifest:
        print_plan(report)
        return 0
    counts = report.manifest["counts"]
    print_report(report, display, _lines(counts))
    return 1 if report.failed or counts["accepted"] < counts["wanted"] else 0


def _lines(counts: dict[str, Any]) -> list[str]:
    """What was accepted and rejected, for a person."""
    share = f" ({counts['yield']:.0%})" if counts["yield"] is not None else ""
    lines = [f"{counts['accepted']:,} of {counted(counts['candidates'], 'candidate')} accepted{share}"]
    lines += [f"  {reason}: {count:,}" for reason, count in counts["rejected"].items()]
    if counts["seeds"]["left_out"]:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in counts["seeds"]["left_out"].items())
        lines.append(f"seeds left out: {listed}")
    if counts["accepted"] < counts["wanted"]:
        lines.append(
            f"{counts['wanted']:,} were wanted: the budget of {counted(counts['most_requests'], 'request')} is spent; "
            "a larger --most-requests goes on from here"
        )
    return lines
