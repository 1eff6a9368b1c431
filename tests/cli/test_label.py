"""`constitutional label` and `show` of its runs, as a user meets them."""

import json
import signal
import sys

import pytest

from tests.cli.conftest import SCRIPTED, until
from tests.helpers import data_files, read


def rows(count):
    return [
        {
            "id": f"c{n}",
            "prompt": f"Question {n}?",
            "responses": [f"One answer, {n}.", f"Another answer, {n}."],
        }
        for n in range(count)
    ]


@pytest.fixture
def comparisons(tmp_path):
    """A function that writes comparisons as JSON lines and gives the file."""

    def write(count_or_rows, name="comparisons.jsonl"):
        given = rows(count_or_rows) if isinstance(count_or_rows, int) else count_or_rows
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
        return path

    return write


@pytest.fixture
def label(constitutional, tmp_path):
    """A function that calls `label` with the scripted engine and `tmp_path / "run"`."""
    return lambda source, *args: constitutional("label", source, *SCRIPTED, "--out", tmp_path / "run", *args)


@pytest.fixture
def shown(constitutional, tmp_path):
    """A function that shows the run in `tmp_path / "run"`."""
    return lambda *args: constitutional("show", tmp_path / "run", *args)


def events(answer):
    return [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]


# ---------------------------------------------------------------------- label


def test_a_run_says_how_it_went_and_where_to_look(label, comparisons, tmp_path):
    answer = label(comparisons(5), "--principles", 2)
    assert answer.code == 0 and answer.out == ""
    assert "5 rows: 5 ok, 0 skipped, 0 failed" in answer.err
    assert "  preferences: 5 rows" in answer.err and "  labels: 5 rows" in answer.err
    assert f"constitutional show {tmp_path / 'run'}\n" in answer.err
    assert "votes: 20 of 20 count" in answer.err
    assert "labels: the first response is better in" in answer.err
    assert "position: mean P of the response shown first" in answer.err
    assert events(answer)[-1]["counts"]["labels"]["count"] == 5


def test_every_setting_has_a_flag_that_reaches_the_votes(label, comparisons, tmp_path):
    flags = ("--principles", "all", "--chain-of-thought", "--samples", 2, "--temperature", 0.9, "--one-order")
    flags += ("--clamp", 0.25, "--order-average", "logit", "--top-p", 0.9, "--top-k", 40, "--max-tokens", 77)
    flags += (
        "--min-mass",
        0.1,
        "--low-mass",
        "exclude",
        "--examples",
        1,
        "--seed",
        7,
        "--overlong",
        "drop-oldest",
    )
    assert label(comparisons(2), *flags).code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["settings"]
    assert settings == {
        "principles": "all",
        "samples": 2,
        "both_orders": False,
        "chain_of_thought": True,
        "clamp": 0.25,
        "order_average": "logit",
        "votes": "logprobs",
        "temperature": 0.9,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 77,
        "examples": 1,
        "min_mass": 0.1,
        "low_mass": "exclude",
        "overlong": "drop-oldest",
        "seed": 7,
    }
    for row in read(tmp_path / "run", "labels"):
        assert len(row["votes"]) == row["units"] == 16 * 2  # the shipped harmlessness has sixteen
        assert all(vote["rationale"] and 0.25 <= vote["p"] <= 0.75 for vote in row["votes"])


def test_settings_may_come_from_a_file(label, comparisons, tmp_path):
    config = tmp_path / "label.yaml"
    config.write_text("principles: all\nclamp: 0.1\nboth-orders: false\n")
    assert label(comparisons(2), "--config", config, "--clamp", "0.2").code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["settings"]
    assert (settings["principles"], settings["clamp"], settings["both_orders"]) == ("all", 0.2, False)


def test_the_same_command_again_does_nothing_and_a_dry_run_writes_nothing(label, comparisons, tmp_path):
    source = comparisons(5)
    dry = label(source, "--dry-run", "--chain-of-thought")
    (plan,) = events(dry)
    assert dry.out.startswith(
        "0 rows kept, 5 to do\n20 generations to make (0 more are remembered): at most about "
    )
    assert f"{plan['prompt_tokens']:,} prompt and at most {5 * 2 * 256:,} generated tokens" in dry.out
    assert (plan["to_do"], plan["generations_to_make"], (tmp_path / "run").exists()) == (5, 5 * 2 * 2, False)
    label(source)
    before = data_files(tmp_path / "run")
    answer = label(source)
    assert [event["event"] for event in events(answer)] == ["plan", "done"]
    assert "5 rows kept, 0 to do" in answer.err and data_files(tmp_path / "run") == before
    assert "0 new generations; in all 10 generations in " in answer.err and "warning" not in answer.err
    assert (events(answer)[-1]["generated"], events(answer)[-1]["timings"]["generated"]) == (0, 10)


def test_rows_that_leave_a_run_are_told_of_last_and_come_back_without_asking(label, comparisons, tmp_path):
    source = comparisons(5)
    label(source)
    before = data_files(tmp_path / "run")
    (plan,) = events(label(source, "--limit", 2, "--dry-run"))
    assert plan["lost"] == 3 and data_files(tmp_path / "run") == before
    answer = label(source, "--limit", 2)
    last = answer.err.splitlines()[-1]
    assert answer.code == 0 and last == f"warning: {plan['warning']}"
    assert last.startswith("warning: 3 finished rows of this run are not part of this command")
    assert "  preferences: 2 rows (5 before)" in answer.err
    again = label(source)
    assert "0 new generations; in all 10" in again.err and "warning" not in again.err
    assert data_files(tmp_path / "run") == before
    reworded = rows(5)
    reworded[0]["prompt"] = "Another question?"
    assert "warning" not in label(comparisons(reworded)).err  # a row that is done again is not lost


def test_a_run_is_not_replaced_by_other_inputs_until_rebuild(label, comparisons, tmp_path):
    label(comparisons(2))
    before = data_files(tmp_path / "run")
    others = comparisons([{**row, "id": f"other {row['id']}"} for row in rows(3)], "others.jsonl")
    for flags in ((), ("--dry-run",)):
        answer = label(others, *flags)
        assert answer.code == 2 and "none of the 2 finished rows of" in answer.problem
        assert "Choose another --out, or say --rebuild" in answer.problem
    assert data_files(tmp_path / "run") == before
    answer = label(others, "--rebuild")
    assert answer.code == 0 and answer.err.splitlines()[-1].startswith("warning: 2 finished rows")


def test_failed_rows_give_exit_code_1_and_say_why(label, comparisons):
    answer = label(comparisons(3), "--votes", "sampled")  # the scripted engine's words are no answer
    assert answer.code == 1
    assert "3 rows: 0 ok, 0 skipped, 3 failed" in answer.err and "unreadable_answer: 3" in answer.err
    assert "votes: 0 of 6 count, unreadable_answer 6" in answer.err


def test_flagged_votes_are_pointed_out(label, comparisons):
    answer = label(comparisons(3), "--min-mass", "0.995")  # the scripted engine gives 0.99
    assert "6 (100%) flagged" in answer.err and "--low-mass exclude leaves them out" in answer.err


def test_bad_inputs_are_counted(label, comparisons):
    answer = label(comparisons([*rows(2), {"id": "x", "prompt": "Q", "responses": ["same", "same"]}]))
    assert answer.code == 0
    assert "3 rows: 2 ok, 1 skipped, 0 failed" in answer.err and "identical_responses: 1" in answer.err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--principles", "some"), "neither a number of principles nor 'all'"),
        (("--principles", "0"), "neither a number of principles nor 'all'"),
        (("--principles", "99"), "has only 16"),
        (("--samples", "3"), "nothing is sampled"),
        (("--samples", "3", "--chain-of-thought"), "temperature 0"),
        (("--clamp", "0.7"), "--clamp"),
        (("--min-mass", "2"), "--min-mass"),
    ],
)
def test_wrong_settings_are_named(label, comparisons, tmp_path, flags, complaint):
    answer = label(comparisons(2), *flags)
    assert answer.code == 2 and complaint in answer.problem
    assert not (tmp_path / "run").exists()


def test_wrong_files_are_named(label, constitutional, comparisons, tmp_path):
    good = comparisons(2)
    missing = label(tmp_path / "comparison.jsonl")
    assert missing.code == 2 and "comparisons.jsonl" in missing.problem
    empty = label(comparisons([], "empty.jsonl"))
    assert empty.code == 2 and "no rows" in empty.problem
    prompts = label(comparisons([{"prompt": "no responses"}], "prompts.jsonl"))
    assert prompts.code == 2 and "responses" in prompts.problem
    typo = constitutional("label", good, "-c", "harmlesness", "--engine", "scripted", "-o", tmp_path / "run")
    assert typo.code == 2 and "'harmlessness'" in typo.problem
    assert not (tmp_path / "run").exists()


def test_a_prompt_set_without_a_judge_is_refused(constitutional, comparisons, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "set.yaml").write_text("id: bare\n")
    (folder / "respond.jinja").write_text(
        "{% for m in prompt %}{% turn m.role %}{{ m.content }}{% endturn %}{% endfor %}"
    )
    flags = ("-c", "harmlessness", "--engine", "scripted", "--prompt-set", folder, "-o", tmp_path / "run")
    answer = constitutional("label", comparisons(2), *flags)
    assert answer.code == 2 and "judge.jinja" in answer.problem


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_stores_what_is_in_flight_and_the_same_command_goes_on(start, label, comparisons, tmp_path):
    source, out, log = comparisons(6), tmp_path / "run", tmp_path / "log"
    command = ("label", source, *SCRIPTED, "--out", out, "--principles", 4, "--slots", 3)
    process = start(*command, "--engine-arg", "latency=0.3", "--engine-arg", f"log={log}")
    until(lambda: log.exists() and len(log.read_text().split()) > 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors
    asked = log.read_text().split()
    assert len(asked) < 6 * 8
    answer = label(source, "--principles", 4, "--engine-arg", f"log={log}")
    assert answer.code == 0
    assert sorted(log.read_text().split()) == sorted(set(log.read_text().split()))
    assert len(log.read_text().split()) == 6 * 8


# ---------------------------------------------------------------------- show


def test_show_lists_labels(label, comparisons, shown):
    label(comparisons([*rows(3), {"id": "bad", "prompt": "Q", "responses": ["", "x"]}]), "--principles", 3)
    answer = shown()
    assert answer.code == 0
    assert "preferences: 3 rows" in answer.out and "label: 3 ok" in answer.out
    header, first, *_, last = (line.split() for line in answer.out.splitlines()[-5:])
    assert header == ["#", "id", "status", "P(first)", "prompt"]
    assert first[:3] == ["1", "c0", "ok"] and 0 < float(first[3]) < 1 and first[4] == "±"
    assert last[:4] == ["4", "bad", "skipped:", "empty_response"]


def test_show_prints_a_label_with_its_votes_and_rationales(label, comparisons, shown, tmp_path):
    label(comparisons([{**rows(1)[0], "probability": 0.25}]), "--chain-of-thought")
    answer = shown("c0")
    (row,) = read(tmp_path / "run", "labels")
    assert (
        "Question 0?" in answer.out and "One answer, 0." in answer.out and "Another answer, 0." in answer.out
    )
    assert (
        f"P(the first is better) = {row['probability']:.3f} · 1 principle in both orders · people: 0.250"
        in answer.out
    )
    assert "does not count" not in answer.out
    for vote in row["votes"]:
        assert f"{vote['p']:.4f}" in answer.out and f"{vote['p_raw']:.4f}" in answer.out
        assert vote["rationale"] in answer.out
    assert shown("1").out == answer.out
    found = json.loads(shown("c0", "--json").out)
    assert (found["kind"], found["probability"]) == ("label", row["probability"])


def test_show_says_what_was_clamped_only_where_something_was_and_how_many_samples_count(
    label, comparisons, shown
):
    label(comparisons(1), "--principles", 2)
    assert "before clamping" not in shown(1).out and "· 2 principles in both orders" in shown(1).out
    reasoned = ("--chain-of-thought", "--temperature", 0.7, "--samples", 3)
    assert label(comparisons(1), *reasoned, "--one-order", "--rebuild").code == 0
    assert "before clamping" in shown(1).out and "· 3 samples of 1 principle\n" in shown(1).out


def test_show_says_why_a_row_has_no_label(label, comparisons, shown):
    label(comparisons(1), "--votes", "sampled")
    answer = shown(1)
    assert "failed: unreadable_answer" in answer.out and "none of the 2 votes counts" in answer.out
    assert answer.out.count("unreadable_answer") == 4  # head, sentence, and each vote
    assert "does not count" in answer.out


def test_what_a_model_or_a_user_wrote_stays_text(label, comparisons, shown):
    evil = "\x1b[31mred\x1b[0m [red]x[/red]\u202e"
    label(comparisons([{"id": "a", "prompt": evil, "responses": [evil, "b"]}]))
    for answer in (shown(), shown("a")):
        assert "\x1b" not in answer.out and "\u202e" not in answer.out and "[red]x[/red]" in answer.out


def test_a_run_that_is_not_finished_can_be_shown(start, comparisons, tmp_path, shown):
    out, log = tmp_path / "run", tmp_path / "log"
    command = ("label", comparisons(4), *SCRIPTED, "--out", out, "--slots", 1)
    start(*command, "--engine-arg", "latency=0.4", "--engine-arg", f"log={log}")
    until(lambda: log.exists() and len(log.read_text().split()) > 2)
    answer = shown()
    assert answer.code == 0 and "No data have been published yet" in answer.out and "to do" in answer.out
    assert shown(4).code == 0
