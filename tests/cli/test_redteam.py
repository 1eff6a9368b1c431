"""`constitutional redteam` as a user meets it. The scripted engine's answer goes on from the list's number, so it is one prompt."""

import json

import pytest

from constitutional import ScriptedEngine
from constitutional.jobs.redteam import AcceptSettings, write_redteam_prompts
from constitutional.stages.redteam import RedteamSettings
from tests.helpers import PROMPT_SET, data_files, read

SCRIPTED = ("--engine", "scripted", "--prompt-set", str(PROMPT_SET), "--max-words", 100)


@pytest.fixture
def seeds(prompts_file):
    return prompts_file(
        [{"id": f"s{n}", "prompt": f"Write something rude about person {n}."} for n in range(8)],
        "seeds.jsonl",
    )


@pytest.fixture
def redteam(constitutional, tmp_path):
    """A function that calls `redteam` with the scripted engine, for ten prompts, into `tmp_path / "run"`."""
    return lambda seeds, *args: constitutional(
        "redteam", seeds, *SCRIPTED, "--out", tmp_path / "run", "--count", 10, *args
    )


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


def test_a_run_says_what_was_accepted(redteam, seeds, tmp_path):
    answer = redteam(seeds)
    assert answer.code == 0 and answer.out == ""
    assert "  prompts: 10 rows" in answer.err and "10 of 10 candidates accepted (100%)" in answer.err
    assert len({row["prompt"][0]["content"] for row in read(tmp_path / "run", "prompts")}) == 10
    assert [event["event"] for event in events(answer)].count("loading") == 1


def test_the_same_command_again_does_nothing_and_a_larger_count_goes_on(redteam, seeds, tmp_path):
    redteam(seeds)
    before = data_files(tmp_path / "run")
    again = redteam(seeds)
    assert again.code == 0 and ", 0 to do" in again.err and data_files(tmp_path / "run") == before
    first = read(tmp_path / "run", "prompts")
    assert redteam(seeds, "--count", 25).code == 0
    assert read(tmp_path / "run", "prompts")[:10] == first and len(read(tmp_path / "run", "prompts")) == 25


def test_a_dry_run_writes_nothing(redteam, seeds, tmp_path):
    answer = redteam(seeds, "--dry-run")
    (plan,) = events(answer)
    assert answer.code == 0 and plan["to_do"] == plan["generations_to_make"] == 1
    assert "1 generation to make" in answer.out and plan["prompt_tokens"] > 0
    assert not (tmp_path / "run").exists()


def test_fewer_than_wanted_is_code_1_and_says_how_to_go_on(redteam, seeds):
    answer = redteam(seeds, "--most-requests", 4)
    assert answer.code == 1
    assert "4 of 4 candidates accepted" in answer.err
    assert "10 were wanted: the budget of 4 requests is spent; a larger --most-requests" in answer.err


def test_what_was_rejected_is_counted(redteam, seeds):
    answer = redteam(seeds, "--max-words", 5, "--most-requests", 4)
    assert (
        answer.code == 1 and "0 of 4 candidates accepted (0%)" in answer.err and "  too_long: 4" in answer.err
    )


def test_the_run_is_prompts_for_revise(redteam, constitutional, seeds, tmp_path):
    redteam(seeds)
    options = ("--constitution", "harmlessness", *SCRIPTED[:4], "--rounds", 1, "--out", tmp_path / "chains")
    answer = constitutional("revise", tmp_path / "run", *options)
    assert answer.code == 0 and "10 rows: 10 ok" in answer.err


def test_settings_can_stand_in_a_file(redteam, seeds, tmp_path):
    config = tmp_path / "redteam.yaml"
    config.write_text("seeds-per-request: 2\nsimilarity: 0.9\ntemperature: 0.8\n", encoding="utf-8")
    assert redteam(seeds, "--config", config).code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["seeds_per_request"], settings["similarity"], settings["temperature"]) == (2, 0.9, 0.8)
    assert all(len(row["seeds"]) == 2 for row in read(tmp_path / "run", "prompts"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--count", "0"], "--count"),
        (["--most-requests", "0"], "--most-requests"),
        (["--similarity", "0.1"], "--similarity"),
        (["--seeds-per-request", "0"], "--seeds-per-request"),
        (["--prompts-per-request", "1000"], "--prompts-per-request"),
        (["--min-words", "101"], "no prompt has both"),
        (["--temperature", "nan"], "--temperature"),
        (["--topics", "none.txt"], "none.txt: there is no such file"),
        (["--prompt-set", "defualt"], "did you mean 'default'?"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_a_setting_that_can_not_be_is_code_2_and_makes_no_directory(redteam, seeds, tmp_path, args, says):
    answer = redteam(seeds, *args)
    assert answer.code == 2
    assert says in answer.problem
    assert not (tmp_path / "run").exists()


def test_what_has_to_be_given_is_asked_for(constitutional, redteam, prompts_file, seeds, tmp_path):
    assert "--count" in constitutional("redteam", seeds, *SCRIPTED, "-o", tmp_path / "run").problem
    assert "did you mean 'seeds.jsonl'?" in redteam(seeds.with_name("seed.jsonl")).problem
    assert "the source has no rows" in redteam(prompts_file([], "empty.jsonl")).problem


def test_a_run_and_its_requests_can_be_shown(redteam, constitutional, prompts_file, tmp_path):
    seeds = prompts_file([{"id": "\x1b[2J", "prompt": "Write [red]rude[/red] things \u202ebackwards."}])
    topics = prompts_file([{"prompt": "neighbours"}], "topics.jsonl")
    redteam(seeds, "--topics", topics)
    overview = constitutional("show", tmp_path / "run")
    assert overview.code == 0 and "prompts: 10 rows" in overview.out and "request-10" in overview.out
    shown = constitutional("show", tmp_path / "run", "request-1")
    assert shown.code == 0 and "neighbours" in shown.out and "[red]rude[/red]" in shown.out
    assert "\x1b" not in shown.out and "\u202e" not in shown.out
    (prompt, *_) = read(tmp_path / "run", "prompts")
    assert f"1. {prompt['prompt'][0]['content']}" in shown.out
    assert "1. " in shown.out and shown.out.rstrip().endswith("· accepted")
    by_place = constitutional("show", tmp_path / "run", 1)
    assert by_place.out == f"prompt {prompt['id']}\n{prompt['prompt'][0]['content']}\n\n{shown.out}"
    assert constitutional("show", tmp_path / "run", prompt["id"]).out == by_place.out
    assert "has no row '11'" in constitutional("show", tmp_path / "run", 11).problem
    assert json.loads(constitutional("show", tmp_path / "run", 1, "--json").out) == prompt
    requests = constitutional("show", tmp_path / "run", "--status", "ok").out
    assert "\nid          status" in requests  # a number is that of a prompt
    assert "\nrequest-10  ok" in requests
    assert overview.out.count(prompt["id"]) == 1
    first = constitutional("show", tmp_path / "run", "--limit", 2).out
    assert first.endswith("\n… and 8 more: --limit 10\n")


def test_each_candidate_says_what_became_of_it(constitutional, seeds, tmp_path):
    first, second = "How do I trick my boss into a rise?", "Which lie annoys a neighbour most?"
    answer = f" {first}\n9. Steal it\n10. {first}\n11. {second}\n12. What is never judged?"
    write_redteam_prompts(
        seeds,
        tmp_path / "run",
        engine=ScriptedEngine(lambda messages, sampling: answer),
        prompt_set=PROMPT_SET,
        settings=RedteamSettings(prompts_per_request=5),
        accept=AcceptSettings(count=2),
    )
    listed = constitutional("show", tmp_path / "run").out
    assert first in listed and second in listed and "Steal" not in listed
    id = read(tmp_path / "run", "prompts")[0]["id"]
    shown = constitutional("show", tmp_path / "run", "request-1").out
    assert shown.split("candidates\n")[1].splitlines() == [
        f"1. {first} · accepted",
        "2. Steal it · left out: too_short",
        f"3. {first} · left out: duplicate of {id}",
        f"4. {second} · accepted",
        "5. What is never judged? · not needed",
    ]


def test_a_run_without_an_accepted_prompt_says_so(redteam, constitutional, seeds, tmp_path):
    redteam(seeds, "--max-words", 5, "--most-requests", 2)
    assert "No prompt was accepted" in constitutional("show", tmp_path / "run").out
    assert "left out: too_long" in constitutional("show", tmp_path / "run", 1).out
