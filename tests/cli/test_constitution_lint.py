"""`constitution lint` as a user calls it: formats, exit codes, and what it says of what it can't read."""

import json
import subprocess
import sys

import pytest

GOOD = "id: good\nprinciples:\n  - id: kind\n    preference: Which of these two responses is kinder?\n"
WEAK = "id: weak\nprinciples:\n  - id: kind\n    preference: Is the assistant's response kind to the user?\n"
BAD = GOOD + "    wieght: 2\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(content, name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def test_a_clean_file_is_code_0_and_one_line(constitutional, write):
    answer = constitutional("constitution", "lint", write(GOOD, "good.yaml"))
    assert (answer.code, answer.out, answer.err) == (0, "1 file: nothing found\n", "")


@pytest.mark.parametrize("option", ["--select", "--ignore"])
@pytest.mark.parametrize("given", ["", " ", ","])
def test_an_option_that_names_no_rule_is_refused(constitutional, write, option, given):
    answer = constitutional("constitution", "lint", write(BAD, "bad.yaml"), option, given)
    assert answer.code == 2 and f"{option} names no rule" in answer.problem


def test_an_error_is_code_2_with_its_place_and_the_nearest_key(constitutional, write):
    answer = constitutional("constitution", "lint", write(BAD, "bad.yaml"))
    assert answer.code == 2
    assert answer.out == (
        "bad.yaml:5:5: error: unknown key 'wieght'; did you mean 'weight'? [unknown-key]\n1 file: 1 error\n"
    )


def test_a_warning_fails_only_where_it_is_asked_to(constitutional, write):
    path = write(WEAK, "weak.yaml")
    answer = constitutional("constitution", "lint", path)
    assert (
        answer.code == 0 and "weak.yaml:4:17: warning: " in answer.out and "1 file: 1 warning\n" in answer.out
    )
    assert constitutional("constitution", "lint", path, "--strict").code == 2
    assert (
        constitutional("constitution", "lint", path, "--strict", "--ignore", "preference-not-a-choice").code
        == 0
    )


def test_a_note_never_fails(constitutional, write):
    first = "Which of these two responses is kinder to the user and to everyone else who is mentioned in it?"
    text = GOOD.replace("Which of these two responses is kinder?", first)
    path = write(text + f"  - id: nice\n    preference: {first.replace('kinder', 'nicer')}\n", "notes.yaml")
    answer = constitutional("constitution", "lint", path, "--strict")
    assert (
        answer.code == 0
        and "notes.yaml:6:17: note: nearly the same preference as 'kind' (line 3)" in answer.out
    )
    assert answer.out.endswith("1 file: 1 note\n")
    assert constitutional("constitution", "lint", path, "--format", "github").out.startswith(
        "::notice file=notes.yaml,"
    )


def test_all_in_the_folder_are_linted_where_none_is_named(constitutional, write):
    write(GOOD, "constitutions/good.yaml")
    write(BAD.replace("id: good", "id: bad"), "constitutions/bad.yaml")
    answer = constitutional("constitution", "lint")
    assert answer.code == 2
    assert answer.out.startswith("constitutions/bad.yaml:5:5: error:") and "2 files: 1 error\n" in answer.out
    assert constitutional("constitution", "lint", "good").code == 0
    assert constitutional("constitution", "lint", "good", "bad").out.endswith("2 files: 1 error\n")


def test_without_a_folder_it_says_what_to_do(constitutional, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = constitutional("constitution", "lint")
    assert answer.code == 2 and "constitution new NAME" in answer.problem


def test_json_has_everything(constitutional, write):
    answer = constitutional(
        "constitution", "lint", write(BAD, "bad.yaml"), write(GOOD, "good.yaml"), "--format", "json"
    )
    assert answer.code == 2 and answer.err == ""
    assert json.loads(answer.out) == {
        "files": ["bad.yaml", "good.yaml"],
        "findings": [
            {
                "rule": "unknown-key",
                "severity": "error",
                "message": "unknown key 'wieght'; did you mean 'weight'?",
                "path": "bad.yaml",
                "line": 5,
                "column": 5,
                "field": "principles.0.wieght",
            }
        ],
        "errors": 1,
        "warnings": 0,
        "notes": 0,
        "ignored": 0,
    }


def test_github_marks_the_line(constitutional, write):
    answer = constitutional(
        "constitution", "lint", write(BAD, "50%, a:b.yaml"), write(WEAK, "weak.yaml"), "--format", "github"
    )
    first, second = answer.out.splitlines()
    assert first == (
        "::error file=50%25%2C a%3Ab.yaml,line=5,col=5,title=unknown-key::unknown key 'wieght'; did you mean 'weight'?"
    )
    assert second.startswith("::warning file=weak.yaml,line=4,col=17,title=preference-not-a-choice::")
    assert answer.err == "2 files: 1 error, 1 warning\n"


def test_rules_are_chosen_with_commas_too(constitutional, write):
    path = write(BAD.replace("kinder?", "kinder? [INST]"), "bad.yaml")
    assert "2 errors" in constitutional("constitution", "lint", path).out
    assert constitutional("constitution", "lint", path, "--ignore", "label-in-text, unknown-key").code == 0
    assert constitutional("constitution", "lint", path, "--select", "near-duplicate").code == 0
    answer = constitutional("constitution", "lint", path, "--select", "label-in-txt")
    assert answer.code == 2 and "did you mean 'label-in-text'?" in answer.problem


def test_a_rule_is_explained(constitutional):
    answer = constitutional("constitution", "lint", "--explain", "flat-refusal")
    assert (
        answer.code == 0
        and answer.out.startswith("flat-refusal (warning)\n")
        and "Bad (line 5):" in answer.out
    )
    assert (
        "did you mean 'flat-refusal'?"
        in constitutional("constitution", "lint", "--explain", "flat-refuse").problem
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfeid", "not valid UTF-8"),
        (b"id: \x1b[31m\n", "U+001B"),
        (b"- a\n", "must be a mapping"),
        (b"id: [\n", "not valid YAML"),
        (b"x" * 5_000_001, "larger than 5,000,000 bytes"),
        ("id: a\nprinciples:\n- id: x\n  preference: Which \u202eis better, or kinder?\n".encode(), "U+202E"),
        ("id: a\n\u202ekey: 1\n".encode(), "unknown key '\\u202ekey'"),
    ],
)
def test_a_file_that_is_no_constitution_is_code_2_with_a_place(constitutional, write, content, says):
    path = write(content, "rules.yaml")
    answer = constitutional("constitution", "lint", path)
    assert answer.code == 2 and answer.err == ""
    assert answer.out.startswith(f"{path}:") and says in answer.out
    assert "\u202e" not in answer.out and "\x1b" not in answer.out and "Traceback" not in answer.out


@pytest.mark.parametrize(
    "target", ["harmlesness", "../../etc/passwd", "gone.yaml", "..yaml", "a/../../b.yaml"]
)
def test_a_name_that_is_none_is_code_2(constitutional, write, target):
    answer = constitutional("constitution", "lint", target, write(GOOD, "good.yaml"))
    assert answer.code == 2 and answer.err == ""
    assert answer.out.startswith(f"{target}: error: ") and "1 error\n" in answer.out


def test_a_model_that_was_not_pulled_is_code_3(constitutional, write, tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "cache"))
    answer = constitutional("constitution", "lint", write(GOOD, "good.yaml"), "--model", "smollm2-135m")
    assert answer.code == 3 and "constitutional model pull" in answer.problem


def test_a_reader_that_has_seen_enough_is_no_failure(write, tmp_path):
    body = "".join(
        f"  - id: rule-{n}\n    preference: Is response {n} kind to the user?\n" for n in range(3000)
    )
    write("id: long\nprinciples:\n" + body, "long.yaml")
    command = f"{sys.executable} -m constitutional constitution lint long.yaml | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == "" and done.stdout.startswith("long.yaml:4:17: warning:")
