"""`constitutional show`: readable by eye, and whatever a model or a user wrote stays text."""

import io
import json
import sqlite3

import pytest
from rich.console import Console
from rich.text import Text

from constitutional import ScriptedEngine
from constitutional.cli.show_list import print_list
from constitutional.cli.text import data_console, hanging, inert, word_diff
from tests.cli.conftest import SCRIPTED, until
from tests.helpers import run

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 [red]markup[/red] [/] :bomb: \u202egnp.exe\u202c "
    "zero\u200bwidth \U000e0041tag \rback \x9b2J"
)


@pytest.fixture
def shown(constitutional, tmp_path):
    """A function that shows the run in `tmp_path / "run"`."""
    return lambda *args: constitutional("show", tmp_path / "run", *args)


def answers(*texts):
    """An engine that gives one text after another to the steps of a chain."""
    left = list(texts)
    return ScriptedEngine(lambda messages, sampling: left.pop(0), slots=1)


def test_the_overview_has_counts_data_sets_and_rows(shown, prompts_file, tmp_path):
    run(prompts_file([{"id": "good", "prompt": "Hi?"}, {"id": "bad", "prompt": " "}]), tmp_path / "run")
    answer = shown()
    assert answer.code == 0
    for line in ("sft: 2 rows", "chains: 2 rows", "chain: 1 ok", "chain: 1 skipped (empty_prompt)"):
        assert f"\n{line}\n" in answer.out
    rows = [line.split() for line in answer.out.splitlines()[-2:]]
    assert rows[0] == ["1", "good", "ok", "✓", "✓", "Hi?"]
    assert rows[1][:4] == ["2", "bad", "skipped:", "empty_prompt"]


def test_rows_of_one_status_and_the_first_few_can_be_listed(shown, prompts_file, tmp_path):
    run(prompts_file([{"prompt": f"Q{n}" if n % 2 else " "} for n in range(10)]), tmp_path / "run")
    listed = shown("--status", "skipped", "--limit", 3).out.splitlines()[-4:]
    assert [line.split()[0] for line in listed] == ["1", "3", "5", "…"]
    assert len(shown("--limit", 2).out.splitlines()) == len(shown("--limit", 4).out.splitlines()) - 2


def test_a_list_that_stops_says_how_many_more_there_are(shown, prompts_file, tmp_path):
    run(prompts_file([{"prompt": f"Q{n}" if n % 2 else " "} for n in range(50)]), tmp_path / "run", rounds=1)
    assert shown().out.endswith("\n… and 30 more: --limit 50\n")
    assert shown("--status", "skipped", "--limit", 24).out.endswith("\n… and 1 more: --limit 25\n")
    for all_of_them in (("--limit", 50), ("--status", "skipped", "--limit", 25)):
        assert "more" not in shown(*all_of_them).out


def test_ids_are_listed_whole_and_lead_to_their_rows(shown, prompts_file, tmp_path):
    ids = [f"{n}-{'long ' * length}end" for n, length in enumerate((5, 60))]
    run(prompts_file([{"id": id, "prompt": "word " * 30} for id in ids]), tmp_path / "run", rounds=1)
    listed = shown().out.splitlines()[-2:]
    for id, line in zip(ids, listed, strict=True):
        assert f"{id}  " in line and line.rstrip().endswith(" word word…")
        assert shown(id).out.startswith(f"chain {id} · ok\n")


def test_on_a_terminal_the_text_makes_room_for_the_id():
    listed = on_terminal(50, {"#": "1", "id": "i" * 40, "text": "word " * 15})
    assert listed[1].split()[:2] == ["1", "i" * 40]
    folded = on_terminal(30, {"#": "1", "id": "i" * 40, "text": "word " * 15})
    assert sum(line.count("i") for line in folded[1:]) == 40


def on_terminal(width, row):
    """The lines of a list of one row on a terminal of that width."""
    terminal = console(width)
    print_list(terminal, [row], 1)
    return terminal.file.getvalue().split("\n")[1:]


def test_a_number_that_is_the_id_of_another_row_is_left_out(shown, prompts_file, tmp_path):
    run(prompts_file([{"id": id, "prompt": "Q"} for id in ("a", "3", "b", "4")]), tmp_path / "run", rounds=1)
    listed = [line.split()[:2] for line in shown().out.splitlines()[-4:]]
    assert listed == [["1", "a"], ["2", "3"], ["b", "ok"], ["4", "4"]]


def test_a_status_that_no_row_has_is_said(shown, prompts_file, tmp_path):
    run(prompts_file(1), tmp_path / "run")
    assert shown("--status", "failed").out.endswith("\n\nNo row is failed.\n")


def test_a_column_without_a_value_is_left_out(shown, prompts_file, tmp_path):
    run(prompts_file([{"prompt": "Hi?"}, {"id": "bad", "prompt": " "}]), tmp_path / "run")
    *_, header, row = shown("--status", "skipped").out.splitlines()
    assert header.split() == ["#", "id", "status", "why"] and "empty" in row


def test_a_row_is_found_by_id_and_by_place(shown, prompts_file, tmp_path):
    run(prompts_file(3), tmp_path / "run")
    by_id, by_place = shown("p0001"), shown("2")
    assert by_id.code == 0 and by_id.out.startswith("chain p0001 · ok\n")
    assert by_place.out == by_id.out


def test_an_id_goes_before_a_place(shown, prompts_file, tmp_path):
    run(prompts_file([{"id": "2", "prompt": "first"}, {"id": "1", "prompt": "second"}]), tmp_path / "run")
    assert shown("2").out.startswith("chain 2 ")


def test_a_chain_shows_principles_critiques_and_what_each_revision_changed(shown, prompts_file, tmp_path):
    engine = answers("You are a fool.", "It insults.", "You are a friend.", "Curt.", "You are a good friend.")
    run(prompts_file([{"id": "a", "prompt": "Who am I?"}]), tmp_path / "run", engine=engine)
    out = shown("a").out
    assert "You are a[-fool.-]{+friend.+}" in out.replace(" [-", "[-")
    assert "{+good+}" in out
    assert [line.split(" · ")[:2] for line in out.splitlines() if line.startswith("round")] == [
        ["round 1", "critique"],
        ["round 1", "revision"],
        ["round 2", "critique"],
        ["round 2", "revision"],
    ]
    assert "\x1b" not in out
    assert all(line == line.rstrip() for line in out.splitlines())


def test_a_failed_revision_names_its_checks_and_the_next_one_is_compared_with_the_last_good_text(
    shown, prompts_file, tmp_path
):
    engine = answers("First text here.", "Hm.", "", "Hm.", "First text there.")
    run(prompts_file([{"id": "a", "prompt": "Q"}]), tmp_path / "run", engine=engine)
    out = shown("a").out
    assert "fails: empty" in out
    assert "First text[-here.-]{+there.+}" in out.replace(" [-", "[-")


def test_long_texts_are_not_broken_into_lines_when_piped(shown, prompts_file, tmp_path):
    engine = answers("word " * 100 + "end", "c", "other " * 100 + "end", "d", "more " * 100)
    run(prompts_file([{"id": "a", "prompt": "Q"}]), tmp_path / "run", engine=engine)
    assert "word " * 100 + "end\n" in shown("a").out


def test_hostile_text_is_shown_inert(shown, prompts_file, tmp_path):
    engine = ScriptedEngine(lambda messages, sampling: f"{HOSTILE} {sampling.seed}")
    run(prompts_file([{"id": HOSTILE, "prompt": HOSTILE}]), tmp_path / "run", engine=engine)
    for answer in (shown(), shown(HOSTILE), shown("1")):
        assert answer.code == 0
        assert "[red]markup[/red] [/] :bomb:" in answer.out or answer.out.count("…")
        for character in "\x1b\x07\r\x9b\u202e\u202c\u200b\U000e0041":
            assert character not in answer.out
    assert "\\u{1b}[31mred" in shown("1").out and "\\u{202e}gnp.exe" in shown("1").out


def test_json_has_the_whole_row(shown, prompts_file, tmp_path):
    run(prompts_file([{"id": "a", "prompt": "Hélas ☃?"}, {"id": "b", "prompt": ""}]), tmp_path / "run")
    row = json.loads(shown("a", "--json").out)
    assert (row["kind"], row["id"], row["status"], row["reason"]) == ("chain", "a", "ok", None)
    assert row["prompt"] == [{"role": "user", "content": "Hélas ☃?"}]
    assert len(row["rounds"]) == 2
    bad = json.loads(shown("b", "--json").out)
    assert (bad["status"], bad["reason"]) == ("skipped", "empty_prompt") and "line" not in bad["detail"][:0]


def test_json_of_no_row_is_refused(shown, prompts_file, tmp_path):
    run(prompts_file(1), tmp_path / "run")
    answer = shown("--json")
    assert answer.code == 2 and "name it" in answer.problem


@pytest.mark.parametrize("row", ["none", "0", "4", "-1", "9" * 30, "9" * 5000, "²", ""])
def test_an_unknown_row_is_code_2(constitutional, prompts_file, tmp_path, row):
    run(prompts_file(3), tmp_path / "run")
    answer = constitutional("show", tmp_path / "run", "--", row)
    assert answer.code == 2
    assert f"has no row {row!r}" in answer.problem and "lists its rows" in answer.problem


def test_what_is_no_run_is_code_2(constitutional, tmp_path):
    assert "there is no such folder" in constitutional("show", tmp_path / "none").problem
    assert "it has no ledger.sqlite" in constitutional("show", tmp_path).problem
    (tmp_path / "ledger.sqlite").write_text("not a database, whatever its name says" * 100)
    answer = constitutional("show", tmp_path)
    assert answer.code == 2 and "ledger.sqlite is damaged or not a ledger" in answer.problem


def test_a_damaged_manifest_is_code_2(shown, prompts_file, tmp_path):
    run(prompts_file(1), tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_text("{", encoding="utf-8")
    answer = shown()
    assert answer.code == 2 and "manifest.json can't be read" in answer.problem


def test_a_run_can_be_shown_while_it_is_being_written(shown, start, prompts_file, tmp_path):
    writer = start(
        *("revise", prompts_file(400), *SCRIPTED, "--out", tmp_path / "run", "--engine-arg", "latency=0.05")
    )
    ledger = tmp_path / "run" / "ledger.sqlite"

    def some_are_done():
        try:
            with sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True) as db:
                return db.execute("SELECT count(*) FROM rows WHERE status = 'ok'").fetchone()[0]
        except sqlite3.OperationalError:
            return False

    until(some_are_done)
    overview, row = shown(), shown("1")
    assert writer.poll() is None
    assert overview.code == row.code == 0
    assert "the run is not finished" in overview.out
    assert "to do\n" in overview.out and " ok\n" in overview.out
    assert row.out.startswith("chain p0000 · ok")
    last = shown("400")
    assert last.out.startswith("chain p0399 · to do\nuser\nQuestion number 399")


def test_a_reader_that_stops_reading_is_no_error(start, prompts_file, tmp_path):
    run(prompts_file(300), tmp_path / "run", rounds=1)
    process = start("show", tmp_path / "run", "--limit", 300)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


def test_the_difference_in_colour_has_no_brackets():
    plain = word_diff("a b c", "a x c", colour=False)
    coloured = word_diff("a b c", "a x c", colour=True)
    assert "[-b-]" in plain.plain and "{+x+}" in plain.plain
    assert coloured.plain == "a b x c"
    assert [str(span.style) for span in coloured.spans] == ["red strike", "green underline"]


def test_the_difference_in_colour_keeps_words_apart():
    coloured = word_diff("As for", "help", colour=True)
    assert coloured.plain == "As for help"
    assert [coloured.plain[span.start : span.end] for span in coloured.spans] == ["As for", "help"]
    assert word_diff("a b.\n\nc", "a c", colour=True).plain == "a b.\n\nc"


def test_scripts_without_spaces_are_compared_by_character():
    assert word_diff("哪个回答更好？", "哪个回答更友好？", colour=False).plain == "哪个回答更{+友+}好？"
    assert word_diff("更好？", "更坏？", colour=True).plain == "更好坏？"
    assert word_diff("この応答は親切", "この応答は正直", colour=False).plain == "この応答は[-親切-]{+正直+}"


def console(width):
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})


def printed(console, text):
    console.print(text)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_text_hangs_from_its_first_line_and_breaks_between_words_on_a_terminal():
    text = Text("  critique: one two three four five six seven eight nine\nten")
    assert printed(console(30), hanging(console(30), text, 4)) == [
        "  critique: one two three", "    four five six seven eight", "    nine", "    ten",
    ]  # fmt: skip
    pipe = data_console(io.StringIO())
    assert hanging(pipe, text, 4).plain == text.plain.replace("\n", "\n    ")


def test_joiners_stay_since_words_and_emoji_are_spelt_with_them():
    for text in ("می\u200cخواهم", "👩\u200d👧"):
        assert inert(text) == text
    assert inert("a\u200bb\u200e\u200f") == "a\\u{200b}b\\u{200e}\\u{200f}"


def test_lines_and_tabs_stay_and_everything_that_acts_is_spelt_out():
    assert inert("a\tb\nc\r\nd") == "a\tb\nc\nd"
    assert inert("\x1b[0m\ud800") == "\\u{1b}[0m\\u{d800}"
    assert inert("Grüße, 你好, 🙂") == "Grüße, 你好, 🙂"
