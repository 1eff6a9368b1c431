"""`constitutional label`: soft preferences from comparisons and a constitution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings
from constitutional.cli.label_options import label_options
from constitutional.engines import EngineSettings
from constitutional.stages.label import LabelSettings


@click.command()
@click.argument("comparisons", type=str)
@click.option("--constitution", "-c", required=True, help="A name (see `constitution list`) or a file.")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@engine_options
@label_options
@click.option(
    "--split", default="train", show_default=True, help="Of a data set from the hub or saved by datasets."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read this many comparisons at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs; ask nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every row, as of model or sampling, or replaces them all.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the rows that failed for good.")
@config_option
@click.pass_context
def label(ctx: click.Context, /, **values: Any) -> None:
    """Label COMPARISONS: how likely the first response is the better one, asked of a judge in the words of a constitution.

    COMPARISONS is a run of `compare`, or a file or a data set's hub id whose rows have a `prompt` and two `responses`, or `prompt`,
    `chosen` and `rejected`; hh-rlhf transcripts and the paper's evaluation files work as they are.

    The run's `preferences` are for TRL's RewardTrainer and DPOTrainer, its `labels` hold every vote. The same command again goes
    on where it stopped, and after an edit asks only what the edit changed.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_label(values, debug=ctx.obj["debug"]))


def run_label(values: dict[str, Any], *, debug: bool = False) -> int:
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
    from constitutional.jobs.label import label_comparisons
    from constitutional.rundir import ENGINE_LOG

    settings = settings_from(LabelSettings, {name: values[name] for name in LabelSettings.model_fields})
    out, chosen = Path(values["out"]), values["engine"]
    assert isinstance(chosen, EngineSettings)
    with Display() as display, default_interrupts():
        report = label_comparisons(
            values["comparisons"],
            values["constitution"],
            out,
            engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
            prompt_set=values["prompt_set"],
            settings=settings,
            options=JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"]),
            watcher=display,
            split=values["split"],
            limit=values["limit"],
        )
    if report.manifest:
        print_report(report, display, summary_lines(report.manifest["counts"], settings))
    else:
        print_plan(report)
    return 1 if report.failed else 0


def summary_lines(counts: dict[str, Any], settings: LabelSettings) -> list[str]:
    """What labels and votes came to, for a person, and what to look at where it looks bad."""
    labels, votes, position = counts["labels"], counts["votes"], counts["position"]
    if not votes["cast"]:
        return []
    lines = []
    if labels["count"]:
        error = labels["mean_standard_error"]
        lines.append(
            f"labels: the first response is better in {labels['first_better']:,}, the second in "
            f"{labels['second_better']:,}, exact ties {labels['ties']:,}; mean P {labels['mean_probability']:.3f}"
            + (f", mean standard error {error:.3f}" if error is not None else "")
        )
    reasons = "".join(f", {reason} {count:,}" for reason, count in votes["not_counted"].items())
    lines.append(f"votes: {votes['counted']:,} of {votes['cast']:,} count{reasons}")
    if votes["flagged"]:
        share = votes["flagged"] / votes["cast"]
        done = (
            "and left out"
            if settings.low_mass == "exclude"
            else "but counted (--low-mass exclude leaves them out)"
        )
        lines.append(
            f"  {votes['flagged']:,} ({share:.0%}) flagged: the judge gave the two answers less than "
            f"{settings.min_mass:g} of its probability together; {done}"
        )
    if votes["truncated_rationales"]:
        lines.append(f"  {votes['truncated_rationales']:,} rationales were cut off by --max-tokens")
    if position["shown_first"] is not None:
        disagree = position["orders_disagree"]
        lines.append(
            f"position: mean P of the response shown first {position['shown_first']:.3f}"
            + (
                f"; the two orders prefer different responses in {disagree:.0%}"
                if disagree is not None
                else ""
            )
        )
    return lines
