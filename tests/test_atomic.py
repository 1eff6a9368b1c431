"""A file is written whole or not at all, keeps its permissions, and replaces nothing unasked."""

import os
import stat

import pytest

from constitutional.atomic import replace_file, write_text
from constitutional.errors import ConfigError


def test_links_folders_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "target").write_text("mine")
    for name, make, message in [
        ("link", lambda path: path.symlink_to("target"), "give the file that it points to"),
        ("dangling", lambda path: path.symlink_to("nowhere"), "give the file that it points to"),
        ("folder", lambda path: path.mkdir(), "this is a folder"),
        ("pipe", os.mkfifo, "not a regular file"),
    ]:
        make(tmp_path / name)
        with pytest.raises(ConfigError, match=message):
            write_text(tmp_path / name, "x", force=True)
    with pytest.raises(ConfigError, match="make it first"):
        write_text(tmp_path / "no" / "x", "x")
    with pytest.raises(ConfigError, match="can't be written"):
        write_text(tmp_path / ("x" * 300), "x")
    with pytest.raises(ConfigError, match="can't be written"):
        write_text(tmp_path / "a\0b", "x")
    assert (tmp_path / "target").read_text() == "mine" and not (tmp_path / "nowhere").exists()


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "x.yaml"
    path.write_text("mine")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_text(path, "x", force=True)
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_replaced_file_keeps_its_permissions_whatever_the_umask(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("mine")
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        write_text(path, "new", force=True)
        write_text(tmp_path / "other.yaml", "new")
    finally:
        os.umask(before)
    assert path.read_text() == "new" and mode(path) == 0o664
    assert mode(tmp_path / "other.yaml") == 0o600


def test_nobody_can_read_on_the_way_what_only_the_owner_may(tmp_path, monkeypatch):
    path, modes = tmp_path / "x", []
    path.write_text("mine")
    path.chmod(0o600)
    make = os.open
    monkeypatch.setattr("os.open", lambda *args: (modes.append(args[2:]), make(*args))[1])
    replace_file(path, b"new")
    assert modes[0] == (0o600,)


def test_the_folder_is_brought_to_the_disk_after_the_file(tmp_path, monkeypatch):
    kinds, sync = [], os.fsync

    def seen(descriptor):
        kinds.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr("os.fsync", seen)
    write_text(tmp_path / "x", "new")
    assert kinds == [stat.S_IFREG, stat.S_IFDIR]
