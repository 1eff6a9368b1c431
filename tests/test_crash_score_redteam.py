"""`score` and `redteam` in real processes, killed with SIGKILL at several moments and started again with the same command."""

import json
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest

from tests.crashing import asked, kill_after, kill_moments, times_asked_again
from tests.helpers import PROMPT_SET, REPOSITORY, data_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
RUNS, KILLS, SLOTS = 2, 4, 4


def command(what, source):
    options = {
        "score": ("--constitution", "harmlessness", "--principles", 4),
        # the scripted engine gives one prompt an answer, so that the job has to plan several times
        "redteam": ("--count", 120, "--max-words", 100, "--most-requests", 400),
    }
    return (
        what,
        source,
        "--engine",
        "scripted",
        "--prompt-set",
        PROMPT_SET,
        "--slots",
        SLOTS,
        *options[what],
    )


def start(what, source, out, log):
    arguments = (
        *command(what, source),
        "--out",
        out,
        "--engine-arg",
        "latency=0.03",
        "--engine-arg",
        f"log={log}",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "constitutional", *map(str, arguments)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(what, source, out, log):
    _, errors = (process := start(what, source, out, log)).communicate(timeout=120)
    assert process.returncode == 0, errors


def remembered(out):
    if not (out / "ledger.sqlite").exists():
        return 0
    with sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as ledger:
        try:
            return ledger.execute("SELECT count(*) FROM generations").fetchone()[0]
        except sqlite3.OperationalError:  # killed before it made its tables
            return 0


@pytest.fixture
def sources(prompts_file):
    responses = [{"id": f"r{n}", "prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(120)]
    seeds = [{"id": f"s{n}", "prompt": f"Write something rude about person {n}."} for n in range(12)]
    return {"score": prompts_file(responses, "rows.jsonl"), "redteam": prompts_file(seeds, "seeds.jsonl")}


@pytest.mark.parametrize("what", ["score", "redteam"])
def test_a_killed_run_ends_in_the_same_data_and_asks_for_nothing_that_it_remembers(what, sources, tmp_path):
    source = sources[what]
    finish(what, source, tmp_path / "whole", tmp_path / "log")
    whole, counts = data_files(tmp_path / "whole"), Counter(asked(tmp_path / "log"))
    assert set(counts.values()) == {1}
    manifest = json.loads((tmp_path / "whole" / "manifest.json").read_text(encoding="utf-8"))
    assert sum(entry["rows"] for entry in manifest["data"].values()) == 120

    mid_run = 0
    for number in range(RUNS):
        out, log = tmp_path / f"run{number}", tmp_path / f"log{number}"
        for moment in kill_moments(f"{what}{number}", len(counts), KILLS):
            kill_after(start(what, source, out, log), log, moment)
            mid_run += 0 < remembered(out) < len(counts)
        finish(what, source, out, log)
        assert data_files(out) == whole
        assert set(asked(log)) == set(counts)
        assert times_asked_again(log) <= KILLS * SLOTS  # only what was in flight
        assert remembered(out) == len(counts)
    assert mid_run > RUNS
