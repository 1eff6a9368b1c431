"""Numbers as every command writes them: `1 row`, `44% [38, 50]`, `-0.231 [-0.237, -0.224]`; a zero has no sign of its own."""

from __future__ import annotations

from typing import Protocol


class Interval(Protocol):
    """What has the ends of an interval."""

    @property
    def low(self) -> float | None:
        """Its lower end; None where there is none."""
        ...

    @property
    def high(self) -> float | None:
        """Its upper end; None likewise."""
        ...


class Value(Interval, Protocol):
    """An estimate or a difference."""

    @property
    def value(self) -> float:
        """Of the quantity."""
        ...


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `2,000 rows`.

    Args:
        count: of them.
        noun: of one.
        plural: of several, where it is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def number(value: float, form: str) -> str:
    """A number in a form of Python's; one that rounds to 0 has no sign.

    Args:
        value: the number.
        form: as `.3f`, `+.3f`, `.1%`.
    """
    text = f"{value:{form}}"
    return text if text.strip("+-0.%") else text.lstrip("+-")


def interval(ends: Interval, form: str) -> str:
    """An interval in brackets, `[0.41, 0.52]`, percent without their sign; `[unknown]` where there is none."""
    if ends.low is None or ends.high is None:
        return "[unknown]"
    return f"[{number(ends.low, form)}, {number(ends.high, form)}]".replace("%", "")


def with_interval(found: Value, form: str) -> str:
    """A value and its interval, where it has one: `50.3% [45.7, 55.0]`."""
    value = number(found.value, form)
    return value if found.low is None or found.high is None else f"{value} {interval(found, form)}"
