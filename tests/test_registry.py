import os
from pathlib import Path

import pytest

from constitutional.errors import ConstitutionError, TemplateError
from constitutional.registry import (
    exists,
    find_constitution,
    find_prompt_set,
    is_folder,
    list_constitutions,
    list_prompt_sets,
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: Path, content: str = "id: x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_the_shipped_ones_are_found_from_anywhere(here):
    assert find_constitution("harmlessness").name == "harmlessness.yaml"
    assert (find_prompt_set("default") / "set.yaml").is_file()
    assert ("harmlessness", "shipped") in [(entry.name, entry.origin) for entry in list_constitutions()]
    assert ("default", "shipped") in [(entry.name, entry.origin) for entry in list_prompt_sets()]


def test_the_working_directory_comes_before_the_shipped_ones(here):
    own = put(here / "constitutions" / "harmlessness.yaml")
    mine = put(here / "constitutions" / "mine.yml")
    prompts = put(here / "prompts" / "default" / "set.yaml").parent
    assert find_constitution("harmlessness") == own
    assert find_constitution("mine") == mine
    assert find_prompt_set("default") == prompts
    found = {(entry.name, entry.origin) for entry in list_constitutions()}
    assert {("harmlessness", "./constitutions"), ("mine", "./constitutions")} <= found
    assert ("harmlessness", "shipped") not in found
    sets = [(entry.path, entry.origin) for entry in list_prompt_sets() if entry.name == "default"]
    assert sets == [(prompts, "./prompts")]


def test_a_path_is_taken_as_it_is(here):
    assert find_constitution("./a/b") == Path("a/b")
    assert find_constitution("a.yaml") == Path("a.yaml")
    assert find_constitution(here / "a.yml") == here / "a.yml"
    assert find_prompt_set("./sets/mine") == Path("sets/mine")
    assert find_prompt_set("sets/mine/set.yaml") == Path("sets/mine")


def test_an_unknown_name_is_refused_with_the_nearest_and_where_it_was_looked_for(here):
    with pytest.raises(ConstitutionError) as caught:
        find_constitution("harmlesness")
    assert "did you mean 'harmlessness'?" in str(caught.value)
    assert str(here / "constitutions") in str(caught.value)
    with pytest.raises(TemplateError, match="there is no prompt set 'defualt'; did you mean 'default'"):
        find_prompt_set("defualt")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "...", ".hidden", "a..b", "a b", "a\0b", "a\\..\\b", "~", "$HOME", "a\n", "ä"]
)
def test_a_name_is_nothing_but_a_name(here, name):
    put(here / ".yaml")
    with pytest.raises(ConstitutionError):
        find_constitution(name)
    with pytest.raises(TemplateError):
        find_prompt_set(name)


def test_a_name_that_no_file_can_have_is_the_name_of_none(here):
    with pytest.raises(ConstitutionError, match="there is no constitution"):
        find_constitution("x" * 5000)
    with pytest.raises(TemplateError, match="there is no prompt set"):
        find_prompt_set("x" * 5000)
    for name in ("x" * 5000, "a\0b"):
        assert not exists(here / name) and not is_folder(here / name)
    assert exists(here) and is_folder(here) and exists(put(here / "file")) and not is_folder(here / "file")


def test_what_can_not_be_looked_up_is_not_there(here):
    file = put(here / "constitutions" / "mine.yaml")
    put(here / "prompts" / "mine" / "set.yaml")
    for folder in ("constitutions", "prompts"):
        (here / folder).chmod(0o400)  # its names can be read, but nothing of its files
    try:
        if os.access(file, os.F_OK):
            pytest.skip("this user reads everything")
        with pytest.raises(ConstitutionError, match="there is no constitution 'mine'"):
            find_constitution("mine")
        with pytest.raises(TemplateError, match="there is no prompt set 'mine'"):
            find_prompt_set("mine")
        assert "mine" not in {entry.name for entry in (*list_constitutions(), *list_prompt_sets())}
    finally:
        for folder in ("constitutions", "prompts"):
            (here / folder).chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_out_of_the_folder_is_refused(here):
    put(here / "outside" / "set.yaml")
    put(here / "constitutions" / "inside.yaml")
    (here / "prompts").mkdir()
    (here / "prompts" / "leak").symlink_to(here / "outside")
    (here / "constitutions" / "leak.yaml").symlink_to(here / "outside" / "set.yaml")
    (here / "constitutions" / "alias.yaml").symlink_to(here / "constitutions" / "inside.yaml")
    with pytest.raises(ConstitutionError, match="a link that leaves"):
        find_constitution("leak")
    with pytest.raises(TemplateError, match="a link that leaves"):
        find_prompt_set("leak")
    assert find_constitution("alias").name == "alias.yaml"
    assert "leak" not in {entry.name for entry in (*list_constitutions(), *list_prompt_sets())}
