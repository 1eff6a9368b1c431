"""`constitutional constitution list` and `show`."""

from __future__ import annotations

import click


@click.command("list")
def list_command() -> None:
    """List the constitutions that a name can stand for, and where they are."""
    from rich.table import Table

    from constitutional.cli.text import data_console, inert
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConstitutionError
    from constitutional.registry import list_constitutions

    table = Table("name", "version", "principles", "from", "what it is for", box=None, pad_edge=False)
    for entry in list_constitutions():
        try:
            loaded = load_constitution(entry.path)
        except ConstitutionError as error:
            table.add_row(
                entry.name, "", "", entry.origin, f"not usable: {inert(str(error).splitlines()[0])}"
            )
            continue
        description = inert(loaded.description or "")
        table.add_row(entry.name, str(loaded.version), str(len(loaded.principles)), entry.origin, description)
    data_console().print(table)


@click.command("show")
@click.argument("name")
@click.option("--principle", "-p", help="Show this principle only.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print it as JSON, with everything it extends resolved."
)
def show_command(name: str, principle: str | None, as_json: bool) -> None:
    """Show the constitution NAME (a name or a file), with everything it extends resolved."""
    from dataclasses import asdict

    from constitutional.cli.text import inert, json_text
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConfigError, nearest

    loaded = load_constitution(name)
    chosen = [p for p in loaded.principles if principle in (None, p.id)]
    if not chosen:
        raise ConfigError(
            f"{loaded.id} has no principle {principle!r}; {nearest(str(principle), [p.id for p in loaded.principles])}"
        )
    if as_json:
        whole = {
            "id": loaded.id,
            "version": loaded.version,
            "description": loaded.description,
            "hash": loaded.hash,
        }
        click.echo(json_text({**whole, "principles": [asdict(p) for p in chosen]}))
        return
    click.secho(f"{loaded.id}, version {loaded.version}: {inert(loaded.description or '')}", bold=True)
    click.echo(f"{len(loaded.principles)} principles, hash {loaded.hash}, {inert(str(loaded.path))}\n")
    for p in chosen:
        tags = f"  [{', '.join(map(inert, p.tags))}]" if p.tags else ""
        weight = f"  weight {p.weight:g}" if p.weight != 1 else ""
        click.echo(click.style(p.id, fg="cyan", bold=True) + weight + tags)
        for field in ("critique", "revision", "preference", "source"):
            if text := getattr(p, field):
                click.echo(click.style(f"  {field}: ", dim=True) + inert(text).replace("\n", "\n    "))
        click.echo()
