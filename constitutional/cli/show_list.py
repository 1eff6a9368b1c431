"""The lists of `show`: a row a line, with its id whole, so that it can be copied, and how many more there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_TEXT = 80


def print_list(console: Console, rows: Sequence[Mapping[str, str]], total: int) -> None:
    """Print rows as a table, and how to see the others.

    Args:
        console: where to; on a terminal the last column gets the room that the others leave.
        rows: the cells of each by column, the same columns in each; those in which no row has anything are left out.
        total: how many rows there are.
    """
    from rich.cells import cell_len
    from rich.table import Table

    names = [name for name in rows[0] if any(row[name] for row in rows)]
    table = Table(box=None, pad_edge=False, show_edge=False, expand=console.is_terminal)
    for name in names:
        table.add_column(
            name,
            # an id that is wider than the terminal goes on in the next line
            no_wrap=name != "id",
            overflow="fold" if name == "id" else "ellipsis",
            ratio=1 if name == list(rows[0])[-1] else None,
            # what is piped is as wide as it has to be
            min_width=None if console.is_terminal else max(cell_len(row[name]) for row in rows),
        )
    for row in rows:
        table.add_row(*(row[name] for name in names))
    console.print("", table)
    if total > len(rows):
        console.print(f"… and {total - len(rows):,} more: --limit {total}")


def beginning(text: str) -> str:
    """The beginning of a text on one line, as a list's last column has it."""
    from constitutional.cli.text import inert

    line = " ".join(inert(text).split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"
