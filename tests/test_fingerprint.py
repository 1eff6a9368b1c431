import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutional.errors import ConfigError
from constitutional.fingerprint import fingerprint_folder, model_files

DETERMINING = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "merges.txt",
    "vocab.txt",
    "chat_template.jinja",
    "additional_chat_templates/tools.jinja",
    "adapter_config.json",
    "adapter_model.safetensors",
    "modeling_own.py",
)
IRRELEVANT = (
    "README.md",
    "LICENSE",
    ".gitattributes",
    ".git/config.json",
    "optimizer.pt",
    "optimizer.bin",
    "scheduler.pt",
    "rng_state_0.pth",
    "trainer_state.json",
    "training_args.bin",
    "checkpoint-500/model.safetensors",
    "runs/events.out.tfevents.1",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", DETERMINING)
def test_a_change_of_any_file_that_determines_the_model_changes_the_fingerprint(tmp_path, name):
    folder = write(tmp_path / "model", dict.fromkeys(DETERMINING, b"{}"))
    before = fingerprint_folder(folder)
    (folder / name).write_bytes(b"[]")
    changed = fingerprint_folder(folder)
    (folder / name).unlink()
    assert len({before, changed, fingerprint_folder(folder)}) == 3


@pytest.mark.parametrize("name", IRRELEVANT)
def test_cards_training_state_and_other_checkpoints_do_not_count(tmp_path, name):
    folder = write(tmp_path / "model", {"config.json": b"{}"})
    before = fingerprint_folder(folder)
    write(folder, {name: b"{}"})
    assert fingerprint_folder(folder) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from(DETERMINING), st.binary(max_size=3)), min_size=2, max_size=2))
def test_two_folders_have_one_fingerprint_exactly_where_names_and_contents_agree(tmp_path, contents):
    prints = []
    for number, files in enumerate(contents):
        shutil.rmtree(tmp_path / str(number), ignore_errors=True)
        prints.append(fingerprint_folder(write(tmp_path / str(number), {"config.json": b"{}", **files})))
    same = {"config.json": b"{}", **contents[0]} == {"config.json": b"{}", **contents[1]}
    assert (prints[0] == prints[1]) == same


def test_an_adapter_folder_has_a_fingerprint_too(tmp_path):
    adapter = write(tmp_path / "adapter", {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"})
    assert [name for name, _ in model_files(adapter)] == ["adapter_config.json", "adapter_model.safetensors"]
    assert fingerprint_folder(adapter).startswith("sha256:")


def test_a_folder_without_a_model_is_refused(tmp_path):
    write(tmp_path / "notes", {"README.md": b"hello"})
    with pytest.raises(ConfigError, match="notes holds no model"):
        fingerprint_folder(tmp_path / "notes")
    with pytest.raises(ConfigError, match="nowhere can't be read"):
        fingerprint_folder(tmp_path / "nowhere")


def test_a_file_is_not_read_again_while_it_stays_as_it_was(tmp_path, cache):
    folder = old_file_linked_into(tmp_path / "model")
    first = fingerprint_folder(folder)
    memory = cache / "file-hashes.json"
    remembered = json.loads(memory.read_text("utf-8"))
    ((stat, _),) = remembered.values()
    memory.write_text(json.dumps({path: [stat, "another"] for path in remembered}), "utf-8")
    assert fingerprint_folder(folder) != first, "the remembered hash was not used"
    memory.write_text(json.dumps({path: [[*stat[:3], 0], "another"] for path in remembered}), "utf-8")
    assert fingerprint_folder(folder) == first, "a hash was used that belongs to another state of the file"


def test_a_file_that_just_changed_is_hashed_but_not_remembered(tmp_path, cache):
    folder = write(tmp_path / "model", {"config.json": b"aa"})
    stat = (folder / "config.json").stat()
    first = fingerprint_folder(folder)
    (folder / "config.json").write_bytes(b"bb")
    os.utime(folder / "config.json", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fingerprint_folder(folder) != first


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "\x00"])
def test_a_broken_memory_of_hashes_is_replaced(tmp_path, cache, content):
    folder = old_file_linked_into(tmp_path / "model")
    expected = fingerprint_folder(folder)
    memory = cache / "file-hashes.json"
    memory.write_text(content, "utf-8")
    assert fingerprint_folder(folder) == expected
    assert len(json.loads(memory.read_text("utf-8"))) == 1


def old_file_linked_into(folder: Path) -> Path:
    """A model folder whose file has not changed for long: only such a hash is remembered."""
    folder.mkdir()
    (folder / "config.json").symlink_to(Path(os.__file__ if sys.platform != "win32" else sys.executable))
    return folder
