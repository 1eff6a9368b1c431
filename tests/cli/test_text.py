"""Text on its way to a terminal or a log: nothing in it acts, and nothing that a file can be called ends in a traceback."""

import json
import os
import subprocess
import sys

import pytest

from constitutional.cli.text import inert, inert_line, json_text
from tests.workbench.chains import chain_of, round_of, rules, write_run

ODD = "caf\udce9 \x9b31m \u202e \U000e0041 \x7f"
"""Half a surrogate pair (a byte that is not UTF-8), and characters that act on a terminal or hide text."""
RULES = "id: rules\nprinciples:\n  - id: kind\n    preference: Which of these two responses is kinder?\n"


def test_json_gives_back_the_value_and_has_nothing_in_it_that_acts():
    value = {ODD: [ODD, "Grüße 愛 🙂", "a\nb\tc", None, 1.5]}
    text = json_text(value)
    assert json.loads(text) == value
    assert inert(text) == text and "Grüße 愛 🙂" in text
    text.encode("utf-8", "strict")
    assert json_text(value, indent=None).count("\n") == 0


def test_a_line_stays_a_line():
    assert inert_line("a\nb\r\nc\rd\te") == "a\\u{a}b\\u{a}c\\u{d}d\te"


@pytest.fixture
def strictly(tmp_path):
    """A function that calls a command in a folder whose name is not UTF-8, with an output that takes nothing else."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        os.mkdir(folder)  # noqa: PTH102 a path of bytes
    except OSError:
        pytest.skip("the file system takes UTF-8 names alone")

    def call(*args):
        return subprocess.run(
            [sys.executable, "-m", "constitutional", "constitution", *args],
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
            capture_output=True,
            text=True,
        )

    call.folder = tmp_path / "caf\udce9"
    return call


@pytest.mark.parametrize(
    "command",
    [
        ("show",),
        ("lint",),
        ("lint", "--format", "json"),
        ("diff", "--json"),
    ],
    ids=" ".join,
)
def test_a_path_that_is_not_utf_8_is_shown_by_its_codes(strictly, command):
    path = strictly.folder / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    paths = [path, path] if command[0] == "diff" else [path]
    done = strictly(command[0], *paths, *command[1:])
    assert (done.returncode, done.stderr) == (0, "")
    if "json" in command[-1]:
        assert "caf\\udce9" in done.stdout and json.loads(done.stdout)
    elif command[0] == "show":
        assert "caf\\u{dce9}" in done.stdout


def test_a_run_whose_path_is_not_utf_8_is_analysed(strictly, tmp_path):
    run = strictly.folder / "run"
    write_run(tmp_path / "run", [chain_of("1", round_of("kind"))], rules(kind=1)).rename(run)
    done = strictly("analyse", run, "--json", "--figures", strictly.folder / "figures")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "caf\\u{dce9}" in done.stderr
    assert json.loads(done.stdout)["run"]["path"] == str(run)


def test_a_name_with_line_ends_does_not_make_lines(constitutional, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a\n::error file=b::injected\r\n.yaml"
    (tmp_path / name).write_text(RULES + "    wieght: 2\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text('id: c\nextends: ["./x\\n::error ::injected"]\n', encoding="utf-8")
    for form in ("text", "github", "json"):
        answer = constitutional("constitution", "lint", ".", "--format", form)
        assert answer.code == 2 and "injected" in answer.out
        assert not [line for line in answer.out.splitlines() if line.startswith("::error file=b")]
        assert not [line for line in answer.out.splitlines() if line.startswith("::error ::")]
    assert len(constitutional("constitution", "lint", ".").out.splitlines()) == 3
