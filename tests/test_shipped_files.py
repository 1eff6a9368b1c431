"""Every shipped file loads, what the templates render is written down, and the documentation is true.

After a deliberate change of a template: `GOLDEN=write pytest tests/test_shipped_files.py`, and
read the difference.
"""

import os
import re
from pathlib import Path

import pytest

from constitutional.constitution import Principle, load_constitution
from constitutional.records import Conversation, Message
from constitutional.templates import PromptSet, load_prompt_set

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
DOCS = [ROOT / "docs" / "constitution-format.md", ROOT / "docs" / "prompt-templates.md"]

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


@pytest.mark.parametrize("path", sorted((ROOT / "constitutions").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_constitution_loads(path):
    loaded = load_constitution(path)
    assert loaded.id == path.stem
    assert loaded.description


@pytest.mark.parametrize(
    "path", sorted(path.parent for path in (ROOT / "prompts").glob("*/set.yaml")), ids=lambda path: path.name
)
def test_every_shipped_prompt_set_loads(path):
    loaded = load_prompt_set(path)
    assert loaded.id == path.name
    assert loaded.description


def test_the_harmlessness_constitution_is_complete():
    loaded = load_constitution(ROOT / "constitutions" / "harmlessness.yaml")
    assert len(loaded.principles) == len(loaded.for_revise()) == len(loaded.for_label()) == 16
    for principle in loaded.principles:
        assert "the assistant's last response" in principle.critique
        assert principle.revision.startswith("Rewrite the assistant's last response")
        assert "?" in principle.preference
        assert principle.tags
        assert principle.source


def blocks(language: str) -> list[str]:
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS)
    return re.findall(rf"```{language}\n(.*?)```", pages, re.DOTALL)


def test_the_documented_yaml_loads(tmp_path):
    kinds = {"constitution": 0, "set": 0, "examples": 0}
    for number, text in enumerate(blocks("yaml")):
        kind = next(
            kind
            for mark, kind in (("\nprinciples:", "constitution"), ("clean_marker:", "set"), ("", "examples"))
            if mark in text
        )
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
    assert kinds == {"constitution": 2, "set": 1, "examples": 1}


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
