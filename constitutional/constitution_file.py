"""A constitution's file as it stands: its keys, their types, and what they are for.

These models are what the loader checks a file against and what the JSON Schema of editors is made from
(`workbench/json_schema.py`), so a key is described here, once. What depends on other files, or on several keys
together, is checked in `composition.py`.
"""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, cast

from pydantic import Field, ValidationError

from constitutional.constitution import ID_PATTERN, MAX_ID_LENGTH
from constitutional.errors import Problem
from constitutional.schema import FileModel, problems_of
from constitutional.yamlfile import MAX_PROBLEMS, Document

MAX_BASES = 100
MAX_PRINCIPLES = 5_000
"""More than anybody draws from: a file of another sort, which would take gigabytes to check entry by entry."""
MAX_TAGS = 100

# What the loader checks after composition, said in the JSON Schema too.
_ID: dict[str, Any] = {"pattern": f"^{ID_PATTERN}$", "maxLength": MAX_ID_LENGTH}
_NOT_BLANK: dict[str, Any] = {"pattern": r"\S"}
_POSITIVE: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": 1.7976931348623157e308}


class PrincipleEntry(FileModel):
    """One rule. `revise` draws those with a critique and a revision, `label` those with a preference."""

    id: str = Field(
        description="Lower-case words joined by '-', unique in the file. Which prompt draws which principle "
        "depends on it; the id of an inherited principle overrides that one, key by key.",
        json_schema_extra=_ID,
    )
    critique: str = Field(
        default="",
        description="The request to find fault with the assistant's last response. Say which response is meant, and "
        "one thing to look for. Needs a revision.",
        json_schema_extra=_NOT_BLANK,
    )
    revision: str = Field(
        default="",
        description="The request to rewrite that response. Ask for a better answer rather than for a refusal. Needs a "
        "critique.",
        json_schema_extra=_NOT_BLANK,
    )
    preference: str = Field(
        default="",
        description="The question which of two responses is better, answered by choosing one of them.",
        json_schema_extra=_NOT_BLANK,
    )
    weight: float = Field(
        default=1.0,
        description="How often it is drawn, relative to the others: greater than 0; 2 is twice as often as 1.",
        json_schema_extra=_POSITIVE,
    )
    tags: list[str] = Field(
        default_factory=list, max_length=MAX_TAGS, description="Words for your own selection."
    )
    source: str = Field(default="", description="Where the rule comes from, for people.")


class ConstitutionFile(FileModel):
    """A constitution: a named, versioned list of principles."""

    id: str = Field(
        description="The constitution's name: lower-case words joined by '-'. The file is best called the same.",
        json_schema_extra=_ID,
    )
    version: int = Field(default=1, ge=1, description="A whole number from 1, for you to count up.")
    description: str = Field(default="", description="One or two sentences for people: what it is for.")
    extends: list[str] = Field(
        default_factory=list,
        max_length=MAX_BASES,
        description="Constitutions to take principles over from: names, or paths relative to this file.",
    )
    drop: list[str] = Field(
        default_factory=list,
        max_length=MAX_PRINCIPLES,
        description="Ids of inherited principles to leave out.",
    )
    principles: list[PrincipleEntry] = Field(
        default_factory=list,
        max_length=MAX_PRINCIPLES,
        description="The principles, after the inherited ones; one with an inherited id overrides it key by key.",
    )


def salvage(document: Document) -> tuple[ConstitutionFile | None, list[Problem]]:
    """A document as a file, less the values that are not valid; and what is wrong with these."""
    try:
        return ConstitutionFile.model_validate(document.value), []
    except ValidationError as bad:
        problems = problems_of(bad, document, ConstitutionFile)
        value = deepcopy(document.value)
        for detail in bad.errors(include_url=False, include_context=False):
            _leave_out(value, detail["loc"])
    try:
        return ConstitutionFile.model_validate(value), problems
    except ValidationError:
        return None, problems


def _leave_out(value: Any, steps: tuple[str | int, ...]) -> None:
    """Take a bad value out; an entry keeps its place in its list, and an id is left blank, for places to stay right."""
    *way, last = steps
    for step in way:
        value = value[step]
    if last == "id":
        value[last] = ""
    elif isinstance(value, list):
        value[cast("int", last)] = {"id": ""} if steps[0] == "principles" and len(steps) == 2 else ""
    else:
        value.pop(last, None)


def lost_fields(raw: Any, valid: FileModel) -> frozenset[str]:
    """The fields that were meant by keys which are misspelt or whose values are not valid."""
    fields, given = type(valid).model_fields, valid.model_fields_set
    keys = [key for key in raw if key not in given] if isinstance(raw, dict) else []
    return frozenset(close for key in keys[:MAX_PROBLEMS] for close in get_close_matches(key, fields, 1))
