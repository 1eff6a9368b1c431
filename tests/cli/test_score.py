"""`constitutional score` as a user meets it."""

import json

import pytest

from tests.cli.conftest import SCRIPTED
from tests.helpers import data_files, read


@pytest.fixture
def responses(prompts_file):
    return prompts_file(
        [{"id": f"r{n}", "prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(5)],
        "rows.jsonl",
    )


@pytest.fixture
def score(constitutional, tmp_path):
    """A function that calls `score` with the scripted engine and `tmp_path / "run"`."""
    return lambda source, *args, out=None: constitutional(
        "score", source, *SCRIPTED, "--out", out or tmp_path / "run", *args
    )


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


def test_a_run_says_how_it_went_and_what_the_scores_are(score, responses, tmp_path):
    answer = score(responses)
    assert answer.code == 0 and answer.out == ""
    assert "5 rows: 5 ok, 0 skipped, 0 failed" in answer.err and "  scores: 5 rows" in answer.err
    rows = read(tmp_path / "run", "scores")
    mean = sum(row["score"] for row in rows) / 5
    assert f"mean score {mean:+.3f} ± " in answer.err and "votes: 80 of 80 count" in answer.err
    assert events(answer)[0]["to_do"] == 5


def test_the_same_command_again_does_nothing_and_a_dry_run_writes_nothing(score, responses, tmp_path):
    dry = score(responses, "--dry-run")
    (plan,) = events(dry)
    assert "80 generations to make" in dry.out and f"about {plan['prompt_tokens']:,} prompt tokens" in dry.out
    assert (plan["to_do"], plan["generations_to_make"]) == (5, 80) and not (tmp_path / "run").exists()
    score(responses)
    before = data_files(tmp_path / "run")
    again = score(responses)
    assert "5 rows kept, 0 to do" in again.err and data_files(tmp_path / "run") == before


def test_chains_are_reported_round_by_round(score, constitutional, prompts_file, tmp_path):
    made = constitutional("revise", prompts_file(3), *SCRIPTED, "--rounds", 2, "--out", tmp_path / "chains")
    assert made.code == 0
    answer = score(tmp_path / "chains")
    for line in ("  initial response: ", "  revision 1: ", "  revision 2: "):
        assert f"\n{line}" in answer.err
    sft = score(tmp_path / "chains", "--data-set", "sft", out=tmp_path / "sft")
    assert sft.code == 0 and [row["round"] for row in read(tmp_path / "sft", "scores")] == [1, 2] * 3


def test_answers_that_can_not_be_read_are_code_1_and_named(score, responses):
    answer = score(responses, "--written")
    assert answer.code == 1
    assert "  unreadable_score: 5" in answer.err and "votes: 0 of 80 count, unreadable_score 80" in answer.err


def test_data_without_rows_are_not_offered_for_loading(score, prompts_file):
    answer = score(prompts_file([{"prompt": "Hi?", "response": ""}]))
    assert answer.code == 0 and "scores: 0 rows" in answer.err and "load_dataset" not in answer.err


def test_settings_can_stand_in_a_file(score, responses, tmp_path):
    config = tmp_path / "score.yaml"
    config.write_text("low: -5\nhigh: 5\nprinciples: 3\nmin-mass: 0.2\n", encoding="utf-8")
    assert score(responses, "--config", config).code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["low"], settings["high"], settings["principles"], settings["min_mass"]) == (
        -5,
        5,
        3,
        0.2,
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--constitution", "harmlesness"], "did you mean 'harmlessness'?"),
        (["--principles", "17"], "harmlessness has 16"),
        (["--principles", "0"], "'all'"),
        (["--principles", "some"], "'all'"),
        (["--low", "5", "--high", "1"], "low has to be the smaller one"),
        (["--low", "1.5"], "(--written)"),
        (["--high", "nan"], "--high"),
        (["--high", "1000"], "too many"),
        (["--samples", "2"], "(--written)"),
        (["--written", "--samples", "2"], "temperature"),
        (["--written", "--low-mass", "exclude"], "low_mass is only for ratings that are not written"),
        (["--min-mass", "2"], "--min-mass"),
        (["--data-set", "sft"], "is not"),
        (["--data-set", "labels"], "'chains'"),
        (["--limit", "0"], "--limit"),
        (["--prompt-set", "defualt"], "did you mean 'default'?"),
    ],
)
def test_a_setting_that_can_not_be_is_code_2_and_makes_no_directory(score, responses, tmp_path, args, says):
    answer = score(responses, *args)
    assert answer.code == 2
    assert says in answer.problem
    assert not (tmp_path / "run").exists()


def test_sources_that_are_none_are_answered_with_what_to_do(score, prompts_file, tmp_path):
    assert (
        "did you mean 'rows.jsonl'?" in score(prompts_file([], "rows.jsonl").with_name("row.jsonl")).problem
    )
    assert "the source has no rows" in score(tmp_path / "rows.jsonl").problem
    assert "rename the one with responses" in score(prompts_file(2)).problem
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_run_and_its_scores_can_be_shown(score, constitutional, prompts_file, tmp_path):
    hostile = "\x1b[31mred\x1b[0m [bold]no markup[/bold] \u202eafter"
    score(
        prompts_file([{"id": "a", "prompt": "Hi?", "response": hostile}, {"id": "b", "prompt": "Hi?"}]),
        "--principles",
        2,
    )
    overview = constitutional("show", tmp_path / "run")
    assert overview.code == 0 and "scores: 1 row" in overview.out
    (row,) = read(tmp_path / "run", "scores")
    listed = next(line for line in overview.out.splitlines() if line.startswith("1  "))
    assert f"{row['score']:+.3f} ± {row['standard_error']:.3f}" in listed
    shown = constitutional("show", tmp_path / "run", "a")
    assert f"score {row['score']:+.3f}" in shown.out and f"rating {row['rating']:.2f}" in shown.out
    assert "\\u{1b}[31mred" in shown.out and "[bold]no markup[/bold]" in shown.out
    assert "\x1b" not in shown.out and "\u202e" not in shown.out
    assert "missing_response" in constitutional("show", tmp_path / "run", "b").out
    found = json.loads(constitutional("show", tmp_path / "run", "a", "--json").out)
    assert found["score"] == row["score"] and len(found["votes"]) == 2


def test_what_the_judge_wrote_is_shown(score, constitutional, responses, tmp_path):
    score(responses, "--written", "--principles", 1)
    shown = constitutional("show", tmp_path / "run", "r0").out
    assert "failed: unreadable_score" in shown and "what the judge wrote" in shown
