"""`constitutional constitution import` and `export`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from constitutional.cli.complete import constitutions, export_formats, files, formats
from constitutional.numbers import counted

if TYPE_CHECKING:
    from constitutional.workbench.formats.importing import Imported
    from constitutional.workbench.formats.notes import Note
    from constitutional.workbench.formats.plain_text import LinesAs

_FORMATS = (
    "paper-revisions, paper-preferences, paper-revision-examples, paper-preference-examples, "
    "paper-rationale-examples, huggingface, langchain, langchain-yaml, csv or text"
)
_AS = click.option(
    "--as",
    "lines_as",
    type=click.Choice(["rule", "critique", "preference"]),
    help="What a line of plain text is; rule if not given.",
)
_FORCE = click.option("--force", is_flag=True, help="Replace a file that is there.")


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=files)
@click.option("--out", "-o", required=True, shell_complete=files, help="The YAML file to write.")
@click.option(
    "--format", "-f", shell_complete=formats, help=f"{_FORMATS}; told by the shape of each file if not given."
)
@_AS
@click.option("--id", help="The constitution's id; made from the name of --out if not given.")
@click.option(
    "--examples-out",
    shell_complete=files,
    help="Where the few-shot examples go that a file of principles has with it.",
)
@_FORCE
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_command(
    files: tuple[str, ...],
    out: str,
    format: str | None,
    lines_as: LinesAs | None,
    id: str | None,
    examples_out: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Turn principles in another format into a constitution.

    The principles of several FILEs become one constitution. Files of few-shot examples become an examples.yaml or a
    preference_examples.yaml. All that was stripped, renamed, merged, built or could not be placed is reported.
    """
    from constitutional.atomic import refuse_to_overwrite
    from constitutional.errors import ConfigError, Place
    from constitutional.workbench.formats.importing import import_files, same_file, write_imported
    from constitutional.workbench.formats.notes import Note
    from constitutional.workbench.formats.reading import slug

    target, beside = Path(out), Path(examples_out) if examples_out else None
    for path in filter(None, (target, beside)):
        if path.suffix not in (".yaml", ".yml"):
            raise ConfigError("the name must end in .yaml", Place(path))
        if any(same_file(path, Path(file)) for file in files):
            raise ConfigError("this file is to be imported itself: write to another one", Place(path))
        refuse_to_overwrite(path, force=force, folder_made=True)
    made = slug(target.stem) or "imported"
    found = import_files(files, id=id or made, format=format, lines_as=lines_as or "rule")
    if lines_as and "text" not in found.formats:
        raise ConfigError(
            f"--as says what a line of plain text is, but this is {' and '.join(found.formats)}"
        )
    written = write_imported(found, target, examples_out=beside, force=force)
    notes = list(found.notes)
    if found.constitution and not id and made != target.stem:
        notes.append(Note("made", "the constitution's id, from the name of the file", Place(target), made))
    if found.constitution and found.examples and not beside:
        message = f"few-shot examples ({len(found.examples):,}); --examples-out FILE writes them"
        notes.append(Note("not_placed", message))
    if as_json:
        _print_json(_import_row(found, written), notes)
        return
    from constitutional.cli.text import inert

    names = ", ".join(dict.fromkeys(found.formats))
    main = written[: 1 + bool(beside)]
    click.echo(f"wrote {inert(' and '.join(map(str, main)))}: {_count(found)} ({names})", err=True)
    _print_schema(written[len(main) :])
    _print_notes(notes, name_files=len(files) > 1)
    if found.constitution:
        click.echo(f"next: constitutional constitution lint {inert(quote(out))}", err=True)
    else:
        name = "examples.yaml" if found.examples else "preference_examples.yaml"
        click.echo(f"next: put it into the folder of a prompt set, as {name}", err=True)


@click.command("export")
@click.argument("name", shell_complete=constitutions)
@click.option(
    "--format",
    "-f",
    required=True,
    shell_complete=export_formats,
    help=f"{_FORMATS}; or yaml: one file, with all it extends.",
)
@click.option("--out", "-o", shell_complete=files, help="The file to write; standard output if not given.")
@_AS
@_FORCE
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; needs --out.")
def export_command(
    name: str, format: str, out: str | None, lines_as: LinesAs | None, force: bool, as_json: bool
) -> None:
    """Write the constitution NAME (a name or a file) in another format.

    For a format of few-shot examples NAME is a prompt set, or its examples.yaml or preference_examples.yaml. All that the
    format has no place for is reported.
    """
    from constitutional.atomic import refuse_to_overwrite, write_text
    from constitutional.cli.text import inert
    from constitutional.errors import ConfigError
    from constitutional.workbench.formats.exporting import export_file
    from constitutional.workbench.json_schema import write_schema_beside

    if as_json and not out:
        raise ConfigError("--json needs --out, since standard output takes the export itself")
    if out:
        refuse_to_overwrite(Path(out), force=force)
    if lines_as and format != "text":
        raise ConfigError(f"--as says what a line of plain text is, but the format is {format}")
    found = export_file(name, format, lines_as=lines_as or "rule")
    if out:
        write_text(Path(out), found.text, force=force)
        schema = write_schema_beside(Path(out)) if format == "yaml" else None
        written = [out, *([str(schema)] if schema else [])]
        if as_json:
            _print_json({"out": written, "format": format, "count": found.count}, list(found.notes))
            return
        click.echo(
            f"wrote {inert(out)}: {counted(found.count, 'entry', 'entries')} ({format})",
            err=True,
        )
        _print_schema(written[1:])
    else:
        text = inert(found.text) if sys.stdout.isatty() else found.text
        click.echo(text.encode(), nl=False)  # bytes, so that a console's encoding changes nothing
    _print_notes(list(found.notes))


def _print_schema(written: Sequence[object]) -> None:
    from constitutional.cli.text import inert

    for path in written:
        click.echo(f"wrote {inert(str(path))}, by which editors check it", err=True)


def _count(found: Imported) -> str:
    counts = {
        "principle": len(found.constitution.principles) if found.constitution else 0,
        "few-shot example": len(found.examples),
        "preference example": len(found.preference_examples),
    }
    return ", ".join(f"{count:,} {what}{'s' * (count > 1)}" for what, count in counts.items() if count)


def _import_row(found: Imported, out: list[Path]) -> dict[str, Any]:
    return {
        "out": list(map(str, out)),
        "formats": list(found.formats),
        "id": found.constitution.id if found.constitution else None,
        "principles": len(found.constitution.principles) if found.constitution else 0,
        "examples": len(found.examples),
        "preference_examples": len(found.preference_examples),
    }


def _print_json(row: dict[str, Any], notes: list[Note]) -> None:
    import json

    click.echo(json.dumps({**row, "notes": [note.to_row() for note in notes]}, indent=2))


def _print_notes(notes: list[Note], *, name_files: bool = False) -> None:
    from constitutional.cli.text import inert
    from constitutional.workbench.formats.notes import summary

    for line in summary(notes, name_files=name_files):
        click.echo(f"  {inert(line)}", err=True)
