"""`constitution new` as a user calls it: what it writes is ready for the commands that it names."""

import shlex

import pytest

from tests.helpers import PROMPT_SET


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_one_is_listed_linted_and_used(constitutional, folder):
    answer = constitutional("constitution", "new", "my-rules")
    assert answer.code == 0 and answer.err == ""
    assert answer.out.startswith(
        "wrote constitutions/my-rules.yaml and constitutions/constitution.schema.json, by which editors check it\n"
    )
    assert "constitutional constitution lint my-rules " in answer.out
    assert "my-rules" in constitutional("constitution", "list").out
    assert constitutional("constitution", "lint", "--strict").code == 0
    (folder / "prompts.txt").write_text("What is a monad?\n")
    run = constitutional(
        *("revise", "prompts.txt", "-c", "my-rules", "--engine", "scripted", "--rounds", 1),
        *("--prompt-set", PROMPT_SET, "--out", "run"),
    )
    assert run.code == 0, run.err


def test_it_goes_where_it_is_told_to(constitutional, folder):
    answer = constitutional(
        "constitution", "new", "mine", "--out", "rules/first.yaml", "--extends", "harmlessness"
    )
    assert answer.code == 0 and "constitution lint rules/first.yaml" in answer.out
    assert "17 principles" in constitutional("constitution", "show", "rules/first.yaml").out
    assert not (folder / "constitutions").exists()


def test_what_to_do_next_can_be_pasted(constitutional):
    answer = constitutional("constitution", "new", "mine", "--out", "my rules/it's.yaml")
    command = next(line for line in answer.out.splitlines() if " lint " in line)
    assert shlex.split(command.split("    #")[0]) == [
        "constitutional",
        "constitution",
        "lint",
        "my rules/it's.yaml",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["../up"], "'../up' is not an id"),
        (["Our Rules"], "write 'our-rules'"),
        (["a", "--extends", "harmlesness"], "did you mean 'harmlessness'?"),
        (["harmlessness", "--extends", "harmlessness"], "can't extend itself"),
        (["a", "--out", "a.txt"], "ends in .yaml"),
        (["a", "--out", "."], "is a directory"),
    ],
)
def test_what_can_not_be_made_is_code_2_and_leaves_nothing(constitutional, folder, arguments, says):
    answer = constitutional("constitution", "new", *arguments)
    assert answer.code == 2 and says in answer.err and "Traceback" not in answer.err
    assert list(folder.iterdir()) == []


def test_a_second_one_of_the_name_is_refused(constitutional):
    constitutional("constitution", "new", "a")
    answer = constitutional("constitution", "new", "a")
    assert answer.code == 2 and "constitutions/a.yaml: there is a file already" in answer.problem


def test_what_can_not_be_shown_is_shown_as_its_code(constitutional):
    answer = constitutional("constitution", "new", "a", "--out", "x\u202e.yaml")
    assert answer.code == 0 and "\u202e" not in answer.out and "x\\u{202e}.yaml" in answer.out
