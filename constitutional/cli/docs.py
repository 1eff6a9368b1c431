"""Writes what is generated: docs/cli.md from the commands, docs/lint.md from the rules, and the JSON Schema of constitution files that
ships beside them, from the loader's models: `python -m constitutional.cli.docs [--check]`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from constitutional.cli import COMMANDS, cli

_ROOT = Path(__file__).parents[2]
PATH = _ROOT / "docs" / "cli.md"
_WIDE: dict[str, Any] = {"max_content_width": 100, "terminal_width": 100}
_HEAD = """# The command line

Written by `make docs` from the commands themselves; do not edit. Every option of a command that has `--config` can also be set
in the YAML file given with it, a switch under either of its names (`one-order: true`). Characters that the output's encoding
lacks are escaped as in JSON, unless an error handler is named (`PYTHONIOENCODING=cp1252:replace`).
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for context in _contexts():
        depth = context.command_path.count(" ") + 2
        parts.append(f"{'#' * depth} `{context.command_path}`\n\n```text\n{context.get_help()}\n```\n")
    return re.sub(r"[ \t]+$", "", "\n".join(parts), flags=re.MULTILINE)


def _contexts() -> Iterator[click.Context]:
    """One context a command, as the command line itself would make it, but 100 columns wide."""
    top = click.Context(cli, info_name="constitutional", help_option_names=["-h", "--help"], **_WIDE)
    yield top
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        context = click.Context(command, parent=top, info_name=name, **_WIDE)
        yield context
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                inner = command.get_command(context, below)
                assert inner is not None
                yield click.Context(inner, parent=context, info_name=below, **_WIDE)


def _lint_page() -> str:
    from constitutional.workbench.lint.page import page

    return page()


def _schema() -> str:
    from constitutional.workbench.json_schema import schema_text

    return schema_text()


GENERATED: dict[Path, Callable[[], str]] = {
    PATH: page,
    _ROOT / "docs" / "lint.md": _lint_page,
    _ROOT / "constitutions" / "constitution.schema.json": _schema,
}
"""Every generated file, and what it has to be."""


def main() -> None:
    """Write the generated files, or with --check say which are not up to date."""
    stale = []
    for path, made in GENERATED.items():
        new = made()
        if path.exists() and path.read_text(encoding="utf-8") == new:
            continue
        if "--check" in sys.argv:
            stale.append(str(path.relative_to(_ROOT)))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(new, encoding="utf-8")
    if stale:
        sys.exit(f"not what the code says: {', '.join(stale)}: run make docs")


if __name__ == "__main__":
    main()
