"""A new constitution to start from: commented, loadable, and clean to `lint` as it stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from constitutional.atomic import make_folder, refuse_as_folder
from constitutional.constitution import Constitution, id_problem, is_id, load_constitution
from constitutional.errors import ConfigError, ConstitutionError, Place
from constitutional.registry import (
    SUFFIXES,
    constitution_files,
    find_base,
    find_constitution,
    is_path,
    list_constitutions,
    real_path,
)
from constitutional.workbench.json_schema import MODELINE, write_schema_beside

FOLDER = Path("constitutions")
"""Where a name is looked for first."""

_ALIKE = 0.8  # the share of words in common from which on `lint` might see a near duplicate

_HEAD = """\
{modeline}
# The line above lets editors complete the keys and mark mistakes. docs/constitution-format.md has all keys.
id: {name}
version: 1
description: Say here, in a sentence or two, what this constitution is for.
"""

_EXTENDS = """
# Take over the principles of others: names, or paths relative to this file. Then override by id, or drop.
extends: [{base}]
# drop: [id-of-a-principle]       # leave inherited ones out
"""

_PRINCIPLES = """
# One principle is one rule. `revise` draws those with a critique and a revision, `label` those with a preference.
principles:
  - id: plain-words               # unique; rows and runs name it, so choose it once
    # Asked of the response: say which response, and one thing to look for.
    critique: >-
      Point out each technical term in the assistant's last response that it does not explain.
    # How to rewrite it: ask for a better answer, not for a refusal.
    revision: >-
      Rewrite the assistant's last response so that it explains each technical term in plain words, and keep the rest.
    # Which of two is better: a question that is answered by choosing one of them.
    preference: >-
      Which of these two responses is easier to follow for someone who is new to the subject?
    # weight: 2                   # drawn twice as often as a principle of weight 1
    # tags: [clarity]             # words for your own selection
    # source: where this rule comes from
"""

_INHERITED_ONLY = """
# What it takes over has this skeleton's own example in it. For a principle of your own, take the marks away:
# principles:
#   - id: short-answers           # unique; rows and runs name it, so choose it once
#     # Asked of the response: say which response, and one thing to look for.
#     critique: >-
#       Point out what the assistant's last response could leave out without a loss.
#     # How to rewrite it: ask for a better answer, not for a refusal.
#     revision: >-
#       Rewrite the assistant's last response so that it says the same in fewer words.
#     # Which of two is better: a question that is answered by choosing one of them.
#     preference: >-
#       Which of these two responses wastes less of the reader's time?
#   # An inherited principle keeps what is not given here:
#   - id: {inherited}
#     weight: 2                   # drawn twice as often as a principle of weight 1
"""

_OVERRIDE = """
  # An inherited principle keeps what is not given here:
  # - id: id-of-a-principle
  #   weight: 2
"""


@dataclass(frozen=True, slots=True)
class NewConstitution:
    """What was written.

    Attributes:
        path: the constitution's file.
        argument: what commands take for it: its name, or its path.
        schema: the schema's file, where it was written too.
        warnings: what the user should know.
    """

    path: Path
    argument: str
    schema: Path | None
    warnings: tuple[str, ...] = ()


def new_constitution(
    name: str, *, out: str | Path | None = None, extends: str | None = None
) -> NewConstitution:
    """Write a commented skeleton, and the schema beside it where there is none.

    Args:
        name: its id.
        out: its file; None is ./constitutions/NAME.yaml, so that the name finds it.
        extends: a constitution to build on: a name, or a file.

    Raises:
        ConfigError: a name that is no id, or a file that is there already, is no YAML file or can't be written.
        ConstitutionError: there is no usable constitution to build on.
    """
    if not is_id(name):
        raise ConfigError(f"the name can't be used: {id_problem(name)}")
    path = FOLDER / f"{name}.yaml" if out is None else Path(out)
    if path.suffix not in SUFFIXES:
        raise ConfigError("a constitution's file ends in .yaml or .yml", Place(path))
    taken = [other for other in (path.with_suffix(suffix) for suffix in SUFFIXES) if os.path.lexists(other)]
    if taken:
        raise ConfigError("there is a file already; choose another name, or another --out", Place(taken[0]))
    warnings = []
    if out is None and any(entry.name == name for entry in list_constitutions()):
        warnings.append(
            f"in this folder {name!r} now means this file, no longer the shipped constitution of that name"
        )
    refuse_as_folder(path.parent)
    text = skeleton(name, *(_base(extends, path) if extends else ()))
    make_folder(path.parent)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except (OSError, ValueError) as bad:
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise ConfigError(f"can't be written: {reason}; choose another --out", Place(path)) from bad
    return NewConstitution(
        path, name if out is None else path.as_posix(), write_schema_beside(path), tuple(warnings)
    )


def skeleton(name: str, base: str | None = None, inherited: Constitution | None = None) -> str:
    """The text of a new constitution's file.

    Args:
        name: its id.
        base: what it extends: a name, or a path relative to the file.
        inherited: the constitution that this is.
    """
    head = _HEAD.format(modeline=MODELINE, name=_quoted(name))  # 2024 would be a number, no a yes/no value
    if base is None:
        return head + _PRINCIPLES
    head += _EXTENDS.format(base=_quoted(base))
    if inherited and (clash := _clash(inherited)):
        return head + _INHERITED_ONLY.format(inherited=_quoted(clash))
    return head + _PRINCIPLES + _OVERRIDE


def _clash(base: Constitution) -> str | None:
    """The id of a principle that the skeleton's own one would override or repeat, as where the base began as a skeleton."""
    from rapidfuzz.distance import Indel

    (entry,) = yaml.safe_load(_PRINCIPLES)["principles"]
    for principle in base.principles:
        texts = [(entry[name], getattr(principle, name)) for name in ("critique", "revision", "preference")]
        alike = any(
            text and Indel.normalized_similarity(own.split(), text.split()) >= _ALIKE for own, text in texts
        )
        if principle.id == entry["id"] or alike:
            return principle.id
    return None


def _base(extends: str, path: Path) -> tuple[str, Constitution]:
    """What the file has to say to extend a constitution, and that constitution.

    Raises:
        ConstitutionError: it can't be used.
        ConfigError: the new file would extend itself.
    """
    found = find_constitution(extends)
    loaded = load_constitution(found)
    if not is_path(extends):
        before = takewhile(lambda file: file != found, constitution_files(extends))
        if real_path(path) in map(real_path, before):
            raise ConfigError(
                f"in this folder {extends!r} would then mean the new file itself, which can't extend itself; choose "
                "another name or --out"
            )
        return extends, loaded
    try:
        relative = os.path.relpath(real_path(found), real_path(path.parent))
    except ValueError as bad:  # another drive, on Windows
        raise ConstitutionError(f"{extends} can't be named from {path.parent}: {bad}") from bad
    name = Path(relative).as_posix()
    find_base(name, path, path)
    return name, loaded


def _quoted(text: str) -> str:
    """A text as a YAML scalar within a list in brackets."""
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]
