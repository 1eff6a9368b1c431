"""Ctrl-C and SIGTERM, once and twice, in mid-run and while the engine is being loaded. Each in a process of its own."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from tests.cli.conftest import SCRIPTED, until
from tests.helpers import REPOSITORY, data_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
ROWS, SLOTS = 12, 3


def command(prompts, out, *args):
    rounds = ("--rounds", 1, "--slots", SLOTS)
    return ("revise", prompts, *SCRIPTED, *rounds, "--out", out, *args)


def asked(log):
    return log.read_text().split() if log.exists() else []


def remembered(out):
    with sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as ledger:
        return ledger.execute("SELECT count(*) FROM generations").fetchone()[0]


def events(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@BOTH
def test_once_stores_what_is_in_flight_and_says_how_to_go_on(
    start, constitutional, prompts_file, tmp_path, number
):
    prompts, out, log = prompts_file(ROWS), tmp_path / "run", tmp_path / "log"
    slow = ("--engine-arg", "latency=0.5", "--engine-arg", f"log={log}")
    process = start(*command(prompts, out, *slow))
    until(lambda: len(asked(log)) > SLOTS)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    (stopping,) = [event for event in events(errors) if event["event"] == "stopping"]
    assert "requests in flight" in stopping["message"]
    assert "the same command goes on from there" in errors.splitlines()[-1]
    assert (
        0 < remembered(out) == len(asked(log)) < 3 * ROWS
    )  # every request that was sent has been answered and stored
    assert not (out / "manifest.json").exists()

    quick = ("--engine-arg", f"log={log}")
    answer = constitutional(*command(prompts, out, *quick))
    assert answer.code == 0, answer.err
    assert Counter(Counter(asked(log)).values()) == {1: 3 * ROWS}  # nothing was asked twice
    assert constitutional(*command(prompts, tmp_path / "whole")).code == 0
    assert data_files(out) == data_files(tmp_path / "whole")


@BOTH
def test_twice_ends_at_once_and_loses_only_what_was_in_flight(
    start, constitutional, prompts_file, tmp_path, number
):
    prompts, out, log = prompts_file(ROWS), tmp_path / "run", tmp_path / "log"
    hours = ("--engine-arg", "latency=10000", "--engine-arg", f"log={log}")
    process = start(*command(prompts, out, *hours))
    until(lambda: len(asked(log)) == SLOTS)
    process.send_signal(number)
    for line in process.stderr:
        if '"stopping"' in line:
            break
    assert process.poll() is None
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"stopped: {ROWS} rows left to do" in errors and "Traceback" not in errors
    assert remembered(out) == 0
    assert constitutional(*command(prompts, out)).code == 0


@BOTH
def test_while_the_engine_loads_it_ends_at_once(constitutional, prompts_file, tmp_path, number):
    prompts, out = prompts_file(ROWS), tmp_path / "run"
    program = f"""
import time
from pathlib import Path
from constitutional import ScriptedEngine, build_sl_cai
from constitutional.cli.progress import Display, default_interrupts

class Slow(ScriptedEngine):
    async def start(self):
        time.sleep(10_000)  # as a library does that knows nothing of event loops

with Display() as display, default_interrupts():
    build_sl_cai({str(prompts)!r}, "harmlessness", {str(out)!r}, engine=Slow(), watcher=display)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if '"loading"' in line:
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "the same command goes on from here" in events(errors)[-1]["message"]
    assert constitutional(*command(prompts, out)).code == 0


def test_signals_mean_what_they_meant_when_the_command_is_done(constitutional, prompts_file, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert constitutional(*command(prompts_file(2), tmp_path / "run")).code == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
