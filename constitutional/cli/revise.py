"""`constitutional revise`: SL-CAI data from prompts and a constitution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from constitutional.cli.complete import constitutions
from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings, sampling_options
from constitutional.engines import EngineSettings
from constitutional.stages.checks import CHECKS
from constitutional.stages.revise import ReviseSettings

_ROUNDS = ReviseSettings.model_fields["rounds"].default
_CHAIN = ("rounds", "principles_per_round", "stop_when_clean", "examples", "overlong", "seed")
_SAMPLING = ("temperature", "top_p", "top_k", "max_tokens")


@click.command()
@click.argument("prompts", type=str)
@click.option(
    "--constitution",
    "-c",
    required=True,
    shell_complete=constitutions,
    help="A name (see `constitution list`) or a file.",
)
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@engine_options
@click.option("--rounds", type=int, default=_ROUNDS, show_default=True, help="Rounds of a chain.")
@click.option(
    "--principles-per-round", type=int, default=1, show_default=True, help="Principles drawn for one round."
)
@click.option("--direct", is_flag=True, help="Ask for revisions directly, without critiques.")
@click.option("--stop-when-clean", is_flag=True, help="Let a critique that finds nothing end its chain.")
@click.option(
    "--revisions",
    type=click.Choice(["all", "last"]),
    default="all",
    show_default=True,
    help="Which good revisions go into the SFT data.",
)
@click.option(
    "--keep-failing",
    multiple=True,
    type=click.Choice([check for check in CHECKS if check != "empty"]),
    help="Keep revisions in the SFT data that fail this check. Repeatable.",
)
@click.option("--helpful", help="Helpful prompts; sampled responses to them are mixed into the SFT data.")
@click.option(
    "--helpful-samples", type=int, default=2, show_default=True, help="Responses for each helpful prompt."
)
@click.option(
    "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
)
@click.option("--examples", type=int, help="Few-shot examples to show; all of the prompt set's if not given.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws principles and seeds every request."
)
@sampling_options(ReviseSettings, of="each generation")
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
@click.option("--limit", type=click.IntRange(min=1), help="Read this many prompts at most.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs; generate nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every row, as of model or sampling, or replaces them all.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the rows that failed for good.")
@config_option
@click.pass_context
def revise(ctx: click.Context, /, **values: Any) -> None:
    """Make SL-CAI data from PROMPTS: chains of response, critique and revision, and SFT data.

    PROMPTS is a .jsonl, .json, .csv, .parquet or .txt file, or a data set's hub id; its rows have a `prompt` (a string or
    messages), optionally an `id` and a `response`; hh-rlhf transcripts work as they are.

    The same command again goes on where it stopped, and after an edit does only what the edit made stale.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_revise(values, debug=ctx.obj["debug"]))


def run_revise(values: dict[str, Any], *, debug: bool = False) -> int:
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
    from constitutional.jobs.sl_cai import DataSettings, build_sl_cai
    from constitutional.rundir import ENGINE_LOG

    settings = settings_from(
        ReviseSettings,
        {name: values[name] for name in (*_CHAIN, *_SAMPLING)} | {"critique": not values["direct"]},
    )
    data = settings_from(
        DataSettings, {name: values[name] for name in ("revisions", "keep_failing", "helpful_samples")}
    )
    out, chosen = Path(values["out"]), values["engine"]
    assert isinstance(chosen, EngineSettings)
    options = JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"])
    with Display() as display, default_interrupts():
        report = build_sl_cai(
            values["prompts"],
            values["constitution"],
            out,
            engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
            helpful=values["helpful"],
            prompt_set=values["prompt_set"],
            settings=settings,
            data=data,
            options=options,
            watcher=display,
            split=values["split"],
            limit=values["limit"],
        )
    if report.manifest:
        print_report(report, display)
    else:
        print_plan(report)
    return 1 if report.failed else 0
