"""The README and docs say what is true: their code runs, their links lead somewhere, their generated pages are current."""

import re

import pytest

from tests.helpers import REPOSITORY

PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def test_the_python_of_the_readme_runs(prompts_file, tmp_path, monkeypatch):
    """As it stands, but for the engine: the scripted one for the model."""
    prompts_file(3)
    monkeypatch.chdir(tmp_path)
    first, loading = blocks(REPOSITORY / "README.md", "python")
    assert 'model="smollm2-135m"' in first and len(first.splitlines()) <= 9
    scope = {}
    exec(
        "from constitutional import ScriptedEngine\n"
        + first.replace('model="smollm2-135m"', "engine=ScriptedEngine()"),
        scope,
    )
    assert scope["report"].manifest["counts"]["rows"]["ok"] == 3
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    exec(loading, scope)
    assert scope["sft"].column_names[:2] == ["prompt", "completion"] and len(scope["chains"]) == 3


def test_the_python_of_the_page_on_engines_runs(prompts_file, tmp_path, monkeypatch):
    prompts_file([{"prompt": "Hi?", "responses": ["Hello.", "No."]}], "pairs.jsonl")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(REPOSITORY / "docs" / "engines.md", "python")
    exec(block, {})
    assert all((tmp_path / "runs" / name / "README.md").exists() for name in ("one", "two"))


@pytest.fixture
def comparisons_and_a_bad_row(prompts_file, tmp_path, monkeypatch):
    """A file of that name, in the directory that is worked in."""
    rows = [
        {"id": "one", "prompt": "Hi?", "chosen": "Hello.", "rejected": "No."},
        {"id": "bad", "prompt": "Hi?", "responses": ["Hello."]},
    ]
    prompts_file(rows, "comparisons.jsonl")
    monkeypatch.chdir(tmp_path)


def test_the_python_of_the_page_on_labels_runs(comparisons_and_a_bad_row, tmp_path, capsys):
    """As it stands, but for the model."""
    job, stage = blocks(REPOSITORY / "docs" / "labels.md", "python")
    for block in (job, stage):
        assert 'model="smollm2-135m"' in block
        exec(block.replace('model="smollm2-135m"', 'engine="scripted"'), {})
    assert (tmp_path / "runs" / "labels" / "README.md").exists()
    *_, one, bad = capsys.readouterr().out.splitlines()
    assert one.startswith("one 0.") and one.endswith(" 1.0") and bad == "bad not_two_responses"


def test_the_python_of_the_page_on_comparisons_that_reads_them_runs(comparisons_and_a_bad_row, capsys):
    _, reading = blocks(REPOSITORY / "docs" / "comparisons.md", "python")
    exec(reading, {})
    one, bad = capsys.readouterr().out.splitlines()
    assert one == "one Hello. No. 1.0" and bad.startswith("bad not_two_responses ")


def test_the_constitution_of_the_readme_loads(tmp_path, monkeypatch):
    from constitutional import load_constitution

    (text,) = blocks(REPOSITORY / "README.md", "yaml")
    path = tmp_path / "my-rules.yaml"
    path.write_text(text, encoding="utf-8")
    assert len(load_constitution(path).for_revise()) == 17


def test_no_page_waits_for_something_to_be_filled_in():
    pages = [*PAGES, *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "experiments").rglob("README.md")]
    assert [page for page in pages if "@@" in page.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_are_commands_with_these_options():
    import click

    from constitutional.cli import cli

    lines = [line for block in blocks(REPOSITORY / "README.md", "console") for line in block.splitlines()]
    commands = [part.strip() for line in lines for part in line.removeprefix("$ ").split("#")[0].split("&&")]
    ours = [command.split()[1:] for command in commands if command.startswith("constitutional ")]
    assert len(ours) >= 7
    for words in ours:
        context, command = click.Context(cli, info_name="constitutional"), cli
        while isinstance(command, click.Group):
            command = command.get_command(context, words[0])
            assert command is not None, words
            words = words[1:]
        known = {option for param in command.params for option in param.opts + param.secondary_opts}
        assert all(word in known for word in words if word.startswith("-")), words


def test_the_page_of_the_command_line_is_current():
    from constitutional.cli.docs import PATH, page

    assert PATH.read_text(encoding="utf-8") == page()
