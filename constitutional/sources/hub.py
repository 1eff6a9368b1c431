"""Rows of data sets that `datasets` reads: on the hub (streamed, not downloaded whole) or saved to a folder.

Only data are read: `datasets` runs no code of a data set since its version 4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitutional.errors import Place, PrerequisiteError, SourceError
from constitutional.sources.files import RawRow
from constitutional.sources.rows import COLUMNS

if TYPE_CHECKING:
    import datasets

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(?::[\w.-]+)?")
_SAVED = ("state.json", "dataset_dict.json")


def is_hub_id(source: str) -> bool:
    """Whether a source is spelt like a data set on the hub: `owner/name`, or `owner/name:config`."""
    return _HUB_ID.fullmatch(source) is not None


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `datasets`' `save_to_disk`."""
    return any((folder / name).is_file() for name in _SAVED)


def hub_rows(
    source: str,
    split: str,
    columns: dict[str, None],
    load: Callable[..., Any] | None = None,
    wanted: Callable[[str], bool] = COLUMNS.__contains__,
) -> Iterator[RawRow]:
    """The rows of a data set on the hub.

    Args:
        source: `owner/name`, or `owner/name:config`.
        split: which split.
        columns: gets the names of columns that are not part of the rows.
        load: what loads it, `datasets.load_dataset` where None.
        wanted: whether a column is part of the rows.

    Raises:
        PrerequisiteError: the hub can't be reached, or wants a login.
        SourceError: no such data set, configuration or split.
    """
    if load is None:
        import datasets

        load = datasets.load_dataset
    name, _, config = source.partition(":")
    try:
        data = load(name, config or None, split=split, streaming=True)
        yield from _rows(data, columns, wanted)
    except ConnectionError as error:
        raise PrerequisiteError(
            f"{source!r} is no file here, and as a data set of the hub it can't be reached (offline?). "
            "Connect to the network, unset HF_HUB_OFFLINE, or download it and give a local file."
        ) from error
    except FileNotFoundError as error:  # also what `datasets` raises for one that is private
        raise SourceError(
            f"{source!r} is neither a file here nor a data set on the hub that you may read. "
            "Check the spelling; for a private or gated one, log in with `hf auth login`."
        ) from error
    except ValueError as error:  # an unknown configuration or split: the message lists what there is
        raise SourceError(f"the data set can't be read: {_first_line(error)}", Place(source)) from error


def saved_rows(
    folder: Path, split: str, columns: dict[str, None], wanted: Callable[[str], bool] = COLUMNS.__contains__
) -> Iterator[RawRow]:
    """The rows of a folder that `save_to_disk` wrote; `split` counts where it holds several."""
    import datasets

    try:
        data = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise SourceError(f"the data set can't be read: {_first_line(error)}", Place(folder)) from error
    if isinstance(data, datasets.DatasetDict):
        if split not in data:
            raise SourceError(f"no split {split!r}; it has {', '.join(data)}", Place(folder))
        data = data[split]
    yield from _rows(data, columns, wanted)


def _rows(
    data: datasets.Dataset | datasets.IterableDataset,
    columns: dict[str, None],
    wanted: Callable[[str], bool],
) -> Iterator[RawRow]:
    names = data.column_names or []
    columns.update(dict.fromkeys(names))
    used = [name for name in names if wanted(name)]
    for row in data.select_columns(used) if used else data:
        yield RawRow(None, dict(row))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
