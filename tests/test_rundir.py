"""A run directory: never half-visible, repaired after a crash, held by one writer, and never somebody else's."""

import hashlib
import itertools
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from constitutional.errors import ConfigError, RunLockedError
from constitutional.rundir import CARD, LEDGER, MANIFEST, DataSet, RunDirectory, open_ledger, read_manifest

SCHEMA = pa.schema([("id", pa.string()), ("number", pa.int32())])


def data(*, sft=3, chains=2):
    def rows(name, count):
        return ({"id": f"{name} {n}", "number": n} for n in range(count))

    return {
        "sft": DataSet(rows("sft", sft), SCHEMA, "to train on"),
        "chains": DataSet(rows("chains", chains), SCHEMA, "to look at"),
    }


def publish(path, **counts):
    with RunDirectory(path) as run:
        return run.publish(
            data(**counts), {"title": "Test data", "summary": "Made by a test.", "stage": "test"}
        )


def listed(path):
    """What the card tells `datasets`: the file of each configuration."""
    header = (path / CARD).read_text(encoding="utf-8").split("---\n")[1]
    configs = (yaml.safe_load(header) or {}).get("configs", [])
    return {entry["config_name"]: entry["data_files"] for entry in configs}


def files(path):
    return {str(file.relative_to(path)) for file in (path / "data").glob("*/*")}


def snapshot(path):
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in path.rglob("*")
        if f.is_file() and "ledger" not in f.name
    }


def assert_whole(path):
    """The manifest, the card and the files say the same."""
    manifest = read_manifest(path)
    entries = manifest["data"]
    assert listed(path) == {name: entry["path"] for name, entry in entries.items() if entry["rows"]}
    assert files(path) == {entry["path"] for entry in entries.values()}
    for entry in entries.values():
        content = (path / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert entry["path"].split("/")[-1] == f"{entry['sha256'][:16]}.parquet"
        assert pq.read_metadata(path / entry["path"]).num_rows == entry["rows"]


def test_data_are_published_and_loaded_by_the_plain_library(tmp_path, monkeypatch):
    from datasets import load_dataset

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    publish(tmp_path / "run")
    assert_whole(tmp_path / "run")
    for name, count in (("sft", 3), ("chains", 2)):
        loaded = load_dataset(str(tmp_path / "run"), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded["id"][:] == [f"{name} {n}" for n in range(count)]
    default = load_dataset(str(tmp_path / "run"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(default) == 3


def test_data_without_rows_are_not_offered_to_datasets_which_can_not_load_them(tmp_path):
    from datasets import load_dataset

    publish(tmp_path / "run", sft=0)
    assert listed(tmp_path / "run").keys() == {"chains"}
    card = (tmp_path / "run" / CARD).read_text(encoding="utf-8")
    assert '("PATH/OF/THIS/FOLDER", "chains")' in card and "| `sft` | 0 |" in card and "default" not in card
    with pytest.raises(ValueError, match="'sft' not found"):
        load_dataset(str(tmp_path / "run"), "sft", cache_dir=str(tmp_path / "cache"))
    publish(tmp_path / "run", sft=0, chains=0)
    assert not listed(tmp_path / "run")
    assert "load_dataset" not in (tmp_path / "run" / CARD).read_text(encoding="utf-8")


def test_the_same_data_have_the_same_names_and_other_data_others(tmp_path):
    publish(tmp_path / "one")
    publish(tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    publish(tmp_path / "two", sft=4)
    same, other = files(tmp_path / "one"), files(tmp_path / "two")
    assert len(same & other) == 1 and len(other) == 2


def test_new_data_replace_the_old_ones(tmp_path):
    for count in (3, 4, 3, 0):
        publish(tmp_path, sft=count)
        assert_whole(tmp_path)
        assert read_manifest(tmp_path)["data"]["sft"]["rows"] == count


def test_more_rows_than_are_written_at_a_time(tmp_path):
    publish(tmp_path, sft=2500)
    assert_whole(tmp_path)
    (sft,) = (tmp_path / "data" / "sft").iterdir()
    assert pq.read_table(sft)["number"].to_pylist() == list(range(2500))


def test_what_is_computed_while_the_data_are_written_is_in_the_manifest(tmp_path):
    seen = []

    def rows():
        for n in range(3):
            seen.append(n)
            yield {"id": str(n), "number": n}

    with RunDirectory(tmp_path) as run:
        manifest = {"title": "T", "summary": "S", "counts": lambda: len(seen)}
        run.publish({"sft": DataSet(rows(), SCHEMA, "d")}, manifest)
    assert read_manifest(tmp_path)["counts"] == 3


def test_a_row_that_can_not_be_written_leaves_the_data_of_before(tmp_path):
    publish(tmp_path)
    before = snapshot(tmp_path)

    def rows():
        yield {"id": "0", "number": 0}
        raise ConfigError("no more")

    with RunDirectory(tmp_path) as run, pytest.raises(ConfigError, match="no more"):
        run.publish({"sft": DataSet(rows(), SCHEMA, "d")}, {"title": "T", "summary": "S"})
    publish_nothing(tmp_path)
    assert snapshot(tmp_path) == before


def publish_nothing(path):
    """Open the run for writing, which repairs it, and close it."""
    with RunDirectory(path):
        pass


# ---------------------------------------------------------------------- crashes


def states_of_a_switch(tmp_path, old_counts, new_counts):
    """Every state that a crash can leave between the first new file and the last old one removed."""
    new = tmp_path / "new"
    publish(new, **new_counts)
    old = tmp_path / "old"
    if old_counts is None:
        publish_nothing(old)
    else:
        publish(old, **old_counts)
    added = sorted(files(new) - files(old))
    removed = sorted(files(old) - files(new))
    steps = [("add", name) for name in added] + [("switch", CARD), ("switch", MANIFEST)]
    steps += [("remove", name) for name in removed]
    for number in range(len(steps) + 1):
        for half in (False, True):
            state = tmp_path / f"state{number}{half}"
            shutil.copytree(old, state)
            for verb, name in steps[:number]:
                (state / name).parent.mkdir(parents=True, exist_ok=True)
                (state / name).unlink() if verb == "remove" else shutil.copy(new / name, state / name)
            if half and number < len(steps):
                verb, name = steps[number]
                aside = state / name
                aside = (
                    aside.with_name("partial") if verb == "add" else aside.with_name(f".{aside.name}.partial")
                )
                aside.parent.mkdir(parents=True, exist_ok=True)
                aside.write_bytes(b"half")
            switched = ("switch", MANIFEST) in steps[:number]
            yield state, (new if switched else old), switched


@pytest.mark.parametrize("old_counts", [None, {"sft": 3}, {"sft": 3, "chains": 5}])
def test_whatever_a_crash_leaves_is_repaired_when_the_run_is_opened_for_writing(tmp_path, old_counts):
    seen = set()
    for state, wanted, switched in states_of_a_switch(tmp_path, old_counts, {"sft": 4}):
        seen.add(switched)
        publish_nothing(state)
        assert not list(state.glob(".*.partial"))
        if old_counts is None and not switched:
            assert read_manifest(state) is None
            assert not (state / CARD).exists() and files(state) == set()
        else:
            assert_whole(state)
            assert listed(state) == listed(wanted)
        publish(state, sft=4)
        assert_whole(state)
        assert listed(state) == listed(tmp_path / "new")
    assert seen == {False, True}


def test_a_card_that_was_edited_or_lost_is_written_again(tmp_path):
    publish(tmp_path)
    card = (tmp_path / CARD).read_bytes()
    for damage in (lambda: (tmp_path / CARD).unlink(), lambda: (tmp_path / CARD).write_text("mine")):
        damage()
        publish_nothing(tmp_path)
        assert (tmp_path / CARD).read_bytes() == card


# ---------------------------------------------------------------------- whose directory it is


def test_a_second_writer_is_refused_and_readers_are_welcome(tmp_path):
    publish(tmp_path)
    with RunDirectory(tmp_path):
        with pytest.raises(RunLockedError, match="another process is writing"), RunDirectory(tmp_path):
            raise AssertionError("a second writer was let in")
        open_ledger(tmp_path).close()
        assert read_manifest(tmp_path)["title"] == "Test data"
    publish_nothing(tmp_path)


def test_a_directory_in_which_nothing_was_planned_is_gone_after_an_error_unless_it_was_there(tmp_path):
    (tmp_path / "there").mkdir()
    for name, left in (("new", False), ("there", True)):
        with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path / name):
            raise ZeroDivisionError
        assert (tmp_path / name).exists() == left
    with RunDirectory(tmp_path / "new"):
        pass
    assert (tmp_path / "new" / LEDGER).exists()


def test_a_run_whose_first_data_could_not_be_written_goes_on_with_the_same_command(tmp_path):
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path / "run") as run:
        run.publish(
            {"sft": DataSet(({"id": "a", "number": 1 // n} for n in (1, 0)), SCHEMA, "")},
            {"title": "", "summary": "", "stage": "test"},
        )
    assert (tmp_path / "run" / LEDGER).exists()
    publish(tmp_path / "run")
    assert_whole(tmp_path / "run")


def test_a_writer_that_fails_leaves_no_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), RunDirectory(tmp_path):
        1 / 0  # noqa: B018
    (tmp_path / LEDGER).write_text("no database " * 1000)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"{LEDGER}{suffix}").unlink(missing_ok=True)
    for _ in range(2):
        with pytest.raises(ConfigError, match="damaged or not a ledger"):
            publish_nothing(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "README.md", "report.html", "data/train/rows.csv", "data/sft/rows.parquet", ".git/config"],
)
def test_a_directory_that_holds_something_else_is_refused_and_left_as_it_is(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious", encoding="utf-8")
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match="is not a run and not empty"):
        publish_nothing(tmp_path)
    assert snapshot(tmp_path) == before


def test_another_programs_manifest_is_refused_and_its_data_are_left_alone(tmp_path):
    (tmp_path / "data" / "icons").mkdir(parents=True)
    (tmp_path / "data" / "icons" / "16.png").write_bytes(b"precious")
    (tmp_path / MANIFEST).write_text('{"manifest_version": 3}')
    with pytest.raises(ConfigError, match="not the manifest of a run"):
        publish_nothing(tmp_path)
    assert (tmp_path / "data" / "icons" / "16.png").read_bytes() == b"precious"


@pytest.mark.parametrize("name", [".lock", "engine.log"])
def test_what_a_run_leaves_that_was_killed_at_once_is_no_obstacle(tmp_path, name):
    (tmp_path / name).touch()
    publish(tmp_path)
    assert_whole(tmp_path)


def test_a_run_whose_ledger_was_deleted_may_start_again(tmp_path):
    publish(tmp_path)
    for path in tmp_path.glob(f"{LEDGER}*"):
        path.unlink()
    publish(tmp_path, sft=5)
    assert_whole(tmp_path)


def test_a_users_notes_in_a_run_are_kept(tmp_path):
    publish(tmp_path)
    (tmp_path / "notes.txt").write_text("precious")
    publish(tmp_path, sft=7)
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_a_place_that_can_not_be_a_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match="can't be written"):
            publish_nothing(path)


def test_what_is_no_run_can_not_be_read(tmp_path):
    with pytest.raises(ConfigError, match="there is no such folder"):
        open_ledger(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"it has no ledger\.sqlite"):
        open_ledger(tmp_path)
    assert read_manifest(tmp_path) is None
    for text in ("{", "\xff", "[1]", "17", '{"name": "of something else"}'):
        (tmp_path / MANIFEST).write_text(text, encoding="latin-1")
        with pytest.raises(ConfigError, match=r"manifest\.json can't be read"):
            read_manifest(tmp_path)


def test_the_manifest_is_readable_by_any_tool(tmp_path):
    with RunDirectory(tmp_path) as run:
        run.publish(data(), {"title": "Töst", "summary": "☃", "nested": {"a": [1, None]}})
    raw = (tmp_path / MANIFEST).read_bytes()
    assert json.loads(raw) == read_manifest(tmp_path)
    assert "Töst".encode() in raw and raw.endswith(b"}\n")
    assert list(itertools.islice(json.loads(raw), 2)) == ["format", "title"]
