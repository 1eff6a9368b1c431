"""`constitutional revise` as a user meets it: what it prints, what it writes, and what the next call makes of it."""

import json
import shutil
import sqlite3

import pytest

from tests.cli.conftest import SCRIPTED
from tests.helpers import REPOSITORY, data_files, read


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


def test_a_run_says_how_it_went_and_where_to_look(revise, prompts_file, tmp_path):
    answer = revise(prompts_file(5))
    assert answer.code == 0
    assert answer.out == ""
    assert "5 rows: 5 ok, 0 skipped, 0 failed" in answer.err
    assert "  sft: 10 rows" in answer.err and "  chains: 5 rows" in answer.err
    assert f"constitutional show {tmp_path / 'run'}\n" in answer.err
    assert len(read(tmp_path / "run", "sft")) == 10


def test_what_is_not_a_terminal_gets_a_json_line_an_event(revise, prompts_file):
    found = events(revise(prompts_file(5)))
    assert [event["event"] for event in found] == ["plan", "loading", "progress", "progress", "done"]
    assert found[0]["to_do"] == 5
    last, done = found[-2:]
    assert done["counts"]["rows"]["ok"] == 5 and done["data"] == {"sft": 10, "chains": 5}
    assert (last["rows"], last["ok"], last["rounds"], last["generations"]) == (5, 5, 10, 25)
    assert {"tokens_per_second", "prefix_cache_hits", "eta_seconds"} <= set(last)


def test_the_same_command_again_does_nothing(revise, prompts_file, tmp_path):
    prompts = prompts_file(5)
    revise(prompts)
    before = data_files(tmp_path / "run")
    answer = revise(prompts)
    assert answer.code == 0
    assert [event["event"] for event in events(answer)] == ["plan", "done"]
    assert "5 rows kept, 0 to do" in answer.err
    assert data_files(tmp_path / "run") == before


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(revise, prompts_file, tmp_path):
    answer = revise(prompts_file(5), "--dry-run")
    assert answer.code == 0
    (plan,) = events(answer)
    assert (plan["to_do"], plan["generations_to_make"], plan["generations_remembered"]) == (5, 25, 0)
    assert answer.out.startswith("0 rows kept, 5 to do\n25 generations to make") and plan["prompt_tokens"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prompts.jsonl"]


def test_a_dry_run_of_a_finished_run_leaves_every_byte_and_knows_what_it_costs(
    revise, prompts_file, tmp_path
):
    revise(prompts_file(5))
    run = tmp_path / "run"
    before = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    answer = revise(prompts_file(8), "--dry-run")
    (plan,) = events(answer)
    assert (plan["kept"], plan["to_do"], plan["generations_to_make"]) == (5, 3, 15)
    assert plan["prompt_tokens"] > 0 and plan["completion_tokens"] > 0 and plan["seconds"] > 0
    after = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert {name: after[name] for name in before} == before


def test_after_an_edit_of_the_constitution_the_plan_says_what_is_kept(revise, prompts_file, tmp_path):
    rules = tmp_path / "rules.yaml"
    text = (REPOSITORY / "constitutions" / "harmlessness.yaml").read_text(encoding="utf-8")
    rules.write_text(text, encoding="utf-8")
    revise(prompts_file(40), "-c", rules)
    rules.write_text(text.replace("  - id: privacy\n", "  - id: private-life\n"), encoding="utf-8")
    assert rules.read_text(encoding="utf-8") != text
    (plan,) = events(revise(prompts_file(40), "-c", rules, "--dry-run"))
    assert plan["kept"] + plan["to_do"] == 40 and 0 < plan["to_do"] == plan["stale"] < 20
    assert (
        f"{plan['kept']} rows kept, {plan['to_do']} to do, {plan['to_do']} of them stale" == plan["message"]
    )


def test_a_change_that_redoes_everything_needs_to_be_said(revise, prompts_file, tmp_path):
    prompts = prompts_file(5)
    revise(prompts)
    before = data_files(tmp_path / "run")
    for options in ((), ("--dry-run",)):
        refused = revise(prompts, "--temperature", 0.5, *options)
        assert refused.code == 2
        assert "temperature was 1.0 and is now 0.5" in refused.problem and "--rebuild" in refused.problem
    assert data_files(tmp_path / "run") == before
    assert revise(prompts, "--temperature", 0.5, "--rebuild").code == 0
    assert data_files(tmp_path / "run") != before


def test_failed_rows_end_in_code_1_and_are_tried_again_only_when_asked(revise, prompts_file, tmp_path):
    prompts = prompts_file(3)
    assert revise(prompts).code == 0
    with sqlite3.connect(tmp_path / "run" / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE rows SET status = 'failed', reason = 'refused' WHERE id = 'p0001'")
    again = revise(prompts)
    assert again.code == 1
    assert "3 rows: 2 ok, 0 skipped, 1 failed" in again.err and "  refused: 1" in again.err
    retried = revise(prompts, "--retry-failed")
    assert retried.code == 0
    assert events(retried)[0]["retried"] == 1
    assert "3 rows: 3 ok" in retried.err


def test_limit_reads_the_first_rows_and_helpful_prompts_are_mixed_in(revise, prompts_file, tmp_path):
    helpful = prompts_file([{"prompt": "How do I boil an egg?"}], "helpful.jsonl")
    answer = revise(prompts_file(9), "--limit", 2, "--helpful", helpful, "--helpful-samples", 3)
    assert answer.code == 0
    assert [row["source"] for row in read(tmp_path / "run", "sft")] == ["revision"] * 4 + ["helpful"] * 3


def test_the_engine_is_named_in_the_manifest_and_the_principles_are_the_constitutions(
    revise, prompts_file, tmp_path
):
    revise(prompts_file(1))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["engine"]["engine"] == "scripted"
    assert manifest["constitution"]["id"] == "harmlessness"
    assert manifest["constitution"]["path"].endswith("harmlessness.yaml")
    assert len(manifest["constitution"]["principles"]) == 16


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--constitution", "harmlesness"], "did you mean 'harmlessness'?"),
        (["--prompt-set", "defualt"], "did you mean 'default'?"),
        (["--engine", "transformers", "--model", "smollm2-135"], "did you mean 'smollm2-135m'?"),
        (["--engine", "transformers"], "--model takes a name"),
        (["--engine", "scriptd"], "'scripted'"),
        (["--engine", "server", "--model", "m"], "--base-url"),
        (["--engine", "transformers", "--model", "m", "--base-url", "http://127.0.0.1:1/v1"], "--base-url"),
        (["--engine-arg", "latncy=1"], "did you mean 'latency'?"),
        (["--engine-arg", "latency"], "NAME=VALUE"),
        (["--engine-arg", "latency=[1"], "no YAML value"),
        (["--rounds", "0"], "--rounds"),
        (["--temperature", "nan"], "--temperature"),
        (["--top-p", "0"], "--top-p"),
        (["--principles-per-round", "17"], "only 16 principles"),
        (["--direct", "--stop-when-clean"], "direct"),
        (["--keep-failing", "empty"], "'truncated'"),
        (["--limit", "0"], "--limit"),
        (["--examples", "99"], "few-shot examples, not 99: ask for fewer"),
        (["--helpful", "none.jsonl"], "none.jsonl: there is no such file"),
    ],
)
def test_a_setting_that_can_not_be_is_code_2_and_makes_no_directory(
    revise, prompts_file, tmp_path, args, says
):
    answer = revise(prompts_file(1), *args)
    assert answer.code == 2
    assert says in answer.problem
    assert not (tmp_path / "run").exists()


def test_a_misspelt_file_of_prompts_is_answered_with_the_one_beside_it(revise, prompts_file):
    path = prompts_file(1)
    answer = revise(path.with_name("promts.jsonl"))
    assert answer.code == 2
    assert "promts.jsonl: there is no such file or run; did you mean 'prompts.jsonl'?" in answer.problem


def test_what_has_to_be_given_is_asked_for(constitutional, prompts_file):
    assert "PROMPTS" in constitutional("revise", *SCRIPTED, "-o", "x").problem
    assert "--out" in constitutional("revise", prompts_file(1), *SCRIPTED).problem
    assert "--constitution" in constitutional("revise", prompts_file(1), "-o", "x").problem


def test_the_demo_prints_a_chain(constitutional, tmp_path):
    answer = constitutional("demo", "--engine", "scripted", "--out", tmp_path / "demo")
    assert answer.code == 0
    assert answer.out.startswith("chain ") and "\nround 2 · revision · " in answer.out
    assert len(read(tmp_path / "demo", "chains")) > 5


def test_a_run_can_be_moved(revise, prompts_file, tmp_path):
    prompts = prompts_file(3)
    revise(prompts)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    answer = revise(prompts, out=tmp_path / "moved")
    assert answer.code == 0 and "3 rows kept, 0 to do" in answer.err
