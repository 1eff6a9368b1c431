"""A constitution's file and those it extends → one constitution.

The bases' principles come first. One given in the extending file with the id of an inherited one replaces it
field by field; `drop` leaves an inherited one out, and one that is dropped and given again is a new one. Two
bases that give the same id different contents are an error until the file drops it. Everything is checked
after composition, so that a file can extend, say, only the weight; each problem is reported at the field, in
whichever file that stands.

All problems are found at once: what one of them leaves unknown is not complained about as well. `compose` gives a
constitution or raises; `examine` gives what there is, and the problems beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from constitutional.constitution import Constitution, Principle, id_problem, is_id, principle_problems
from constitutional.constitution_file import ConstitutionFile, lost_fields, salvage
from constitutional.errors import ConstitutionError, InputError, Place, Problem, nearest
from constitutional.registry import exists, find_base, is_path, real_path
from constitutional.schema import in_order
from constitutional.yamlfile import MAX_PROBLEMS, Document, parse_yaml, read_text

MAX_DEPTH = 20
_TEXTS = ("critique", "revision", "preference")
_MARK = re.compile(r"^(?:principles|extends)[ \t]*:", re.MULTILINE)


@dataclass
class Draft:
    """A principle that is being put together: the values of its fields, and where they and it stand.

    Attributes:
        place: where the principle starts.
        values: its fields.
        places: where these stand.
        lost: fields whose keys are misspelt or whose values are not valid.
    """

    place: Place
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()


@dataclass
class Examined:
    """What there is to a constitution's file, whether or not it can be used.

    Attributes:
        path: the file.
        document: its content; None where it is no YAML that can be read to its end.
        file: the document as far as it is valid; keys with bad values are left out.
        lost: keys of the file that are misspelt or whose values are not valid.
        own: the principles that it gives itself; of those with the same id, the first.
        inherited: the principles of its bases that it does not drop.
        drafts: all its principles, composed.
        known: whether all bases could be read; if not, more may be inherited.
        problems: everything that keeps it from being used, by file and place.
    """

    path: Path
    document: Document | None = None
    file: ConstitutionFile | None = None
    lost: frozenset[str] = frozenset()
    own: dict[str, Draft] = field(default_factory=dict)
    inherited: dict[str, Draft] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    known: bool = False
    problems: list[Problem] = field(default_factory=list)


def compose(path: Path) -> Constitution:
    """Load a constitution's file and those it extends.

    Raises:
        ConstitutionError: with every problem found.
    """
    found = examine(path)
    if found.problems or found.file is None:
        raise ConstitutionError(found.problems)
    principles = [Principle(**draft.values) for draft in found.drafts.values()]
    return Constitution(found.file.id, principles, found.file.version, found.file.description, path)


def examine(path: Path) -> Examined:
    """Read a constitution's file and those it extends, as far as that is possible, with every problem found."""
    reader = _Reader(path)
    found = reader.read(path, ())
    if found.file is not None and found.document is not None:
        for id, draft in found.drafts.items():
            reader.add(*_draft_problems(id, draft, found))
        if not found.drafts and found.known and "principles" not in found.lost:
            message = "there are no principles; add some, or name a constitution under `extends`"
            reader.add(Problem(message, found.document.place("principles", key=True), "no-principles"))
    found.problems = _by_file(reader.problems)
    return found


class _Reader:
    """The files that were read for one constitution, each once, and all their problems."""

    def __init__(self, outermost: Path) -> None:
        self.outermost = outermost
        self.files: dict[Path, Examined] = {}
        self.problems: list[Problem] = []
        self.taken: set[tuple[str, int | None, int | None]] = set()
        self.counts: Counter[tuple[str, str | None]] = Counter()

    def add(self, *problems: Problem) -> None:
        """Keep some problems, less those that stand where an earlier step found one: they would be its echo."""
        new = [problem for problem in problems if _spot(problem) not in self.taken]
        self.taken |= {_spot(problem) for problem in new}
        for problem in new:
            kind = _spot(problem)[0], problem.rule
            self.counts[kind] += 1
            if self.counts[kind] <= MAX_PROBLEMS:
                self.problems.append(problem)

    def read(self, path: Path, stack: tuple[Path, ...], named: Place | None = None) -> Examined:
        """Read a file and its bases; `stack` are the files that extend it, `named` is where the last one does."""
        key = real_path(path)
        if key in self.files:
            return self.files[key]
        found = self.files[key] = Examined(path)
        found.document, problems = parse_yaml(path)
        if named and _is_other(path, found.document):
            found.document = None
            self.add(
                Problem(
                    f"{path} is no constitution: it has neither `principles` nor `extends`",
                    named,
                    "unknown-base",
                )
            )
            return found
        self.add(*problems)
        if found.document is None:
            return found
        found.file, problems = salvage(found.document)
        self.add(*problems)
        if found.file is None:
            return found
        found.lost = lost_fields(found.document.value, found.file)
        if not is_id(found.file.id):
            self.add(Problem(id_problem(found.file.id), found.document.place("id"), "bad-id"))
        bases = self._bases(found, (*stack, key))
        found.own, problems = _own(found.file, found.document)
        self.add(*problems)
        found.inherited, problems = _inherit(found.file, found.document, bases, found.known)
        self.add(*problems)
        found.drafts = dict(found.inherited)
        for id, draft in found.own.items():
            base = found.inherited.get(id)
            if base:
                lost = base.lost | draft.lost
                draft = Draft(draft.place, base.values | draft.values, base.places | draft.places, lost)
            found.drafts[id] = draft
        return found

    def _bases(self, found: Examined, stack: tuple[Path, ...]) -> list[Examined]:
        assert found.file is not None and found.document is not None
        bases: list[Examined] = []
        failed = 0
        for index, name in enumerate(found.file.extends):
            place = found.document.place("extends", index)
            try:
                bases.append(self._base(name, found.path, stack, place))
            except ConstitutionError as bad:
                failed += 1
                self.add(
                    *(
                        problem if problem.place else Problem(problem.message, place, "unknown-base")
                        for problem in bad.problems
                    )
                )
        found.known = not failed and "extends" not in found.lost and all(base.known for base in bases)
        return bases

    def _base(self, name: str, path: Path, stack: tuple[Path, ...], place: Place) -> Examined:
        def refusal(message: str, rule: str) -> ConstitutionError:
            return ConstitutionError(Problem(message, place, rule))

        found = find_base(name, path, self.outermost)
        if is_path(name) and not exists(found):
            raise refusal(f"there is no file {name!r} beside this one", "unknown-base")
        key = real_path(found)
        if key in stack:
            cycle = " → ".join(str(file) for file in (*stack[stack.index(key) :], key))
            raise refusal(f"a constitution can't extend itself: {cycle}", "extends-cycle")
        if len(stack) >= MAX_DEPTH:
            raise refusal(f"more than {MAX_DEPTH} constitutions extend each other", "extends-cycle")
        return self.read(found, stack, place)


def _is_other(path: Path, document: Document | None) -> bool:
    """Whether a file can be read and is something else than a constitution: then nothing in it is to be shown.

    A file that is no YAML to its end is one where a line begins as those of a constitution do.
    """
    if document is not None:
        return not document.value.keys() & {"principles", "extends"}
    try:
        return not _MARK.search(read_text(path))
    except InputError:
        return False


def _own(file: ConstitutionFile, document: Document) -> tuple[dict[str, Draft], list[Problem]]:
    own: dict[str, Draft] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(file.principles):
        if not is_id(entry.id):
            problems.append(
                Problem(id_problem(entry.id), document.place("principles", index, "id"), "bad-id")
            )
        if entry.id in own:
            message = (
                f"the id {entry.id!r} is given twice (first on line {own[entry.id].place.line}); rename one"
            )
            problems.append(Problem(message, document.place("principles", index, "id"), "duplicate-id"))
            continue
        given = entry.model_fields_set
        own[entry.id] = Draft(
            document.place("principles", index),
            {name: tuple(value) if name == "tags" else value for name, value in entry if name in given},
            {name: document.place("principles", index, name) for name in given},
            lost_fields(document.value["principles"][index], entry),
        )
    return own, problems


def _inherit(
    file: ConstitutionFile, document: Document, bases: list[Examined], known: bool
) -> tuple[dict[str, Draft], list[Problem]]:
    problems: list[Problem] = []
    dropped = set(file.drop)
    inherited = {id for base in bases for id in base.drafts}
    for index, id in enumerate(file.drop):
        if known and id not in inherited and len(problems) < MAX_PROBLEMS:
            message = f"can't drop {id!r}, which no base has; {nearest(id, inherited)}"
            problems.append(Problem(message, document.place("drop", index), "drop-of-nothing"))
    drafts: dict[str, Draft] = {}
    for index, base in enumerate(bases):
        for id, draft in base.drafts.items():
            if id in dropped:
                continue
            if id in drafts and _content(drafts[id]) != _content(draft):
                message = (
                    f"the principle {id!r} differs from the one at {drafts[id].place}; "
                    "name it under `drop`, and give it under `principles` if you want it"
                )
                problems.append(Problem(message, document.place("extends", index), "conflicting-bases"))
            drafts.setdefault(id, draft)
    return drafts, problems


def _content(draft: Draft) -> dict[str, Any]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in draft.values.items()}


def _draft_problems(id: str, draft: Draft, found: Examined) -> list[Problem]:
    """A draft's problems, each at its field, or at the principle where the field is missing."""
    defaults = {"critique": None, "revision": None, "preference": None, "weight": 1.0}
    values = SimpleNamespace(**(defaults | draft.values))
    # What is missing may be inherited: from a base that could not be read, or under an id that is misspelt here.
    extends = "extends" in found.lost or bool(found.file and found.file.extends)
    overrides = extends and id in found.own and id not in found.inherited
    problems = []
    for name, message in principle_problems(cast("Principle", values)):
        rule = _rule(name, values)
        missing = rule in ("missing-text", "unusable-principle")
        if missing and (draft.lost.intersection(_TEXTS) or (overrides and not found.known)):
            continue
        if missing and overrides and _meant_to_override(id, draft, found):
            hint = nearest(id, found.inherited)
            message = f"overrides nothing: no base has a principle {id!r}; {hint}"
            problems.append(Problem(message, draft.places.get("id", draft.place), "override-of-nothing"))
            break
        place = draft.places.get(name)
        problems.append(
            Problem(message if place else f"{id!r}: {name} {message}", place or draft.place, rule)
        )
    return problems


def _meant_to_override(id: str, draft: Draft, found: Examined) -> bool:
    """Whether an incomplete principle was to change an inherited one: its id is close to one, or it gives but a weight."""
    if found.file and id in found.file.drop:
        return False
    weighs = "weight" in draft.values and not any(name in draft.values for name in _TEXTS)
    return weighs or bool(get_close_matches(id, found.inherited, 1, 0.75))


def _rule(name: str, values: SimpleNamespace) -> str:
    """The rule that a principle's field breaks."""
    if name == "id":
        return "bad-id"
    if name == "weight":
        return "bad-weight"
    if getattr(values, name) is not None:
        return "empty-text"
    return (
        "missing-text" if any(getattr(values, text) is not None for text in _TEXTS) else "unusable-principle"
    )


def _by_file(problems: list[Problem]) -> list[Problem]:
    files = dict.fromkeys(str(problem.place.path) for problem in problems if problem.place)
    return [
        p for file in files for p in in_order([q for q in problems if q.place and str(q.place.path) == file])
    ]


def _spot(problem: Problem) -> tuple[str, int | None, int | None]:
    place = problem.place
    return (str(place.path), place.line, place.column) if place else ("", None, None)
