"""Standard output that a reader closes, or that can't be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY

COMMAND = f"{sys.executable} -m constitutional"


def bash(command):
    return subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    "command", ["constitution show tutor", "constitution list", "--help", "constitution show tutor --json"]
)
def test_a_reader_that_has_gone_is_no_failure(command):
    done = bash(f"{COMMAND} {command} 2> >(cat >&2) | (exec 0<&-; sleep 4); echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_nothing_else(closed, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "How do magnets work?"}\n')
    make = (
        f"revise {tmp_path}/prompts.jsonl -c harmlessness --engine scripted --rounds 1 --out {tmp_path}/run"
    )
    for command in ("constitution show tutor", make, make):
        done = bash(f"({COMMAND} {command} {closed}); echo $?")
        assert done.stdout.endswith("0\n") and "Traceback" not in done.stderr
    assert "1 ok" in bash(f"{COMMAND} show {tmp_path}/run").stdout


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
def test_a_character_that_the_output_can_not_have_is_escaped(encoding, tmp_path):
    def call(*args, read=encoding):
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "constitutional", *map(str, args)]
        done = subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(read)

    prompt, prompts, run = "Hélas ☃ 🙂 Ünique", tmp_path / "prompts.jsonl", tmp_path / "run"
    prompts.write_text(json.dumps({"id": "a", "prompt": prompt}) + "\n", encoding="utf-8")
    call("revise", prompts, "-c", "harmlessness", "--engine", "scripted", "--rounds", 1, "--out", run)
    listed = call("show", run)
    assert "\\u2713" in listed and "\\u2603 \\ud83d\\ude42 " in listed
    assert ("Hélas" in listed) == (encoding != "ascii")
    assert "\\u2603" in call("show", run, "a") and "Intervals" in call("constitution", "analyse", run)
    # click takes ASCII for a setting that was forgotten, and writes UTF-8
    as_json = call("show", run, "a", "--json", read="utf-8" if encoding == "ascii" else encoding)
    assert json.loads(as_json)["prompt"][0]["content"] == prompt


def test_what_was_asked_to_become_of_other_characters_does():
    done = bash(f"PYTHONIOENCODING=ascii:replace {COMMAND} constitution show tutor")
    assert "?" in done.stdout and "\\u" not in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["constitution show tutor", "constitution list", "--help"])
def test_a_disk_that_is_full_is_named(command):
    done = bash(f"{COMMAND} {command} > /dev/full; echo $?")
    assert done.stdout == "2\n"
    assert done.stderr == f"error: standard output can't be written: {os.strerror(28)}\n"
