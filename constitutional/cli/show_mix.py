"""What `mix` prints, and what `show` shows of its runs: the sources, the checks, and single preferences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from constitutional.records import Row
from constitutional.rundir import published_rows

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import Ledger, StoredRow

_COLOURS = {"pass": "green", "waived": "yellow", "fail": "bold red"}
_NUMBERS = ("rows read", "skipped", "pairs", "in the mix", "weight", "train", "test", "ties")


def print_findings(console: Console, counts: Row, checks: Sequence[Row]) -> None:
    """Print what each source gives, and what the checks found.

    Args:
        console: where to.
        counts: as `MixPlan.counts` has them.
        checks: as `Finding.to_row` has them.
    """
    from rich.table import Table
    from rich.text import Text

    from constitutional.cli.text import inert

    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("source", no_wrap=True)
    for name in _NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for name, one in counts["sources"].items():
        drawn = one["drawn"]
        numbers = (
            *(one["rows"], one["skipped"], one["pairs"], drawn["rows"], drawn["weight"]),
            *(one["train"], one["test"], one["ties"]),
        )
        table.add_row(
            inert(name), *(f"{number:,.6g}" if number % 1 else f"{number:,.0f}" for number in numbers)
        )
    console.print(table, end="\n\n")
    for found in checks:
        state = found["state"]
        line = Text(f"{state.upper() if state == 'fail' else state:7}", _COLOURS[state])
        where = f"{found['check']} · {found['source']}" if found["source"] else found["check"]
        console.print(line.append(f"{inert(where)}: ", "bold").append(inert(found["sentence"]), "default"))


def show_mix(console: Console, run: Path, manifest: Mapping[str, Any], limit: int) -> None:
    """Print a mix: its sources, its checks, and its first preferences."""
    from constitutional.cli.show_list import beginning, print_list
    from constitutional.cli.text import inert, inert_line
    from constitutional.rundir import split_files

    console.print(inert(manifest["summary"]), end="\n\n")
    print_findings(console, manifest["counts"], manifest["checks"])
    preferences = manifest["data"]["preferences"]
    rows = [
        {
            "#": str(place),
            "id": inert_line(found["id"]),
            "split": split,
            "p": f"{found['chosen_probability']:.3f}",
            "prompt": beginning(found["prompt"][-1]["content"]),
        }
        for place, (split, found) in enumerate(islice(published_rows(run, preferences), limit), 1)
    ]
    if rows:
        print_list(console, rows, sum(file["rows"] for file in split_files(preferences).values()))


def show_preference(run: Path, manifest: Mapping[str, Any], row: str, *, as_json: bool) -> bool:
    """Show a preference of a mix: by its id, or by its place from 1, the test split after the train split; whether there is one."""
    from constitutional.cli.text import data_console, json_text

    for place, (split, found) in enumerate(published_rows(run, manifest["data"]["preferences"]), 1):
        if row in (found["id"], str(place)):
            if as_json:
                click.echo(json_text({"split": split, **found}))
            else:
                _print_preference(data_console(), split, found)
            return True
    return False


def id_in_mix(stored: StoredRow) -> str:
    """The id of a row that was skipped, with its source in front, as preferences have it."""
    return f"{stored.kind.partition(':')[2]}/{stored.id}"


def find_skipped(ledger: Ledger, row: str) -> StoredRow | None:
    """The skipped row of that id, with its source in front or without."""
    return next((stored for stored in ledger.rows() if row in (id_in_mix(stored), stored.id)), None)


def _print_preference(console: Console, split: str, found: Row) -> None:
    from rich.text import Text

    from constitutional.cli.text import inert

    def turn(head: str, body: str, style: str = "bold cyan") -> None:
        console.print(Text(head, style))
        console.print(Text(inert(body)), end="\n\n")

    weight = "" if found["weight"] == 1 else f" · weight {found['weight']:.4g}"
    console.print(Text(inert(f"{found['source']} · {found['id']} · {split}{weight}"), "bold"))
    for message in found["prompt"]:
        turn(message["role"], message["content"])
    tie = found["chosen_probability"] == 0.5
    probability = "a tie" if tie else f"better with probability {found['chosen_probability']:.3f}"
    turn(f"chosen · {probability}", found["chosen"][0]["content"], "bold green")
    turn("rejected", found["rejected"][0]["content"], "bold red")
