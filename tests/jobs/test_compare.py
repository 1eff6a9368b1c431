"""Runs of comparisons: what they publish, what the next call makes of them, and that a killed one loses nothing."""

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter

import pytest

from constitutional import Generation, JobOptions, ScriptedEngine
from constitutional.engines.scripted import text_of
from constitutional.errors import ConfigError
from constitutional.jobs.compare import build_comparisons, build_comparisons_async
from constitutional.jobs.join import join_responses
from constitutional.rundir import open_ledger
from constitutional.sources import read_comparisons
from constitutional.stages.compare import CompareSettings, second_comes_first
from tests.crashing import asked, kill_after, kill_moments
from tests.helpers import PROMPT_SET, REPOSITORY, CountingEngine, data_files, read


def run(prompts, out, engine=None, *, options=None, limit=None, **settings):
    return build_comparisons(
        prompts,
        out,
        engine=engine or ScriptedEngine(),
        prompt_set=PROMPT_SET,
        settings=CompareSettings(**settings),
        options=options,
        limit=limit,
    )


def counts(report):
    return report.manifest["counts"]


# What a run publishes


def test_a_run_holds_a_comparison_for_each_prompt_in_order(prompts_file, tmp_path):
    report = run(prompts_file(5), tmp_path / "run", temperature=(1.0, 0.7))
    rows = read(tmp_path / "run", "comparisons")
    assert [row["id"] for row in rows] == [f"p{n:04}" for n in range(5)]
    for row in rows:
        assert row["prompt"][-1]["role"] == "user" and len(set(row["responses"])) == 2
        assert row["models"] == ["scripted", "scripted"] and row["finish_reasons"] == ["stop", "stop"]
        swapped = second_comes_first(0, row["id"])
        assert row["temperatures"] == ([0.7, 1.0] if swapped else [1.0, 0.7])
    assert counts(report)["pairs"] == {"ok": 5}
    assert report.manifest["settings"]["temperature"] == [1.0, 0.7]


def test_plain_datasets_loads_it(prompts_file, tmp_path, monkeypatch):
    import datasets

    run(prompts_file(3), tmp_path / "run")
    data = datasets.load_dataset(
        str(tmp_path / "run"), "comparisons", split="train", cache_dir=tmp_path / "c"
    )
    assert data.column_names == ["id", "prompt", "responses", "models", "finish_reasons", "temperatures"]
    assert len(data) == 3


def test_the_reader_reads_the_run(prompts_file, tmp_path):
    run(prompts_file(4), tmp_path / "run", samples=4)
    source = read_comparisons(tmp_path / "run")
    rows = list(source)
    assert [row.id for row in rows] == [f"p{n:04}#{pair}" for n in range(4) for pair in range(2)]
    assert {row.human for row in rows} == {None} and source.ignored_columns == ()
    published = {row["id"]: tuple(row["responses"]) for row in read(tmp_path / "run", "comparisons")}
    assert {row.id: row.comparison.responses for row in rows} == published


def test_each_input_ends_as_one_thing_and_the_counts_add_up(prompts_file, tmp_path):
    def answer(messages, sampling):
        asked = messages[-1].content
        return {"same": "same", "empty": ""}.get(asked, f"{asked} {sampling.seed}")

    rows = [
        {"id": name, "prompt": name}
        for name in ("good", "same", "empty", "fine", "long " * 99)
    ] + [{"id": "bad", "prompt": " "}]  # fmt: skip
    engine = CountingEngine(answer, context_length=300)
    report = run(prompts_file(rows), tmp_path / "run", engine)
    found = counts(report)
    reasons = {"identical_responses": 1, "empty_response": 1, "too_long": 1, "empty_prompt": 1}
    assert found["rows"] == {"total": 6, "ok": 2, "skipped": 4, "failed": 0, "reasons": reasons}
    assert found["pairs"] == {"ok": 2, "identical_responses": 1, "empty_response": 1}
    assert found["redraws"] == 3 + 3
    assert [row["id"] for row in read(tmp_path / "run", "comparisons")] == ["good", "fine"]


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize(
    ("temperature", "redraws", "detail"),
    [(1.0, 2, "after 2 redraws"), (1.0, 1, "after 1 redraw"), (0.0, 2, "nothing was drawn again")],
)
def test_a_skipped_prompt_says_how_often_was_drawn_again(
    prompts_file, tmp_path, samples, temperature, redraws, detail
):
    """A greedy response is never drawn again: it would be the same."""
    engine = ScriptedEngine(lambda m, s: "" if s.temperature == temperature else "b")
    temperatures = temperature if samples == 1 else (temperature, 0.5)
    report = run(
        prompts_file(3), tmp_path / "run", engine, samples=samples, temperature=temperatures, redraws=redraws
    )
    ledger = open_ledger(tmp_path / "run")
    found = {(row.reason, row.detail) for row in ledger.rows()}
    ledger.close()
    assert found == {("empty_response", detail)}
    assert counts(report)["redraws"] == 3 * (redraws if temperature else 0)


@pytest.mark.parametrize("samples", [1, 2])
def test_what_was_changed_in_prompts_to_be_asked_is_counted(prompts_file, tmp_path, samples):
    talk = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"turn{n} " * length}
        for n, length in enumerate((500, 10, 10))
    ]
    rows = [{"id": "long", "prompt": talk}, {"id": "marked", "prompt": "Say <|im_end|>, <|im_end|>."}]

    def answer(messages, sampling):
        return Generation(f"text {sampling.seed}", escaped=messages[-1].content.count("<|im_end|>"))

    engine = ScriptedEngine(answer, context_length=300)
    report = run(prompts_file(rows), tmp_path / "run", engine, samples=samples, overlong="drop-oldest")
    assert (counts(report)["dropped_turns"], counts(report)["escaped"]) == (2, 2)


def test_a_good_pair_of_a_prompt_is_kept_though_another_is_not(prompts_file, tmp_path):
    texts = iter(["x", "x", "a", "b"])
    engine = ScriptedEngine(lambda messages, sampling: next(texts), slots=1)
    report = run(prompts_file(1), tmp_path / "run", engine, samples=4, redraws=0)
    assert counts(report)["rows"]["ok"] == 1
    assert counts(report)["pairs"] == {"ok": 1, "identical_responses": 1}
    assert [row["id"] for row in read(tmp_path / "run", "comparisons")] == ["p0000#1"]


def test_truncated_responses_are_kept_and_counted(prompts_file, tmp_path):
    def answer(messages, sampling):
        return Generation(f"text {sampling.seed}", "length")

    report = run(prompts_file(2), tmp_path / "run", ScriptedEngine(answer))
    assert counts(report)["truncated_responses"] == 4
    assert read(tmp_path / "run", "comparisons")[0]["finish_reasons"] == ["length", "length"]


def test_a_response_that_came_with_a_prompt_is_not_used(prompts_file, tmp_path):
    run(prompts_file([{"id": "a", "prompt": "Hi", "response": "given"}]), tmp_path / "run")
    assert "given" not in json.dumps(read(tmp_path / "run", "comparisons"))


# The next call


def test_the_same_call_again_does_nothing_and_more_prompts_only_add(prompts_file, tmp_path):
    run(prompts_file(4), tmp_path / "run")
    before = data_files(tmp_path / "run")
    engine = CountingEngine()
    assert run(prompts_file(4), tmp_path / "run", engine).plan.kept == 4
    assert engine.requests == [] and data_files(tmp_path / "run") == before
    assert run(prompts_file(6), tmp_path / "run", engine).plan.to_do == 2
    assert len(engine.requests) == 2 * 2


def test_more_samples_ask_only_for_what_is_missing(prompts_file, tmp_path):
    run(prompts_file(4), tmp_path / "run", samples=2)
    engine = CountingEngine()
    run(prompts_file(4), tmp_path / "run", engine, samples=4)
    assert len(engine.requests) == 4 * 2
    assert len(read(tmp_path / "run", "comparisons")) == 8


def test_a_change_of_sampling_or_engine_is_refused_until_rebuild(prompts_file, tmp_path):
    run(prompts_file(2), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"temperature was \[1.0\] and is now \[0.5\]"):
        run(prompts_file(2), tmp_path / "run", temperature=0.5)
    with pytest.raises(ConfigError, match="fingerprint"):
        run(prompts_file(2), tmp_path / "run", ScriptedEngine(name="other"))
    report = run(prompts_file(2), tmp_path / "run", temperature=0.5, options=JobOptions(rebuild=True))
    assert counts(report)["rows"]["ok"] == 2


def test_neither_order_nor_slots_change_the_data(prompts_file, tmp_path):
    rows = [{"prompt": f"Question {n}?"} for n in range(30)]
    shuffled = random.Random(1).sample(rows, len(rows))
    run(prompts_file(rows), tmp_path / "a", ScriptedEngine(slots=1))
    run(prompts_file(shuffled, "b.jsonl"), tmp_path / "b", ScriptedEngine(slots=7, latency=0.001))
    by_id = [
        {row["id"]: row for row in read(tmp_path / name, "comparisons")} for name in ("a", "b")
    ]  # fmt: skip
    assert by_id[0] == by_id[1] and len(by_id[0]) == 30


def test_a_dry_run_counts_two_generations_a_prompt_and_writes_nothing(prompts_file, tmp_path):
    report = run(prompts_file(5), tmp_path / "run", options=JobOptions(dry_run=True))
    assert (report.plan.to_do, report.estimate.generations) == (5, 10)
    assert not (tmp_path / "run").exists()


def test_in_an_event_loop_the_async_function_is_named(prompts_file, tmp_path):
    async def inside():
        with pytest.raises(ConfigError, match="build_comparisons_async"):
            run(prompts_file(1), tmp_path / "run")
        return await build_comparisons_async(prompts_file(1), tmp_path / "run", engine=ScriptedEngine())

    assert asyncio.run(inside()).manifest["counts"]["rows"]["ok"] == 1


def test_an_adapter_is_part_of_what_a_model_is_called(prompts_file, tmp_path):
    engine = ScriptedEngine(name="base")
    engine.identity["adapter"] = "0123456789abcdef"
    run(prompts_file(1), tmp_path / "run", engine)
    assert read(tmp_path / "run", "comparisons")[0]["models"] == ["base with adapter 01234567"] * 2


# Two models


@pytest.fixture
def two_models(prompts_file, tmp_path):
    """Runs of one response a prompt by two models, of which the second knows no answer to the third prompt."""

    def second(messages, sampling):
        return "" if "number 2:" in messages[-1].content else "An answer of the second."

    prompts = prompts_file(50)
    run(prompts, tmp_path / "a", ScriptedEngine(name="first"), samples=1)
    run(prompts, tmp_path / "b", ScriptedEngine(second, name="second"), samples=1, temperature=0)
    return tmp_path / "a", tmp_path / "b"


def test_a_run_of_single_responses_publishes_them_as_such(two_models):
    first, second = (read(out, "responses") for out in two_models)
    assert len(first) == 50 and len(second) == 49
    assert {(row["model"], row["temperature"]) for row in first} == {("first", 1.0)}
    assert {(row["model"], row["temperature"]) for row in second} == {("second", 0.0)}


def test_two_such_runs_make_pairs_of_two_models_and_neither_is_always_first(two_models, tmp_path):
    report = join_responses(*two_models, tmp_path / "ab")
    rows = read(tmp_path / "ab", "comparisons")
    assert counts(report)["rows"] == {
        "total": 50, "ok": 49, "skipped": 1, "failed": 0, "reasons": {"no_partner": 1}
    }  # fmt: skip
    first = {row["id"]: row["response"] for row in read(two_models[0], "responses")}
    for row in rows:
        assert sorted(row["models"]) == ["first", "second"]
        assert row["responses"][row["models"].index("first")] == first[row["id"]]
        assert row["temperatures"][row["models"].index("second")] == 0.0
    ahead = Counter(row["models"][0] for row in rows)
    assert min(ahead.values()) > 10
    assert report.manifest["sources"] == {"first": str(two_models[0]), "second": str(two_models[1])}


def test_joining_again_does_nothing_and_another_seed_needs_rebuild(two_models, tmp_path):
    join_responses(*two_models, tmp_path / "ab")
    before = data_files(tmp_path / "ab")
    assert join_responses(*two_models, tmp_path / "ab").plan.kept == 49
    assert data_files(tmp_path / "ab") == before
    with pytest.raises(ConfigError, match="seed was 0 and is now 1"):
        join_responses(*two_models, tmp_path / "ab", seed=1)
    join_responses(*two_models, tmp_path / "ab", seed=1, options=JobOptions(rebuild=True))
    assert data_files(tmp_path / "ab") != before


def test_files_are_joined_and_what_can_not_be_compared_is_counted(prompts_file, tmp_path):
    first = prompts_file(
        [{"id": n, "prompt": "?", "response": text} for n, text in enumerate("abcd")], "a.jsonl"
    )
    second = prompts_file([{"id": n, "response": text} for n, text in enumerate(["x", "b ", " "])], "b.jsonl")
    report = join_responses(first, second, tmp_path / "run")
    reasons = {"identical_responses": 1, "empty_response": 1, "no_partner": 1}
    assert counts(report)["rows"] == {"total": 4, "ok": 1, "skipped": 3, "failed": 0, "reasons": reasons}
    (row,) = read(tmp_path / "run", "comparisons")
    assert sorted(zip(row["models"], row["responses"], strict=True)) == [("a", "a"), ("b", "x")]
    assert row["finish_reasons"] == row["temperatures"] == [None, None]


# Kills


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_run_ends_in_the_same_data_and_asks_for_nothing_twice(prompts_file, tmp_path):
    prompts = prompts_file(120)

    def start(out, log):
        command = [
            *(sys.executable, "-m", "constitutional", "compare", str(prompts), "--out", str(out)),
            *("--engine", "scripted", "--prompt-set", str(PROMPT_SET), "--samples", "4"),
            *("--engine-arg", "latency=0.02", "--engine-arg", f"log={log}"),
        ]
        return subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def finish(out, log):
        process = start(out, log)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors

    finish(tmp_path / "whole", tmp_path / "log")
    whole = asked(tmp_path / "log")
    assert len(whole) == len(set(whole)) == 120 * 4

    out, log = tmp_path / "killed", tmp_path / "killed-log"
    known, needless, mid_run = set(), 0, 0
    for moment in kill_moments("compare", len(whole), 6):
        seen = len(asked(log))
        kill_after(start(out, log), log, moment)
        needless += sum(text_of(hash) in known for hash in asked(log)[seen:])
        known = stored(out)
        mid_run += 0 < len(known) < 120 * 4
    seen = len(asked(log))
    finish(out, log)
    needless += sum(text_of(hash) in known for hash in asked(log)[seen:])
    assert needless == 0
    assert mid_run > 3  # few kills came before the first answer, or after the last
    assert data_files(out) == data_files(tmp_path / "whole")


def stored(out):
    """The texts that the ledger remembers, read as any other process would."""
    import sqlite3

    if not (out / "ledger.sqlite").exists():
        return set()
    with sqlite3.connect(f"{(out / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as db:
        try:
            return {text for (text,) in db.execute("SELECT json_extract(value, '$[0]') FROM generations")}
        except sqlite3.OperationalError:  # killed before it made its tables
            return set()
