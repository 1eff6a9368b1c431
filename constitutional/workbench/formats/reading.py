"""What is collected while files are read: principles, examples, notes and problems, each with its place.

A reader takes what it finds to a `Reading`: texts, which come back clean, and entries. When all files are read,
`principles` makes ids for those that have none, tells duplicates, checks everything, and raises all problems at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from constitutional.constitution import Principle, ascii_words, is_id, principle_problems
from constitutional.errors import ConstitutionError, Place, Problem, nearest
from constitutional.prompt_examples import Example, PreferenceExample
from constitutional.workbench.formats.cleaning import clean
from constitutional.workbench.formats.notes import Note, NoteKind, short
from constitutional.workbench.formats.source import Number, Source
from constitutional.yamlfile import MAX_PROBLEMS, Steps, describe

MAX_ENTRIES = 5_000
"""More principles or examples than anybody draws from: a file of another sort, taken for a constitution."""
_ID_LENGTH = 100


@dataclass
class EntryDraft:
    """A principle that was read.

    Attributes:
        place: where.
        values: its texts and whatever else is given, as a `Principle` has them.
        name: what the file calls it; None where it has no name.
        series: the word that the ids of nameless ones are made with: `preference-1`.
        places: where its fields stand, where that is known better.
    """

    place: Place
    values: dict[str, Any]
    name: str | None = None
    series: str = "principle"
    places: Mapping[str, Place] = field(default_factory=dict)


class Reading:
    """What some files gave.

    Attributes:
        drafts: principles.
        examples: few-shot examples of critique and revision.
        preference_examples: few-shot examples of preferences.
        notes: what was done to all of that.
        problems: what is wrong.
    """

    def __init__(self) -> None:
        self.drafts: list[EntryDraft] = []
        self.examples: list[Example] = []
        self.preference_examples: list[PreferenceExample] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def note(self, kind: NoteKind, message: str, place: Place, detail: str | None = None) -> None:
        """Report something."""
        self.notes.append(Note(kind, message, place, detail))

    def problem(self, message: str, place: Place) -> None:
        """Refuse something."""
        self.problems.append(Problem(message, place))
        if len(self.problems) >= MAX_PROBLEMS:  # the same mistake everywhere
            raise ConstitutionError(self.problems)

    def draft(self, draft: EntryDraft) -> None:
        """Take a principle."""
        self.drafts.append(draft)
        self._count(len(self.drafts), "principles", draft.place)

    def example(self, example: Example, place: Place) -> None:
        """Take a few-shot example."""
        self.examples.append(example)
        self._count(len(self.examples), "examples", place)

    def preference_example(self, example: PreferenceExample, place: Place) -> None:
        """Take a few-shot example of a preference."""
        self.preference_examples.append(example)
        self._count(len(self.preference_examples), "examples", place)

    def raise_problems(self) -> None:
        """Stop where anything is wrong.

        Raises:
            ConstitutionError: with every problem found, by file and line.
        """
        if self.problems:
            files = list(dict.fromkeys(str(problem.place.path) for problem in self.problems if problem.place))
            raise ConstitutionError(
                sorted(
                    self.problems,
                    key=lambda p: (files.index(str(p.place.path)), p.place.line or 0) if p.place else (-1, 0),
                )
            )

    def text(self, value: object, place: Place) -> str | None:
        """A text, clean; None, and a problem, where it is no text or nothing is left of it."""
        if not isinstance(value, str):
            self.problem(f"must be a text, not {_describe(value)}", place)
            return None
        cleaned, notes = clean(value, place)
        self.notes += notes
        if not cleaned:
            self.problem(
                "there is no text" + (f" but {short(value.strip())!r}" if value.strip() else ""), place
            )
            return None
        return cleaned

    def listed(self, value: object, place: Place, *, of: str) -> list[Any]:
        """A list; an empty one, and a problem, where it is none or has nothing in it."""
        if isinstance(value, list) and value:
            return value
        found = "an empty list" if isinstance(value, list) else _describe(value)
        self.problem(f"must be a list of {of}, not {found}", place)
        return []

    def mapping(
        self,
        value: object,
        source: Source,
        steps: Steps,
        needed: Collection[str],
        optional: Collection[str] = (),
    ) -> dict[str, Any] | None:
        """A mapping that has some keys; None, and problems, where it is none or lacks one.

        Keys that nothing is known of are reported as not placed, or are a problem where they look like a misspelt one
        that is missing.
        """
        if not isinstance(value, dict):
            self.problem(
                f"must be a mapping with {_and(needed)}, not {_describe(value)}", source.place(*steps)
            )
            return None
        missing = [name for name in needed if name not in value]
        unknown = [name for name in value if name not in needed and name not in optional]
        for name in missing:
            near = [other for other in unknown if nearest(other, [name]).startswith("did you mean")]
            found = f"; is {near[0]!r} meant for it?" if near else ""
            self.problem(f"{name!r} is missing{found}", source.place(*steps))
        for name in unknown:
            message = "keys that have no place in a constitution"
            self.note("not_placed", message, source.place(*steps, name), repr(short(name)))
        return None if missing else value

    def principles(self, place: Place) -> list[Principle]:
        """The principles, with their ids.

        Args:
            place: where they come from, in case that there are none.

        Raises:
            ConstitutionError: with every problem found, here or before.
        """
        drafts = self._without_duplicates()
        for draft in drafts:
            values = {"critique": None, "revision": None, "preference": None, "weight": 1.0, **draft.values}
            for name, message in principle_problems(cast("Principle", SimpleNamespace(id="x", **values))):
                at = draft.places.get(name)
                self.problem(message if at else f"{name} {message}", at or draft.place)
        ids = self._ids(drafts)
        if not drafts and not self.problems:
            raise ConstitutionError("there are no principles in it", place)
        self.raise_problems()
        return [Principle(id=id, **draft.values) for id, draft in zip(ids, drafts, strict=True)]

    def _without_duplicates(self) -> list[EntryDraft]:
        kept: list[EntryDraft] = []
        seen: dict[tuple[Any, ...], EntryDraft] = {}
        for draft in self.drafts:
            texts = tuple(draft.values.get(name) for name in ("critique", "revision", "preference"))
            first = seen.setdefault(texts, draft)
            if first is not draft:
                if first.name == draft.name and first.values == draft.values:
                    self.note("merged", "the same entry again was left out", draft.place, f"as {first.place}")
                    continue
                self.note("repeated", "the same texts again, kept", draft.place, f"as {first.place}")
            kept.append(draft)
        return kept

    def _ids(self, drafts: list[EntryDraft]) -> list[str]:
        """Ids in the order of the drafts; names come first, so that what is made never takes one away."""
        ids: list[str] = [""] * len(drafts)
        taken: set[str] = set()
        for index, draft in enumerate(drafts):
            if draft.name is not None and (wanted := slug(draft.name)):
                ids[index] = _free(wanted, taken)
                taken.add(ids[index])
                if ids[index] != draft.name:
                    detail = f"{short(draft.name)!r} became {ids[index]!r}"
                    reason = "are ids" if ids[index] == wanted else "are unique ids"
                    self.note("renamed", f"names became what {reason}", draft.place, detail)
        counts: dict[str, int] = {}
        for index, draft in enumerate(drafts):
            if ids[index]:
                continue
            number = counts.get(draft.series, 0) + 1
            while f"{draft.series}-{number}" in taken:
                number += 1
            counts[draft.series] = number
            ids[index] = f"{draft.series}-{number}"
            taken.add(ids[index])
            if draft.name is None:
                self.note("made", "ids, since the file gives none", draft.place, ids[index])
            else:
                detail = f"{short(draft.name)!r} became {ids[index]!r}"
                self.note(
                    "renamed", "names without letters a to z or digits became numbers", draft.place, detail
                )
        return ids

    def _count(self, count: int, what: str, place: Place) -> None:
        if count > MAX_ENTRIES:
            raise ConstitutionError(f"more than {MAX_ENTRIES:,} {what}: this looks like data", place)


def slug(name: str) -> str:
    """The id nearest to a name: itself where it is one, empty where it has no letters a to z and no digits."""
    if is_id(name):
        return name
    words = ascii_words(name[:1000])
    while words and len("-".join(words)) > _ID_LENGTH:
        words = words[:-1] if len(words) > 1 else [words[0][:_ID_LENGTH]]
    return "-".join(words)


def _free(wanted: str, taken: set[str]) -> str:
    number, id = 1, wanted
    while id in taken:
        number += 1
        end = f"-{number}"
        id = wanted[: _ID_LENGTH - len(end)].rstrip("-") + end
    return id


def _describe(value: object) -> str:
    return f"the number {value}" if isinstance(value, Number) else describe(value)


def _and(names: Collection[str]) -> str:
    quoted = [repr(name) for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)
