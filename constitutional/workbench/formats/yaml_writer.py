"""Writing a constitution as YAML in the layout of this project's own files.

Long texts are folded (`>-`), texts of several lines literal (`|-`), everything else plain or quoted as it has to be: what
is written loads to exactly what was given, whatever it looks like to YAML (`yes`, `1:30`, `#`, trailing spaces, CRLF).
That is checked on the text itself before it takes the place of anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from constitutional.atomic import write_text
from constitutional.constitution import Constitution, Principle
from constitutional.constitution_file import MAX_PRINCIPLES, MAX_TAGS
from constitutional.errors import ConstitutionError, Problem
from constitutional.prompt_examples import Example, PreferenceExample
from constitutional.records import Conversation
from constitutional.workbench.formats.source import way
from constitutional.workbench.json_schema import MODELINE, write_schema_beside
from constitutional.yamlfile import MAX_BYTES, Steps, forbidden_character, load_yaml

_WIDTH = 100  # a folded line ends with the word that crosses it
_LONG = 80
# Block scalars turn these into plain newlines, or hide them from whoever edits the file: they are written as escapes.
_ESCAPED = re.compile("[\t\r\x85\u2028\u2029\ufeff]")


def write_constitution(constitution: Constitution, path: Path, *, force: bool = False) -> None:
    """Write a constitution's file, at once and whole or not at all, and the schema beside it where there is none.

    Args:
        constitution: what to write; what it extends is written out.
        path: the file to make.
        force: replace a file that is there.

    Raises:
        ConstitutionError: a text that no YAML file may hold, or a file that would be too large to load.
        ConfigError: there is such a file, or it can't be written.
    """
    write_text(path, constitution_yaml(constitution), force=force)
    write_schema_beside(path)


def constitution_yaml(constitution: Constitution) -> str:
    """A constitution as the text of its file.

    Raises:
        ConstitutionError: a text that no YAML file may hold, or a file that would be too large to load.
    """
    _refuse_too_many("principles", len(constitution.principles), MAX_PRINCIPLES)
    for principle in constitution.principles:
        _refuse_too_many(f"tags of {principle.id!r}", len(principle.tags), MAX_TAGS)
    head: dict[str, Any] = {"id": constitution.id, "version": constitution.version}
    if constitution.description:
        head["description"] = constitution.description
    return _file(
        "principles", [_principle(p) for p in constitution.principles], f"{MODELINE}\n{to_yaml(head)}"
    )


def examples_yaml(examples: Iterable[Example]) -> str:
    """Few-shot examples of critique and revision as the text of an `examples.yaml`.

    Raises:
        ConstitutionError: a text that no YAML file may hold, or a file that would be too large to load.
    """
    names = ("response", "critique_request", "critique", "revision_request", "revision")
    entries = [
        {"prompt": _prompt(example.prompt), **_given({name: getattr(example, name) for name in names})}
        for example in examples
    ]
    return _file("examples", entries)


def preference_examples_yaml(examples: Iterable[PreferenceExample]) -> str:
    """Few-shot examples of preferences as the text of a `preference_examples.yaml`.

    Raises:
        ConstitutionError: a text that no YAML file may hold, or a file that would be too large to load.
    """
    entries = [
        {
            "prompt": _prompt(example.prompt),
            "responses": list(example.responses),
            **_given({"question": example.question, "rationale": example.rationale}),
            "answer": example.answer,
        }
        for example in examples
    ]
    return _file("examples", entries)


def to_yaml(value: Any) -> str:
    """A value as YAML; what is written loads to the same.

    Args:
        value: dicts, lists, texts and numbers; tuples become lists on one line.

    Raises:
        ConstitutionError: a text that no YAML file may hold, or that does not come back as it was.
    """
    if problems := list(_forbidden(value, ())):
        raise ConstitutionError(problems)
    text = _dump(value)
    if _load(text) != _plain(value):
        raise ConstitutionError(
            "YAML does not give back what was written, so nothing is; shorten or simplify the texts"
        )
    return text


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists inside mappings are indented."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """The same text twice is written twice."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _ESCAPED.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif len(text) > _LONG:
        style = ">"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_tags(dumper: yaml.SafeDumper, tags: tuple[str, ...]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", tags, flow_style=True)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(tuple, _represent_tags)


def _dump(value: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_WIDTH, default_flow_style=False
    )
    return text


def _load(text: str) -> Any:
    return load_yaml("", error=ConstitutionError, text=text, top_level=(dict, list)).value


def _file(key: str, entries: list[dict[str, Any]], head: str = "") -> str:
    """The text of a file with a list of entries under a key, and a blank line between them."""
    if problems := list(_forbidden({key: entries}, ())):
        raise ConstitutionError(problems)
    start = f"{key}:\n"
    text = head + start + "\n".join(to_yaml({key: [entry]}).removeprefix(start) for entry in entries)
    if len(text.encode()) > MAX_BYTES:
        raise ConstitutionError(f"the file would be larger than {MAX_BYTES:,} bytes, more than can be loaded")
    return text


def _refuse_too_many(what: str, count: int, most: int) -> None:
    if count > most:
        raise ConstitutionError(f"the {count:,} {what} are more than the {most:,} that can be loaded")


def _principle(p: Principle) -> dict[str, Any]:
    entry = _given({"id": p.id, "critique": p.critique, "revision": p.revision, "preference": p.preference})
    if p.weight != 1:
        entry["weight"] = p.weight
    if p.tags:
        entry["tags"] = p.tags
    if p.source is not None:
        entry["source"] = p.source
    return entry


def _prompt(prompt: Conversation) -> str | list[dict[str, str]]:
    return prompt[0].content if len(prompt) == 1 else [turn.to_row() for turn in prompt]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    """The value as it is loaded again."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _forbidden(value: Any, steps: Steps) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _forbidden(inner, (*steps, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _forbidden(inner, (*steps, index))
    elif isinstance(value, str) and (found := forbidden_character(value)):
        start = value if len(value) <= 40 else value[:37] + "..."
        yield Problem(f"{way(steps)}: the character {found} in {start!r} can't be written; remove it")
