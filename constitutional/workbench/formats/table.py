"""The formats: what each holds, how it is recognised, read and written.

A file's format is told by its shape: by its name where that says CSV or plain text, otherwise by what the JSON or YAML in
it looks like. A shape that fits none, or several, is an error that says what was found and names the options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from constitutional.errors import ConfigError, ConstitutionError, nearest
from constitutional.workbench.formats import csv_file, few_shot, plain_text, principle_lists
from constitutional.workbench.formats.reading import Reading
from constitutional.workbench.formats.source import Number, Source, Syntax
from constitutional.yamlfile import describe

Holds = Literal["principles", "examples", "preference examples"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: what a user types.
        summary: what it is, in a few words.
        holds: what a file of it holds.
        syntax: how its files are written.
        read: reads a source into a reading.
        write: the text of a file that holds these principles or examples.
        needs: fields without which a principle can't be written.
        recognise: whether the value of a JSON or YAML file has its shape.
    """

    name: str
    summary: str
    holds: Holds
    syntax: Syntax
    read: Callable[[Source, Reading], None]
    write: Callable[[Iterable[Any]], str]
    needs: tuple[str, ...] = ()
    recognise: Callable[[Any], bool] | None = None


_PAIR = ("critique", "revision")
FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        Format(
            "paper-revisions",
            "critique and revision requests of Bai et al. 2022 (CritiqueRevisionInstructions.json)",
            "principles",
            "json",
            principle_lists.read_paper_revisions,
            principle_lists.write_paper_revisions,
            _PAIR,
            principle_lists.is_paper_revisions,
        ),
        Format(
            "paper-preferences",
            "preference questions of Bai et al. 2022 (RLMadisonInstructions.json)",
            "principles",
            "json",
            principle_lists.read_paper_preferences,
            principle_lists.write_paper_preferences,
            ("preference",),
            principle_lists.is_paper_preferences,
        ),
        Format(
            "paper-revision-examples",
            "few-shot critiques and revisions of Bai et al. 2022 (CritiqueRevisionFewShotPrompts.json)",
            "examples",
            "json",
            few_shot.read_revision_examples,
            few_shot.write_revision_examples,
            recognise=few_shot.is_revision_examples,
        ),
        Format(
            "paper-preference-examples",
            "few-shot preferences of Bai et al. 2022 (RLMadisonFewShotPrompts.json)",
            "preference examples",
            "json",
            few_shot.read_preference_examples,
            few_shot.write_preference_examples,
            recognise=few_shot.is_preference_examples,
        ),
        Format(
            "paper-rationale-examples",
            "the same with chain of thought (RLMadisonPrecogFewShotPrompts.json)",
            "preference examples",
            "json",
            few_shot.read_rationale_examples,
            few_shot.write_rationale_examples,
            recognise=few_shot.is_rationale_examples,
        ),
        Format(
            "huggingface",
            "the recipe of Hugging Face's llm-swarm: {constitutions: [{critic, revision}], system_chat}",
            "principles",
            "json",
            principle_lists.read_huggingface,
            principle_lists.write_huggingface,
            _PAIR,
            principle_lists.is_huggingface,
        ),
        Format(
            "langchain",
            "LangChain's [{name, critique_request, revision_request}], in JSON",
            "principles",
            "json",
            principle_lists.read_langchain,
            principle_lists.write_langchain,
            _PAIR,
            principle_lists.is_langchain,
        ),
        Format(
            "langchain-yaml",
            "the same in YAML",
            "principles",
            "yaml",
            principle_lists.read_langchain,
            principle_lists.write_langchain_yaml,
            _PAIR,
        ),
        Format(
            "csv",
            f"a table with the columns {', '.join(csv_file.COLUMNS)}",
            "principles",
            "csv",
            csv_file.read_csv,
            csv_file.write_csv,
        ),
        Format(
            "text",
            "plain text, one principle a line (--as says what a line is)",
            "principles",
            "text",
            plain_text.read_lines,
            plain_text.write_lines,
        ),
    )
}
"""Every format that can be imported and exported, by name."""


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigError: there is none; the message has the nearest.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no format {name!r}; {nearest(name, FORMATS)}")
    return FORMATS[name]


def recognise(source: Source) -> Format:
    """The format that a file has.

    Raises:
        ConstitutionError: its shape is none, or several; the message says what was found and names the options.
    """
    place = source.place()
    if source.syntax == "csv":
        return FORMATS["csv"]
    if source.syntax == "text":
        if csv_file.is_csv(source.text):
            raise ConstitutionError(
                "the first line is like the header of a table; give --format csv, or text", place
            )
        if source.text.lstrip()[0] in "[{":
            message = f"a text file that begins like JSON; give --format text, or one of {_listed('json')}"
            raise ConstitutionError(message, place)
        if source.path.suffix.lower() != ".txt":
            message = "its name does not say what it is; give --format text for one principle a line, or --format csv"
            raise ConstitutionError(message, place)
        return FORMATS["text"]
    if isinstance(source.value, dict) and "principles" in source.value:
        message = (
            "this is a constitution of this project's own; use it as it is, or `constitution export --format yaml` "
            "writes it with all it extends"
        )
        raise ConstitutionError(message, place)
    if isinstance(source.value, list | dict) and not source.value:
        what = "list" if isinstance(source.value, list) else "mapping"
        raise ConstitutionError(f"there is nothing to import: it is an empty {what}", place)
    found = [known for known in FORMATS.values() if known.recognise and known.recognise(source.value)]
    if len(found) == 1:
        return found[0]
    if not found:
        message = (
            f"{shape(source.value)} is the shape of none of the formats; give --format {_listed('json')}"
        )
    else:
        names = " or ".join(known.name for known in found)
        message = f"{shape(source.value)} can be read as {names}; say which with --format"
    raise ConstitutionError(message, place)


def shape(value: Any) -> str:
    """What a file holds, in a few words."""
    if isinstance(value, list):
        kinds = sorted({_kind(entry) for entry in value})
        keys = sorted({key for entry in value if isinstance(entry, dict) for key in entry})
        return f"a list of {len(value):,}" + (f" ({' and '.join(kinds)}{_keys(keys)})" if kinds else "")
    if isinstance(value, dict):
        kinds = sorted({_kind(entry) for entry in value.values()})
        return f"a mapping of {len(value):,} ({' and '.join(kinds)}{_keys(list(value))})"
    return f"the number {value}" if isinstance(value, Number) else describe(value)


def _kind(value: Any) -> str:
    names = {str: "texts", dict: "mappings", list: "lists", bool: "yes/no values", type(None): "nulls"}
    return names.get(type(value), "numbers")


def _keys(keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(repr(key if len(key) <= 30 else key[:27] + "...") for key in keys[:5])
    return f" with the keys {shown}" + (" and more" if len(keys) > 5 else "")


def _listed(syntax: Syntax) -> str:
    return ", ".join(known.name for known in FORMATS.values() if known.syntax == syntax)
