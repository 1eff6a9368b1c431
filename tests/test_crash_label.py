"""`label` in real processes, killed with SIGKILL at 50 moments and started again with the same command."""

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from constitutional import ScriptedEngine, load_constitution, load_prompt_set
from constitutional.engines.scripted import request_hash
from constitutional.remembering import RequestKeys
from constitutional.sources.comparisons import read_comparisons
from constitutional.stages.label import Labeler, LabelSettings
from tests.crashing import asked, generated_in_all, kill_after, kill_moments, times_asked_again
from tests.helpers import PROMPT_SET, REPOSITORY, data_files

RUNS, KILLS, SLOTS = 10, 5, 16
SETTINGS = LabelSettings(principles=2, chain_of_thought=True, samples=2, temperature=1.0)
FLAGS = ("--principles", "2", "--chain-of-thought", "--samples", "2", "--temperature", "1.0")


def start(comparisons, out, log):
    command = [
        *(sys.executable, "-m", "constitutional", "label", str(comparisons), "--out", str(out), *FLAGS),
        *("--constitution", "harmlessness", "--engine", "scripted", "--prompt-set", str(PROMPT_SET)),
        *("--engine-arg", "latency=0.01", "--engine-arg", f"log={log}"),
    ]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


class Noting(ScriptedEngine):
    """Notes under which key each request is remembered, by what the engine's log has of it."""

    def __init__(self):
        super().__init__()
        self.keys, self.by_log = RequestKeys(self.identity), {}

    async def generate(self, messages, sampling, n=1):
        self.by_log[request_hash(messages, sampling)] = self.keys.generation(messages, sampling)
        return await super().generate(messages, sampling, n)

    async def choose(self, messages, options, terminator=None):
        self.by_log[request_hash(messages, options)] = self.keys.choice(messages, options, terminator)
        return await super().choose(messages, options, terminator)


def every_request(comparisons):
    """The key of every request of a whole run, by what the engine's log has of it."""
    engine = Noting()
    labeler = Labeler(load_constitution("harmlessness"), load_prompt_set(PROMPT_SET), SETTINGS)

    async def label_all():
        for row in read_comparisons(comparisons):
            await labeler.label(row.comparison, engine)

    asyncio.run(label_all())
    return engine.by_log


def remembered(out):
    """Keys of what the ledger remembers, read as any other process would."""
    if not (out / "ledger.sqlite").exists():
        return set()
    with sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as db:
        try:
            return {key for (key,) in db.execute("SELECT key FROM generations")}
        except sqlite3.OperationalError:  # killed before it made its tables
            return set()


def killed_and_continued(comparisons, folder, number, keys):
    """Kill a run `KILLS` times, finish it, and give (data files, kills in mid-run, requests asked again needlessly)."""
    delays = random.Random(number)
    out, log = folder / f"run{number}", folder / f"log{number}"
    known, again, mid_run = set(), 0, 0
    for moment in kill_moments(number, len(keys), KILLS):
        seen = len(asked(log))
        kill_after(start(comparisons, out, log), log, moment, delays.uniform(0, 0.02))
        again += sum(keys[hash] in known for hash in asked(log)[seen:])
        known = remembered(out)
        mid_run += 0 < len(known) < len(keys)
    seen = len(asked(log))
    process = start(comparisons, out, log)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    again += sum(keys[hash] in known for hash in asked(log)[seen:])
    assert set(asked(log)) == set(keys)
    assert times_asked_again(log) <= KILLS * SLOTS  # what was in flight
    assert generated_in_all(out) == len(keys)  # what was in flight at a kill was never had
    return data_files(out), mid_run, again


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_labelling_killed_at_50_moments_ends_in_the_same_data_and_asks_for_nothing_twice(tmp_path):
    comparisons = tmp_path / "comparisons.jsonl"
    given = [
        {"id": f"c{n}", "prompt": f"Question {n}?", "responses": [f"Yes, {n}.", f"No, {n}."]}
        for n in range(50)
    ]
    comparisons.write_text("".join(json.dumps(row) + "\n" for row in given))
    keys = every_request(comparisons)
    assert len(keys) == 50 * 2 * 2 * 2 * 2
    process = start(comparisons, tmp_path / "whole", tmp_path / "log")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    whole = data_files(tmp_path / "whole")
    assert Counter(asked(tmp_path / "log")) == Counter(keys.keys())  # each once

    with ThreadPoolExecutor(2) as pool:
        results = list(
            pool.map(lambda number: killed_and_continued(comparisons, tmp_path, number, keys), range(RUNS))
        )
    assert all(files == whole for files, _, _ in results)
    assert sum(again for _, _, again in results) == 0
    assert sum(mid_run for _, mid_run, _ in results) > RUNS * KILLS / 2  # few came before or after the work
