"""Writing a file whole or not at all, and never over another one unasked."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from constitutional.errors import ConfigError, Place


def write_text(path: Path, text: str, *, force: bool = False) -> None:
    """Write a text file in UTF-8: aside, to the disk, and then into its place at once.

    Args:
        path: the file to make; its folder has to be there.
        text: its content.
        force: replace a file that is there.

    Raises:
        ConfigError: there is such a file (or folder, or link), or it can't be written.
    """
    data = text.encode("utf-8")
    refuse_to_overwrite(path, force=force)
    aside = path.parent / f".{secrets.token_hex(8)}.partial"
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666  # less the umask
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (OSError, ValueError) as bad:  # ValueError: a NUL in the name
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise ConfigError(f"can't be written: {reason}", Place(path)) from None
    finally:
        aside.unlink(missing_ok=True)


def refuse_to_overwrite(path: Path, *, force: bool = False) -> None:
    """Refuse a path that can't be written, before any work is done.

    Raises:
        ConfigError: there is such a file (or folder, or link), or no folder for it.
    """
    try:
        if path.is_symlink():
            raise ConfigError("this is a link; give the file that it points to", Place(path))
        if path.is_dir():
            raise ConfigError("this is a folder; give a file in it", Place(path))
        if path.exists() and not path.is_file():
            raise ConfigError("this is not a regular file", Place(path))
        if path.exists() and not force:
            raise ConfigError("there is such a file already; --force replaces it", Place(path))
        if not path.parent.is_dir():
            raise ConfigError(f"there is no folder {str(path.parent)!r}; make it first", Place(path))
    except OSError as bad:  # as for a name that is too long
        raise ConfigError(f"can't be written: {bad.strerror}", Place(path)) from None
