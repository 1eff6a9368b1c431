"""`constitutional constitution`: the workbench, where constitutions are written, checked, compared and tried."""

from __future__ import annotations

import click

from constitutional.cli.lazy import LazyGroup

_HERE = "constitutional.cli.constitution"
COMMANDS: dict[str, tuple[str, str, str]] = {
    "new": (f"{_HERE}.new", "new", "Write a commented skeleton to start from."),
    "list": (f"{_HERE}.listing", "list_command", "List the constitutions that a name can stand for."),
    "show": (f"{_HERE}.listing", "show_command", "Show a constitution, with everything it extends resolved."),
    "lint": (f"{_HERE}.lint", "lint", "Find mistakes and weak spots, each with its place and what to do."),
    "schema": (f"{_HERE}.schema", "schema", "Print the JSON Schema by which editors complete and check."),
    "diff": (
        f"{_HERE}.diff",
        "diff",
        "Compare two constitutions, and say which rows of a run an edit redoes.",
    ),
    "try": (f"{_HERE}.trial", "try_command", "Try a constitution on a prompt, again on each save if asked."),
    "analyse": (f"{_HERE}.analyse", "analyse", "Say what each principle did in a run: table, JSON, figures."),
    "import": (
        f"{_HERE}.convert",
        "import_command",
        "Turn principles in another format into a constitution.",
    ),
    "export": (f"{_HERE}.convert", "export_command", "Write a constitution in another format."),
}
"""Every command: the module that holds it, its name there, and what it is for."""


@click.group(cls=LazyGroup, table=COMMANDS)
def constitution() -> None:
    """Write constitutions: check, compare and try them, and see what they did."""
