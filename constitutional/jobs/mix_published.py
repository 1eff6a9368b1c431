"""What mixes that are published already say: as a source of another mix, and as what another one replaces."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from constitutional.records import Row
from constitutional.rundir import read_manifest, split_files
from constitutional.stages.mix import STAGE, MixSettings


def mix_manifest(path: Path) -> Row | None:
    """The manifest of a source that is a mix."""
    manifest = read_manifest(path) if path.is_dir() else None
    return manifest if manifest and manifest.get("stage") == STAGE else None


def is_hard_mix(manifest: Row | None) -> bool:
    """Whether a source is a mix of hard labels alone: they stand as probabilities of 1 there, like soft ones that are certain."""
    if manifest is None:
        return False
    found = [check for check in manifest.get("checks", ()) if check["check"] == "label-distribution"]
    return bool(found) and not any(check["figures"]["soft"] for check in found)


def held_out_already(manifest: Row | None, settings: MixSettings) -> bool:
    """Whether the train split of a mix lacks what these settings would hold out: the same seed holds out the same conversations."""
    old: Row = manifest["settings"] if manifest else {}
    same = all(old.get(name) == getattr(settings, name) for name in ("seed", "split_by"))
    return same and bool(old["test"] >= settings.test > 0)


def published_ids(out: Path, manifest: Row | None) -> Any:
    """The ids of a mix that is published, as an Arrow array; of one whose files are damaged or gone, none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    entry = (manifest or {"data": {}})["data"].get("preferences", {})
    found = []
    for file in split_files(entry).values() if entry else ():
        with (
            contextlib.suppress(OSError, pa.ArrowException, KeyError),
            (out / file["path"]).open("rb") as opened,
        ):
            found += pq.read_table(opened, columns=["id"])["id"].chunks
    return pa.chunked_array(found, pa.string())


def missing_ids(before: Any, now: Iterable[str]) -> int:
    """How many of the ids there were, an Arrow array, are not among those there are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return len(before) - int(
        pc.sum(pc.is_in(before, value_set=pa.array(list(now), pa.string()))).as_py() or 0
    )
