"""`constitutional constitution new`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from constitutional.cli.complete import constitutions


@click.command()
@click.argument("name")
@click.option(
    "--out",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; ./constitutions/NAME.yaml if not given, so that NAME finds it.",
)
@click.option(
    "--extends", metavar="NAME_OR_FILE", shell_complete=constitutions, help="Build on this constitution."
)
def new(name: str, out: Path | None, extends: str | None) -> None:
    """Write a commented constitution NAME to start from, with the schema that lets editors complete and check it.

    It loads and lints clean as it stands. No file is overwritten.
    """
    from constitutional.cli.text import inert
    from constitutional.workbench.skeleton import new_constitution

    made = new_constitution(name, out=out, extends=extends)
    where = inert(str(made.path))
    click.echo(
        f"wrote {where}"
        + (f" and {inert(str(made.schema))}, by which editors check it" if made.schema else "")
    )
    for warning in made.warnings:
        click.echo(click.style("note: ", bold=True) + inert(warning))
    called = inert(quote(made.argument))
    click.echo("\nNext, edit it, and then:")
    for command, why in (
        (f"constitution lint {called}", "find mistakes"),
        (
            f'constitution try {called} --prompt "…" --model smollm2-135m --temperature 0.7 --watch',
            "see a critique and a revision on each save",
        ),
        (f"revise prompts.jsonl --constitution {called} --model smollm2-135m --out runs/first", "make data"),
    ):
        click.echo(f"  constitutional {command}    # {why}")
