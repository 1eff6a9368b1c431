"""`constitutional constitution diff` as a user meets it."""

import json
import sqlite3
import subprocess
import sys

import pytest

from tests.cli.conftest import SCRIPTED, until
from tests.helpers import PROMPT_SET, REPOSITORY, constitution, read
from tests.helpers import run as make_run

BEFORE = """\
id: manners
version: 1
description: How to speak.
principles:
  - id: no-mockery
    critique: Point out anything in the assistant's last response that mocks anyone.
    revision: Rewrite the assistant's last response without mockery.
  - id: no-shouting
    critique: Point out where the assistant's last response shouts.
    revision: Rewrite the assistant's last response in a calm voice.
    weight: 2
  - id: short
    critique: Say whether the assistant's last response is too long.
    revision: Rewrite the assistant's last response so that it is short.
    tags: [style]
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a constitution and gives its file."""

    def written(name, *replacements, text=BEFORE):
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


@pytest.fixture
def diff(constitutional):
    """A function that calls the command."""
    return lambda *args: constitutional("constitution", "diff", *args)


@pytest.fixture
def made(constitutional, prompts_file, tmp_path):
    """A function that makes a run with a constitution, and gives its folder."""

    def make(rules, count=60, *args):
        out = tmp_path / "run"
        answer = constitutional(
            *("revise", prompts_file(count), "-c", rules, "--engine", "scripted", "--prompt-set", PROMPT_SET),
            *("--rounds", 2, "--out", out, *args),
        )
        assert answer.code == 0, answer.err
        return out

    return make


def test_the_same_file_has_no_differences(diff, write):
    answer = diff(write("a"), write("b"))
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "no differences: 3 principles, all the same"


def test_what_differs_is_shown_word_by_word(diff, write):
    after = write(
        "b",
        ("version: 1", "version: 2"),
        ("How to speak.", "How to speak kindly."),
        ("without mockery.", "without a trace of mockery."),
        ("    weight: 2\n", ""),
        ("tags: [style]", "tags: [style, length]\n    source: our users"),
    )
    answer = diff(write("a"), after)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].startswith("--- manners, version 1 (") and lines[1].startswith("+++ manners, version 2 (")
    assert "version: 1 → 2" in lines
    assert "description: How to [-speak.-]{+speak kindly.+}" in lines
    assert "~ no-mockery: reworded" in lines
    assert "  revision: Rewrite the assistant's last response without {+a trace of+} mockery." in lines
    assert "~ no-shouting: reweighted" in lines and "  weight: 2 → 1" in lines
    assert "~ short: other tags, other source" in lines
    assert "  tags: style → length, style" in lines and "  source (added): our users" in lines
    assert lines[-1] == "principles: 1 reworded, 1 reweighted, 1 with other tags or source"
    assert all(line == line.rstrip() for line in lines) and "\x1b" not in answer.out


def test_a_text_that_is_another_one_is_shown_before_and_after(diff, write):
    after = write("b", ("How to speak.", "What our shop may promise."))
    lines = diff(write("a"), after).out.splitlines()
    assert "description, before: How to speak." in lines
    assert "description, after: What our shop may promise." in lines


def test_added_removed_renamed_and_moved_principles_are_named(diff, write):
    text = BEFORE[: BEFORE.index("  - id: short")]
    first, second = (
        text[text.index("  - id: no-m") : text.index("  - id: no-s")],
        text[text.index("  - id: no-s") :],
    )
    new = "  - id: short-words\n    preference: Which response has shorter words?\n    weight: 3\n"
    after = write(
        "b", text=text[: text.index("  - id: no-m")] + new + second + first.replace("no-mockery", "kind")
    )
    lines = diff(write("a"), after).out.splitlines()
    assert "+ short-words: added" in lines and "  preference: Which response has shorter words?" in lines
    assert "  weight: 3" in lines
    assert "- short: removed" in lines and "  tags: style" in lines
    assert "~ no-mockery → kind: renamed" in lines
    assert sum(line.startswith("moved: ") for line in lines) == 1
    assert lines[-1] == "principles: 1 added, 1 removed, 1 renamed, 1 moved, 1 unchanged"


def test_json_is_the_whole_difference(diff, write):
    after = write("b", ("in a calm voice", "calmly"))
    row = json.loads(diff(write("a"), after, "--json").out)
    (change,) = row["principles"]
    assert (change["id"], change["change"]) == ("no-shouting", "changed")
    assert [field["field"] for field in change["fields"]] == ["revision"]
    assert row["counts"]["reworded"] == 1 and row["after"]["path"] == str(after) and "run" not in row


def test_the_exit_code_tells_whether_they_differ_when_asked(diff, write):
    same, other = write("a"), write("b", ("version: 1", "version: 2"))
    assert [diff(same, file, "--exit-code").code for file in (same, other)] == [0, 1]
    assert diff(same, other, "--json", "--exit-code").code == 1
    assert diff(same, other).code == 0


def test_names_work_as_everywhere(diff, write):
    answer = diff("harmlessness", write("b"))
    assert answer.code == 0 and "1 unchanged" not in answer.out
    assert "did you mean 'harmlessness'?" in diff("harmlesness", "harmlessness").problem


# ---------------------------------------------------------------------- what it costs


def stale_line(answer):
    return next(line for line in answer.out.splitlines() if "rows are stale" in line)


def test_the_predicted_rows_are_those_that_the_next_run_redoes(
    diff, made, write, constitutional, prompts_file
):
    rules = write("rules")
    out = made(rules, 60, "--helpful", prompts_file([{"id": "h", "prompt": "Help"}], "helpful.jsonl"))
    write("rules", ("in a calm voice", "calmly"))
    row = json.loads(diff(rules, "--run", out, "--json").out)["run"]
    stale = row["rows"]["stale"]
    drew = [r for r in read(out, "chains") if any("no-shouting" in n["principles"] for n in r["rounds"])]
    assert stale == len(drew) and 0 < stale < 60 and row["stale_by_principle"] == {"no-shouting": stale}
    assert row["made_with_before"] is True
    answer = diff(rules, "--run", out)
    assert stale_line(answer) == f"{out}: {stale} of 61 rows are stale, {61 - stale} are kept"
    assert f"  no-shouting: {stale} rows" in answer.out
    assert f"redoing them: at most {row['redo']['generations_to_make']:,} generations to make" in answer.out
    again = constitutional(
        *("revise", prompts_file(60), "-c", rules, "--engine", "scripted", "--prompt-set", PROMPT_SET),
        *(
            "--rounds",
            2,
            "--out",
            out,
            "--helpful",
            prompts_file([{"id": "h", "prompt": "Help"}], "helpful.jsonl"),
        ),
    )
    events = {e["event"]: e for e in map(json.loads, (x for x in again.err.splitlines() if x[:1] == "{"))}
    assert events["plan"]["stale"] == events["plan"]["to_do"] == events["progress"]["rows"] == stale
    assert events["progress"]["generations"] == row["redo"]["generations_to_make"]
    assert "0 of 61 rows are stale" in stale_line(diff(rules, "--run", out))


def test_with_a_run_alone_the_file_it_was_made_with_is_compared_with_what_it_is_now(diff, made, write):
    rules = write("rules")
    out = made(rules)
    assert "no differences" in diff("--run", out).out
    write("rules", ("    weight: 2\n", ""))
    answer = diff("--run", out)
    assert f"--- manners, version 1 (as {out} was made with it)" in answer.out
    assert "~ no-shouting: reweighted" in answer.out and ": 0 of 60" not in stale_line(answer)


def test_another_state_than_the_run_was_made_with_is_said_so_and_not_counted_against(diff, made, write):
    rules, old = write("rules"), write("old", ("shouts.", "is loud."))
    out = made(rules)
    answer = diff(old, rules, "--run", out)
    assert answer.code == 0
    assert f"{out} was made with the second of the two (manners, version 1, hash " in answer.out
    assert f"{out} was made with another state of manners (" in diff(old, old, "--run", out).out
    other = write("other", ("id: manners", "id: other"))
    assert (
        f"{out} was made with neither of the two, but with manners, version 1, hash "
        in diff(other, other, "--run", out).out
    )
    assert "~ no-shouting: reworded" in answer.out and "0 of 60 rows are stale, 60 are kept" in answer.out
    assert json.loads(diff(old, rules, "--run", out, "--json").out)["run"]["made_with_before"] is False
    assert "another state" not in diff(rules, old, "--run", out).out


def test_rows_to_do_anyway_are_told_apart(diff, made, write):
    rules = write("rules")
    out = made(rules)
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE rows SET status = NULL WHERE ordinal >= 50")
        ledger.execute("UPDATE rows SET status = 'failed', transient = 1 WHERE ordinal = 49")
    answer = diff(rules, "--run", out)
    assert "0 of 60 rows are stale, 49 are kept" in answer.out
    assert (
        "11 more rows are to do anyway, 1 of them to try again; with them: 0 generations to make"
        in answer.out
    )


def test_a_changed_prompt_set_is_said_to_redo_everything(diff, made, write):
    rules = write("rules")
    answer = diff(rules, "--run", made(rules), "--prompt-set", "default")
    assert "60 of 60 rows are stale" in answer.out
    assert "60 of them whatever the constitution says: the prompt set" in answer.out
    assert "is not what it was." in answer.out


def test_a_run_whose_constitution_is_gone_is_told_to_name_it(diff, made, write):
    rules = write("rules")
    out = made(rules)
    rules.unlink()
    assert "is not there any more: name the file that it is now" in diff("--run", out).problem


def test_a_run_made_in_python_has_no_file_to_compare_with(diff, prompts_file, tmp_path, write):
    make_run(prompts_file(5), tmp_path / "run", rules=constitution(4))
    assert "was made in Python and has no file" in diff("--run", tmp_path / "run").problem
    assert diff(write("a"), "--run", tmp_path / "run").code == 0


def test_a_run_of_an_earlier_version_is_told_what_to_do(diff, made, write):
    rules = write("rules")
    out = made(rules)
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM meta WHERE name = 'recipe'")
    answer = diff(rules, "--run", out)
    assert answer.code == 2 and "Run its `constitutional revise` command again" in answer.problem


def test_a_run_can_be_asked_while_it_is_being_written(diff, start, prompts_file, tmp_path, write):
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
    text = (REPOSITORY / "constitutions" / "harmlessness.yaml").read_text(encoding="utf-8")
    edited = write("edited", ("  - id: privacy\n", "  - id: private-life\n"), text=text)
    answers = [diff(edited, "--run", tmp_path / "run") for _ in range(3)]
    assert writer.poll() is None
    for answer in answers:
        assert answer.code == 0 and "of 400 rows are stale" in answer.out
        assert "more rows are to do anyway" in answer.out


def test_no_engine_and_no_model_library_is_loaded(made, write):
    rules = write("rules")
    out = made(rules)
    program = (
        "import sys\nfrom constitutional.cli import main\ntry:\n"
        f"    main(['constitution', 'diff', {str(rules)!r}, '--run', {str(out)!r}])\n"
        "except SystemExit as done:\n    print(done.code, sorted({'torch', 'transformers', 'vllm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


# ---------------------------------------------------------------------- bad input


def test_what_can_not_be_compared_is_code_2(diff, write, tmp_path):
    good = write("a")
    for args, says in (
        ((), "name two constitutions to compare"),
        ((good,), "or one and a run"),
        ((good, good, good), "two constitutions can be compared, not 3"),
        ((good, tmp_path / "none.yaml"), "none.yaml: there is no such file"),
        ((good, good, "--prompt-set", "default"), "--prompt-set is of use with --run only"),
        ((good, "--run", tmp_path / "none"), "is not a run directory: there is no such folder"),
        ((good, "--run", tmp_path), "is not a run directory: it has no ledger.sqlite"),
        ((good, "../../etc/passwd"), "etc/passwd"),
        ((good, ".."), "is not the name of a constitution"),
        (("HEAD:constitutions/a.yaml", good), "git show HEAD:constitutions/a.yaml > before.yaml"),
        (("HEAD:" + "x" * 5000, good), "> before.yaml"),  # no file can be called that
    ):
        answer = diff(*args)
        assert answer.code == 2 and says in answer.err and "Traceback" not in answer.err, args


@pytest.mark.parametrize(
    "text", ["", "- a\n", "id: x\nprinciples: 3\n", "id: [\n", "\x00", "id: x\nextends: [x]\n"]
)
def test_a_file_that_is_no_constitution_is_code_2_with_its_place(diff, write, text):
    bad = write("bad", text=text)
    for args in ((write("a"), bad), (bad, write("a"))):
        answer = diff(*args)
        assert answer.code == 2 and "bad.yaml" in answer.err and "Traceback" not in answer.err


def test_hostile_text_is_shown_inert(diff, write):
    hostile = "\u202egnp.exe \u200b [red]markup[/red] :bomb:"
    after = write(
        "b",
        ("Rewrite the assistant's last response in a calm voice.", f'"{hostile}"'),
        ("How to speak.", f'"{hostile}"'),
    )
    answer = diff(write("a"), after)
    assert answer.code == 0 and "\\u{202e}gnp.exe" in answer.out and "[red]markup[/red] :bomb:" in answer.out
    assert not set("\u202e\u200b\x1b") & set(answer.out)


def test_other_languages_and_texts_of_many_lines_are_shown_as_they_are(diff, write):
    after = write(
        "b",
        (
            "    critique: Say whether the assistant's last response is too long.\n",
            "    critique: |\n      هل الرد الأخير للمساعد طويل جدا؟\n\n      助手的最后一个回答太长吗？\n",
        ),
    )
    lines = diff(write("a"), after).out.splitlines()
    assert any("هل الرد الأخير" in line for line in lines)
    assert any(line.startswith("    ") and "助手的最后一个回答太长吗？" in line for line in lines)


def test_a_reader_that_stops_reading_is_no_error(start, write):
    many = "".join(
        f"  - id: rule-{n}\n    preference: {'Which of the two is better, and why is it? ' * 20}\n"
        for n in range(200)
    )
    process = start("constitution", "diff", write("a"), write("b", text=BEFORE + many))
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 0
