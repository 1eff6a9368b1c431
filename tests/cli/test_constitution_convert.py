"""`constitution import` and `constitution export`, as a user calls them."""

import json
import subprocess
import sys

import pytest

from constitutional import load_constitution
from constitutional.prompt_examples import load_examples, load_preference_examples
from constitutional.workbench.formats.table import FORMATS
from tests.helpers import REPOSITORY


@pytest.fixture
def convert(constitutional):
    """A function that calls a command of `constitution`."""
    return lambda *args: constitutional("constitution", *args)


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "Our Rules.txt"
    path.write_text("- Never mock anyone.\n- Say what you do not know.\n", encoding="utf-8")
    return path


def test_an_import_writes_a_constitution_and_says_what_it_did(convert, rules, tmp_path):
    out = tmp_path / "our-rules.yaml"
    answer = convert("import", rules, "--out", out)
    assert (answer.code, answer.out) == (0, "")
    assert f"wrote {out}: 2 principles (text)" in answer.err
    assert "  built (2 times): each line was taken as a rule" in answer.err
    assert "  made (2 times): ids, since the file gives none: rule-1, rule-2; line 1, line 2" in answer.err
    assert f"constitutional constitution lint {out}" in answer.err
    assert [p.id for p in load_constitution(out).for_revise()] == ["rule-1", "rule-2"]
    assert load_constitution(out).id == "our-rules"


def test_the_folder_is_made_and_the_hint_can_be_pasted(convert, rules, tmp_path):
    out = tmp_path / "my rules" / "constitutions" / "a.yaml"
    answer = convert("import", rules, "--out", out)
    assert answer.code == 0 and load_constitution(out).id == "a"
    assert f"next: constitutional constitution lint '{out}'" in answer.err


def test_a_file_where_the_folder_should_be_is_named(convert, rules, tmp_path):
    (tmp_path / "folder").touch()
    (tmp_path / "nowhere").symlink_to("gone")
    for place, says in (
        ("folder/a.yaml", "folder: this is no folder"),
        ("nowhere/a.yaml", "a link to nothing"),
    ):
        answer = convert("import", rules, "--out", tmp_path / place)
        assert answer.code == 2 and says in answer.problem
    answer = convert("import", rules, "--out", tmp_path / "folder" / "below" / "a.yaml")
    assert answer.code == 2 and "the folder can't be made: Not a directory" in answer.problem


def test_a_name_is_made_of_a_files_name_in_another_script(convert, rules, tmp_path):
    convert("import", rules, "--out", tmp_path / "Böse Grüße é.yaml")
    assert load_constitution(tmp_path / "Böse Grüße é.yaml").id == "boese-gruesse-e"


def test_the_schema_that_is_written_too_is_named(convert, rules, tmp_path):
    schema = tmp_path / "constitution.schema.json"
    answer = convert("import", rules, "--out", tmp_path / "a.yaml")
    assert f"wrote {schema}, by which editors check it" in answer.err and schema.is_file()
    assert str(schema) not in convert("import", rules, "--out", tmp_path / "b.yaml").err
    (tmp_path / "c").mkdir()
    answer = convert("export", tmp_path / "a.yaml", "-f", "yaml", "-o", tmp_path / "c" / "a.yaml", "--json")
    assert json.loads(answer.out)["out"] == [str(tmp_path / "c" / name) for name in ("a.yaml", schema.name)]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_file_is_never_imported_into_itself(convert, tmp_path, force):
    path = tmp_path / "lc.yaml"
    text = "- name: kind\n  critique_request: Is it kind?\n  revision_request: Make it kind.\n"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "alias.yaml").symlink_to(path)
    for out in (path, tmp_path / "." / "lc.yaml", tmp_path / "alias.yaml"):
        answer = convert("import", path, "--format", "langchain-yaml", "--out", out, *force)
        assert answer.code == 2
        assert "this file is to be imported itself: write to another one" in answer.problem
    assert path.read_text(encoding="utf-8") == text


def test_the_problems_of_all_rows_of_all_files_are_told_together(convert, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text("id,critique,revision,weight\na,Is it?,,1\nb,Is it?,Mend it.,heavy\nc,,Mend it.,1\n")
    second.write_text("id,preference,weight\nd,Which?,-1\n")
    answer = convert("import", first, second, "--out", tmp_path / "x.yaml")
    told = [line.removeprefix("error: ") for line in answer.err.splitlines()]
    assert [line.split(": ")[0] for line in told] == [f"{first}:2", f"{first}:3", f"{first}:4", f"{second}:2"]
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize("lines_as", ["rule", "critique"])
def test_what_is_built_around_a_line_is_clean_to_lint(convert, rules, tmp_path, lines_as):
    out = tmp_path / "x.yaml"
    rules.write_text("Name no doses of medicines in the assistant's last response.\n")
    convert("import", rules, "--out", out, "--as", lines_as)
    answer = convert("lint", out, "--strict")
    assert answer.code == 0, answer.out


def test_the_report_is_json_where_asked_for(convert, rules, tmp_path):
    answer = convert("import", rules, "--out", tmp_path / "My Rules.yaml", "--as", "preference", "--json")
    report = json.loads(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert (report["formats"], report["id"], report["principles"]) == (["text"], "my-rules", 2)
    assert {note["kind"] for note in report["notes"]} == {"stripped", "made"}
    assert [note["line"] for note in report["notes"] if note["kind"] == "stripped"] == [1, 2]
    assert report["notes"][-1]["detail"] == "my-rules"


def test_several_files_become_one_constitution(convert, rules, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("id,preference\nshort,Which is shorter?\n", encoding="utf-8")
    out = tmp_path / "all.yaml"
    answer = convert("import", rules, table, "--out", out, "--id", "everything")
    assert (
        "3 principles (text, csv)" in answer.err
        and f"  {rules}:\n    stripped (2 times): list marks" in answer.err
    )
    loaded = load_constitution(out)
    assert (loaded.id, [p.id for p in loaded.principles]) == ("everything", ["rule-1", "rule-2", "short"])


def test_the_papers_files_are_imported_and_exported_again(convert, real_data, tmp_path):
    folder = real_data / "cai-paper" / "prompts"
    for name, format in [
        ("CritiqueRevisionInstructions", "paper-revisions"),
        ("RLMadisonInstructions", "paper-preferences"),
        ("CritiqueRevisionFewShotPrompts", "paper-revision-examples"),
        ("RLMadisonFewShotPrompts", "paper-preference-examples"),
        ("RLMadisonPrecogFewShotPrompts", "paper-rationale-examples"),
    ]:
        first, second = tmp_path / "a" / "x.yaml", tmp_path / "b" / "x.yaml"
        first.parent.mkdir(exist_ok=True)
        second.parent.mkdir(exist_ok=True)
        back = tmp_path / f"{name}.json"
        assert convert("import", folder / f"{name}.json", "-o", first, "--force").code == 0
        exported = convert("export", first, "-f", format, "-o", back)
        assert (exported.code, exported.err) == (0, f"wrote {back}: {COUNTS[name]} entries ({format})\n")
        assert convert("import", back, "-o", second, "--force").code == 0
        assert second.read_bytes() == first.read_bytes()


COUNTS = {
    "CritiqueRevisionInstructions": 16,
    "RLMadisonInstructions": 16,
    "CritiqueRevisionFewShotPrompts": 5,
    "RLMadisonFewShotPrompts": 5,
    "RLMadisonPrecogFewShotPrompts": 6,
}
TURNS = [{"role": role, "content": role} for role in ("user", "assistant")] * 3
RECIPE = {"constitutions": [{"critic": "Find it.", "revision": "Fix it."}], "system_chat": [TURNS]}


def test_examples_beside_principles_are_written_where_asked_for(convert, tmp_path):
    source = tmp_path / "recipe.json"
    source.write_text(json.dumps(RECIPE))
    answer = convert("import", source, "-o", tmp_path / "x.yaml")
    assert answer.code == 0 and "few-shot examples (1); --examples-out FILE writes them" in answer.err
    examples = tmp_path / "examples.yaml"
    answer = convert("import", source, "-o", tmp_path / "y.yaml", "--examples-out", examples)
    assert "1 principle, 1 few-shot example (huggingface)" in answer.err
    same = convert("import", source, "-o", tmp_path / "z.yaml", "--examples-out", tmp_path / "z.yaml")
    assert same.code == 2 and "can't be the same file" in same.problem
    assert len(load_examples(examples)) == 1 and load_constitution(tmp_path / "y.yaml")


def test_a_few_shot_file_becomes_a_file_of_examples(convert, tmp_path):
    source, out = tmp_path / "few.json", tmp_path / "preference_examples.yaml"
    source.write_text(json.dumps([{"prompt": "Human: a", "corrects": ["b"], "incorrects": ["c"]}]))
    answer = convert("import", source, "-o", out)
    assert (
        "1 preference example " in answer.err
        and "folder of a prompt set, as preference_examples.yaml" in answer.err
    )
    assert load_preference_examples(out)[0].answer == "A"
    refused = convert("import", source, "-o", tmp_path / "x.yaml", "--examples-out", tmp_path / "y.yaml")
    assert refused.code == 2 and "leave this file away" in refused.problem
    assert not (tmp_path / "x.yaml").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("import", "{rules}", "--out", "{rules}"), "must end in .yaml"),
        (("export", "harmlessness", "-f", "csv", "-o", "{tmp}/no/x.csv"), "make it first"),
        (("import", "{rules}", "--out", "{tmp}/there.yaml"), "--force replaces it"),
        (("import", "{rules}", "--out", "{tmp}/x.yaml", "--id", "../x"), "is not an id"),
        (("import", "{rules}", "--out", "{tmp}/x.yaml", "--format", "txet"), "did you mean 'text'?"),
        (("import", "{rules}", "--out", "{tmp}/x.yaml", "--format", "csv"), "none of the columns"),
        (("import", "{rules}", "--out", "{tmp}/x.yaml", "--format", "huggingface"), ":1:1: not valid JSON"),
        (("import", "{tmp}/missing.txt", "--out", "{tmp}/x.yaml"), "there is no such file"),
        (("export", "harmlessness", "-f", "csv", "--as", "rule"), "--as says what a line of plain text is"),
        (("import", "{tmp}", "--out", "{tmp}/x.yaml"), "this is a folder"),
        (("import", "{tmp}/there.yaml", "--out", "{tmp}/x.yaml"), "a constitution of this project's own"),
        (
            ("import", "{rules}", "--out", "{tmp}/x.yaml", "--examples-out", "{tmp}/e.yaml"),
            "leave this file away",
        ),
        (("export", "harmlessnes", "-f", "csv"), "did you mean 'harmlessness'?"),
        (("export", "harmlessness", "-f", "cvs"), "did you mean 'csv'?"),
        (("export", "harmlessness", "-f", "text"), "were not built around a rule"),
        (("export", "harmlessness", "-f", "csv", "--json"), "--json needs --out"),
        (("export", "harmlessness", "-f", "csv", "-o", "{tmp}/there.yaml"), "--force replaces it"),
        (("export", "harmlessness", "-f", "csv", "-o", "{tmp}"), "this is a folder"),
        (("export", "defualt", "-f", "paper-revision-examples"), "did you mean 'default'?"),
        (("export", "rlaif-summarization", "-f", "paper-revision-examples"), "there is no such file"),
        (("export", "..", "-f", "csv"), "is not the name of a constitution"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(convert, rules, tmp_path, args, message):
    there = tmp_path / "there.yaml"
    there.write_text("id: there\nprinciples:\n  - {id: a, preference: b}\n")
    before = there.read_bytes()
    answer = convert(*(arg.format(rules=rules, tmp=tmp_path) for arg in args))
    assert answer.code == 2 and message in answer.problem
    assert sorted(tmp_path.iterdir()) == [rules, there] and there.read_bytes() == before


def test_a_meaning_of_lines_is_refused_where_there_are_none(convert, tmp_path):
    path = tmp_path / "in.json"
    path.write_text('["Which? Options:"]')
    answer = convert("import", path, "-o", tmp_path / "x.yaml", "--as", "preference")
    assert answer.code == 2 and "but this is paper-preferences" in answer.problem
    assert not (tmp_path / "x.yaml").exists()


def test_an_export_goes_to_standard_output_and_its_report_does_not(convert):
    answer = convert("export", "harmlessness", "-f", "paper-revisions")
    assert answer.code == 0
    assert len(json.loads(answer.out)) == 16
    assert "  not carried (16 times): the preference of principles: general-harm, " in answer.err


def test_an_export_can_report_as_json(convert, tmp_path):
    out = tmp_path / "x.csv"
    answer = convert("export", "harmlessness", "-f", "csv", "-o", out, "--json")
    report = json.loads(answer.out)
    assert (report["count"], {note["message"] for note in report["notes"]}) == (
        16,
        {"the description of the constitution"},
    )
    assert len(out.read_text(encoding="utf-8").splitlines()) == 17


def test_what_a_file_says_reaches_the_terminal_inert(convert, tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"critique_request": "a", "revision_request": "b", "\u202eevil": 1}]))
    answer = convert("import", path, "-o", tmp_path / "x.yaml")
    assert answer.code == 0 and "\u202e" not in answer.err and "evil" in answer.err


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    big = tmp_path / "big.csv"
    big.write_text(
        "id,preference\n" + "".join(f"p-{n},Which of these is better {'x' * 200}?\n" for n in range(3000))
    )
    command = (
        f"{sys.executable} -m constitutional constitution import {big} -o {tmp_path}/big.yaml 2>/dev/null && "
        f"{sys.executable} -m constitutional constitution export {tmp_path}/big.yaml -f csv | head -1; "
        "echo ${PIPESTATUS[0]}"
    )
    done = subprocess.run(["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        '"id","critique","revision","preference","weight","tags","source"',
        "0",
    ]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["in.jsonl", "in.json"])
def test_json_lines_are_told_apart_from_json(convert, tmp_path, name):
    (tmp_path / name).write_text('{"a": "b"}\n{"a": "c"}\n')
    answer = convert("import", tmp_path / name, "-o", tmp_path / "x.yaml")
    assert f"{tmp_path / name}:2:1: this is JSON Lines: " in answer.problem


def test_help_names_every_format(convert):
    for command in ("import", "export"):
        words = " ".join(convert(command, "--help").out.split()).replace("- ", "-")
        assert all(name in words for name in FORMATS), command
