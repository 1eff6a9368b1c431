"""Every rule, in the order of the documentation: what the loader refuses, then what only `lint` sees."""

from __future__ import annotations

from constitutional.workbench.lint.rule import Rule
from constitutional.workbench.lint.rules import (
    characters,
    composing,
    duplicates,
    files,
    naming,
    principles,
    wording,
)

RULES: dict[str, Rule] = {
    rule.id: rule
    for module in (files, principles, composing, characters, wording, duplicates, naming)
    for rule in module.RULES
}
"""Every rule by its id."""
