"""What a kind of attack is: a name, what it tries, and the text that it makes of a response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from string import Template

Write = Callable[[str, str, str], str]


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of attack.

    Attributes:
        kind: its name, lower-case words joined by `-`.
        description: what it tries, in one line.
        apply: (response, the response's option, the other option) → the attacked response.
    """

    kind: str
    description: str
    apply: Write


def text(kind: str, description: str, template: str) -> Attack:
    """An attack from a text with `$response`, `$option` and `$other`, each put in once, as it is."""
    filled = Template(template)

    def apply(response: str, option: str, other: str) -> str:
        return filled.substitute(response=response, option=option, other=other)

    return Attack(kind, description, apply)


_LOOKALIKES = str.maketrans("ABCEHKMOPTXabceopxyi", "АВСЕНКМОРТХаbсеорхуі")
"""Latin letters, and Cyrillic ones that look the same."""
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
"""ASCII, and the same in the wide letters of East Asian typography."""


def lookalikes(words: str) -> str:
    """Words in which Cyrillic letters stand for Latin ones."""
    return words.translate(_LOOKALIKES)


def wide(words: str) -> str:
    """Words in wide letters."""
    return words.translate(_WIDE)


def spread(words: str, between: str) -> str:
    """Words with something between all their letters."""
    return between.join(words)
