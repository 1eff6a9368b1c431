"""`constitutional constitution try`: a constitution on a prompt, again on each save if asked."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from constitutional.cli.complete import constitutions, files, principles, prompt_sets
from constitutional.cli.config import config_option, settings_from
from constitutional.cli.engine_options import engine_options, engine_settings, sampling_options
from constitutional.engines import EngineSettings
from constitutional.stages.revise import ReviseSettings

if TYPE_CHECKING:
    from constitutional.cli.constitution.trial_screen import Screen
    from constitutional.records import Prompt
    from constitutional.workbench.memory import RememberingEngine
    from constitutional.workbench.trial_spec import TrialSpec

_CHAIN = ("stop_when_clean", "examples", "overlong", "seed", "temperature", "top_p", "top_k", "max_tokens")
MEMORY, LOG = "tries.sqlite", "tries.log"


@click.command("try")
@click.argument("names", nargs=-1, required=True, metavar="NAME [NAME]", shell_complete=constitutions)
@click.option(
    "--prompt", metavar="TEXT", help="A user's message to respond to; - reads it from standard input."
)
@click.option(
    "--prompts",
    "source",
    metavar="FILE",
    shell_complete=files,
    help="Take the prompt from a file of prompts, as `revise` reads them.",
)
@click.option("--row", help="Which row of --prompts: an id, or a place from 1.  [default: the first]")
@click.option("--response", metavar="TEXT", help="Criticise this response; the model's own if not given.")
@click.option(
    "--principle", "-p", "principles", multiple=True, metavar="ID", shell_complete=principles,
    help="Try this principle; the one that `revise` would draw if not given. Repeatable.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Try every principle on the same response.")
@click.option("--watch", "-w", is_flag=True, help="Try again whenever a file is saved, until Ctrl-C.")
@engine_options
@click.option("--direct", is_flag=True, help="Ask for revisions directly, without critiques.")
@click.option("--stop-when-clean", is_flag=True, help="Let a critique that finds nothing end the trial.")
@click.option(
    "--prompt-set",
    shell_complete=prompt_sets,
    default="default",
    show_default=True,
    help="A name (see `prompts list`) or a folder.",
)
@click.option("--examples", type=int, help="Few-shot examples to show; all of the prompt set's if not given.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Draws the principle and seeds every request."
)
@sampling_options(ReviseSettings, of="each generation")
@click.option(
    "--overlong",
    type=click.Choice(["skip", "drop-oldest"]),
    default="skip",
    show_default=True,
    help="What to do with a conversation that does not fit the context: refuse it, or drop turns.",
)
@click.option("--fresh", is_flag=True, help="Generate anew, whatever earlier commands remember.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --watch, one line for each save.")
@config_option
@click.pass_context
def try_command(ctx: click.Context, /, **values: Any) -> None:
    """Try the constitution NAME (a name or a file) on a prompt: respond, criticise, revise.

    Prints what the revision changed and which checks it fails. With a second NAME, the two are compared on the same
    response. What was generated once is remembered: after an edit, only what the edit touches is generated again. That is kept, with
    the prompts, in tries.sqlite in the cache folder; delete it to clear it.

    The requests are those of the first round of `revise` with the same model, seed and sampling.
    """
    values["engine"] = engine_settings(values)
    ctx.exit(run_try(values, debug=ctx.obj["debug"]))


def run_try(values: dict[str, Any], *, debug: bool = False) -> int:
    """Try as the flags say, and print what came of it.

    Args:
        values: the command's arguments; `engine` holds `EngineSettings`.
        debug: let the engine log.

    Returns:
        The exit code: 0, or 1 where a principle could not be tried. Ctrl-C while nothing is generated is how a watch ends.
    """
    from constitutional.cli.constitution.trial_screen import Screen
    from constitutional.cli.progress import default_interrupts
    from constitutional.engines import open_engine
    from constitutional.fingerprint import cache_dir
    from constitutional.workbench.memory import RememberingEngine, open_memory
    from constitutional.workbench.trial_spec import TrialSpec

    settings = settings_from(
        ReviseSettings,
        {name: values[name] for name in _CHAIN} | {"rounds": 1, "critique": not values["direct"]},
    )
    if settings.stop_when_clean and not settings.critique:
        raise click.UsageError("--stop-when-clean needs critiques; it can't be combined with --direct")
    spec = TrialSpec(
        tuple(values["names"]),
        _prompt(values),
        tuple(values["principles"]),
        values["every"],
        values["prompt_set"],
        settings,
    )
    remarks = _check(spec, watching=values["watch"])
    chosen = values["engine"]
    assert isinstance(chosen, EngineSettings)
    log = cache_dir() / LOG
    with contextlib.suppress(OSError):
        log.unlink()  # it is of the last command that loaded a model
    inner = open_engine(chosen, debug=debug, log=log)
    # A server's model has only a name, which may stand for another one tomorrow.
    path = None if chosen.kind == "server" else cache_dir() / MEMORY
    with Screen(chosen.model or chosen.kind, as_json=values["as_json"], watching=values["watch"]) as screen:
        ledger = open_memory(path, fresh=values["fresh"], say=screen.say)
        for remark in remarks:
            screen.say(remark)
        engine = RememberingEngine(inner, ledger, starting=screen.loading)
        with default_interrupts():
            try:
                return asyncio.run(_run(spec, engine, screen))
            except asyncio.CancelledError:
                if screen.waiting:
                    screen.say("ended")  # by what ends it, with nothing left half done
                    return 0
                raise KeyboardInterrupt from None


async def _run(spec: TrialSpec, engine: RememberingEngine, screen: Screen) -> int:
    from contextlib import aclosing

    from constitutional.registry import find_constitution, is_path
    from constitutional.workbench.watch import run_trial, watch_trials

    screen.catch_interrupts()
    following = asyncio.create_task(screen.follow(engine))
    try:
        with screen.loading():
            await engine.prepare()
        if not screen.watching:
            for name in spec.constitutions:
                if not is_path(name):
                    screen.say(f"{name} is {find_constitution(name)}")
            with screen.busy("generating"):
                tried = await run_trial(spec, engine)
            screen.show(tried)
            return 1 if tried.trial.failed else 0
        async with aclosing(watch_trials(spec, engine)) as events:
            async for event in events:
                screen.show(event)
        return 0
    finally:
        following.cancel()
        await engine.close()


def _prompt(values: dict[str, Any]) -> Prompt:
    """The prompt that the flags name."""
    from dataclasses import replace

    from constitutional.errors import ConfigError
    from constitutional.workbench.trial_spec import prompt_from, prompt_of_row

    text, source, response = values["prompt"], values["source"], values["response"]
    if (text is None) == (source is None):
        raise ConfigError("give --prompt TEXT, or --prompts FILE to take it from a file; one of them")
    if values["row"] is not None and source is None:
        raise ConfigError("--row is a row of --prompts FILE, which is not given")
    if source is None:
        return prompt_from(_standard_input() if text == "-" else text, response)
    prompt = prompt_of_row(source, values["row"])
    if response is None:
        return prompt
    return replace(prompt, response=prompt_from("?", response).response)


def _standard_input() -> str:
    from constitutional.errors import ConfigError
    from constitutional.yamlfile import MAX_BYTES

    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the prompt on standard input is larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8").rstrip("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the prompt on standard input is not UTF-8 at byte {error.start:,}") from error


def _check(spec: TrialSpec, *, watching: bool) -> list[str]:
    """Refuse what can't be tried before a model is loaded; a watched file may be wrong for now.

    Returns:
        What is worth saying first.
    """
    from constitutional.errors import InputError
    from constitutional.registry import exists, find_constitution

    try:
        candidates, _ = spec.load()
    except InputError as error:
        there = all(exists(find_constitution(name)) for name in spec.constitutions)
        in_files = all(problem.place for problem in error.problems)
        if not (watching and there and in_files):
            raise
        return []
    found = {(candidate.name, candidate.principle.id) for candidate in candidates}
    return [
        f"{name} has no principle {id!r}: it is tried of the other one alone"
        for id in spec.principles
        for name in spec.constitutions
        if (name, id) not in found
    ]
