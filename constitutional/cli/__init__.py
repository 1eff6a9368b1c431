"""The command line: a thin shell over the API, one file a command group, each imported only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from constitutional.errors import ConstitutionalError, Interrupted

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Make a small SL-CAI data set with the embedded model, and print one chain of it."),
    "revise": ("revise", "Make SL-CAI data: chains of response, critique and revision, and SFT data."),
    "show": ("show", "Show a run, or one of its chains with what each revision changed."),
    "constitution": ("constitution", "List and show constitutions."),
    "prompts": ("prompts", "List prompt sets, and show what they render."),
    "model": ("model", "The embedded models: list them, pull one, find its folder."),
    "completion": ("completion", "Print the script that completes commands in your shell."),
}
"""Every command: the module of this package that holds it (under the same name), and what it is for."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"constitutional.cli.{COMMANDS[name][0]}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from constitutional.errors import nearest

            ctx.fail(f"no such command {args[0]!r}: {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from constitutional import __version__

        click.echo(f"constitutional {__version__}")
        ctx.exit()


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.option("--debug", is_flag=True, help="Show tracebacks, and what the engines log.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Constitutional AI: from a written constitution to critique-and-revision data and an aligned model.

    Exit codes: 0 done, 1 some rows failed, 2 bad input or configuration, 3 something has to be installed first,
    4 the engine died for good, 130 interrupted.
    """
    ctx.obj = {"debug": debug}


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; errors become a sentence and an exit code.

    Args:
        args: what follows the program's name; None takes it from the process.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    given = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in given
    # anywhere on the line, since it is added to the end of a command that has just failed
    given = ["--debug"] * debug + [arg for arg in given if arg != "--debug"]
    try:
        code = cli(given, prog_name="constitutional", standalone_mode=False)
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # the machine's doing wherever it strikes, as a disk that is full
        _explain(error, debug)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    from constitutional.cli.text import inert

    stopped = isinstance(error, Interrupted)
    head = click.style("stopped:", bold=True) if stopped else click.style("error:", fg="red", bold=True)
    for line in str(error).splitlines() or [type(error).__name__]:
        click.echo(f"{head} {inert(line)}", err=True)
