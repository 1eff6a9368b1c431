"""What a model is, as one hash over the files that determine what it generates.

A generation is remembered under its model's fingerprint, so two folders with the same fingerprint must
generate the same, and a folder's fingerprint must change whenever its weights, configuration, tokenizer,
chat template or adapter does. Only the folder's own level counts (and `additional_chat_templates/`), since
that is all that loaders read: the checkpoints of a training run in folders below are other models. Cards,
licences, optimizer states and logs don't count.

Hashing a model takes seconds or minutes, so each file's hash is remembered in the cache by path, size,
inode and times: the next start costs milliseconds. A file that was changed in the last moments is hashed
but not remembered, because another change within the clock's tick could not be told apart from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

import platformdirs

from constitutional.errors import ConfigError

_DETERMINING = (
    *("*.safetensors", "*.bin", "*.gguf", "*.pt", "*.pth"),  # weights, adapters
    *("*.json", "*.jinja", "*.py"),  # configurations, tokenizers, chat templates, a model's own code
    *("*.model", "*.tiktoken", "merges.txt", "vocab.txt", "vocab.tsv", "*.spm"),  # tokenizers
)
_TRAINING_STATE = (
    *(
        "training_args.*",
        "trainer_state.json",
        "optimizer*",
        "scheduler*",
        "scaler*",
        "rng_state*",
        "random_states*",
    ),
    *("all_results.json", "*_results.json", "manifest.json"),
)
_SETTLED_S = 2.0  # the coarsest file time in use (FAT) has ticks of two seconds
_CHUNK = 1 << 20


def cache_dir() -> Path:
    """Where this package keeps models and hashes: `CONSTITUTIONAL_CACHE`, or the user's own cache folder."""
    chosen = os.environ.get("CONSTITUTIONAL_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("constitutional"))


def fingerprint_folder(folder: Path | str) -> str:
    """The fingerprint of a model folder or of a LoRA adapter folder.

    Returns:
        `sha256:` and 64 hexadecimal digits, over the relative name and content of each file that counts.

    Raises:
        ConfigError: there is no such folder, it holds no such file, or one can't be read.
    """
    folder = Path(folder)
    files = model_files(folder)
    if not files:
        raise ConfigError(f"{folder} holds no model: no weights, no configuration, no tokenizer")
    memory = _Memory(cache_dir() / "file-hashes.json")
    total = hashlib.sha256()
    for name, path in files:
        try:
            total.update(f"{len(name)}:{name}={memory.sha256(path)}\n".encode("utf-8", "surrogateescape"))
        except OSError as error:
            raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    memory.save()
    return f"sha256:{total.hexdigest()}"


def model_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder that determine what its model generates, sorted: relative name and path.

    Raises:
        ConfigError: there is no such folder, or it can't be read.
    """
    try:
        names = [entry.name for entry in folder.iterdir()]
        names += [
            f"additional_chat_templates/{p.name}" for p in folder.glob("additional_chat_templates/*.jinja")
        ]
    except OSError as error:
        raise ConfigError(f"{folder} can't be read as a model folder: {error.strerror}") from error
    return [(name, folder / name) for name in sorted(names) if _counts(name) and (folder / name).is_file()]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _counts(name: str) -> bool:
    if name.startswith(".") or any(fnmatch(name, pattern) for pattern in _TRAINING_STATE):
        return False
    return any(fnmatch(name, pattern) for pattern in _DETERMINING)


class _Memory:
    """File hashes remembered in a small JSON file: `{path: [[size, inode, mtime_ns, ctime_ns], sha256]}`.

    Two processes may save at once: the file is replaced as a whole, and what one of them loses is only
    hashed again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[str, tuple[list[int], str]] = {}
        self.changed = False
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):  # absent, or not ours
            stored = json.loads(file.read_text("utf-8"))
            self.known = {str(path): (list(stat), str(digest)) for path, (stat, digest) in stored.items()}

    def sha256(self, path: Path) -> str:
        """The file's hash, computed only where it is not known."""
        # The real path: a link that is turned to another file must not keep its hash.
        real = path.resolve()
        before = _identity(real)
        known = self.known.get(str(real))
        if known and known[0] == before:
            return known[1]
        digest = file_sha256(real)
        # The times must have settled, and the file must not have changed under our hands.
        if _identity(real) == before and time.time() - max(before[2:]) / 1e9 > _SETTLED_S:
            self.known[str(real)] = (before, digest)
            self.changed = True
        return digest

    def save(self) -> None:
        """Write what is new. A cache that can't be written costs time, so it is no error."""
        if not self.changed:
            return
        present = {path: entry for path, entry in self.known.items() if Path(path).exists()}
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}.")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(present, file, indent=0)
                    file.flush()
                    os.fsync(file.fileno())
                Path(aside).replace(self.file)
            finally:
                Path(aside).unlink(missing_ok=True)


def _identity(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
