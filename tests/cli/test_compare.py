"""`constitutional compare` as a user meets it, and what `show` makes of its runs."""

import json
import signal
import sys

import pytest

from constitutional import ScriptedEngine
from constitutional.jobs.compare import build_comparisons
from constitutional.stages.compare import CompareSettings
from tests.cli.conftest import until
from tests.helpers import PROMPT_SET, data_files, read

SCRIPTED = ("--engine", "scripted", "--prompt-set", str(PROMPT_SET))


@pytest.fixture
def compare(constitutional, tmp_path):
    """A function that calls `compare` with the scripted engine and `tmp_path / "run"`."""

    def call(prompts, *args, out=None):
        return constitutional("compare", prompts, *SCRIPTED, "--out", out or tmp_path / "run", *args)

    return call


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


def test_a_run_says_how_it_went_and_where_to_look(compare, prompts_file, tmp_path):
    answer = compare(prompts_file(5))
    assert (answer.code, answer.out) == (0, "")
    assert "5 rows: 5 ok, 0 skipped, 0 failed" in answer.err and "  comparisons: 5 rows" in answer.err
    assert f"constitutional show {tmp_path / 'run'}\n" in answer.err
    assert [event["event"] for event in events(answer)] == ["plan", "loading", "progress", "progress", "done"]


def test_a_flag_in_the_place_of_the_second_file_is_named(constitutional, prompts_file, tmp_path):
    answer = constitutional("compare", "--responses", prompts_file(1), "-o", tmp_path / "run")
    assert answer.code == 2
    assert "--responses takes two files or runs, and -o comes in the place of the second" in answer.err


def test_the_same_command_again_does_nothing_and_a_dry_run_writes_nothing(compare, prompts_file, tmp_path):
    dry = compare(prompts_file(5), "--dry-run")
    (plan,) = events(dry)
    assert f"and at most {10 * 256:,} generated tokens" in dry.out
    assert (plan["to_do"], plan["generations_to_make"]) == (5, 10)
    assert not (tmp_path / "run").exists()
    compare(prompts_file(5))
    before = data_files(tmp_path / "run")
    again = compare(prompts_file(5))
    assert "5 rows kept, 0 to do" in again.err and data_files(tmp_path / "run") == before


def test_a_temperature_for_each_response_may_be_given(compare, prompts_file, tmp_path):
    assert compare(prompts_file(3), "--temperature", 1, "--temperature", 0.5).code == 0
    found = read(tmp_path / "run", "comparisons")
    assert all(sorted(row["temperatures"]) == [0.5, 1.0] for row in found)


def test_a_file_sets_what_flags_do(compare, prompts_file, tmp_path):
    config = tmp_path / "compare.yaml"
    config.write_text("samples: 4\ntemperature: [1.0, 0.5, 0.5, 1.0]\nmax-tokens: 9\nlimit: 2\n")
    assert compare(prompts_file(3), "--config", config).code == 0
    assert len(read(tmp_path / "run", "comparisons")) == 4
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["settings"]["temperature"] == [1.0, 0.5, 0.5, 1.0]
    assert manifest["settings"]["max_tokens"] == 9


def test_what_was_left_out_is_said(constitutional, prompts_file, tmp_path):
    first = prompts_file([{"id": n, "prompt": "?", "response": f"{n}"} for n in range(3)], "a.jsonl")
    second = prompts_file([{"id": n, "response": text} for n, text in enumerate("0x")], "b.jsonl")
    answer = constitutional("compare", "--responses", first, second, "--out", tmp_path / "run")
    assert answer.code == 0
    assert "3 rows: 1 ok, 2 skipped, 0 failed" in answer.err and "  no_partner: 1" in answer.err
    assert "1 pair left out (identical_responses)" in answer.err
    assert "loading" not in answer.err


def test_two_models_are_two_runs_and_a_join(compare, constitutional, prompts_file, tmp_path):
    prompts = prompts_file(4)
    for name in ("a", "b"):
        args = ("--samples", 1, "--seed", ord(name))
        answer = compare(prompts, *args, out=tmp_path / name)
        assert answer.code == 0 and "  responses: 4 rows" in answer.err
    answer = constitutional("compare", "--responses", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "ab")
    assert answer.code == 0 and "  comparisons: 4 rows" in answer.err


def test_files_to_join_may_be_named_in_a_file(constitutional, prompts_file, tmp_path):
    first = prompts_file([{"prompt": "?", "response": "1"}], "a.jsonl")
    second = prompts_file([{"prompt": "?", "response": "2"}], "b.jsonl")
    config = tmp_path / "join.yaml"
    config.write_text(f"responses: [{first}, {second}]\nout: {tmp_path / 'run'}\n")
    assert constitutional("compare", "--config", config).code == 0
    assert len(read(tmp_path / "run", "comparisons")) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--samples", "3"], "even number"),
        (["--samples", "0"], "--samples"),
        (["--samples", "4", "--temperature", "1", "--temperature", "0.5"], "2 temperatures for 4 responses"),
        (["--temperature", "0"], "temperature 0"),
        (["--temperature", "warm"], "'warm'"),
        (["--temperature", "-1"], "--temperature"),
        (["--redraws", "-1"], "--redraws"),
        (["--prompt-set", "defualt"], "did you mean 'default'?"),
        (["--engine", "transformers"], "--model takes a name"),
        (["--responses", "a.jsonl", "b.jsonl"], "--engine has no use with --responses"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_a_setting_that_can_not_be_is_code_2_and_makes_no_directory(
    compare, prompts_file, tmp_path, args, says
):
    answer = compare(prompts_file(1), *args)
    assert answer.code == 2 and says in answer.problem
    assert not (tmp_path / "run").exists()


def test_what_is_missing_or_misspelt_is_said(constitutional, compare, prompts_file, tmp_path):
    nothing = constitutional("compare", "-o", tmp_path / "run")
    assert nothing.code == 2 and "give PROMPTS and a --model, or two files" in nothing.problem
    assert "--out" in constitutional("compare", prompts_file(1), *SCRIPTED).problem
    misspelt = compare(prompts_file(1).with_name("promts.jsonl"))
    assert misspelt.code == 2 and "did you mean 'prompts.jsonl'?" in misspelt.problem
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "no rows" in compare(empty).problem
    compare(prompts_file(1))
    pair = constitutional("compare", "--responses", tmp_path / "run", prompts_file(1), "-o", tmp_path / "x")
    assert pair.code == 2 and "constitutional compare --samples 1" in pair.problem


def test_a_run_of_another_kind_is_not_overwritten(revise, compare, prompts_file, tmp_path):
    revise(prompts_file(2))
    before = data_files(tmp_path / "run")
    for args in ((), ("--rebuild",), ("--dry-run",)):
        refused = compare(prompts_file(2), *args)
        assert refused.code == 2 and "is a run of 'revise'" in refused.problem
    assert data_files(tmp_path / "run") == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_an_interrupted_run_is_code_130_and_goes_on(start, prompts_file, tmp_path):
    prompts, log, out = prompts_file(100), tmp_path / "log", tmp_path / "run"
    command = ("compare", prompts, *SCRIPTED, "-o", out, "--slots", 4, "--engine-arg", f"log={log}")
    process = start(*command, "--engine-arg", "latency=0.05")
    until(lambda: log.exists() and len(log.read_text().split()) > 8)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "rows left to do" in errors
    again = start(*command)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    asked = log.read_text().split()
    assert len(asked) == len(set(asked)) == 200


# show


def shown_run(tmp_path, prompts_file, answer, rows=1, **settings):
    build_comparisons(
        prompts_file(rows),
        tmp_path / "run",
        engine=ScriptedEngine(answer),
        prompt_set=PROMPT_SET,
        settings=CompareSettings(**settings),
    )


def test_the_overview_marks_pairs_that_are_left_out(constitutional, prompts_file, tmp_path):
    texts = iter(["x", "x", "a", "b"])
    shown_run(tmp_path, prompts_file, lambda *_: next(texts), samples=4, redraws=0)
    answer = constitutional("show", tmp_path / "run")
    assert "comparisons: 1 row" in answer.out and "sampled: 1 ok" in answer.out
    assert answer.out.splitlines()[-1].split()[:5] == ["1", "p0000", "ok", "✗", "✓"]


def test_a_row_shows_both_responses_and_what_made_them(constitutional, prompts_file, tmp_path):
    shown_run(tmp_path, prompts_file, lambda m, s: f"at {s.temperature}", temperature=(1.0, 0.5))
    out = constitutional("show", tmp_path / "run", 1).out
    (row,) = read(tmp_path / "run", "comparisons")
    for place, (text, temperature) in enumerate(zip(row["responses"], row["temperatures"], strict=True), 1):
        assert f"response {place} · temperature {temperature:g}\n{text}\n" in out
    as_json = json.loads(constitutional("show", tmp_path / "run", 1, "--json").out)
    assert as_json["pairs"][0]["responses"] == row["responses"]


def test_a_row_that_was_skipped_shows_what_was_drawn(constitutional, prompts_file, tmp_path):
    shown_run(tmp_path, prompts_file, lambda m, s: "the same every time")
    out = constitutional("show", tmp_path / "run", 1).out
    assert "skipped: identical_responses" in out and "after 3 redraws" in out
    assert out.count("the same every time") == 2


def test_what_a_model_wrote_reaches_the_terminal_inert(constitutional, prompts_file, tmp_path):
    shown_run(tmp_path, prompts_file, lambda m, s: f"\x1b[31mred\x1b[0m [bold] {s.seed}")
    out = constitutional("show", tmp_path / "run", 1).out
    assert "\x1b" not in out and "\\u{1b}[31mred" in out and "[bold]" in out


def test_a_joined_row_names_the_models(constitutional, prompts_file, tmp_path):
    first = prompts_file([{"prompt": "?", "response": "1", "model": "m\x1b]0;x\x07"}], "a.jsonl")
    second = prompts_file([{"prompt": "?", "response": "2"}], "b.jsonl")
    constitutional("compare", "--responses", first, second, "--out", tmp_path / "run")
    out = constitutional("show", tmp_path / "run", 1).out
    assert "\x1b" not in out and " · b\n2\n" in out and "m\\u{1b}]0;x" in out
