"""Real processes, killed with SIGKILL at 100 moments and started again with the same command."""

import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from constitutional.engines.scripted import text_of
from tests.crashing import asked, generated_in_all, kill_after, kill_moments, times_asked_again
from tests.helpers import PROMPT_SET, REPOSITORY, data_files

RUNS, KILLS = 20, 5
REQUESTS = 150 * 5


def start(prompts, out, log):
    command = [
        *(sys.executable, "-m", "constitutional", "revise", str(prompts), "--out", str(out), "--rounds", "2"),
        *("--constitution", "harmlessness", "--engine", "scripted", "--prompt-set", str(PROMPT_SET)),
        *("--engine-arg", "latency=0.01", "--engine-arg", f"log={log}"),
    ]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def stored_texts(out):
    """What the ledger remembers, read as any other process would."""
    if not (out / "ledger.sqlite").exists():
        return set()
    with sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as db:
        try:
            return {text for (text,) in db.execute("SELECT json_extract(value, '$[0]') FROM generations")}
        except sqlite3.OperationalError:  # killed before it made its tables
            return set()


def killed_and_continued(prompts, folder, number):
    """Kill a run `KILLS` times, finish it, and give (data files, kills in mid-run, requests asked again needlessly)."""
    delays = random.Random(number)
    out, log = folder / f"run{number}", folder / f"log{number}"
    known, again, mid_run = set(), 0, 0
    for moment in kill_moments(number, REQUESTS, KILLS):
        seen = len(asked(log))
        kill_after(start(prompts, out, log), log, moment, delays.uniform(0, 0.02))
        again += sum(text_of(hash) in known for hash in asked(log)[seen:])
        known = stored_texts(out)
        mid_run += 0 < len(known) < REQUESTS
    seen = len(asked(log))
    process = start(prompts, out, log)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    again += sum(text_of(hash) in known for hash in asked(log)[seen:])
    assert times_asked_again(log) <= KILLS * 16  # what was in flight, sixteen at a time
    assert generated_in_all(out) == REQUESTS
    return data_files(out), mid_run, again


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_killed_at_100_moments_ends_in_the_same_data_and_asks_for_nothing_twice(prompts_file, tmp_path):
    prompts = prompts_file([{"id": f"p{n}", "prompt": f"Question {n}?"} for n in range(150)])
    process = start(prompts, tmp_path / "whole", tmp_path / "log")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    whole = data_files(tmp_path / "whole")
    assert len(asked(tmp_path / "log")) == REQUESTS

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda number: killed_and_continued(prompts, tmp_path, number), range(RUNS)))
    assert all(files == whole for files, _, _ in results)
    assert sum(again for _, _, again in results) == 0
    assert sum(mid_run for _, mid_run, _ in results) > RUNS * KILLS / 2  # few came before or after the work
