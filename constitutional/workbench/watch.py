"""Trying again on each save: what a writer's editor does to files, turned into one trial for each change of content.

What counts is what the files hold, not what happened to them: an editor may write in place, in two goes, aside and rename, or
delete and write anew. `watchfiles` says when to look; a look each second finds what it can't see, as on network folders. A
save that changes nothing runs nothing. A change that comes while a trial runs ends that trial, and the newest content is
tried. A file that can't be used, or is gone, is reported once, and waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from time import monotonic

from constitutional.errors import ConstitutionalError, ConstitutionError, InputError, TransientEngineError
from constitutional.registry import (
    SUFFIXES,
    find_base,
    find_constitution,
    find_prompt_set,
    is_folder,
    is_path,
    real_path,
)
from constitutional.workbench.memory import RememberingEngine
from constitutional.workbench.trial import Trial, try_principles
from constitutional.workbench.trial_spec import TrialSpec
from constitutional.yamlfile import MAX_BYTES, load_yaml

SETTLE_S = 0.1
"""New content has to stay the same for so long before it is tried: many editors write in several goes."""
PATIENCE_S = 0.5
"""Likewise where a file is gone or empty, which is what saving looks like halfway."""
TICK_S = 1.0
MOST_FILES = 100
_SET_FILES = (*SUFFIXES, ".jinja")


@dataclass(frozen=True, slots=True)
class Trying:
    """A trial begins.

    Attributes:
        watched: the files and folders whose content it depends on.
        changed: the files whose change is the reason; none the first time.
        interrupted: whether the change came while the trial before was running.
    """

    watched: tuple[Path, ...]
    changed: tuple[Path, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial is done.

    Attributes:
        trial: what came of it.
        made: how many generations the engine had to make.
        remembered: how many were answered without it.
        seconds: how long it took, the loading of a model included.
    """

    trial: Trial
    made: int
    remembered: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Unusable:
    """A trial could not be made as the files are now, or as the engine is.

    Attributes:
        error: what is wrong, with its places.
    """

    error: ConstitutionalError


Event = Trying | Tried | Unusable


async def run_trial(spec: TrialSpec, engine: RememberingEngine) -> Tried:
    """Make one trial of the files as they are.

    Raises:
        ConstitutionalError: see `TrialSpec.load` and `try_principles`.
    """
    started, made, remembered = monotonic(), engine.made, engine.remembered
    candidates, prompts = spec.load()
    trial = await try_principles(spec.prompt, candidates, engine, prompts=prompts, settings=spec.settings)
    return Tried(trial, engine.made - made, engine.remembered - remembered, monotonic() - started)


async def watch_trials(spec: TrialSpec, engine: RememberingEngine) -> AsyncGenerator[Event, None]:
    """Make a trial now, and again whenever the content of a file that it reads changes.

    Args:
        spec: what is to be tried.
        engine: prepared or not; it stays open.

    Yields:
        `Trying`, then `Tried` or `Unusable` unless the next change comes first, and so on for ever.

    Raises:
        ConstitutionalError: what no save can mend: the engine is gone for good, or something has to be installed.
    """
    changed: tuple[Path, ...] = ()
    interrupted = False
    while True:
        files, folders = watched_paths(spec)
        before = Snapshot(files, folders)  # taken before the files are loaded: no change is missed
        yield Trying((*sorted(files), *sorted(folders)), changed, interrupted)
        running = asyncio.create_task(_try(spec, engine))
        changing = asyncio.create_task(before.changed())
        try:
            await asyncio.wait({running, changing}, return_when=asyncio.FIRST_COMPLETED)
            interrupted = not running.done()
            if not interrupted:
                yield running.result()
            changed = await changing
        finally:
            running.cancel()
            changing.cancel()
            await asyncio.gather(running, changing, return_exceptions=True)


async def _try(spec: TrialSpec, engine: RememberingEngine) -> Tried | Unusable:
    try:
        return await run_trial(spec, engine)
    except InputError as error:
        return Unusable(error)
    except TransientEngineError as error:
        if engine.gone:
            raise
        return Unusable(error)  # a server that is started again answers the next save


def watched_paths(spec: TrialSpec) -> tuple[frozenset[Path], frozenset[Path]]:
    """What a trial reads: the files of its constitutions and of all that they extend, and its prompt set's folder.

    Files that are not there are named where they would be, so that their coming is noticed.

    Returns:
        (files, folders)
    """
    files: dict[Path, Path] = {}
    for name in spec.constitutions:
        _collect(_places(name), files)
    folder = Path.cwd() / "prompts" / spec.prompt_set
    with contextlib.suppress(InputError):
        folder = find_prompt_set(spec.prompt_set)
    return frozenset(files.values()), frozenset({folder})


class Snapshot:
    """The content of some files at one moment, to be compared with what it becomes.

    Args:
        files: files, whether or not they are there.
        folders: folders whose YAML files and templates count.
    """

    def __init__(self, files: Collection[Path], folders: Collection[Path] = ()) -> None:
        self._files, self._folders = frozenset(files), frozenset(folders)
        self._before = self._look()

    async def changed(self) -> tuple[Path, ...]:
        """Wait until the content is another one and has settled.

        Returns:
            The files that have changed, come or gone.
        """
        async with aclosing(self._ticks()) as ticks:
            async for _ in ticks:
                now = self._look()
                while now != self._before:
                    await asyncio.sleep(PATIENCE_S if self._lost(now) else SETTLE_S)
                    later = self._look()
                    if later == now:
                        return self._differing(now)
                    now = later
        raise AssertionError("the ticks never end")

    def _look(self) -> dict[Path, bytes]:
        """What each file that is there holds, as a hash; nothing for an empty one."""
        return {path: digest for path in self._paths() if (digest := _digest(path)) is not None}

    def _paths(self) -> Iterator[Path]:
        yield from self._files
        for folder in self._folders:
            try:
                yield from [path for path in folder.iterdir() if path.suffix in _SET_FILES]
            except OSError:
                continue

    def _lost(self, now: dict[Path, bytes]) -> bool:
        return any(not now.get(path) for path, digest in self._before.items() if digest)

    def _differing(self, now: dict[Path, bytes]) -> tuple[Path, ...]:
        paths = self._before.keys() | now.keys()
        return tuple(sorted(path for path in paths if self._before.get(path) != now.get(path)))

    async def _ticks(self) -> AsyncGenerator[None, None]:
        """Moments to look at the files: whenever something happens in their folders, and each second."""
        from watchfiles import awatch

        folders = {folder for path in self._files for folder in (path.parent, real_path(path).parent)}
        folders |= {real for path in self._folders for real in (path, real_path(path))}
        there = [folder for folder in sorted(folders) if is_folder(folder)]
        if there:
            try:
                changes = awatch(
                    *there,
                    watch_filter=None,  # a look is cheap
                    debounce=200,
                    step=25,
                    rust_timeout=round(TICK_S * 1000),
                    yield_on_timeout=True,
                    recursive=False,
                    ignore_permission_denied=True,
                )
                async with aclosing(changes):
                    async for _ in changes:
                        yield
            except (OSError, RuntimeError):
                pass  # as where the system has no more watches to give
        while True:
            await asyncio.sleep(TICK_S)
            yield


def _digest(path: Path) -> bytes | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return b"%o" % stat.S_IFMT(status.st_mode)  # a folder, a pipe: never opened
        if status.st_size > MAX_BYTES:  # will be refused
            return str(status.st_size).encode()
        content = path.read_bytes()
    except (OSError, ValueError):
        return None
    return blake2b(content, digest_size=16).digest() if content else b""


def _collect(places: list[Path], into: dict[Path, Path], outermost: Path | None = None) -> None:
    """A constitution's file and those it extends, as far as they can be read; see `composition` for what names mean."""
    for path in places:
        if real_path(path) in into or len(into) >= MOST_FILES:
            continue
        into[real_path(path)] = path
        try:
            extends = load_yaml(path, error=ConstitutionError).value.get("extends")
        except ConstitutionError:
            continue
        for base in extends if isinstance(extends, list) else ():
            if isinstance(base, str):
                _collect(_base_places(base, path, outermost or path), into, outermost or path)


def _base_places(name: str, extending: Path, outermost: Path) -> list[Path]:
    """Where the file is that a constitution extends, or where it would be; nowhere for one that it may not extend."""
    if not is_path(name):
        return _places(name)
    try:
        return [find_base(name, extending, outermost)]
    except (ConstitutionError, OSError):
        return []


def _places(name: str) -> list[Path]:
    """Where the file of that name is, or where it would be."""
    if is_path(name):
        return [Path(name)]
    try:
        return [find_constitution(name)]
    except ConstitutionError:
        valid = "/" not in name and "\0" not in name and ".." not in name
        return [Path.cwd() / "constitutions" / f"{name}{suffix}" for suffix in SUFFIXES] if valid else []
