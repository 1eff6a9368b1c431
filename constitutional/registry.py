"""Names → files, for constitutions and prompt sets.

What a user gives is a path where it has a separator or ends in `.yaml` or `.yml`; otherwise it is a name,
looked for in `./constitutions` (`./prompts`) of the working directory and then among the shipped ones. A name
never leaves its folder: separators, `..` and links that point out of it are refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from constitutional.errors import ConstitutionError, InputError, TemplateError, nearest

SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be found by name.

    Attributes:
        name: what a user types.
        path: the constitution's file or the prompt set's folder.
        origin: `./constitutions`, `./prompts` or `shipped`.
    """

    name: str
    path: Path
    origin: str


def find_constitution(name_or_path: str | Path) -> Path:
    """The file of a constitution.

    Args:
        name_or_path: a path, or a name such as `harmlessness`.

    Raises:
        ConstitutionError: there is none of that name; the message has the nearest and the folders looked in.
    """
    if is_path(name_or_path):
        return Path(name_or_path)
    return _find(str(name_or_path), "constitutions", "constitution", ConstitutionError)


def find_base(name: str, extending: Path, outermost: Path) -> Path:
    """The file that a constitution's `extends` means; one that is given as a path need not exist.

    What a stranger's constitution extends is read, and its mistakes are reported: so a path, its links followed, has to lie
    where constitutions are expected. That is the working directory, the folder of the file that extends it, and the folder
    above that of the constitution that was asked for.

    Args:
        name: a name, or a path relative to the file that extends it.
        extending: the file that extends it.
        outermost: the constitution that was asked for.

    Raises:
        ConstitutionError: there is none of that name, or the path is not one that a constitution may extend.
    """
    if not is_path(name):
        return find_constitution(name)
    if Path(name).is_absolute():
        raise ConstitutionError(f"{name!r} is an absolute path; give it relative to this file")
    if not name.endswith(SUFFIXES):
        raise ConstitutionError(f"{name!r} does not end in .yaml or .yml, as a constitution's file does")
    found = extending.parent / name
    above = real_path(outermost.parent).parent
    allowed = [Path.cwd(), extending.parent, *([above] if above != above.parent else [])]
    if not any(is_inside(found, folder) for folder in allowed):
        raise ConstitutionError(
            f"{name!r} lies outside of {allowed[0]}, where you are, and of the folders around the constitution; what is "
            "extended has to lie in one of them, links followed: copy it there, or work in a folder above both"
        )
    return found


def constitution_files(name: str) -> list[Path]:
    """The files that a name can stand for, whether or not they are there; the first that is there is what it means."""
    return [
        path for folder, _ in _folders("constitutions") for path in _candidates(folder, name, "constitutions")
    ]


def find_prompt_set(name_or_path: str | Path) -> Path:
    """The folder of a prompt set.

    Args:
        name_or_path: a path, or a name such as `default`.

    Raises:
        TemplateError: there is none of that name; the message has the nearest and the folders looked in.
    """
    if is_path(name_or_path):
        path = Path(name_or_path)
        return path.parent if path.name == "set.yaml" else path
    return _find(str(name_or_path), "prompts", "prompt set", TemplateError)


def list_constitutions() -> list[Entry]:
    """Every constitution that can be found by name, by name."""
    return _list("constitutions")


def list_prompt_sets() -> list[Entry]:
    """Every prompt set that can be found by name, by name."""
    return _list("prompts")


def is_path(name_or_path: str | Path) -> bool:
    """Whether this is a path rather than a name."""
    text = os.fspath(name_or_path)
    separators = [separator for separator in (os.sep, os.altsep, "/") if separator]
    return text.endswith(SUFFIXES) or any(separator in text for separator in separators)


def is_name(text: str) -> bool:
    """Whether something of that name can be found by it."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def real_path(path: Path) -> Path:
    """The path with its links followed; it need not exist."""
    try:
        return Path(os.path.realpath(path))  # unlike Path.resolve, not troubled by links that go round
    except ValueError:  # a NUL in it, as whoever opens it will say
        return path


def exists(path: Path) -> bool:
    """Whether there is something at a path; a name that no file can have, or one that can't be looked up, is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or in a folder that this user may not search; a NUL
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at a path, as far as that can be told; see `exists`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, its links followed, lies in a folder."""
    return real_path(path).is_relative_to(real_path(folder))


def _find(name: str, kind: str, noun: str, error: type[InputError]) -> Path:
    if not is_name(name):
        raise error(
            f"{name!r} is not the name of a {noun}: use letters, digits, '-', '_' and '.', "
            "or give a path with a '/'"
        )
    for folder, _ in _folders(kind):
        for path in _candidates(folder, name, kind):
            if not exists(path):
                continue
            if not is_inside(path, folder):
                raise error(
                    f"the {noun} {name!r} is a link that leaves {folder}; give the path it points to instead"
                )
            return path
    looked = " and ".join(str(folder) for folder, _ in _folders(kind))
    hint = nearest(name, [entry.name for entry in _list(kind)])
    raise error(f"there is no {noun} {name!r}; {hint} (looked in {looked}; a path needs a '/')")


def _list(kind: str) -> list[Entry]:
    found: dict[str, Entry] = {}
    for folder, origin in _folders(kind):
        try:
            paths = sorted(folder.iterdir())
        except OSError:  # there is none, or it can't be read
            continue
        for path in paths:
            try:
                name = _name_of(path, kind)
            except OSError:  # a folder whose names can be read, but nothing else
                continue
            if name and is_name(name) and is_inside(path, folder):
                found.setdefault(name, Entry(name, path, origin))
    return sorted(found.values(), key=lambda entry: entry.name)


def _name_of(path: Path, kind: str) -> str | None:
    if kind == "prompts":
        return path.name if (path / "set.yaml").is_file() else None
    return path.stem if path.suffix in SUFFIXES and path.is_file() else None


def _candidates(folder: Path, name: str, kind: str) -> Iterator[Path]:
    if kind == "prompts":
        yield folder / name
    else:
        yield from (folder / f"{name}{suffix}" for suffix in SUFFIXES)


def _folders(kind: str) -> list[tuple[Path, str]]:
    """Where names are looked up, first match first."""
    package = Path(__file__).parent
    installed = package / "_shipped" / kind
    # A wheel carries the files inside the package; in an editable install they lie beside it.
    return [
        (Path.cwd() / kind, f"./{kind}"),
        (installed if installed.is_dir() else package.parent / kind, "shipped"),
    ]
