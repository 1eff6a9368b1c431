"""What Tab offers."""

import pytest
from click.shell_completion import ShellComplete

from constitutional.cli import cli
from tests.helpers import REPOSITORY


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def offered(*line):
    *args, typed = line
    found = ShellComplete(cli, {}, "constitutional", "_X").get_completions(list(args), typed)
    return [(item.type, item.value) for item in found]


@pytest.mark.parametrize(
    "line",
    [
        ("constitution", "show"),
        ("constitution", "try"),
        ("constitution", "lint"),
        ("constitution", "diff", "tutor"),
        ("revise", "-c"),
    ],
)
def test_names_of_constitutions_are_offered_and_files_where_none_is_meant(line):
    assert offered(*line, "harml") == [("plain", "harmlessness")]
    assert offered(*line, "./mine") == [("file", "./mine")]


def test_ids_of_the_named_constitutions_principles_are_offered():
    assert ("plain", "privacy") in offered("constitution", "show", "harmlessness", "-p", "pri")
    assert ("plain", "privacy") in offered("constitution", "try", "tutor", "harmlessness", "-p", "")
    assert offered("constitution", "show", "nothing-of-the-kind", "-p", "") == []


def test_rules_and_formats_and_prompt_sets_and_files_are_offered():
    assert offered("constitution", "lint", "--select", "flat") == [("plain", "flat-refusal")]
    assert offered("constitution", "lint", "--ignore", "bad-id,flat") == [("plain", "bad-id,flat-refusal")]
    assert offered("constitution", "import", "x", "--format", "hug") == [("plain", "huggingface")]
    assert offered("constitution", "export", "tutor", "-f", "ya") == [("plain", "yaml")]
    assert ("plain", "default") in offered("constitution", "try", "tutor", "--prompt-set", "def")
    assert offered("constitution", "import", "x") == [("file", "x")]
