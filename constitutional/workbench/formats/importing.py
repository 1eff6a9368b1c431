"""Files in other formats → a constitution, or few-shot examples, and a report of all that was done on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from constitutional.atomic import make_folder, refuse_to_overwrite, write_text
from constitutional.constitution import Constitution, id_problem, is_id
from constitutional.errors import ConfigError, Place
from constitutional.prompt_examples import Example, PreferenceExample
from constitutional.registry import real_path
from constitutional.workbench.formats.notes import Note
from constitutional.workbench.formats.plain_text import LinesAs, read_lines
from constitutional.workbench.formats.reading import Reading
from constitutional.workbench.formats.source import Source, Syntax, read_source
from constitutional.workbench.formats.table import Format, Holds, find_format, recognise
from constitutional.workbench.formats.yaml_writer import (
    constitution_yaml,
    examples_yaml,
    preference_examples_yaml,
)
from constitutional.workbench.json_schema import write_schema_beside


@dataclass(frozen=True)
class Imported:
    """What an import gave.

    Attributes:
        formats: the format of each file.
        holds: what the files hold.
        constitution: the principles of all files, in order; None where they hold examples.
        examples: few-shot examples of critique and revision; Hugging Face's recipe has some beside its principles.
        preference_examples: few-shot examples of preferences.
        notes: all that was stripped, renamed, made, merged, built or could not be placed.
    """

    formats: tuple[str, ...]
    holds: Holds
    constitution: Constitution | None
    examples: tuple[Example, ...]
    preference_examples: tuple[PreferenceExample, ...]
    notes: tuple[Note, ...]


def import_files(
    paths: Sequence[str | Path],
    *,
    id: str,
    format: str | None = None,
    lines_as: LinesAs = "rule",
) -> Imported:
    """Read files in other formats.

    Principles of several files become one constitution, those of the first file first; nothing is done to align them.

    Args:
        paths: one or more files that hold the same: principles, or examples of one kind.
        id: of the constitution that is made.
        format: a key of `table.FORMATS`, for all files; None tells it by the shape of each.
        lines_as: what a line of plain text is.

    Raises:
        ConstitutionError: with every problem found, by file and line.
        ConfigError: a format or id that is none, or files that do not belong together.
    """
    if not is_id(id):
        raise ConfigError(id_problem(id))
    if not paths:
        raise ConfigError("there is no file to import")
    forced = find_format(format) if format else None
    files = [_opened(Path(path), forced) for path in paths]
    first_source, first = files[0]
    reading = Reading()
    for source, found in files:
        if found.holds != first.holds:
            message = f"holds {found.holds}, but {first_source.path} {first.holds}; import them one by one"
            raise ConfigError(message, Place(source.path))
        read_into(reading, source, found, lines_as)
    constitution = (
        Constitution(id, reading.principles(first_source.place())) if first.holds == "principles" else None
    )
    reading.raise_problems()
    return Imported(
        tuple(found.name for _, found in files),
        first.holds,
        constitution,
        tuple(reading.examples),
        tuple(reading.preference_examples),
        tuple(reading.notes),
    )


def write_imported(
    found: Imported, out: Path, *, examples_out: Path | None = None, force: bool = False
) -> list[Path]:
    """Write what an import gave as this project's own files.

    Args:
        found: the import.
        out: takes the constitution, or where there is none the examples.
        examples_out: takes the few-shot examples that came with a constitution; None leaves them out.
        force: replace files that are there.

    Returns:
        The files written, the schema last where there was none beside the constitution.

    Raises:
        ConfigError: a file is there or can't be written, or `examples_out` has nothing to take.
        ConstitutionError: a file would be too large to load.
    """
    beside = found.examples if found.constitution else ()
    if examples_out and not beside:
        why = (
            "there are no few-shot examples beside the principles"
            if found.constitution
            else f"{out} takes them"
        )
        raise ConfigError(f"{why}; leave this file away", Place(examples_out))
    if examples_out and same_file(out, examples_out):
        raise ConfigError("the constitution and the examples can't be the same file", Place(out))
    texts = {out: _text(found)}  # all of them, before anything is written
    if examples_out:
        texts[examples_out] = examples_yaml(beside)
    for path in texts:
        refuse_to_overwrite(path, force=force, folder_made=True)
    for path in texts:
        make_folder(path.parent)  # as `new` makes ./constitutions
    for path, text in texts.items():
        write_text(path, text, force=force)
    schema = write_schema_beside(out) if found.constitution else None
    return [*texts, *([schema] if schema else [])]


def read_into(reading: Reading, source: Source, format: Format, lines_as: LinesAs = "rule") -> None:
    """Read one file as a format says; problems are left in the reading.

    Raises:
        ConstitutionError: there are too many of them to go on.
    """
    read = partial(read_lines, lines_as=lines_as) if format.name == "text" else format.read
    read(source, reading)


def _text(found: Imported) -> str:
    """What an import gave, as the text of its main file."""
    if found.constitution:
        return constitution_yaml(found.constitution)
    if found.examples:
        return examples_yaml(found.examples)
    return preference_examples_yaml(found.preference_examples)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths, of which neither need exist, are of one file, however they are spelt."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return real_path(one) == real_path(other)


def _opened(path: Path, forced: Format | None) -> tuple[Source, Format]:
    if forced is None:
        source = read_source(path)
        return source, recognise(source)
    syntax: Syntax = forced.syntax
    if syntax in ("json", "yaml"):  # whatever can be written in one can be in the other
        by_name: dict[str, Syntax] = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
        syntax = by_name.get(path.suffix.lower(), syntax)
    return read_source(path, syntax), forced
