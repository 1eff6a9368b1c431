"""What differs between two constitutions, principle by principle and field by field.

Two constitutions without a difference have the same `hash`, but for the order of their principles: order is reported,
though nothing depends on it. A principle that was given another id and kept its texts is a renamed one; the rows
that drew it are redone all the same, since an id decides what is drawn.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from constitutional.constitution import Constitution, Principle
from constitutional.records import Row

TEXTS = ("critique", "revision", "preference")
_FIELDS = (*TEXTS, "weight", "tags", "source")
_META = ("id", "version", "description")

Value = str | float | tuple[str, ...] | None
Kind = Literal["added", "removed", "renamed", "changed"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a principle, or of the constitution itself, that is not what it was.

    Attributes:
        field: its name.
        before: what it was; None where it was not there.
        after: what it is; None where it is gone.
    """

    field: str
    before: Value
    after: Value

    def to_row(self) -> Row:
        """The change as plain JSON."""
        return {"field": self.field, "before": _plain(self.before), "after": _plain(self.after)}


@dataclass(frozen=True, slots=True)
class PrincipleChange:
    """A principle that is not what it was.

    Attributes:
        kind: `renamed` where the id alone tells that it is the same one, whatever else has changed but its texts.
        before: None for one that was added.
        after: None for one that was removed.
        fields: what changed; of one that was added or removed, every field that it has.
    """

    kind: Kind
    before: Principle | None
    after: Principle | None
    fields: tuple[FieldChange, ...]

    @property
    def id(self) -> str:
        """Its id, the new one of one that was renamed."""
        principle = self.after or self.before
        assert principle is not None
        return principle.id

    @property
    def ids(self) -> tuple[str, ...]:
        """Its ids, the old one first: two for one that was renamed."""
        return tuple(dict.fromkeys(principle.id for principle in (self.before, self.after) if principle))

    @property
    def reworded(self) -> tuple[str, ...]:
        """Of one that was there and still is, the texts that changed."""
        both = self.before is not None and self.after is not None
        return tuple(change.field for change in self.fields if change.field in TEXTS) if both else ()

    @property
    def reweighted(self) -> bool:
        """Whether it was there and still is, with another weight."""
        return self.before is not None and self.after is not None and self.before.weight != self.after.weight

    def to_row(self) -> Row:
        """The change as plain JSON."""
        return {
            "change": self.kind,
            "id": self.id,
            "before_id": self.before.id if self.before else None,
            "fields": [change.to_row() for change in self.fields],
        }


@dataclass(frozen=True, slots=True)
class ConstitutionDiff:
    """What differs between two constitutions. It is true if anything does.

    Attributes:
        before: the one.
        after: the other.
        meta: changes of id, version and description.
        principles: those changed, renamed or added, in the order of `after`; then those removed, in the order of `before`.
        moved: ids of principles that stand at another place among the others; nothing depends on it.
    """

    before: Constitution
    after: Constitution
    meta: tuple[FieldChange, ...]
    principles: tuple[PrincipleChange, ...]
    moved: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.meta or self.principles or self.moved)

    def counts(self) -> dict[str, int]:
        """How many principles are `added`, `removed`, `renamed`, `reworded`, `reweighted`, `relabelled`, `moved`, `unchanged`.

        `relabelled` have other tags or another source. One may count under several of them.
        """
        kinds = [change.kind for change in self.principles]
        relabelled = sum(
            change.kind in ("changed", "renamed")
            and any(f.field in ("tags", "source") for f in change.fields)
            for change in self.principles
        )
        return {
            "added": kinds.count("added"),
            "removed": kinds.count("removed"),
            "renamed": kinds.count("renamed"),
            "reworded": sum(bool(change.reworded) for change in self.principles),
            "reweighted": sum(change.reweighted for change in self.principles),
            "relabelled": relabelled,
            "moved": len(self.moved),
            "unchanged": len(self.after.principles)
            - sum(change.after is not None for change in self.principles),
        }

    def to_row(self) -> Row:
        """The difference as plain JSON: `before`, `after`, `meta`, `principles`, `moved` and `counts`."""
        return {
            "before": describe(self.before),
            "after": describe(self.after),
            "meta": [change.to_row() for change in self.meta],
            "principles": [change.to_row() for change in self.principles],
            "moved": list(self.moved),
            "counts": self.counts(),
        }


def diff_constitutions(before: Constitution, after: Constitution) -> ConstitutionDiff:
    """Compare two constitutions.

    Args:
        before: the one; its principles and `after`'s are matched by id, and those left over by their texts.
        after: the other.
    """
    old = {principle.id: principle for principle in before.principles}
    partners = {principle.id: principle for principle in after.principles if principle.id in old}
    renamed = _renamed(
        [principle for id, principle in old.items() if id not in partners],
        [principle for principle in after.principles if principle.id not in partners],
    )
    changes: list[PrincipleChange] = []
    for principle in after.principles:
        source = renamed.get(principle.id, old.get(principle.id))
        fields = _changes(source, principle, _FIELDS)
        if source is None:
            changes.append(PrincipleChange("added", None, principle, fields))
        elif source.id != principle.id:
            changes.append(PrincipleChange("renamed", source, principle, fields))
        elif fields:
            changes.append(PrincipleChange("changed", source, principle, fields))
    kept = {principle.id for principle in renamed.values()} | partners.keys()
    changes += [
        PrincipleChange("removed", principle, None, _changes(principle, None, _FIELDS))
        for id, principle in old.items()
        if id not in kept
    ]
    new_ids = {principle.id: id for id, principle in renamed.items()}
    moved = _moved(
        [new_ids.get(id, id) for id in old if id in kept],
        [p.id for p in after.principles if p.id in partners or p.id in renamed],
    )
    return ConstitutionDiff(before, after, _changes(before, after, _META), tuple(changes), moved)


def describe(constitution: Constitution) -> Row:
    """What a constitution is, without its principles, as plain JSON."""
    return {
        "id": constitution.id,
        "version": constitution.version,
        "hash": constitution.hash,
        "path": str(constitution.path) if constitution.path else None,
    }


def _renamed(gone: list[Principle], new: list[Principle]) -> dict[str, Principle]:
    """By new id, what a principle was before it was given that; of several with the same texts, the first goes with the first."""
    by_texts: defaultdict[tuple[str | None, ...], list[Principle]] = defaultdict(list)
    for principle in gone:
        by_texts[_texts(principle)].append(principle)
    return {
        principle.id: candidates.pop(0) for principle in new if (candidates := by_texts[_texts(principle)])
    }


def _texts(principle: Principle) -> tuple[str | None, ...]:
    return principle.critique, principle.revision, principle.preference


def _changes(before: object | None, after: object | None, names: tuple[str, ...]) -> tuple[FieldChange, ...]:
    found = []
    for name in names:
        was, now = _value(before, name), _value(after, name)
        if was != now:
            found.append(FieldChange(name, was, now))
    return tuple(found)


def _value(owner: object | None, name: str) -> Value:
    """A field's value; tags in alphabetical order, since theirs means nothing, and none where there are none."""
    value: Value = getattr(owner, name) if owner is not None else None
    return (tuple(sorted(value)) or None) if isinstance(value, tuple) else value


def _moved(before: list[str], after: list[str]) -> tuple[str, ...]:
    """As few ids as can be, without which the order is the same; both lists hold the same."""
    from rapidfuzz.distance import LCSseq

    steps = LCSseq.opcodes(before, after)
    settled = {id for step in steps if step.tag == "equal" for id in after[step.dest_start : step.dest_end]}
    return tuple(id for id in after if id not in settled)


def _plain(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else value
