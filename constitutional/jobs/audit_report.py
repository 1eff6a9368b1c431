"""The report of an audit on disk: `audit.json` and the figures, written beside the published data and read again by `show`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from constitutional.atomic import replace_file
from constitutional.errors import ConfigError
from constitutional.records import Row

if TYPE_CHECKING:
    from constitutional.jobs.audit_data import AuditData

REPORT, FIGURES = "audit.json", "figures"


def write_report(out: Path, data: AuditData, manifest: Row) -> Row:
    """Draw the figures and write the report, each file whole or not at all.

    Args:
        out: the run directory; its lock is held.
        data: has measured everything.
        manifest: of the data just published, which the report names.

    Returns:
        The report.

    Raises:
        ConfigError: it can't be written.
    """
    found = {**data.report(), "data": hashes(manifest)}
    last = _last(out)
    before = last.pop("figures", {})
    if last == found and all(_hash_of(out / FIGURES / name) == digest for name, digest in before.items()):
        return {**found, "figures": before}  # drawn already
    try:
        with TemporaryDirectory() as aside:
            files = {path.name: path.read_bytes() for path in data.draw(Path(aside))}
        figures = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
        report = {**found, "figures": figures}
        for name, content in files.items():
            path = out / FIGURES / name
            path.parent.mkdir(exist_ok=True)
            replace_file(path, content)
        replace_file(out / REPORT, (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
        for name in before.keys() - files.keys():  # of what is no longer part of it
            (out / FIGURES / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{out}: the report can't be written ({error.strerror or error}): free some space and run the same command "
            "again; the data are published"
        ) from error
    return report


def read_report(out: Path) -> Row | None:
    """The report of an audit, None where none has been written yet.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        found = json.loads((out / REPORT).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("settings"), list):
            raise ValueError("it is not the report of an audit")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out / REPORT} can't be read ({error}): the command that made it writes it again"
        ) from error


def hashes(manifest: Row) -> dict[str, str]:
    """SHA-256 of the data sets of a manifest by name: what a report is of."""
    return {name: entry["sha256"] for name, entry in manifest["data"].items()}


def _last(out: Path) -> Row:
    """The last report, without what it says of figures that can't be ours; empty where there is none to be read."""
    try:
        report = read_report(out) or {}
    except ConfigError:
        return {}
    figures = report.get("figures")
    ours = figures.items() if isinstance(figures, dict) else ()
    return {**report, "figures": {name: digest for name, digest in ours if Path(name).name == name}}


def _hash_of(path: Path) -> str | None:
    """SHA-256 of a file, None where there is none that can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
