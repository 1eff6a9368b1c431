"""`constitutional constitution schema`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this file, as constitutions/constitution.schema.json.",
)
def schema(out: Path | None) -> None:
    """Print the JSON Schema (draft-07) of constitution files, by which editors complete and check them.

    A file finds the schema that lies beside it by its first line, `# yaml-language-server: $schema=constitution.schema.json`.
    """
    from constitutional.cli.text import inert
    from constitutional.workbench.json_schema import schema_text, write_schema

    if out is None:
        click.echo(schema_text(), nl=False)
        return
    write_schema(out)
    click.echo(f"wrote {inert(str(out))}")
