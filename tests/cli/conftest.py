"""The command line, called as a user calls it: in this process, or where signals and limits are the point in one of its own."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from constitutional.cli import main
from tests.helpers import PROMPT_SET, REPOSITORY

SCRIPTED = ("--constitution", "harmlessness", "--engine", "scripted", "--prompt-set", str(PROMPT_SET))


@dataclass
class Answer:
    """What a command ended with."""

    code: int
    out: str
    err: str

    @property
    def problem(self):
        """What the user is told went wrong: one line, without anything that looks like a crash."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.lower().startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def constitutional(capfd):
    """A function that calls a command in this process."""

    def call(*args):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        captured = capfd.readouterr()
        return Answer(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def revise(constitutional, tmp_path):
    """A function that calls `revise` with the scripted engine, two rounds, and `tmp_path / "run"`."""

    def call(prompts, *args, out=None):
        out = out or tmp_path / "run"
        return constitutional("revise", prompts, *SCRIPTED, "--rounds", 2, "--out", out, *args)

    return call


@pytest.fixture
def start():
    """A function that starts a command in a process of its own; those still running are killed in the end."""
    started = []

    def popen(*args, **more):
        process = subprocess.Popen(
            [sys.executable, "-m", "constitutional", *map(str, args)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            **more,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def until(happened, seconds=60):
    """Wait until something has happened."""
    for _ in range(seconds * 50):
        if happened():
            return
        time.sleep(0.02)
    raise AssertionError(f"it has not happened in {seconds} s")
