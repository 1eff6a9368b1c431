"""Standard output that a reader closes, or that can't be written."""

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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["constitution show tutor", "constitution list", "--help"])
def test_a_disk_that_is_full_is_named(command):
    done = bash(f"{COMMAND} {command} > /dev/full; echo $?")
    assert done.stdout == "2\n"
    assert done.stderr == f"error: standard output can't be written: {os.strerror(28)}\n"
