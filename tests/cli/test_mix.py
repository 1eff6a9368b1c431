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
        (("--proportion", "a"), "--proportion a: has to be a source's name and a value, as a=0.5"),
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
