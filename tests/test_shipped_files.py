"""Every shipped file loads, what the templates render is written down, and the documentation is true.

After a deliberate change of a template: `GOLDEN=write pytest tests/test_shipped_files.py`, and
read the difference.
"""

import itertools
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from constitutional.constitution import Constitution, Principle, load_constitution
from constitutional.records import Conversation, Message
from constitutional.templates import PromptSet, load_prompt_set

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
DOCS = [ROOT / "docs" / "constitution-format.md", ROOT / "docs" / "prompt-templates.md"]
GUIDE = ROOT / "docs" / "constitutions.md"
CONSTITUTIONS = sorted((ROOT / "constitutions").glob("*.yaml"))
NAMES = [path.stem for path in CONSTITUTIONS]
TEXTS = ("critique", "revision", "preference")
FRAME = "the assistant's last response"

PROMPT = (
    Message("user", "My flatmate keeps eating my food."),
    Message("assistant", "How annoying! Did you talk about it?"),
    Message("user", "No. How do I get back at her?"),
)
PRINCIPLE = Principle(
    "peace",
    "Name anything in the response that stirs up a quarrel.",
    "Rewrite the response so that it makes peace.",
)
OTHER = Principle(
    "facts", "Name anything in the response that is wrong.", "Rewrite the response so that it is right."
)
RESPONSE = "Put salt in her milk."
CRITIQUE = "The response would start a small war."

CASES = {
    "respond": ("respond", {"prompt": PROMPT}),
    "critique": ("critique", {"principles": (PRINCIPLE,), "clean_marker": None}),
    "critique-stop-when-clean": (
        "critique",
        {"principles": (PRINCIPLE,), "clean_marker": "No changes needed."},
    ),
    "critique-two-principles": (
        "critique",
        {"principles": (PRINCIPLE, OTHER), "clean_marker": None, "examples": ()},
    ),
    "revise": ("revise", {"principles": (PRINCIPLE,), "clean_marker": None, "critique": CRITIQUE}),
    "revise-system-prompt": (
        "revise",
        {
            "prompt": (Message("system", "Answer in one sentence."), *PROMPT[-1:]),
            "principles": (PRINCIPLE,),
            "clean_marker": None,
            "critique": CRITIQUE,
            "examples": (),
        },
    ),
    "direct": ("direct", {"principles": (PRINCIPLE,)}),
}


@pytest.fixture(scope="module")
def default() -> PromptSet:
    return load_prompt_set(ROOT / "prompts" / "default")


def dump(messages: Conversation) -> str:
    return "".join(f"{message.role}:\n{message.content}\n\n" for message in messages)


def render(made: PromptSet, case: str, **changes: object) -> Conversation:
    template, variables = CASES[case]
    given = {"prompt": PROMPT, **({} if template == "respond" else {"response": RESPONSE})}
    return made.render(template, **{**given, **variables, **changes})


@pytest.mark.parametrize("case", CASES)
def test_what_the_default_set_renders_is_written_down(default, case):
    rendered, path = dump(render(default, case)), GOLDEN / f"default-{case}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("marker", [None, "No changes needed."])
def test_a_revisions_request_goes_on_from_the_critiques(default, marker):
    *before, unfinished = render(default, "critique", clean_marker=marker)
    revise = render(default, "revise", clean_marker=marker)
    assert list(revise[: len(before)]) == before
    critique, request = revise[len(before) :]
    assert unfinished == Message("assistant", "Critique:")
    assert critique == Message("assistant", f"Critique: {CRITIQUE}")
    assert request.role == "user"


def test_all_requests_share_their_beginning(default):
    first = render(default, "critique", principles=(PRINCIPLE,))
    second = render(default, "critique", principles=(OTHER,), prompt=(Message("user", "Hi"),), response="Ho")
    shared = 0
    while first[shared] == second[shared]:
        shared += 1
    shown = [example for example in default.examples if not example.clean]
    assert shared == 1 + sum(len(example.prompt) + 5 for example in shown)


@pytest.mark.parametrize("case", [case for case in CASES if case != "respond"])
def test_turns_alternate_so_that_any_chat_template_takes_them(default, case):
    roles = [message.role for message in render(default, case)]
    assert roles[0] == "system"
    assert roles[1:] == (["user", "assistant"] * len(roles))[: len(roles) - 1]


def test_the_marker_is_shown_only_where_a_chain_may_stop(default):
    assert default.clean_marker in dump(render(default, "critique", clean_marker=default.clean_marker))
    assert default.clean_marker not in dump(render(default, "critique"))


def test_the_examples_are_varied(default):
    assert len(default.examples) in (4, 5)
    assert sum(len(example.prompt) > 1 for example in default.examples) >= 2
    assert sum(example.clean for example in default.examples) == 1
    for example in default.examples:
        texts = [
            example.response,
            example.critique,
            example.revision or "",
            *(m.content for m in example.prompt),
        ]
        assert len(" ".join(texts)) < 900


@cache
def shipped(name: str) -> Constitution:
    return load_constitution(ROOT / "constitutions" / f"{name}.yaml")


@cache
def written_texts() -> dict[tuple[str, str, str], str]:
    """Every text that stands in a shipped constitution, by constitution, principle and field; nothing inherited."""
    return {
        (path.stem, entry["id"], field): entry[field]
        for path in CONSTITUTIONS
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["principles"]
        for field in TEXTS
        if field in entry
    }


def words(text: str) -> list[str]:
    """Lower-case words, with the phrases that every text of its kind has as one of them."""
    text = re.sub(r"which of (?:these|the) two \w+", "_which_", text.casefold().replace("’", "'"))
    return re.findall(r"[\w']+", text.replace(FRAME, "_response_"))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_constitution_loads(name):
    loaded = shipped(name)
    assert loaded.id == name
    assert 50 <= len(loaded.description) <= 300


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_constitution_says_what_it_is_for_and_where_it_comes_from(name):
    lines = (ROOT / "constitutions" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comment = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), lines))
    for part in ("# For: ", "# Not for: ", "# Rules from: ", "# Use: "):
        assert part in comment
    assert f" {name}" in comment.partition("# Use: ")[2]
    assert max(map(len, lines)) <= 125


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_principle_can_be_drawn_by_every_stage(name):
    loaded = shipped(name)
    assert len(loaded.principles) == len(loaded.for_revise()) == len(loaded.for_label())
    assert 6 <= len(loaded.principles) <= 25
    for principle in loaded.principles:
        assert principle.tags
        assert principle.source


@pytest.mark.parametrize("key", written_texts(), ids="-".join)
def test_every_shipped_text_is_short_and_does_its_job(key):
    text, field = written_texts()[key], key[2]
    assert 8 <= len(text.split()) <= 40
    assert "  " not in text and "\n" not in text
    if field == "critique":
        assert FRAME in text
    if field == "revision":
        assert text.startswith(f"Rewrite {FRAME}")
        assert not re.search(r"\b(refuse|decline|apologi[sz]e|(can't|cannot) help)", text)
    if field == "preference":
        assert re.search(r"[Ww]hich of (these|the) two\b", text)
        assert text.endswith("?")


def test_no_two_shipped_texts_are_near_duplicates():
    from rapidfuzz import fuzz

    by_field = itertools.groupby(
        sorted(written_texts().items(), key=lambda item: item[0][2]), lambda i: i[0][2]
    )
    for _, group in by_field:
        for (first, one), (second, other) in itertools.combinations(group, 2):
            alike = fuzz.token_sort_ratio(" ".join(words(one)), " ".join(words(other)))
            assert alike < 80, f"{first} and {second}:\n{one}\n{other}"


def test_no_shipped_text_is_taken_from_the_papers_prompts(real_data):
    def strings(value):
        if isinstance(value, str):
            yield value
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from strings(item)

    def grams(text):
        found = words(text)
        return {tuple(found[start : start + 6]) for start in range(len(found) - 5)}

    files = sorted((real_data / "cai-paper" / "prompts").glob("*.json"))
    theirs = {g for f in files for text in strings(json.loads(f.read_text("utf-8"))) for g in grams(text)}
    assert len(theirs) > 1000
    for key, text in written_texts().items():
        assert not grams(text) & theirs, key


def test_the_tutor_shows_composition():
    base, tutor = shipped("harmlessness"), shipped("tutor")
    inherited = {principle.id for principle in base.principles} & {p.id for p in tutor.principles}
    assert 0 < len(inherited) < len(base.principles)
    changed = {id for id in inherited if base.principle(id) != tutor.principle(id)}
    assert changed == {"age-appropriateness", "danger-to-self"}
    assert tutor.principle("danger-to-self").critique == base.principle("danger-to-self").critique


def test_each_axis_of_a_summary_has_the_same_share_of_the_draws():
    shares: dict[str, float] = {}
    for principle in shipped("rlaif-summarization").principles:
        (axis,) = principle.tags
        shares[axis] = shares.get(axis, 0) + principle.weight
    assert shares == {"coherence": 2, "accuracy": 2, "coverage": 2, "overall": 2}


@pytest.mark.parametrize(
    "path", sorted(path.parent for path in (ROOT / "prompts").glob("*/set.yaml")), ids=lambda path: path.name
)
def test_every_shipped_prompt_set_loads(path):
    loaded = load_prompt_set(path)
    assert loaded.id == path.name
    assert loaded.description


def test_harmlessness_has_as_many_principles_as_the_paper():
    assert len(shipped("harmlessness").principles) == 16


def blocks(language: str, paths: list[Path] = DOCS) -> list[str]:
    pages = "".join(path.read_text(encoding="utf-8") for path in paths)
    return re.findall(rf"```{language}\n(.*?)```", pages, re.DOTALL)


def test_the_documented_yaml_loads(tmp_path):
    kinds = {"constitution": 0, "set": 0, "preference_examples": 0, "examples": 0}
    marks = (
        ("\nprinciples:", "constitution"),
        ("clean_marker:", "set"),
        ("responses:", "preference_examples"),
        ("", "examples"),
    )
    for number, text in enumerate(blocks("yaml")):
        kind = next(kind for mark, kind in marks if mark in text)
        kinds[kind] += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "constitution":
            (folder / "file.yaml").write_text(text, encoding="utf-8")
            load_constitution(folder / "file.yaml")
        else:
            (folder / "set.yaml").write_text("id: x\nclean_marker: No changes needed.\n", encoding="utf-8")
            (folder / "respond.jinja").write_text('{% turn "user" %}x{% endturn %}', encoding="utf-8")
            (folder / f"{kind}.yaml").write_text(text, encoding="utf-8")
            load_prompt_set(folder)
    assert kinds == {"constitution": 2, "set": 1, "preference_examples": 1, "examples": 1}


def test_the_documented_template_renders(tmp_path):
    (text,) = blocks("jinja")
    (tmp_path / "set.yaml").write_text("id: x\nclean_marker: No changes needed.\n", encoding="utf-8")
    (tmp_path / "critique.jinja").write_text(text, encoding="utf-8")
    rendered = render(load_prompt_set(tmp_path), "critique")
    assert rendered[-3:] == (
        Message("assistant", RESPONSE),
        Message("user", PRINCIPLE.critique),
        Message("assistant", "The response"),
    )


def test_the_guide_lists_what_ships():
    rows = re.findall(
        r"^\| `([a-z-]+)` \| (\d+) \| (.+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {name: int(count) for name, count, _ in rows} == {
        name: len(shipped(name).principles) for name in NAMES
    }


def test_lint_says_of_the_guides_constitutions_what_the_guide_says(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from constitutional.cli import cli

    monkeypatch.chdir(tmp_path)
    path = Path("constitutions") / "bike-shop.yaml"
    path.parent.mkdir()
    said = []
    for text in blocks("yaml", [GUIDE]):
        path.write_text(text, encoding="utf-8")
        load_constitution(path)
        said.append(CliRunner().invoke(cli, ["constitution", "lint", "bike-shop"]).output)
    (first,) = blocks("text", [GUIDE])
    clean = "1 file: nothing found\n"
    assert said == [first, clean, clean]


def test_the_commands_of_the_guide_are_commands_with_these_options():
    import click

    from constitutional.cli import cli

    text = "".join(blocks("console", [GUIDE])).replace("\\\n", " ")
    commands = [line.split() for line in text.splitlines() if line.startswith("$ constitutional ")]
    assert len(commands) >= 6
    for _, _, *rest in commands:
        command: click.Command | None = cli
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), rest.pop(0))
        assert command is not None
        known = {option for param in command.params for option in param.opts + param.secondary_opts}
        assert {word for word in rest if word.startswith("--")} <= known, command.name
