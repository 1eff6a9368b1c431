"""What a rule is, what it is shown, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from constitutional.errors import Place
from constitutional.yamlfile import Steps

if TYPE_CHECKING:
    from constitutional.workbench.lint.reading import LintFile, Text

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the gravest on. An error: no command takes the file, or models would be shown what nobody meant them to see. A
warning: it works, but hardly as meant. A note: worth a look."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule found in one text, and from which to which character; None for both means the whole of it."""

    message: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rule found in a file.

    Attributes:
        rule: the rule's id.
        severity: how grave it is.
        message: what is wrong, and what to do about it.
        place: where.
    """

    rule: str
    severity: Severity
    message: str
    place: Place


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong with a constitution's file.

    Attributes:
        id: what `--select`, `--ignore` and comments call it.
        severity: how grave its findings are.
        summary: what it finds, in one sentence.
        why: why that matters, and what to do.
        bad: an example that breaks this rule and no other; a whole file, `example.yaml`.
        line: the line of that example where it is found; None where it is about no line.
        good: the example as it should be.
        beside: further files of the examples, by name.
        console: the examples are commands rather than files.
        fields: the fields whose texts `check_text` is shown.
        english: only English texts are shown to it, since it goes by phrases.
        check_text: finds it in a text.
        check_file: finds it in a file: pairs of a message and the steps to a value, or a place that is no value's. Where there
            is neither check, it is the loader that finds it.
    """

    id: str
    severity: Severity
    summary: str
    why: str
    bad: str
    line: int | None
    good: str
    beside: tuple[tuple[str, str], ...] = ()
    console: bool = False
    fields: tuple[str, ...] = ("critique", "revision", "preference")
    english: bool = False
    check_text: Callable[[Text], Iterable[Hit]] | None = None
    check_file: Callable[[LintFile], Iterable[tuple[str, Steps | Place]]] | None = None
