"""What the shipped sets ask a judge is written down, shares its beginning, and is in the project's own words.

After a deliberate change of a template: `GOLDEN=write pytest tests/test_judge_prompts.py`, and read the difference.
"""

import itertools
import json
import os
import re
from pathlib import Path

import pytest
import yaml

from constitutional.constitution import Principle, load_constitution
from constitutional.records import Conversation, Message
from constitutional.templates import TEMPLATES, PromptSet, Scale, load_prompt_set
from tests.helpers import PROMPT_SET, REPOSITORY

GOLDEN = Path(__file__).parent / "golden"
SETS = {path.parent.name: path.parent for path in sorted((REPOSITORY / "prompts").glob("*/set.yaml"))}
RATINGS = tuple(map(str, range(1, 11)))
PROMPT = (
    Message("user", "My flatmate keeps eating my food."),
    Message("assistant", "How annoying!\nDid you talk about it?"),
    Message("user", "No. How do I get back at her?"),
)
KIND = Principle("kind", preference="Which of these two responses is kinder?")
TRUE = Principle("true", preference="Which of these two responses is right?")
COMPARED = {
    "prompt": PROMPT,
    "responses": ("Put salt in her milk.\n\nThat will teach her.", "Tell her."),
    "principle": KIND,
}
RATED = {"prompt": PROMPT, "response": "Tell her.", "principle": KIND}
RATIONALE = "(A) is a prank. (B) is short, but honest."

CASES = {
    "judge": ("judge", COMPARED),
    "judge-without-examples": ("judge", {**COMPARED, "examples": ()}),
    "judge-system-prompt": (
        "judge",
        {**COMPARED, "prompt": (Message("system", "Be brief."), PROMPT[-1]), "examples": ()},
    ),
    "judge-reason": ("judge-reason", COMPARED),
    "judge-answer": ("judge-answer", {**COMPARED, "rationale": RATIONALE}),
    "score": ("score", {**RATED, "scale": Scale(1, 10), "options": RATINGS}),
    "score-write": ("score-write", {**RATED, "scale": Scale(1.0, 5.0)}),
    "redteam": ("redteam", {"seeds": ("How do I lie well?", "Insult\nmy boss."), "number": 3, "topic": None}),
    "redteam-topic": ("redteam", {"seeds": ("How do I lie well?",), "number": 3, "topic": "money"}),
}
WRITTEN = [
    (name, case)
    for name, folder in SETS.items()
    for case, (template, _) in CASES.items()
    if template in load_prompt_set(folder).templates
]


@pytest.fixture(params=SETS)
def shipped(request) -> PromptSet:
    return load_prompt_set(SETS[request.param])


def dump(messages: Conversation) -> str:
    return "".join(f"{message.role}:\n{message.content}\n\n" for message in messages)


@pytest.mark.parametrize(("name", "case"), WRITTEN)
def test_what_the_shipped_sets_ask_a_judge_is_written_down(name, case):
    template, variables = CASES[case]
    rendered = dump(load_prompt_set(SETS[name]).render(template, **variables))
    path = GOLDEN / f"{name}-{case}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    from tests.test_shipped_files import CASES as CHAINS

    expected = {f"{name}-{case}.txt" for name, case in WRITTEN} | {f"default-{case}.txt" for case in CHAINS}
    assert {path.name for path in GOLDEN.iterdir()} == expected


def test_the_default_set_has_every_template():
    assert load_prompt_set("default").templates == tuple(TEMPLATES)
    assert load_prompt_set(PROMPT_SET).templates == tuple(TEMPLATES)


def test_every_shipped_set_can_judge_and_score(shipped):
    assert {"judge", "judge-reason", "judge-answer", "score"} <= set(shipped.templates)


def shared(one: Conversation, other: Conversation) -> str:
    """The common beginning of two requests."""
    pairs = zip(dump(one), dump(other), strict=False)
    return "".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


@pytest.mark.parametrize("template", ["judge", "judge-reason", "judge-answer"])
def test_requests_about_one_comparison_share_their_beginning(shipped, template):
    more = {"rationale": RATIONALE} if template == "judge-answer" else {}
    first = shipped.render(template, **COMPARED, **more)
    # Another principle: all but its question is shared.
    other = shipped.render(template, **{**COMPARED, "principle": TRUE}, **more)
    begun = shared(first, other)
    assert "> Tell her." in begun and begun.endswith("Which of these two responses is ")
    # The other order: all before the first response is shared.
    swapped = shipped.render(template, **{**COMPARED, "responses": COMPARED["responses"][::-1]}, **more)
    assert re.search(
        r"> No\. How do I get back at her\?\n\n(Response|Summary) \(?[A1]\)?:\n> $", shared(first, swapped)
    )
    # Another comparison: system turn and examples.
    apart = shipped.render(template, **{**COMPARED, "prompt": (Message("user", "Zebra"),)}, **more)
    assert first[: len(apart) - 2] == apart[:-2]


def test_an_answer_goes_on_from_its_reasoning_to_the_letter(shipped):
    reason = shipped.render("judge-reason", **COMPARED)
    answer = shipped.render("judge-answer", **COMPARED, rationale=RATIONALE)
    assert answer[:-1] == reason[:-1]
    assert answer[-1].content == f"{reason[-1].content} {RATIONALE}\n\n{shipped.rationale_stop()}"


def test_an_answer_begins_in_the_same_way_with_and_without_reasoning(shipped):
    assert shipped.render("judge", **COMPARED)[-1].content == shipped.rationale_stop()


def test_examples_end_as_an_answer_does(shipped):
    for template, last in (("judge", ""), ("judge-reason", "\n\n")):
        rendered = shipped.render(template, **COMPARED)
        answers = [message.content for message in rendered if message.role == "assistant"][:-1]
        assert len(answers) == len(shipped.preference_examples)
        for content, example in zip(answers, shipped.preference_examples, strict=True):
            _, begun, option = content.rpartition(shipped.rationale_stop())
            assert begun and option.rstrip(").") == shipped.options["AB".index(example.answer)]
            assert content.startswith(shipped.rationale_stop()) or last in content


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith(("judge", "score"))])
def test_turns_alternate_so_that_any_chat_template_takes_them(shipped, case):
    template, variables = CASES[case]
    if template not in shipped.templates:
        return
    roles = [message.role for message in shipped.render(template, **variables)]
    assert roles == ["system", *(["user", "assistant"] * (len(roles) // 2))]


def test_preference_examples_are_balanced_short_and_reasoned(shipped):
    examples = shipped.preference_examples
    assert len(examples) >= (4 if shipped.id == "default" else 2)
    for count in range(2, len(examples) + 1, 2):  # so that a cut at an even number is balanced too
        assert [example.answer for example in examples[:count]].count("A") == count // 2
    longer = [len(example.chosen) > len(example.rejected) for example in examples]
    assert sum(longer) == len(examples) // 2
    if shipped.id == "default":
        assert sum(len(example.prompt) > 1 for example in examples) >= 2
    for example in examples:
        assert example.question and example.question.endswith("?") and example.rationale
        texts = (*example.responses, example.rationale, *(message.content for message in example.prompt))
        assert len(" ".join(texts)) < 1000


def test_a_rationale_names_the_responses_as_its_set_does(shipped):
    for example in shipped.preference_examples:
        for option in shipped.options:
            assert re.search(rf"\(A\)|\(B\)|\b(?:Response|Summary) {option}\b", example.rationale)


def test_a_rating_names_both_ends_of_its_scale():
    default = load_prompt_set("default")
    score = dump(default.render("score", **RATED, scale=Scale(-5, 5), options=tuple(map(str, range(-5, 6)))))
    assert "from -5 to 5" in score
    assert "from 0.5 to 2" in dump(default.render("score-write", **RATED, scale=Scale(0.5, 2)))


def test_the_scored_sets_work_with_every_principle_of_their_constitution():
    for name, rules in (
        ("rlaif-summarization",) * 2,
        ("rlaif-helpfulness", "helpfulness"),
        ("default", "honesty"),
    ):
        loaded = load_prompt_set(SETS[name])
        for principle in load_constitution(rules).for_label():
            assert principle.preference in dump(
                loaded.render("judge", **{**COMPARED, "principle": principle})
            )


def test_no_shipped_judge_is_taken_from_the_papers_prompts(real_data):
    def strings(value):
        if isinstance(value, str):
            yield value
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from strings(item)

    def grams(text):
        found = re.findall(r"[\w']+", text.casefold())
        return {tuple(found[start : start + 6]) for start in range(len(found) - 5)}

    files = sorted((real_data / "cai-paper" / "prompts").glob("*.json"))
    theirs = {g for f in files for text in strings(json.loads(f.read_text("utf-8"))) for g in grams(text)}
    assert len(theirs) > 1000
    for folder in SETS.values():
        for path in folder.glob("preference_examples.yaml"):
            ours = strings(yaml.safe_load(path.read_text("utf-8")))
            assert not {g for text in ours for g in grams(text)} & theirs
        for path in folder.glob("*.jinja"):
            assert not grams(path.read_text("utf-8")) & theirs
