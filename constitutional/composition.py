"""A constitution's file and those it extends → one constitution.

The bases' principles come first. One given in the extending file with the id of an inherited one replaces it
field by field; `drop` leaves an inherited one out, and one that is dropped and given again is a new one. Two
bases that give the same id different contents are an error until the file drops it. Everything is checked
after composition, so that a file can extend, say, only the weight; each problem is reported at the field, in
whichever file that stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydantic import Field

from constitutional.constitution import Constitution, Principle, id_problem, is_id, principle_problems
from constitutional.errors import ConstitutionError, Place, Problem, nearest
from constitutional.registry import find_constitution, is_path, real_path
from constitutional.schema import FileModel, in_order, validate
from constitutional.yamlfile import Document, load_yaml

MAX_DEPTH = 20


class PrincipleEntry(FileModel):
    """A principle as a file gives it: only the keys that are given count."""

    id: str
    critique: str = ""
    revision: str = ""
    preference: str = ""
    weight: float = 1.0
    tags: list[str] = Field(default_factory=list)
    source: str = ""


class ConstitutionFile(FileModel):
    """A constitution's file."""

    id: str
    version: int = Field(default=1, ge=1)
    description: str = ""
    extends: list[str] = Field(default_factory=list)
    drop: list[str] = Field(default_factory=list)
    principles: list[PrincipleEntry] = Field(default_factory=list)


@dataclass
class _Draft:
    """A principle that is being put together: the values of its fields, and where they and it stand."""

    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


def compose(path: Path) -> Constitution:
    """Load a constitution's file and those it extends.

    Raises:
        ConstitutionError: with every problem found.
    """
    loaded = _Loaded()
    drafts = loaded.drafts(path, ())
    problems = [problem for draft in drafts.values() for problem in _problems(draft)]
    file, document = loaded.files[real_path(path)]
    if not drafts:
        message = "there are no principles; add some, or name a constitution under `extends`"
        problems.append(Problem(message, document.place("principles", key=True)))
    if problems:
        raise ConstitutionError(_by_file(problems))
    principles = [Principle(**draft.values) for draft in drafts.values()]
    return Constitution(file.id, principles, file.version, file.description, path)


class _Loaded:
    """The files that were read for one constitution, each once."""

    def __init__(self) -> None:
        self.files: dict[Path, tuple[ConstitutionFile, Document]] = {}
        self.done: dict[Path, dict[str, _Draft]] = {}

    def drafts(self, path: Path, stack: tuple[Path, ...]) -> dict[str, _Draft]:
        """The principles of a file and its bases, by id; `stack` are the files that extend it."""
        key = real_path(path)
        if key in self.done:
            return self.done[key]
        document = load_yaml(path, error=ConstitutionError)
        file = validate(document, ConstitutionFile, error=ConstitutionError)
        self.files[key] = file, document
        problems: list[Problem] = []
        if not is_id(file.id):
            problems.append(Problem(id_problem(file.id), document.place("id")))
        bases = self._bases(file, document, (*stack, key), problems)
        own = _own(file, document, problems)
        drafts = _inherit(file, document, bases, problems)
        if problems:
            raise ConstitutionError(in_order(problems))
        for id, draft in own.items():
            base = drafts.get(id)
            if base:
                draft = _Draft(draft.place, base.values | draft.values, base.places | draft.places)
            drafts[id] = draft
        self.done[key] = drafts
        return drafts

    def _bases(
        self, file: ConstitutionFile, document: Document, stack: tuple[Path, ...], problems: list[Problem]
    ) -> list[dict[str, _Draft]]:
        bases = []
        for index, name in enumerate(file.extends):
            place = document.place("extends", index)
            try:
                bases.append(self._base(name, document.path, stack, place))
            except ConstitutionError as bad:
                problems += [
                    problem if problem.place else Problem(problem.message, place) for problem in bad.problems
                ]
        return bases

    def _base(self, name: str, path: Path, stack: tuple[Path, ...], place: Place) -> dict[str, _Draft]:
        if is_path(name):
            if Path(name).is_absolute():
                raise ConstitutionError(f"{name!r} is an absolute path; give it relative to this file", place)
            found = path.parent / name
            if not found.exists():
                raise ConstitutionError(f"there is no file {name!r} beside this one", place)
        else:
            found = find_constitution(name)
        key = real_path(found)
        if key in stack:
            cycle = " → ".join(str(file) for file in (*stack[stack.index(key) :], key))
            raise ConstitutionError(f"a constitution can't extend itself: {cycle}", place)
        if len(stack) >= MAX_DEPTH:
            raise ConstitutionError(f"more than {MAX_DEPTH} constitutions extend each other", place)
        return self.drafts(found, stack)


def _own(file: ConstitutionFile, document: Document, problems: list[Problem]) -> dict[str, _Draft]:
    own: dict[str, _Draft] = {}
    for index, entry in enumerate(file.principles):
        if not is_id(entry.id):
            problems.append(Problem(id_problem(entry.id), document.place("principles", index, "id")))
        if entry.id in own:
            message = (
                f"the id {entry.id!r} is given twice (first on line {own[entry.id].place.line}); rename one"
            )
            problems.append(Problem(message, document.place("principles", index, "id")))
            continue
        given = entry.model_fields_set
        own[entry.id] = _Draft(
            document.place("principles", index),
            {name: tuple(value) if name == "tags" else value for name, value in entry if name in given},
            {name: document.place("principles", index, name) for name in given},
        )
    return own


def _inherit(
    file: ConstitutionFile, document: Document, bases: list[dict[str, _Draft]], problems: list[Problem]
) -> dict[str, _Draft]:
    inherited = {id for base in bases for id in base}
    for index, id in enumerate(file.drop):
        if id not in inherited:
            message = f"can't drop {id!r}, which no base has; {nearest(id, inherited)}"
            problems.append(Problem(message, document.place("drop", index)))
    drafts: dict[str, _Draft] = {}
    for index, base in enumerate(bases):
        for id, draft in base.items():
            if id in file.drop:
                continue
            if id in drafts and _content(drafts[id]) != _content(draft):
                message = (
                    f"the principle {id!r} differs from the one at {drafts[id].place}; "
                    "name it under `drop`, and give it under `principles` if you want it"
                )
                problems.append(Problem(message, document.place("extends", index)))
            drafts.setdefault(id, draft)
    return drafts


def _content(draft: _Draft) -> dict[str, Any]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in draft.values.items()}


def _problems(draft: _Draft) -> list[Problem]:
    """A draft's problems, each at its field, or at the principle where the field is missing."""
    defaults = {"critique": None, "revision": None, "preference": None, "weight": 1.0}
    values = SimpleNamespace(**(defaults | draft.values))
    id = draft.values["id"]
    problems = []
    for name, message in principle_problems(cast("Principle", values)):
        place = draft.places.get(name)
        problems.append(Problem(message if place else f"{id!r}: {name} {message}", place or draft.place))
    return problems


def _by_file(problems: list[Problem]) -> list[Problem]:
    files = dict.fromkeys(str(problem.place.path) for problem in problems if problem.place)
    return [
        p for file in files for p in in_order([q for q in problems if q.place and str(q.place.path) == file])
    ]
