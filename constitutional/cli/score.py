"""`constitutional score`: how good responses are under a constitution, each for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings, sampling_options
from constitutional.cli.label_options import NumberOrAll
from constitutional.engines import EngineSettings
from constitutional.stages.score import ScoreSettings

_DEFAULTS = {name: field.default for name, field in ScoreSettings.model_fields.items()}


@click.command()
@click.argument("responses", type=str)
@click.option("--constitution", "-c", required=True, help="A name (see `constitution list`) or a file.")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@engine_options
@click.option(
    "--written", is_flag=True, help="Let the judge write a justification and a decimal, 1.00–5.00 by default."
)
@click.option("--low", type=float, help="The worst rating.  [default: 1]")
@click.option("--high", type=float, help="The best rating.  [default: 10, or 5 with --written]")
@click.option(
    "--principles",
    type=NumberOrAll(),
    default=_DEFAULTS["principles"],
    show_default=True,
    help="How many are drawn for a response; all makes scores comparable.",
)
@click.option(
    "--min-mass",
    type=float,
    default=_DEFAULTS["min_mass"],
    show_default=True,
    help="A vote whose ratings have less probability together is flagged.",
)
@click.option(
    "--low-mass",
    type=click.Choice(["keep", "exclude"]),
    default=_DEFAULTS["low_mass"],
    show_default=True,
    help="What to do with flagged votes.",
)
@click.option(
    "--samples",
    type=int,
    default=_DEFAULTS["samples"],
    show_default=True,
    help="Written ratings for each principle.",
)
@sampling_options(ScoreSettings, of="each written rating")
@click.option(
    "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws principles and seeds every request."
)
@click.option(
    "--data-set",
    type=click.Choice(["chains", "sft"]),
    help="Of a run directory; chains, where it has them, if not given.",
)
@click.option(
    "--split", default="train", show_default=True, help="Of a data set from the hub or saved by datasets."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read this many rows at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs; ask nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every row, as of model or scale, or replaces them all.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the rows that failed for good.")
@config_option
@click.pass_context
def score(ctx: click.Context, /, **values: Any) -> None:
    """Score RESPONSES from −1 to 1 under the principles of a constitution (direct RLAIF).

    RESPONSES is a file or a data set's hub id, whose rows have a `prompt` and a `response` (or TRL's `completion`);
    or the run directory of `revise`: then the initial response and each good revision of every chain is scored.

    The judge's probabilities of the ratings 1 to 10 make one expected rating for each principle. An engine that gives
    no log-probabilities, or a finer scale, needs --written.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_score(values, debug=ctx.obj["debug"]))


def run_score(values: dict[str, Any], *, debug: bool = False) -> int:
    """Run the job as the flags say and print how it went.

    Args:
        values: the command's arguments; `engine` holds `EngineSettings`.
        debug: let the engine log.

    Returns:
        The exit code: 0, or 1 where rows failed.
    """
    from constitutional.cli.progress import Display, default_interrupts
    from constitutional.cli.report import print_plan, print_report
    from constitutional.engines import open_engine
    from constitutional.jobs.job import JobOptions
    from constitutional.jobs.score import score_responses
    from constitutional.rundir import ENGINE_LOG

    settings = settings_from(ScoreSettings, {name: values[name] for name in ScoreSettings.model_fields})
    out, chosen = Path(values["out"]), values["engine"]
    assert isinstance(chosen, EngineSettings)
    with Display() as display, default_interrupts():
        report = score_responses(
            values["responses"],
            values["constitution"],
            out,
            engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
            prompt_set=values["prompt_set"],
            settings=settings,
            options=JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"]),
            watcher=display,
            split=values["split"],
            limit=values["limit"],
            data_set=values["data_set"],
        )
    if report.manifest:
        print_report(report, display, _lines(report.manifest["counts"]))
    else:
        print_plan(report)
    return 1 if report.failed else 0


def _lines(counts: dict[str, Any]) -> list[str]:
    """What the scores came to, for a person."""
    lines = [f"mean score {_mean(counts['scores'])}"] if counts["scores"]["count"] else []
    for found in counts["scores_by_round"]:
        name = f"revision {found['round']}" if found["round"] else "initial response"
        lines.append(f"  {name}: {_mean(found)}")
    votes = counts["votes"]
    of = {reason: count for reason, count in votes.items() if reason != "flagged" and count}
    without = {reason: count for reason, count in of.items() if reason != "counted"}
    listed = "".join(f", {reason} {count:,}" for reason, count in without.items())
    flagged = f"; {votes['flagged']:,} of low mass" if votes.get("flagged") else ""
    return [*lines, f"votes: {of.get('counted', 0):,} of {sum(of.values()):,} count{listed}{flagged}"]


def _mean(found: dict[str, Any]) -> str:
    from constitutional.numbers import number

    error = found["standard_error"]
    return (
        number(found["mean"], "+.3f")
        + (f" ± {error:.3f}" if error is not None else "")
        + f" (n = {found['count']:,})"
    )
