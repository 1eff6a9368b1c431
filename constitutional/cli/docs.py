"""Writes docs/cli.md from the commands: `python -m constitutional.cli.docs [--check]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from constitutional.cli import COMMANDS, cli

PATH = Path(__file__).parents[2] / "docs" / "cli.md"
_HEAD = """# The command line

Written by `make docs` from the commands themselves; do not edit. Every option of a command can also be set in a YAML file given
with `--config`.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for names, command in _commands():
        context = click.Context(command, info_name=" ".join(names), max_content_width=100, terminal_width=100)
        parts.append(
            f"{'#' * min(len(names) + 1, 4)} `{' '.join(names)}`\n\n```text\n{command.get_help(context)}\n```\n"
        )
    return re.sub(r"[ \t]+$", "", "\n".join(parts), flags=re.MULTILINE)


def _commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield ("constitutional",), cli
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield ("constitutional", name), command
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                inner = command.get_command(context, below)
                assert inner is not None
                yield ("constitutional", name, below), inner


def main() -> None:
    """Write the page, or with --check say whether it is up to date."""
    new = page()
    if "--check" not in sys.argv:
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text(new, encoding="utf-8")
    elif not PATH.exists() or PATH.read_text(encoding="utf-8") != new:
        sys.exit("docs/cli.md is not what the commands say: run make docs")


if __name__ == "__main__":
    main()
