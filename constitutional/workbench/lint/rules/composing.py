"""Mistakes in building on other constitutions: `extends`, `drop` and overrides."""

from __future__ import annotations

from collections.abc import Iterator

from constitutional.workbench.lint.reading import LintFile
from constitutional.workbench.lint.rule import Rule
from constitutional.yamlfile import Steps


def idle_overrides(file: LintFile) -> Iterator[tuple[str, Steps]]:
    """Own principles that give nothing but what they inherit anyway."""
    for index, entry in enumerate(file.entries):
        base, own = file.examined.inherited.get(entry.id), file.examined.own.get(entry.id)
        if base is None or own is None or own.lost:
            continue
        given = {name: _plain(value) for name, value in own.values.items()}
        if all(name in base.values and _plain(base.values[name]) == value for name, value in given.items()):
            what = "what the inherited one has" if len(given) > 1 else "nothing but its id"
            yield (
                f"{entry.id!r} gives {what}, so it changes nothing; change something, or take it out",
                ("principles", index),
            )


def _plain(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


_BASE = (
    "base.yaml",
    """\
id: base
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
)

RULES = (
    Rule(
        "unknown-base",
        "error",
        "`extends` names a constitution that there is not, or a file that it may not take.",
        "A name is looked for in ./constitutions and among the shipped ones; what has a '/' or ends in .yaml is a path relative to the "
        "file, never an absolute one. It ends in .yaml or .yml and lies, links followed, in the working directory, in the folder of the "
        "file that extends it, or in the folder above that of the constitution you named; so nobody's constitution reads your other files.",
        bad="""\
id: example
extends: [harmlesness]
""",
        line=2,
        good="""\
id: example
extends: [harmlessness]
""",
    ),
    Rule(
        "extends-cycle",
        "error",
        "A constitution extends itself, directly or through others.",
        "There would be no first one to start from. (More than 20 files that extend each other are refused likewise.)",
        bad="""\
id: example
extends: [example.yaml]
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
        line=2,
        good="""\
id: example
extends: [base.yaml]
principles:
  - id: explains
    preference: Which of these two responses explains more of what it claims?
""",
        beside=(_BASE,),
    ),
    Rule(
        "drop-of-nothing",
        "error",
        "`drop` names a principle that no base has.",
        "The principle that was to go would stay. The nearest id is named.",
        bad="""\
id: example
extends: [harmlessness]
drop: [privcy]
""",
        line=3,
        good="""\
id: example
extends: [harmlessness]
drop: [privacy]
""",
    ),
    Rule(
        "override-of-nothing",
        "error",
        "A principle gives only some keys, and there is no inherited one of that id to take the others from.",
        "Usually the id is misspelt; the nearest inherited one is named. A new principle has to be whole.",
        bad="""\
id: example
extends: [harmlessness]
principles:
  - id: privcy
    weight: 3
""",
        line=4,
        good="""\
id: example
extends: [harmlessness]
principles:
  - id: privacy
    weight: 3
""",
    ),
    Rule(
        "conflicting-bases",
        "error",
        "Two bases give the same id to principles that differ.",
        "Which of them counts would depend on the order under `extends`. Name the id under `drop`, and give the one you want.",
        bad="""\
id: example
extends: [base.yaml, other.yaml]
""",
        line=2,
        good="""\
id: example
extends: [base.yaml, other.yaml]
drop: [kind]
principles:
  - id: kind
    preference: Which of these two responses is kinder to everyone in the conversation?
""",
        beside=(_BASE, ("other.yaml", _BASE[1].replace("base", "other").replace("kinder", "more patient"))),
    ),
    Rule(
        "idle-override",
        "warning",
        "A principle overrides an inherited one with what that has already.",
        "It changes nothing. Either a key was forgotten, or it can go.",
        bad="""\
id: example
extends: [harmlessness]
principles:
  - id: privacy
""",
        line=4,
        good="""\
id: example
extends: [harmlessness]
principles:
  - id: privacy
    weight: 3
""",
        check_file=idle_overrides,
    ),
)
