"""`mix` as a user calls it: sources by name, amounts, checks that fail loudly, and `show` on what it wrote."""

import json

import pytest

from tests.cli.conftest import until
from tests.helpers import data_files


@pytest.fixture
def source(tmp_path):
    """A function that writes a file of preferences that passes every check, and gives its path."""

    def write(name, count=400, suffix=".jsonl"):
        rows = [
            {
                "prompt": f"{name} {n}?",
                "chosen": f"{name} {'says ' * (n % 2)}{n}",
                "rejected": f"{name} hm {n}",
            }
            for n in range(count)
        ]
        path = tmp_path / f"{name}{suffix}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def manifest(out):
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def drawn(out):
    return {name: found["drawn"]["rows"] for name, found in manifest(out)["counts"]["sources"].items()}


def test_a_mix_is_printed_as_tables_and_written(constitutional, source, tmp_path):
    out = tmp_path / "mix"
    answer = constitutional(
        "mix", f"helpful={source('a')}", f"harmless={source('b', 600)}", "--out", out, "--test", 0.1
    )
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0].split()[:3] == ["source", "rows", "read"]
    assert lines[1].split()[:5] == ["helpful", "400", "0", "400", "400"]
    assert any(line.startswith("pass   length-bias · harmless: ") for line in lines)
    assert "FAIL" not in answer.out and "train " in answer.err and 'load_dataset("' in answer.err
    assert drawn(out) == {"helpful": 400, "harmless": 600}
    before = manifest(out)
    dry = constitutional("mix", f"helpful={source('a')}", "--out", out, "--test", 0.2, "--dry-run")
    assert dry.err.splitlines()[-1] == (
        "warning: 600 rows of the mix that is there would not be in this one; another --out keeps both"
    )
    assert manifest(out) == before
    less = constitutional("mix", f"helpful={source('a')}", "--out", out, "--test", 0.2)
    assert less.err.splitlines()[-1].startswith(
        "warning: 600 rows of the mix that was there before are not in"
    )
    assert "warning" not in constitutional("mix", f"helpful={source('a')}", "--out", out, "--test", 0.1).err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--proportion", "a=0.5"), {"a": 400, "b": 400}),
        (("-p", "a=0.25", "-p", "b=0.75"), {"a": 200, "b": 600}),
        (("-p", "a=0.5", "--total", 300), {"a": 150, "b": 150}),
        (("--count", "a=100"), {"a": 100, "b": 600}),
        (("-n", "a=150", "-n", "b=350"), {"a": 150, "b": 350}),
    ],
)
def test_amounts_are_given_by_the_name_of_the_source(constitutional, source, tmp_path, options, expected):
    out = tmp_path / "mix"
    answer = constitutional("mix", source("a"), source("b", 600), "-o", out, "--test", 0.1, *options)
    assert answer.code == 0, answer.err
    assert drawn(out) == expected


def test_a_failing_check_is_printed_in_its_place_exits_2_and_writes_nothing(constitutional, source, tmp_path):
    arguments = ("mix", source("a", 150), "-o", tmp_path / "mix", "--test", 0.05)
    answer = constitutional(*arguments)
    assert answer.code == 2 and not (tmp_path / "mix").exists()
    assert "FAIL   few-rows: " in answer.out and "--allow few-rows" in answer.problem
    allowed = constitutional(*arguments, "--allow", "few-rows")
    assert allowed.code == 0 and "waived few-rows: " in allowed.out
    assert manifest(tmp_path / "mix")["settings"]["allow"] == ["few-rows"]


def test_where_all_rows_are_held_out_the_tables_and_the_ways_out_are_printed(constitutional, tmp_path):
    path = tmp_path / "same.jsonl"
    rows = [{"prompt": f"Question {n}?", "chosen": "Yes, do.", "rejected": "No"} for n in range(5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = (
        "mix",
        path,
        "-o",
        tmp_path / "mix",
        "--test",
        0.9,
        "--allow",
        "few-rows",
        "--allow",
        "length-bias",
    )
    answer = constitutional(*arguments)
    assert answer.code == 2 and not (tmp_path / "mix").exists()
    assert answer.out.splitlines()[1].split() == ["same", *"50555050"]
    assert "waived few-rows: " in answer.out
    assert "nothing to train on: test has 5 rows, and train none" in answer.problem
    assert all(
        way in answer.problem for way in ("--test 0", "--seed", "--split-by prompt", "--allow leakage")
    )
    assert constitutional(*arguments, "--test", 0).code == 0
    parted = constitutional(*arguments, "--allow", "leakage", "--test", 0.5, "--seed", 1)
    assert parted.code == 0, parted.err


def test_an_out_that_can_t_be_is_named(constitutional, source, tmp_path):
    file = source("a")
    answer = constitutional("mix", file, "-o", file / "mix", "--test", 0.1)
    assert answer.code == 2 and f"{file / 'mix'} can't be written" in answer.err and "--out" in answer.err


def test_a_dry_run_checks_and_writes_nothing(constitutional, source, tmp_path):
    answer = constitutional("mix", source("a"), "-o", tmp_path / "mix", "--dry-run", "--test", 0.1)
    assert answer.code == 0 and "few-rows" in answer.out and not (tmp_path / "mix").exists()
    failing = constitutional("mix", source("b", 5), "-o", tmp_path / "mix", "--dry-run")
    assert failing.code == 2 and not (tmp_path / "mix").exists()


def test_json_holds_what_the_tables_hold(constitutional, source, tmp_path):
    answer = constitutional("mix", source("a"), "-o", tmp_path / "mix", "--test", 0.1, "--json")
    found = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert (
        found["counts"] == manifest(tmp_path / "mix")["counts"]
        and found["checks"] == manifest(tmp_path / "mix")["checks"]
    )


@pytest.mark.parametrize("mapping", [True, False])
def test_everything_can_be_in_a_file(constitutional, source, tmp_path, mapping):
    a, b = source("a"), source("b")
    sources = f"\n  x: {a}\n  y: {b}" if mapping else f"\n  - x={a}\n  - y={b}"
    counts = "\n  x: 150\n  y: 200" if mapping else "\n  - x=150\n  - y=200"
    config = tmp_path / "mix.yaml"
    config.write_text(
        f"sources:{sources}\nout: {tmp_path / 'mix'}\ncount:{counts}\ntest: 0\nseed: 3\n", encoding="utf-8"
    )
    answer = constitutional("mix", "--config", config)
    assert answer.code == 0, answer.err
    assert (
        drawn(tmp_path / "mix") == {"x": 150, "y": 200}
        and manifest(tmp_path / "mix")["settings"]["seed"] == 3
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--proportion", "aa=0.5"), "unknown source 'aa'; did you mean 'a'?"),
        (("--proportion", "a"), "a: has to be a source's name and a value, as a=0.5"),
        (("--proportion", "a=half"), "has to be a source's name and a value, as a=0.5"),
        (("--count", "a=1.5"), "as a=1000"),
        (("--count", "a=5", "--count", "a=6"), "--count is given twice for a"),
        (("--proportion", "a=0.2", "--proportion", "b=0.2"), "have to sum to 1; they sum to 0.4"),
        (("--total", 5), "total needs proportions"),
        (("--test", 1), "--test: "),
        (("--test", -1), "--test: "),
        (("--test", "nan"), "--test: "),
        (("--allow", "lenght-bias"), "length-bias"),
        (("--split", "c=test"), "--split names the unknown source 'c'"),
        (("--count", "a=401"), "a has 400 of the 401 rows asked for"),
        (("--count", f"a={10**400}"), "count a: a count is at most"),
    ],
)
def test_what_can_not_be_meant_is_answered_in_a_sentence(constitutional, source, tmp_path, options, words):
    answer = constitutional("mix", source("a"), source("b"), "-o", tmp_path / "mix", *options)
    assert answer.code == 2 and words in answer.problem and not (tmp_path / "mix").exists()


def test_a_wrong_value_in_a_file_is_named_with_its_line(constitutional, source, tmp_path):
    config = tmp_path / "mix.yaml"
    lines = ("proportion:", "  a: 0.5", "  b: half", "count: {a: many}", f"out: {tmp_path / 'mix'}")
    config.write_text("\n".join((f"sources: [{source('a')}]", *lines, "")), encoding="utf-8")
    answer = constitutional("mix", "--config", config)
    assert answer.code == 2 and [line.split(" has to be ")[0] for line in answer.err.splitlines()] == [
        f"error: {config}:4:6: proportion.b: b=half:",
        f"error: {config}:5:12: count.a: a=many:",
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("x={a}", "x={b}"), "two sources are called 'x'"),
        (("x=",), "after x= comes the path"),
        (('x="a"b"',), "no such file"),
        (('x="',), "no such file"),
        (("x={missing}",), "no such file or run; did you mean 'a.jsonl'?"),
        (("x={folder}",), "this is a folder"),
    ],
)
def test_a_source_that_is_none_is_answered_in_a_sentence(constitutional, source, tmp_path, given, words):
    names = {"a": source("a"), "b": source("b"), "missing": tmp_path / "aa.jsonl", "folder": tmp_path}
    answer = constitutional("mix", *(text.format(**names) for text in given), "-o", tmp_path / "mix")
    assert answer.code == 2 and words in answer.problem


def test_splits_and_paths_of_a_file_may_have_any_letters(constitutional, source, tmp_path):
    paths = [tmp_path / name for name in ("donn\u00e9es.jsonl", '"a"b.jsonl')]
    for name, path in zip("ab", paths, strict=True):
        source(name).rename(path)
    config = tmp_path / "mix.yaml"
    config.write_text(
        f"sources:\n  a: {paths[0]}\n  b: '{paths[1]}'\nsplit:\n  a: donn\u00e9es\nout: {tmp_path / 'mix'}\ntest: 0.1\n",
        encoding="utf-8",
    )
    answer = constitutional("mix", "--config", config)
    assert answer.code == 0, answer.err
    found = manifest(tmp_path / "mix")["sources"]
    assert [(one["path"], one["split"]) for one in found.values()] == [
        (str(paths[0]), "donn\u00e9es"),
        (str(paths[1]), "train"),
    ]


def test_a_path_with_an_equals_sign_is_a_path(constitutional, source, tmp_path, monkeypatch):
    source("x=1")
    monkeypatch.chdir(tmp_path)
    assert constitutional("mix", "x=1.jsonl", "-o", "one", "--test", 0.1).code == 0
    assert constitutional("mix", "named=x=1.jsonl", "-o", "two", "--test", 0.1).code == 0
    assert (list(drawn(tmp_path / "one")), list(drawn(tmp_path / "two"))) == (["x=1"], ["named"])


def test_show_shows_a_mix_its_rows_and_what_was_left_out(constitutional, source, tmp_path):
    out, path = tmp_path / "mix", source("a")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"prompt": "Alone?"}\n')
    assert constitutional("mix", path, "-o", out, "--test", 0.1).code == 0
    overview = constitutional("show", out, "--limit", 3)
    assert overview.code == 0 and "pass   leakage: " in overview.out and "a/" in overview.out
    one = json.loads(constitutional("show", out, 2, "--json").out)
    assert one["source"] == "a" and one["split"] == "train"
    shown = constitutional("show", out, one["id"])
    assert shown.code == 0 and all(
        one[name][0]["content"] in shown.out for name in ("prompt", "chosen", "rejected")
    )
    last = json.loads(constitutional("show", out, 400, "--json").out)
    assert last["split"] == "test"
    missing = constitutional("show", out, 401)
    assert missing.code == 2 and "has no row '401'" in missing.problem
    skipped = constitutional("show", out, "--status", "skipped").out
    assert "missing_responses" in skipped and "rounds" not in skipped
    splits = manifest(out)["counts"]["splits"]
    assert (
        f"preferences: train {splits['train']['rows']} rows; test {splits['test']['rows']} rows\n" in skipped
    )


def test_rows_that_a_mix_left_out_are_found_by_the_id_that_is_listed(constitutional, source, tmp_path):
    out, path = tmp_path / "mix", source("a")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"id": "3", "prompt": "Alone?"}\n')
    assert constitutional("mix", path, "-o", out, "--test", 0.1).code == 0
    header, row = constitutional("show", out, "--status", "skipped").out.splitlines()[-2:]
    assert header.split() == ["id", "status", "why"]  # a number is that of a preference
    assert row.split()[:3] == ["a/3", "skipped:", "missing_responses"]
    shown = constitutional("show", out, "a/3")
    assert shown.out.startswith("mix:a 3 · skipped: missing_responses\n")
    assert json.loads(constitutional("show", out, "a/3", "--json").out)["detail"] in shown.out
    assert json.loads(constitutional("show", out, 3, "--json").out)["source"] == "a"


def test_what_is_ok_in_a_mix_are_its_preferences(constitutional, source, tmp_path):
    out = tmp_path / "mix"
    assert constitutional("mix", source("a"), "-o", out, "--test", 0.1).code == 0
    assert constitutional("show", out, "--status", "ok").out == constitutional("show", out).out
    assert constitutional("show", out).out.endswith("\n… and 380 more: --limit 400\n")
    assert "No row is failed." in constitutional("show", out, "--status", "failed").out


def test_the_id_of_a_preference_is_listed_whole(constitutional, source, tmp_path):
    path = source("a")
    long = {"id": "long " * 20 + "end", "prompt": "Q?", "chosen": "yes", "rejected": "no"}
    path.write_text(json.dumps(long) + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    out = tmp_path / "mix"
    assert constitutional("mix", path, "-o", out, "--test", 0.1).code == 0
    assert f"a/{long['id']}  " in constitutional("show", out, "--limit", 401).out
    assert "yes" in constitutional("show", out, f"a/{long['id']}").out


def test_texts_reach_the_terminal_inert(constitutional, source, tmp_path):
    path = source("a")
    evil = {
        "id": "evil",
        "prompt": "\x1b[31mred \x9b31m \u202e",
        "chosen": "\x1b]0;title\x07 longer",
        "rejected": "[bold]no[/bold]",
    }
    path.write_text(json.dumps(evil) + "\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert constitutional("mix", path, "-o", tmp_path / "mix", "--test", 0.1).code == 0
    for answer in (
        constitutional("show", tmp_path / "mix", "a/evil"),
        constitutional("show", tmp_path / "mix", "--limit", 400),
    ):
        assert not set("\x1b\x9b\u202e") & set(answer.out) and "\\u{1b}" in answer.out
    as_json = constitutional("show", tmp_path / "mix", "a/evil", "--json").out
    assert not set("\x1b\x9b\u202e") & set(as_json)
    assert json.loads(as_json)["prompt"][0]["content"] == evil["prompt"]
    assert "[bold]no[/bold]" in constitutional("show", tmp_path / "mix", "a/evil").out


def test_a_mix_that_is_killed_leaves_the_data_of_before_and_the_same_command_mends_it(
    constitutional, start, source, tmp_path
):
    out, path = tmp_path / "mix", source("a", 8_000)
    arguments = ("mix", path, "-o", out, "--test", 0.1)
    assert constitutional(*arguments).code == 0
    before, written = data_files(out), manifest(out)
    process = start(*arguments, "--seed", 1)
    until(lambda: (out / "data" / "preferences" / "partial").exists() or process.poll() is not None)
    process.kill()
    process.wait()
    assert manifest(out) == written and set(before) <= set(data_files(out))
    assert constitutional(*arguments).code == 0
    assert data_files(out) == before
