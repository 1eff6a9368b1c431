"""The command line: a thin shell over the API, one file a command group, each imported only when it is called."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence

import click

from constitutional.cli.lazy import LazyGroup
from constitutional.errors import ConstitutionalError, Interrupted

_HERE = "constitutional.cli"
_ESCAPED = "constitutional-escaped"
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": (
        f"{_HERE}.demo",
        "demo",
        "Make a small SL-CAI data set with the embedded model, and print one chain of it.",
    ),
    "redteam": (f"{_HERE}.redteam", "redteam", "Write more red-team prompts from a few, with a model."),
    "revise": (
        f"{_HERE}.revise",
        "revise",
        "Make SL-CAI data: chains of response, critique and revision, and SFT data.",
    ),
    "compare": (
        f"{_HERE}.compare",
        "compare",
        "Make comparisons: pairs of responses to the same prompt, for a judge.",
    ),
    "label": (
        f"{_HERE}.label",
        "label",
        "Label comparisons: soft AI-feedback preferences from a judge and a constitution.",
    ),
    "audit": (
        f"{_HERE}.audit",
        "audit",
        "Measure how good a labeler is against people, and which settings suit it.",
    ),
    "score": (f"{_HERE}.score", "score", "Score single responses from -1 to 1 under a constitution."),
    "mix": (
        f"{_HERE}.mix",
        "mix",
        "Mix preferences of people and of labelers into one data set, with checks.",
    ),
    "show": (f"{_HERE}.show", "show", "Show a run, or one of its chains with what each revision changed."),
    "constitution": (
        f"{_HERE}.constitution",
        "constitution",
        "The workbench for constitution files: check, compare and try them.",
    ),
    "prompts": (f"{_HERE}.prompts", "prompts", "List prompt sets, and show what they render."),
    "model": (f"{_HERE}.model", "model", "The embedded models: list them, pull one, find its folder."),
    "completion": (
        f"{_HERE}.completion",
        "completion",
        "Print the script that completes commands in your shell.",
    ),
}
"""Every command: the module that holds it, its name there, and what it is for."""


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from constitutional import __version__

        click.echo(f"constitutional {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and what the engines log.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Constitutional AI: from a written constitution to critique-and-revision data and an aligned model.

    Exit codes: 0 done, 1 some rows failed, 2 bad input or configuration, 3 something has to be installed first,
    4 the engine died for good, 5 a threshold of an evaluation was missed, 130 interrupted.
    """
    ctx.obj = {"debug": debug}


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; errors become a sentence and an exit code.

    Args:
        args: what follows the program's name; None takes it from the process.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    _open_streams()
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    # anywhere on the line, since it is added to the end of a command that has just failed
    given = ["--debug"] * debug + [arg for arg in given if arg != "--debug"]
    streams = sys.stdout, sys.stderr
    try:
        code = cli(given, prog_name="constitutional", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:
        if sys.stdout is streams[0]:
            raise
        sys.stdout, sys.stderr = streams  # click, which wraps them, takes a closed pipe for a failure
        code = _leave_stdout()
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except ConstitutionalError as error:
        _explain(error, debug)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command goes on from here", err=True)
        code = 130
    except BrokenPipeError:  # as when piped into head
        code = _leave_stdout()
    except OSError as error:  # the machine's doing wherever it strikes, as a disk that is full
        _explain(_named(error), debug)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Lead standard streams that are closed to nowhere, and let the others take any character.

    The next file to be opened, a ledger, would be taken for a stream that is closed. Characters that an encoding lacks are escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.set_inheritable(nowhere, True)  # an engine's processes write to them, too
        try:
            os.fstat(number)
        except OSError:
            os.dup2(nowhere, number)
        setattr(sys, name, os.fdopen(nowhere, "w" if number else "r", encoding="utf-8"))
    codecs.register_error(_ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper) or codecs.lookup(stream.encoding).name == "utf-8":
            continue
        if stream.errors in ("strict", "surrogateescape"):  # nothing else was asked for
            stream.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks as JSON escapes it, so that JSON stays what it says and two marks stay apart."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _leave_stdout() -> int:
    """Let what is still to be written to standard output go nowhere: its reader has seen enough, which is no failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _named(error: OSError) -> Exception:
    """The error, named where it is standard output that can't be written: an error of a file names that itself."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if error.filename is not None or frame.f_globals.get("__name__") not in (
        __name__,
        "click.utils",
        "rich.console",
    ):
        return error
    _leave_stdout()
    said = OSError(f"standard output can't be written: {error.strerror or error}")
    return said.with_traceback(error.__traceback__)


def _explain(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    from constitutional.cli.text import inert

    stopped = isinstance(error, Interrupted)
    head = click.style("stopped:", bold=True) if stopped else click.style("error:", fg="red", bold=True)
    for line in str(error).splitlines() or [type(error).__name__]:
        click.echo(f"{head} {inert(line)}", err=True)
