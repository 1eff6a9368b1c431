"""`constitutional compare`: pairs of responses, sampled from a model or taken from two files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings, sampling_options
from constitutional.errors import ConfigError
from constitutional.numbers import counted
from constitutional.stages.compare import CompareSettings

_DEFAULTS = {name: field.default for name, field in CompareSettings.model_fields.items()}
_STAGE = ("samples", "temperature", "redraws", "overlong", "seed", "top_p", "top_k", "max_tokens")
_NOT_FOR_FILES = (
    *("model", "engine", "base_url", "revision", "adapter", "dtype", "slots", "engine_args", "prompt_set"),
    *(name for name in _STAGE if name != "seed"),
)


@click.command()
@click.argument("prompts", type=str, required=False)
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="The run directory to write."
)
@click.option(
    "--responses",
    nargs=2,
    metavar="A B",
    callback=lambda ctx, param, given: _two_files(given),
    help="Pair the responses of two files, or of two runs with --samples 1; no model is asked.",
)
@engine_options
@click.option(
    "--samples",
    type=int,
    default=_DEFAULTS["samples"],
    show_default=True,
    help="Responses to each prompt: an even number makes half as many pairs; 1 is for --responses.",
)
@click.option(
    "--temperature",
    type=float,
    multiple=True,
    default=_DEFAULTS["temperature"],
    show_default=True,
    help="Given once, of all responses; else once for each.",
)
@sampling_options(CompareSettings, of="each response", temperature=False)
@click.option(
    "--redraws",
    type=int,
    default=_DEFAULTS["redraws"],
    show_default=True,
    help="How often to draw again for a pair of equal responses, or with an empty one.",
)
@click.option(
    "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seeds every request, and says which response comes first.",
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
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Read this many rows at most; of two files of responses, of the first.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it costs; generate nothing.")
@click.option(
    "--rebuild",
    is_flag=True,
    help="Allow a change that redoes every row, as of model or sampling, or replaces them all.",
)
@click.option("--retry-failed", is_flag=True, help="Also try again the rows that failed for good.")
@config_option
@click.pass_context
def compare(ctx: click.Context, /, **values: Any) -> None:
    """Make comparisons from PROMPTS: two responses of a model to each, for `constitutional label` to choose between.

    PROMPTS is a .jsonl, .json, .csv, .parquet or .txt file, a data set's hub id, or a run of `redteam`. Which response of a pair
    comes first is a hash.

    Two models: `compare PROMPTS -m A --samples 1 -o a`, the same with B, then `compare --responses a b -o ab`. Files of
    responses have a `response` and an `id`, a `prompt` or both; PROMPTS then gives the prompts to rows without one.

    The same command again goes on where it stopped.
    """
    if values["responses"]:
        for name in _NOT_FOR_FILES:
            if ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP):
                flag = "engine-arg" if name == "engine_args" else name.replace("_", "-")
                raise ConfigError(f"--{flag} has no use with --responses: nothing is generated then")
    elif values["prompts"] is None:
        raise ConfigError("nothing to compare: give PROMPTS and a --model, or two files with --responses")
    ctx.exit(run_compare(values, debug=ctx.obj["debug"]))


def _two_files(given: tuple[str, str] | None) -> tuple[str, str] | None:
    """What --responses was given, unless a flag was taken for the second of them."""
    if given and given[1].startswith("-") and not Path(given[1]).exists():
        raise ConfigError(
            f"--responses takes two files or runs, and {given[1]} comes in the place of the second"
        )
    return given


def run_compare(values: dict[str, Any], *, debug: bool = False) -> int:
    """Run the job as the flags say and print how it went.

    Args:
        values: the command's arguments.
        debug: let the engine log.

    Returns:
        The exit code: 0, or 1 where rows failed.
    """
    from constitutional.cli.progress import Display, default_interrupts
    from constitutional.cli.report import print_plan, print_report
    from constitutional.jobs.job import JobOptions

    chosen = engine_settings(values)
    settings = settings_from(CompareSettings, {name: values[name] for name in _STAGE})
    out = Path(values["out"])
    common: dict[str, Any] = {
        "options": JobOptions(values["dry_run"], values["rebuild"], values["retry_failed"]),
        "split": values["split"],
        "limit": values["limit"],
    }
    with Display() as display, default_interrupts():
        if values["responses"]:
            from constitutional.jobs.join import join_responses

            first, second = values["responses"]
            report = join_responses(
                first,
                second,
                out,
                prompts=values["prompts"],
                seed=settings.seed,
                watcher=display,
                **common,
            )
        else:
            from constitutional.engines import open_engine
            from constitutional.jobs.compare import build_comparisons
            from constitutional.rundir import ENGINE_LOG

            report = build_comparisons(
                values["prompts"],
                out,
                engine=open_engine(chosen, debug=debug, log=out / ENGINE_LOG),
                prompt_set=values["prompt_set"],
                settings=settings,
                watcher=display,
                **common,
            )
    if report.manifest:
        print_report(report, display, _lines(report.manifest["counts"]))
    else:
        print_plan(report)
    return 1 if report.failed else 0


def _lines(counts: dict[str, Any]) -> list[str]:
    """What became of pairs and responses, beside what is good."""
    found = [
        f"{counted(count, 'pair')} left out ({name})"
        for name, count in counts.get("pairs", {}).items()
        if name != "ok"
    ]
    found += [f"{counted(counts['redraws'], 'response')} drawn again"] if counts["redraws"] else []
    cut = counts["truncated_responses"]
    found += [f"{cut:,} responses cut off by the token limit"] if cut else []
    dropped, escaped = counts["dropped_turns"], counts["escaped"]
    found += [f"{dropped:,} of the oldest turns dropped to fit the context"] if dropped else []
    found += [f"{escaped:,} special tokens made harmless"] if escaped else []
    return ["; ".join(found)] if found else []
