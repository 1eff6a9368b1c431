r"""Principles as others write them in JSON (or YAML): the paper's two files, Hugging Face's recipe, LangChain's list.

- `paper-revisions` (`CritiqueRevisionInstructions.json` of Bai et al. 2022): `{name: {prompt: [critique request],
  edit_request: revision request}}`. Where `prompt` holds several requests, each makes a principle of its own with that
  revision: a principle has one critique request, and none of them may be lost.
- `paper-preferences` (`RLMadisonInstructions.json`): a list of questions that end in `Options:`.
- `huggingface` (llm-swarm's recipe): `{constitutions: [{critic, revision}], system_chat: [turns]}`, or that list alone.
  Each conversation of `system_chat` is a few-shot example: its last four turns are a critique request, the critique, a
  revision request and the revision.
- `langchain`: `[{name, critique_request, revision_request}]`, or such entries by name.

Each has a function that recognises it, one that reads and one that writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from constitutional.constitution import Principle
from constitutional.prompt_examples import Example, is_prompt
from constitutional.records import Message
from constitutional.workbench.formats.notes import short
from constitutional.workbench.formats.reading import EntryDraft, Reading
from constitutional.workbench.formats.source import Source
from constitutional.yamlfile import Steps

_REVISION_KEYS = ("prompt", "edit_request")
_LANGCHAIN_KEYS = ("critique_request", "revision_request")
_HUGGINGFACE_KEYS = ("critic", "revision")


def is_paper_revisions(value: Any) -> bool:
    """Whether this is a mapping of entries with `prompt` or `edit_request`."""
    return isinstance(value, dict) and any(_has(entry, *_REVISION_KEYS) for entry in value.values())


def read_paper_revisions(source: Source, reading: Reading) -> None:
    """Read the paper's critique and revision requests."""
    if not isinstance(source.value, dict):
        reading.mapping(source.value, source, (), ("NAME",))
        return
    for name, value in source.value.items():
        entry = reading.mapping(value, source, (name,), _REVISION_KEYS)
        if entry is None:
            continue
        given = entry["prompt"]
        place = source.place(name, "prompt")
        requests = [given] if isinstance(given, str) else reading.listed(given, place, of="critique requests")
        if len(requests) > 1:
            message = "several critique requests: each became a principle of its own, with the same revision"
            reading.note("made", message, place, f"{len(requests)} principles")
        places = [
            place if given is request else source.place(name, "prompt", n)
            for n, request in enumerate(requests)
        ]
        critiques = [reading.text(request, here) for request, here in zip(requests, places, strict=True)]
        revision = reading.text(entry["edit_request"], source.place(name, "edit_request"))
        for critique, here in zip(critiques, places, strict=True):
            if critique and revision:
                reading.draft(EntryDraft(here, {"critique": critique, "revision": revision}, name))


def write_paper_revisions(principles: Iterable[Principle]) -> str:
    """The principles with a critique and a revision as the paper writes them."""
    entries = {
        p.id: {
            "prompt": [f"\n\nCritiqueRequest: {p.critique}\n\nCritique:"],
            "edit_request": f"\n\nRevisionRequest: {p.revision}\n\nRevision:",
        }
        for p in principles
    }
    return to_json(entries)


def is_paper_preferences(value: Any) -> bool:
    """Whether this is a list of texts of which one ends in `Options:`."""
    return (
        isinstance(value, list)
        and all(isinstance(text, str) for text in value)
        and any(text.rstrip().endswith("Options:") for text in value)
    )


def read_paper_preferences(source: Source, reading: Reading) -> None:
    """Read the paper's preference questions."""
    for index, value in enumerate(reading.listed(source.value, source.place(), of="texts")):
        preference = reading.text(value, source.place(index))
        if preference:
            reading.draft(EntryDraft(source.place(index), {"preference": preference}, series="preference"))


def write_paper_preferences(principles: Iterable[Principle]) -> str:
    """The preference questions as the paper writes them."""
    questions = [p.preference or "" for p in principles]
    # after a sentence as in the paper; after anything else on a line of its own, where it is seen to be no part of it
    return to_json(
        [f"\n{text}{' ' if text.endswith(('.', '?', '!')) else chr(10)}Options:" for text in questions]
    )


def is_huggingface(value: Any) -> bool:
    """Whether this is a mapping with `constitutions`, or a list of entries with `critic`."""
    if isinstance(value, list):
        return any(_has(entry, "critic") for entry in value)
    return isinstance(value, dict) and "constitutions" in value


def read_huggingface(source: Source, reading: Reading) -> None:
    """Read Hugging Face's recipe; its conversations become few-shot examples."""
    entries, steps = source.value, ()  # type: Any, Steps
    if not isinstance(entries, list):
        whole = reading.mapping(source.value, source, (), ("constitutions",), ("system_chat",))
        if whole is None:
            return
        steps = ("constitutions",)
        entries = reading.listed(whole["constitutions"], source.place(*steps), of="critic and revision")
        _read_system_chat(whole.get("system_chat", []), source, reading)
    for index, value in enumerate(entries):
        entry = reading.mapping(value, source, (*steps, index), _HUGGINGFACE_KEYS)
        if entry:
            _pair(entry, _HUGGINGFACE_KEYS, source, (*steps, index), reading)


def write_huggingface(principles: Iterable[Principle]) -> str:
    """The principles with a critique and a revision as the recipe has them, without conversations."""
    entries = [{"critic": p.critique, "revision": p.revision} for p in principles]
    return to_json({"constitutions": entries, "system_chat": []})


def is_langchain(value: Any) -> bool:
    """Whether these are entries with `critique_request` or `revision_request`, in a list or by name."""
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has(entry, *_LANGCHAIN_KEYS) for entry in entries)


def read_langchain(source: Source, reading: Reading) -> None:
    """Read LangChain's principles."""
    value = source.value
    if isinstance(value, dict):
        entries: Iterable[tuple[str | int, Any]] = value.items()
    else:
        entries = enumerate(reading.listed(value, source.place(), of=" and ".join(_LANGCHAIN_KEYS)))
    for key, item in entries:
        entry = reading.mapping(item, source, (key,), _LANGCHAIN_KEYS, ("name",))
        if entry is None:
            continue
        name = entry.get("name")
        if isinstance(name, str) and not name.strip():
            name = None
        if name is None and isinstance(key, str):
            name = key
        elif name is not None:
            if isinstance(key, str) and name != key:
                message = "the key of an entry that has a name of its own has no place in a constitution"
                reading.note("not_placed", message, source.place(key), repr(short(key)))
            name = reading.text(name, source.place(key, "name"))
        _pair(entry, _LANGCHAIN_KEYS, source, (key,), reading, name)


def write_langchain(principles: Iterable[Principle]) -> str:
    """The principles with a critique and a revision as LangChain has them, in JSON."""
    return to_json(_langchain(principles))


def write_langchain_yaml(principles: Iterable[Principle]) -> str:
    """The same in YAML."""
    from constitutional.workbench.formats.yaml_writer import to_yaml

    return to_yaml(_langchain(principles))


def _langchain(principles: Iterable[Principle]) -> list[dict[str, str | None]]:
    return [
        {"name": p.id, "critique_request": p.critique, "revision_request": p.revision} for p in principles
    ]


def to_json(value: Any) -> str:
    """A value as the text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _has(entry: Any, *names: str) -> bool:
    return isinstance(entry, dict) and any(name in entry for name in names)


def _pair(
    entry: dict[str, Any],
    keys: tuple[str, str],
    source: Source,
    steps: Steps,
    reading: Reading,
    name: str | None = None,
) -> None:
    critique, revision = (reading.text(entry[key], source.place(*steps, key)) for key in keys)
    if critique and revision:
        reading.draft(EntryDraft(source.place(*steps), {"critique": critique, "revision": revision}, name))


def _read_system_chat(value: Any, source: Source, reading: Reading) -> None:
    place = source.place("system_chat")
    if not isinstance(value, list):
        reading.problem("must be a list of conversations", place)
        return
    for index, turns in enumerate(value):
        here = source.place("system_chat", index)
        messages = [_message(turn) for turn in turns] if isinstance(turns, list) else []
        known = [message for message in messages if message and message.content]
        if len(known) < 6 or len(known) < len(messages) or len(known) % 2 or not is_prompt(tuple(known[:-1])):
            message = (
                "a conversation that is no few-shot example (user and assistant in turn, the last four a critique "
                "request, the critique, a revision request and the revision)"
            )
            reading.note("not_placed", message, here)
            continue
        texts = [
            reading.text(turn.content, source.place("system_chat", index, number, "content"))
            for number, turn in enumerate(known[-5:], len(known) - 5)
        ]
        if all(texts):  # response, critique request, critique, revision request, revision
            reading.example(Example(tuple(known[:-5]), *texts), here)  # type: ignore[arg-type]


def _message(turn: Any) -> Message | None:
    """A turn of role and content; None where it is none."""
    if (
        not isinstance(turn, dict)
        or turn.keys() != {"role", "content"}
        or not isinstance(turn["content"], str)
    ):
        return None
    role = turn["role"]
    return Message(role, turn["content"].strip()) if role in ("user", "assistant") else None
