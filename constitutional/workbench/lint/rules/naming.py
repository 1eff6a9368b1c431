"""How a constitution is called: by its file's name where commands look for it, by its id in rows and runs.

Only files in a folder called `constitutions` are looked at, since names are looked for there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from constitutional.errors import Place
from constitutional.registry import SUFFIXES, is_name, real_path
from constitutional.workbench.lint.reading import LintFile
from constitutional.workbench.lint.rule import Rule

FOLDER = "constitutions"
_MOST_SIBLINGS = 1_000
_ID = re.compile(r"""^id[ \t]*:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)


def file_names(file: LintFile) -> Iterator[tuple[str, Place]]:
    """Files that no name finds, or that a name finds which is not their id."""
    path, id = file.document.path, file.examined.file.id if file.examined.file else ""
    if not _is_looked_at(path):
        return
    first = next(path.with_suffix(suffix) for suffix in SUFFIXES if path.with_suffix(suffix).exists())
    if not is_name(path.stem):
        message = (
            f"the name {path.stem!r} can't be used: it has to begin with a letter or digit, and have none but letters a to z, "
            "digits, '-', '_' and '.'; rename the file"
        )
        yield message, Place(path)
    elif first.suffix != path.suffix:
        yield f"the name {path.stem!r} means {first.name} beside it; remove one, or rename one", Place(path)
    elif id and id != path.stem and not path.is_symlink():  # a link is a second name on purpose
        yield f"its id is {id!r}, but commands find it as {path.stem!r}; give both the same name", Place(path)


def shared_ids(file: LintFile) -> Iterator[tuple[str, Place]]:
    """Files of one folder with the same id."""
    path, id = file.document.path, file.examined.file.id if file.examined.file else ""
    if not id or not _is_looked_at(path):
        return
    others = sorted(
        other.name for other in _siblings(path) if _id_of(other) == id and real_path(other) != real_path(path)
    )
    if others:
        has = f" and {len(others) - 1} more beside it have" if len(others) > 1 else " beside it has"
        yield f"{others[0]}{has} the id {id!r} too; each needs its own", Place(path)


def _is_looked_at(path: Path) -> bool:
    return path.absolute().parent.name == FOLDER


def _siblings(path: Path) -> Iterator[Path]:
    files = (other for other in path.parent.iterdir() if other.suffix in SUFFIXES and other.name != path.name)
    yield from islice((other for other in files if other.is_file()), _MOST_SIBLINGS)


def _id_of(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            found = _ID.search(file.read(10_000))
    except (OSError, ValueError):
        return None
    return found[1] if found else None


_KIND = """\
id: {}
principles:
  - id: kind
    preference: Which of these two responses is kinder?
"""
_CONSOLE = "constitutional constitution lint constitutions/{}.yaml\n"

RULES = (
    Rule(
        "file-name",
        "note",
        "A file in `constitutions` that its name does not find, or whose id is another one.",
        "Commands take the file's name, rows and runs name the id: one word for both saves looking up. Of `x.yaml` and `x.yml` the first "
        "is found; a name begins with a letter or digit and has none but letters a to z, digits, '-', '_' and '.'.",
        bad=_CONSOLE.format("kindness"),
        line=None,
        good=_CONSOLE.format("courtesy"),
        beside=(
            ("constitutions/kindness.yaml", _KIND.format("kind")),
            ("constitutions/courtesy.yaml", _KIND.format("courtesy")),
        ),
        console=True,
        check_file=file_names,
    ),
    Rule(
        "shared-id",
        "note",
        "Two files in `constitutions` have the same id.",
        "Which of them rows were made with can't be told by the id. A copy that was not renamed is the usual cause.",
        bad=_CONSOLE.format("kind"),
        line=None,
        good=_CONSOLE.format("courtesy"),
        beside=(
            ("constitutions/kind.yaml", _KIND.format("kind")),
            ("constitutions/copy.yaml", _KIND.format("kind")),
            ("constitutions/courtesy.yaml", _KIND.format("courtesy")),
        ),
        console=True,
        check_file=shared_ids,
    ),
)
