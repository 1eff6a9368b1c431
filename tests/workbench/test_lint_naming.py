"""Notes about how constitutions and their files are called."""

import pytest

from constitutional.workbench.lint.linter import lint

RULES = "id: {}\nprinciples:\n  - id: kind\n    preference: Which of these two responses is kinder?\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, id, folder="constitutions"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(RULES.format(id))

    return write


def notes(folder="constitutions"):
    found = lint([f"{folder}/"]).findings
    assert {finding.severity for finding in found} <= {"note"}
    return [(finding.rule, finding.place.path.name, finding.message) for finding in found]


def test_an_id_that_is_not_the_files_name_is_noted(write):
    write("mine.yaml", "ours")
    write("fine.yaml", "fine")
    assert [(rule, name) for rule, name, _ in notes()] == [("file-name", "mine.yaml")]
    assert "its id is 'ours', but commands find it as 'mine'" in notes()[0][2]


@pytest.mark.parametrize("name", ["böse.yaml", "-a.yaml", "a b.yaml", "a..b.yaml"])
def test_a_name_that_finds_nothing_is_noted(write, name):
    write(name, "mine")
    ((rule, _, message),) = notes()
    assert rule == "file-name" and "can't be used" in message


def test_a_file_behind_another_of_its_name_is_noted(write):
    write("mine.yaml", "mine")
    write("mine.yml", "other")
    assert [(rule, name) for rule, name, _ in notes()] == [("file-name", "mine.yml")]
    assert "means mine.yaml beside it" in notes()[0][2]


def test_files_with_one_id_are_noted(write):
    for name in ("a", "b", "c"):
        write(f"{name}.yaml", "a" if name != "c" else "c # a")
    assert [(rule, name) for rule, name, _ in notes() if rule == "shared-id"] == [
        ("shared-id", "a.yaml"), ("shared-id", "b.yaml"),
    ]  # fmt: skip
    assert "b.yaml beside it has the id 'a' too" in notes()[0][2]
    write("d.yaml", "a")
    (message,) = [message for rule, name, message in notes() if (rule, name) == ("shared-id", "d.yaml")]
    assert "a.yaml and 1 more beside it have the id 'a' too" in message


def test_a_link_is_a_second_name_on_purpose(write, tmp_path):
    write("mine.yaml", "mine")
    (tmp_path / "constitutions" / "short.yaml").symlink_to("mine.yaml")
    assert notes() == []


def test_files_elsewhere_are_called_what_one_likes(write):
    for name in ("a.yaml", "b.yaml", "a.yml", "ä.yaml"):
        write(name, "x", "elsewhere")
    assert notes("elsewhere") == []
