"""`constitutional constitution analyse`: a table, JSON, figures, and sentences where there is nothing to analyse."""

import json
import subprocess
import sys

import pytest

from constitutional.stages.label import LabelSettings
from tests.workbench.chains import RESPONSE, chain_of, round_of, rules, write_run
from tests.workbench.labels import label_of, questions, votes_of, write_labels


@pytest.fixture
def analysed(constitutional, tmp_path):
    """A function that analyses the run in `tmp_path / "run"`."""
    return lambda *args: constitutional("constitution", "analyse", tmp_path / "run", *args)


@pytest.fixture
def small(tmp_path):
    chains = [
        chain_of(
            str(n), round_of("kind", f"one two {n} five"), round_of("true", "six " * n, checks=["truncated"])
        )
        for n in range(1, 13)
    ]
    return write_run(tmp_path / "run", chains, rules(kind=1, true=1))


@pytest.fixture
def labelled(tmp_path):
    """`kind` and `true` agree but for a little, `odd` goes by what is shown first; people agree with `kind`."""
    labels, human = [], {}
    for n in range(40):
        d = (0.1 + n / 200) * (-1) ** n
        votes = votes_of(kind=(0.5 + d, 0.5 + d / 2), true=(0.5 + d, 0.5), odd=(0.9, 0.1 + n * 7 % 5 / 50))
        labels.append(label_of(f"c{n}", votes))
        human[f"c{n}"] = float(d > 0)
    return write_labels(tmp_path / "run", labels, questions(kind=1, true=1, odd=1), human=human)


def test_the_table_has_a_row_a_principle_and_what_to_look_at(analysed, small):
    answer = analysed()
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "constitution for-tests, version 1, model-of-tests" in lines[0]
    assert lines[1] == "chains: 12 of 12; rounds: 24"
    head = next(number for number, line in enumerate(lines) if line.startswith("principle "))
    assert [line.split()[:3] for line in lines[head + 1 : head + 4]] == [
        ["true", "12", "12.0"],
        ["kind", "12", "12.0"],
        ["all", "principles", "24"],
    ]
    assert (
        "- true: 100% [76, 100] of its revisions fail a check, mostly `truncated`; of the whole run's, 50%."
        in lines
    )


def test_json_goes_to_standard_output_and_nothing_else_does(analysed, small, tmp_path):
    answer = analysed("--json", "--figures", tmp_path / "figures")
    document = json.loads(answer.out)
    assert document["format"] == 1 and document["analysed"] == {"chains": 12, "rounds": 24}
    assert [stats["id"] for stats in document["principles"]] == ["true", "kind"]
    assert "principles.png" in answer.err


@pytest.mark.parametrize("made", ["small", "labelled"])
def test_every_key_of_the_json_is_documented(analysed, made, request):
    from tests.helpers import REPOSITORY

    request.getfixturevalue(made)
    page = (REPOSITORY / "docs" / "analysis.md").read_text(encoding="utf-8")
    document = json.loads(analysed("--json").out)

    def keys(value):
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield key
            if key not in (
                "failed_checks",
                "failed_causes",
                "not_counted",
            ):  # keys there are checks or reasons
                yield from keys(inner)
        for inner in value if isinstance(value, list) else ():
            yield from keys(inner)

    assert [key for key in dict.fromkeys(keys(document)) if f"`{key}`" not in page] == []


def test_every_kind_of_remark_is_documented():
    from constitutional.workbench import attention, label_attention
    from tests.helpers import REPOSITORY

    page = (REPOSITORY / "docs" / "analysis.md").read_text(encoding="utf-8")
    kinds = (*attention.KINDS, *label_attention.KINDS)
    assert [kind for kind in kinds if f"| `{kind}` |" not in page] == []


def test_figures_are_written_and_named(analysed, small, tmp_path):
    answer = analysed("--figures", tmp_path / "new" / "figures")
    assert answer.code == 0
    listed = [line for line in answer.out.splitlines() if line.endswith((".png", ".svg"))]
    assert listed == sorted(map(str, (tmp_path / "new" / "figures").iterdir()), key=listed.index)
    assert len(listed) == 8


def test_figures_into_a_file_are_refused(analysed, small, tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    answer = analysed("--figures", tmp_path / "taken")
    assert answer.code == 2 and "taken" in answer.err and "Traceback" not in answer.err


def test_a_run_of_direct_revisions_has_no_columns_of_critiques(analysed, tmp_path):
    chains = [chain_of(str(n), round_of("a", f"one {n}", None)) for n in range(3)]
    write_run(tmp_path / "run", chains, rules(a=1), critique=False)
    out = analysed().out
    (head,) = [line for line in out.splitlines() if line.startswith("principle ")]
    assert "changed" in head and "found" not in head and "alike" not in head


def test_what_the_ledger_holds_stays_text(analysed, tmp_path):
    import sqlite3

    path = write_run(tmp_path / "run", [chain_of("1", round_of("evil", RESPONSE, checks=["odd"]))])
    ledger = sqlite3.connect(path / "ledger.sqlite")
    (text,) = ledger.execute("SELECT result FROM rows").fetchone()
    hostile = text.replace("evil", "\\u001b[31mred [bold]").replace("odd", "\\u202eddo")
    ledger.execute("UPDATE rows SET result = ?", [hostile])
    ledger.commit()
    ledger.close()
    answer = analysed("--figures", tmp_path / "figures")
    assert answer.code == 0
    assert "\x1b" not in answer.out and "\u202e" not in answer.out and "[bold]" in answer.out


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda path: None, "there is no such folder"),
        (lambda path: path.mkdir(), "it has no ledger.sqlite"),
        (lambda path: write_run(path, [], to_do=3), "nothing to analyse yet"),
        (lambda path: write_run(path, [], skipped=3), "none of its 3 chains"),
    ],
)
def test_where_there_is_nothing_to_analyse_one_sentence_says_so(analysed, tmp_path, make, hint):
    make(tmp_path / "run")
    answer = analysed()
    assert answer.code == 2 and hint in answer.problem


def test_a_misspelt_constitution_is_answered_with_the_nearest(analysed, small):
    answer = analysed("--constitution", "harmlesness")
    assert answer.code == 2 and "did you mean 'harmlessness'?" in answer.problem


def test_the_output_can_be_cut_off(small):
    command = [sys.executable, "-m", "constitutional", "constitution", "analyse", str(small)]
    head = subprocess.run(
        ["sh", "-c", '"$@" | head -1', "sh", *command], capture_output=True, text=True, check=True
    )
    assert head.stderr == "" and head.stdout.count("\n") == 1


def test_what_revise_writes_is_analysed(revise, analysed, prompts_file, tmp_path):
    assert revise(prompts_file(20)).code == 0
    document = json.loads(analysed("--json").out)
    assert document["analysed"] == {"chains": 20, "rounds": 40}
    assert document["run"]["constitution"] == "harmlessness"
    assert len(document["principles"]) == 16


def test_a_run_of_labels_is_analysed_by_the_same_command(analysed, labelled):
    answer = analysed()
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "constitution for-tests, version 1, judge-of-tests" in lines[0]
    assert lines[1] == "comparisons: 40 of 40; labels: 40; votes: 240 of 240 count"
    assert lines[2].endswith("100% [91, 100] prefer what people prefer, of 40")
    head = next(number for number, line in enumerate(lines) if line.startswith("principle "))
    assert "expected" not in lines[head], "every principle is asked"
    rows = lines[head + 1 : head + 5]
    assert [row.split()[:2] for row in rows[:3]] == [["odd", "40"], ["kind", "40"], ["true", "40"]]
    assert rows[3].startswith("all principles")
    assert "position-bound" in rows[0]
    assert any(
        line.startswith("- odd: the response shown first is preferred in 100% of votes") for line in lines
    )
    most = next(number for number, line in enumerate(lines) if line.startswith("agreement ("))
    assert lines[most + 1].split()[-2:] == ["kind,", "true"]


def test_the_json_and_figures_of_labels_come_from_the_same_options(analysed, labelled, tmp_path):
    answer = analysed("--json", "--figures", tmp_path / "figures")
    document = json.loads(answer.out)
    assert document["format"] == 1 and document["run"]["stage"] == "label"
    assert document["analysed"] == {"comparisons": 40, "labels": 40, "human_labels": 40}
    assert len(document["pairs"]) == 3
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        f"{name}.{suffix}" for name in ("agreement", "influence", "principles") for suffix in ("png", "svg")
    ]
    assert "agreement.png" in answer.err


def test_columns_of_labels_come_with_what_there_is(analysed, tmp_path):
    one = LabelSettings(principles=1, clamp=0.3, low_mass="exclude")
    labels = [
        label_of(str(n), votes_of(mass=0.9 if n % 3 else 0.2, **{"ab"[n % 2]: (0.9, 0.8)}), one)
        for n in range(30)
    ]
    write_labels(tmp_path / "run", labels, questions(a=1, b=1), one)
    out = analysed().out
    (head,) = [line for line in out.splitlines() if line.startswith("principle ")]
    for name in ("expected", "clamped", "flagged", "lost", "mass"):
        assert name in head.split()
    for name in ("others", "flips", "people"):
        assert name not in head.split()
    assert "same response preferred" not in out and "--principles all" in out


def test_hostile_principles_of_labels_stay_text(analysed, labelled, tmp_path):
    import sqlite3

    ledger = sqlite3.connect(labelled / "ledger.sqlite")
    for id, text in ledger.execute("SELECT id, result FROM rows").fetchall():
        hostile = text.replace('"odd"', '"\\u001b[31mred [bold]"')
        ledger.execute("UPDATE rows SET result = ? WHERE id = ?", [hostile, id])
    ledger.commit()
    ledger.close()
    answer = analysed("--figures", tmp_path / "figures")
    assert answer.code == 0
    assert "\x1b" not in answer.out and "[bold]" in answer.out


@pytest.mark.parametrize("stage", ["compare", "score", "redteam", "mix"])
def test_runs_in_which_principles_can_not_be_compared_are_refused(analysed, tmp_path, stage):
    write_labels(tmp_path / "run", [label_of("1", votes_of(a=(1, 1)))], questions(a=1), stage=stage)
    answer = analysed()
    assert answer.code == 2 and f"is a run of the stage '{stage}'" in answer.problem


def test_what_label_writes_is_analysed(constitutional, analysed, tmp_path):
    rows = [{"prompt": f"Question {n}?", "chosen": f"One {n}", "rejected": f"Two {n}"} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ("label", tmp_path / "rows.jsonl", "-c", "harmlessness", "--engine", "scripted")
    assert constitutional(*command, "--principles", "all", "--out", tmp_path / "run").code == 0
    document = json.loads(analysed("--json").out)
    assert document["analysed"] == {"comparisons": 12, "labels": 12, "human_labels": 12}
    assert len(document["principles"]) == 16 and len(document["pairs"]) == 120
    other = analysed("--json", "--constitution", "honesty").out
    kinds = {remark["kind"] for remark in json.loads(other)["remarks"]}
    assert {"not-in-constitution", "never-drawn"} <= kinds


def test_nothing_is_written_into_the_run(analysed, small):
    before = {path.name: path.read_bytes() for path in small.iterdir() if path.suffix != ".sqlite-shm"}
    analysed()
    after = {path.name for path in small.iterdir()} - {"ledger.sqlite-shm", "ledger.sqlite-wal"}
    assert {name for name in before if not name.endswith("-wal")} == after
    assert (small / "ledger.sqlite").read_bytes() == before["ledger.sqlite"]
