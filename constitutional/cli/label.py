"""`constitutional label`: soft preferences from comparisons and a constitution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings
from constitutional.engines import EngineSettings
from constitutional.stages.label import LabelSettings

_DEFAULTS = {name: field.default for name, field in LabelSettings.model_fields.items()}


class NumberOrAll(click.ParamType[Any]):
    """How many principles: a number from 1, or `all`."""

    name = "number or all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or `all`."""
        text = str(value).strip()
        if text == "all":
            return text
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) < 10**6:
            self.fail(f"{text[:40]!r} is neither a number of principles nor 'all'", param, ctx)
        return int(text)


@click.command()
@click.argument("comparisons", type=str)
@click.option("--constitution", "-c", required=True, help="A name (see `constitution list`) or a file.")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@engine_options
@click.option(
    "--principles",
    type=NumberOrAll(),
    default=_DEFAULTS["principles"],
    show_default=True,
    help="Principles drawn for each label, or all, weighted.",
)
@click.option(
    "--chain-of-thought", is_flag=True, help="Let the judge reason first, and answer after its reasoning."
)
@click.option(
    "--samples",
    type=int,
    default=_DEFAULTS["samples"],
    show_default=True,
    help="Rationales (or counted answers) for each principle and order.",
)
@click.option(
    "--both-orders/--one-order",
    default=True,
    show_default=True,
    help="Show the responses in both orders, or in one that a hash draws.",
)
@click.option(
    "--clamp",
    type=float,
    help="Move votes into [CLAMP, 1 - CLAMP]; 0 does not.  [default: 0.4 with chain of thought, else 0]",
)
@click.option(
    "--order-average",
    type=click.Choice(["mean", "logit"]),
    default=_DEFAULTS["order_average"],
    show_default=True,
    help="Average both orders as probabilities or as log-odds.",
)
@click.option(
    "--votes",
    type=click.Choice(["logprobs", "sampled"]),
    default=_DEFAULTS["votes"],
    show_default=True,
    help="Read the probabilities of the answers, or count sampled answers.",
)
@click.option(
    "--temperature",
    type=float,
    default=_DEFAULTS["temperature"],
    show_default=True,
    help="Of rationales and counted answers.",
)
@click.option("--top-p", type=float, default=_DEFAULTS["top_p"], show_default=True)
@click.option("--top-k", type=int, default=_DEFAULTS["top_k"], show_default=True, help="0 keeps every token.")
@click.option(
    "--max-tokens", type=int, default=_DEFAULTS["max_tokens"], show_default=True, help="Of a rationale."
)
@click.option(
    "--min-mass",
    type=float,
    default=_DEFAULTS["min_mass"],
    show_default=True,
    help="Flag votes whose two answers have less probability together.",
)
@click.option(
    "--low-mass",
    type=click.Choice(["keep", "exclude"]),
    default=_DEFAULTS["low_mass"],
    show_default=True,
    help="Whether flagged votes count.",
)
@click.option(
    "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
)
@click.option(
    "--examples", type=int, help="Preference examples to show; all of the prompt set's if not given."
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws principles and seeds every request."
)
@click.option(
    "--overlong",
    type=click.Choice(["skip", "drop-oldest"]),
    default="skip",
    show_default=True,
    help="What to do with a conversation that does not fit the context.",
)
@click.option(
    "--split", default="train", show_default=True, help="Of a data set from the hub or saved by datasets."
)
@click.option("--limit", type=click.IntRange(min=1), help="Read this many comparisons at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs; ask nothing.")
@click.option(
    "--rebuild", is_flag=True, help="Allow a change that redoes every row, as of model or sampling."
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
    from constitutional.cli.report import print_report
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
        print_report(report, display)
        for line in summary_lines(report.manifest["counts"], settings):
            display.console.print(line)
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
