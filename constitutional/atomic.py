"""Writing a file whole or not at all: aside, to the disk, then into its place at once; and never over another one unasked."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from constitutional.errors import ConfigError, Place
from constitutional.registry import exists, is_folder


def write_text(path: Path, text: str, *, force: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all; one that is replaced keeps its permissions.

    Args:
        path: the file to make; its folder has to be there.
        text: its content.
        force: replace a file that is there.

    Raises:
        ConfigError: there is such a file (or folder, or link), or it can't be written.
    """
    data = text.encode("utf-8")
    refuse_to_overwrite(path, force=force)
    try:
        replace_file(path, data)
    except (OSError, ValueError) as bad:  # ValueError: a NUL in the name
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise ConfigError(f"can't be written: {reason}", Place(path)) from None


def replace_file(path: Path, data: bytes) -> None:
    """Make these bytes a file's content, whole or not at all, whatever was there; it keeps its permissions.

    A crash on the way may leave a file `.*.partial` beside it.

    Raises:
        OSError: it can't be written; what was there is as it was.
        ValueError: there is a NUL in its name.
    """
    mode = _mode(path)
    aside = path.parent / f".{secrets.token_hex(8)}.partial"
    try:
        # asked for when it is made, so that nobody reads it who may not; the umask then takes from it
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(aside, flags, 0o666 if mode is None else mode), "wb") as file:
            if mode is not None and os.name == "posix":
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Bring to the disk which files a folder has, so that a rename outlives a power cut."""
    if os.name == "posix":
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except PermissionError:  # files can be made in it, but it can't be read
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_to_overwrite(path: Path, *, force: bool = False, folder_made: bool = False) -> None:
    """Refuse a path that can't be written, before any work is done.

    Args:
        path: the file to make.
        force: a file that is there will be replaced.
        folder_made: a folder that is not there will be made, with `make_folder`.

    Raises:
        ConfigError: there is such a file (or folder, or link), or no folder for it.
    """
    if folder_made:
        refuse_as_folder(path.parent)
    try:
        if path.is_symlink():
            raise ConfigError("this is a link; give the file that it points to", Place(path))
        if path.is_dir():
            raise ConfigError("this is a folder; give a file in it", Place(path))
        if path.exists() and not path.is_file():
            raise ConfigError("this is not a regular file", Place(path))
        if path.exists() and not force:
            raise ConfigError("there is such a file already; --force replaces it", Place(path))
        if not folder_made and not path.parent.is_dir():
            raise ConfigError(f"there is no folder {str(path.parent)!r}; make it first", Place(path))
    except OSError as bad:  # as for a name that is too long
        raise ConfigError(f"can't be written: {bad.strerror}", Place(path)) from None


def refuse_as_folder(path: Path) -> None:
    """Refuse a path that is there and is no folder, and so can't be made one.

    Raises:
        ConfigError: it is a file, or a link to nothing.
    """
    if os.path.lexists(path) and not is_folder(path):
        what = "a link to nothing" if path.is_symlink() and not exists(path) else "no folder"
        raise ConfigError(f"this is {what}: move it away, or choose another --out", Place(path))


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are not there.

    Raises:
        ConfigError: something else is there, or it can't be made.
    """
    refuse_as_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as bad:  # ValueError: a NUL in the name
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise ConfigError(f"the folder can't be made: {reason}", Place(path)) from None


def _mode(path: Path) -> int | None:
    """Who may do what with a file, None where there is none."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return None
