"""Principles and constitutions: what the model is asked to judge itself by (Bai et al. 2022, sections 3.1 and
4.1).

`load_constitution` reads a constitution's file and those it extends, checks everything at once, and gives a
frozen `Constitution`. The file format is in `docs/constitution-format.md`; composition is in
`composition.py`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from constitutional.assignment import content_hash
from constitutional.errors import ConstitutionError, Problem, nearest

ID_PATTERN = "[a-z0-9]+(-[a-z0-9]+)*"
MAX_ID_LENGTH = 100
_SPELT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"}
)
_TEXTS = ("critique", "revision", "preference")


@dataclass(frozen=True, slots=True)
class Principle:
    """One rule of a constitution. Texts are kept without outer white space.

    Attributes:
        id: lower-case words joined by `-`, unique in its constitution.
        critique: the request to criticise the assistant's last response; needs `revision` too.
        revision: the request to rewrite that response.
        preference: the question which of two responses is better.
        weight: how often it is drawn, relative to the others; finite and greater than 0.
        tags: for the user's own selection.
        source: where the rule comes from.

    Raises:
        ConstitutionError: a field that is not as said above, or neither critique and revision nor preference.
    """

    id: str
    critique: str | None = None
    revision: str | None = None
    preference: str | None = None
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        for name in (*_TEXTS, "source"):
            text = getattr(self, name)
            if isinstance(text, str):
                object.__setattr__(self, name, text.strip())
        object.__setattr__(self, "tags", tuple(self.tags))
        problems = [f"{field}: {message}" for field, message in principle_problems(self)]
        if problems:
            raise ConstitutionError([Problem(f"principle {self.id!r}: {problem}") for problem in problems])
        object.__setattr__(self, "weight", float(self.weight))

    def fingerprint(self, *names: str) -> str:
        """A hash of the id and the given fields alone.

        A row is keyed by the fingerprint of the fields that its stage rendered, so that an edit to any other
        field leaves the row as it is.

        Raises:
            ValueError: a name that is no field.
        """
        known = {field.name for field in fields(self)}
        parts: list[str | bytes] = [self.id]
        for name in sorted(set(names)):
            if name not in known:
                raise ValueError(f"a principle has no field {name!r}; {nearest(name, known)}")
            value = getattr(self, name)
            if isinstance(value, tuple):
                value = content_hash(*sorted(value))
            parts += [name, b"" if value is None else str(value)]
        return content_hash(*parts)


@dataclass(frozen=True)
class Constitution:
    """A named, versioned list of principles.

    Attributes:
        id: lower-case words joined by `-`.
        principles: at least one, with different ids.
        version: from 1.
        description: one or two sentences for people.
        path: the file it was loaded from; None where it was made in Python.

    Raises:
        ConstitutionError: an id or version that is not as said above, no principles, or two with the same id.
    """

    id: str
    principles: tuple[Principle, ...]
    version: int = 1
    description: str = ""
    path: Path | None = None

    def __init__(
        self,
        id: str,
        principles: Iterable[Principle],
        version: int = 1,
        description: str = "",
        path: Path | None = None,
    ) -> None:
        values = {"id": id, "principles": tuple(principles), "version": version, "path": path}
        for name, value in (values | {"description": description.strip()}).items():
            object.__setattr__(self, name, value)
        problems = []
        if not is_id(id):
            problems.append(f"id: {id_problem(id)}")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            problems.append(f"version: must be a whole number of at least 1, not {version!r}")
        if not self.principles:
            problems.append("principles: there are none; add at least one")
        seen: set[str] = set()
        for principle in self.principles:
            if principle.id in seen:
                problems.append(f"principles: the id {principle.id!r} is given twice; rename one")
            seen.add(principle.id)
        if problems:
            raise ConstitutionError([Problem(f"constitution {id!r}: {problem}") for problem in problems])

    @cached_property
    def hash(self) -> str:
        """A hash of the content: independent of path, layout, and the order of keys and principles."""
        names = [field.name for field in fields(Principle)]
        principles = sorted(principle.fingerprint(*names) for principle in self.principles)
        return content_hash(self.id, self.version, self.description, *principles)

    def for_revise(self) -> tuple[Principle, ...]:
        """The principles that `revise` can draw: those with critique and revision requests.

        Raises:
            ConstitutionError: there are none.
        """
        return self._usable("critique", "revision")

    def for_label(self) -> tuple[Principle, ...]:
        """The principles that `label` can draw: those with a preference question.

        Raises:
            ConstitutionError: there are none.
        """
        return self._usable("preference")

    def principle(self, id: str) -> Principle:
        """The principle of that id.

        Raises:
            ConstitutionError: there is none; the message has the nearest.
        """
        for principle in self.principles:
            if principle.id == id:
                return principle
        raise ConstitutionError(
            f"constitution {self.id!r} has no principle {id!r}; "
            f"{nearest(id, [principle.id for principle in self.principles])}"
        )

    def _usable(self, *needed: str) -> tuple[Principle, ...]:
        usable = tuple(p for p in self.principles if all(getattr(p, name) for name in needed))
        if usable:
            return usable
        where = self.path or f"constitution {self.id!r}"
        keys = " and ".join(f"`{name}:`" for name in needed)
        raise ConstitutionError(
            f"{where}: no principle has {keys}; add {'them' if len(needed) > 1 else 'it'} to one"
        )


def load_constitution(name_or_path: str | Path) -> Constitution:
    """Load a constitution, with those it extends.

    Args:
        name_or_path: the path of a file, or a name that `registry.find_constitution` finds.

    Raises:
        ConstitutionError: with every problem found, each with its file, line, column and field.
    """
    from constitutional.composition import compose  # it needs the classes above
    from constitutional.registry import find_constitution

    return compose(find_constitution(name_or_path))


def is_id(text: object) -> bool:
    """Whether this can be the id of a constitution or a principle."""
    return isinstance(text, str) and len(text) <= MAX_ID_LENGTH and re.fullmatch(ID_PATTERN, text) is not None


def ascii_words(text: str) -> list[str]:
    """The words of a text in the letters a to z and digits: `böse` is `boese`, `é` is `e`; what has no such letters is left out."""
    spelt = unicodedata.normalize("NFC", text).lower().translate(_SPELT)
    marks = unicodedata.normalize("NFKD", spelt)
    return re.findall("[a-z0-9]+", "".join(mark for mark in marks if not unicodedata.combining(mark)).lower())


def id_problem(text: object) -> str:
    """What to say of an id that is none."""
    hint = ""
    if isinstance(text, str):
        words = ascii_words(text[: MAX_ID_LENGTH + 1].removesuffix(".yaml").removesuffix(".yml"))
        hint = f"; write {'-'.join(words)!r}" if words and len(text) <= MAX_ID_LENGTH else ""
    rule = "lower-case letters and digits in words joined by '-', at most 100 characters"
    return f"{text!r} is not an id: {rule}{hint}"


def principle_problems(principle: Principle) -> list[tuple[str, str]]:
    """What is wrong with a principle: pairs of field and message."""
    problems: list[tuple[str, str]] = []
    if not is_id(principle.id):
        problems.append(("id", id_problem(principle.id)))
    for name in _TEXTS:
        text = getattr(principle, name)
        if text is not None and not isinstance(text, str):
            problems.append((name, f"must be a text, not {text!r}"))
        elif text is not None and not text.strip():
            problems.append((name, "must not be empty; write it or leave the key out"))
    weight = principle.weight
    if (
        isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not math.isfinite(weight)
        or weight <= 0
    ):
        problems.append(("weight", f"must be a finite number greater than 0, not {weight!r}"))
    for present, missing in (("critique", "revision"), ("revision", "critique")):
        if getattr(principle, present) is not None and getattr(principle, missing) is None:
            problems.append((missing, f"is missing; a principle with a {present} needs a {missing} too"))
    if all(getattr(principle, name) is None for name in _TEXTS):
        problems.append(
            (
                "critique",
                "is missing; add critique and revision (for `revise`), preference (for `label`), or all",
            )
        )
    return problems
