"""`constitutional constitution list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from constitutional.cli.complete import constitutions, principles
from constitutional.numbers import counted

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.constitution import Principle

_ROOMY = 120
"""Columns of a terminal in which a table has room for descriptions."""


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def list_command(as_json: bool) -> None:
    """List the constitutions that a name can stand for, and where they are."""
    from constitutional.cli.text import data_console, json_text

    rows = _rows()
    if as_json:
        click.echo(json_text(rows))
        return
    console = data_console()
    if console.is_terminal and console.width < _ROOMY:
        _print_narrow(console, rows)
    else:
        _print_table(console, rows)


def _rows() -> list[dict[str, Any]]:
    """What there is to say of each, or why it can't be used."""
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConstitutionError
    from constitutional.registry import list_constitutions

    rows: list[dict[str, Any]] = []
    for entry in list_constitutions():
        row = {"name": entry.name, "from": entry.origin, "path": str(entry.path)}
        try:
            loaded = load_constitution(entry.path)
        except ConstitutionError as error:
            rows.append(row | {"error": str(error).splitlines()[0]})
            continue
        facts = {"id": loaded.id, "version": loaded.version, "description": loaded.description}
        rows.append(row | facts | {"principles": len(loaded.principles), "hash": loaded.hash})
    return rows


def _about(row: dict[str, Any]) -> str:
    from constitutional.cli.text import inert

    return inert(f"not usable: {row['error']}" if "error" in row else row["description"] or "")


def _print_table(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("name", "version", "principles", "from", "what it is for", box=None, pad_edge=False)
    for row in rows:
        facts = (str(row.get(name, "")) for name in ("version", "principles"))
        table.add_row(row["name"], *facts, row["from"], _about(row))
    console.print(table)


def _print_narrow(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from constitutional.cli.text import hanging

    for row in rows:
        facts = (
            f", version {row['version']}, {counted(row['principles'], 'principle')}"
            if "version" in row
            else ""
        )
        console.print(Text.assemble((row["name"], "bold cyan"), f" ({row['from']}{facts})"))
        if about := _about(row):
            console.print(hanging(console, Text("  " + about), 2))


@click.command("show")
@click.argument("name", shell_complete=constitutions)
@click.option(
    "--principle",
    "-p",
    "wanted",
    multiple=True,
    metavar="ID",
    shell_complete=principles,
    help="Show this principle only. Repeatable.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print it as JSON, with everything it extends resolved."
)
def show_command(name: str, wanted: tuple[str, ...], as_json: bool) -> None:
    """Show the constitution NAME (a name or a file), with everything it extends resolved."""
    from dataclasses import asdict

    from rich.text import Text

    from constitutional.cli.text import data_console, hanging, inert, json_text
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConfigError, Problem, nearest

    loaded = load_constitution(name)
    ids = [p.id for p in loaded.principles]
    unknown = [id for id in dict.fromkeys(wanted) if id not in ids]
    if unknown:
        raise ConfigError(
            [Problem(f"{loaded.id} has no principle {id!r}; {nearest(id, ids)}") for id in unknown]
        )
    chosen = [p for p in loaded.principles if not wanted or p.id in wanted]
    if as_json:
        whole = {
            "id": loaded.id,
            "version": loaded.version,
            "description": loaded.description,
            "hash": loaded.hash,
        }
        click.echo(json_text({**whole, "principles": [asdict(p) for p in chosen]}))
        return
    console = data_console()
    about = f": {inert(loaded.description)}" if loaded.description else ""
    head = f"{loaded.id}, version {loaded.version}{about}"
    console.print(hanging(console, Text(head, "bold"), 2))
    facts = f"{counted(len(loaded.principles), 'principle')}, hash {loaded.hash}, {inert(str(loaded.path))}"
    console.print(hanging(console, Text(facts), 2), end="\n\n")
    for p in chosen:
        _print_principle(console, p)


def _print_principle(console: Console, principle: Principle) -> None:
    from rich.text import Text

    from constitutional.cli.text import hanging, inert

    tags = f"  [{', '.join(map(inert, principle.tags))}]" if principle.tags else ""
    weight = f"  weight {principle.weight:g}" if principle.weight != 1 else ""
    console.print(hanging(console, Text.assemble((principle.id, "bold cyan"), weight + tags), 2))
    for field in ("critique", "revision", "preference", "source"):
        if text := getattr(principle, field):
            console.print(hanging(console, Text.assemble((f"  {field}: ", "dim"), inert(text)), 4))
    console.print()
