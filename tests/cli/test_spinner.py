"""What a user on a terminal sees while something loads."""

import contextlib
import os
import sys

import pytest
from rich.console import Console

from constitutional.cli.spinner import Spinner

pty = pytest.importorskip("pty")


def test_what_a_library_prints_meanwhile_goes_where_the_process_sends_it_and_not_to_the_terminal():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        before = sys.stdout, sys.stderr
        spinner = Spinner(
            Console(file=terminal, force_terminal=True, _environ={"TERM": "xterm"}),
            "loading …",
            " · see a.log",
        )
        during = sys.stdout, sys.stderr
        spinner.update("loading [bold] …", " · see b.log")
        spinner._began -= 65
        spinner.stop()
        terminal.flush()
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while read := os.read(master, 4096):
            shown += read
    os.close(master)
    assert during == before
    assert "loading [bold] … 1 min 05 s · see b.log" in shown.decode()
