"""Few-shot examples of preferences: a conversation, two responses, which of them is better, and why.

The file, `preference_examples.yaml`, is to a labeler what `examples.yaml` is to critiques and revisions: a list `examples`, each
with a `prompt` (a text, or turns of role and content from a user's to a user's), two `responses`, an `answer` (A is the first
of them, B the second) and possibly a `rationale`. docs/constitution-import.md shows one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from constitutional.errors import Problem, TemplateError
from constitutional.records import Conversation, Message
from constitutional.schema import FileModel, validate
from constitutional.templates import TurnEntry
from constitutional.yamlfile import load_yaml

FILE_NAME = "preference_examples.yaml"
Answer = Literal["A", "B"]


@dataclass(frozen=True, slots=True)
class PreferenceExample:
    """A few-shot example of one comparison (Bai et al. 2022, section 4.1).

    Attributes:
        prompt: the conversation; it ends in a user turn.
        responses: the two responses, in the order in which they are shown as (A) and (B).
        answer: which of them is better.
        rationale: the reasoning that leads to the answer; None where there is none.
    """

    prompt: Conversation
    responses: tuple[str, str]
    answer: Answer
    rationale: str | None = None

    @property
    def chosen(self) -> str:
        """The better response."""
        return self.responses["AB".index(self.answer)]

    @property
    def rejected(self) -> str:
        """The other one."""
        return self.responses["BA".index(self.answer)]

    def swap(self) -> PreferenceExample:
        """The same comparison with the responses in the other order.

        Raises:
            ValueError: it has a rationale, which may speak of (A) and (B).
        """
        if self.rationale is not None:
            raise ValueError("a rationale may name (A) and (B), so its responses can't change places")
        return PreferenceExample(self.prompt, self.responses[::-1], "B" if self.answer == "A" else "A")


class PreferenceExampleEntry(FileModel):
    """One example of the file."""

    prompt: str | list[TurnEntry]
    responses: list[str] = Field(min_length=2, max_length=2)
    rationale: str | None = None
    answer: Answer


class PreferenceExamplesFile(FileModel):
    """`preference_examples.yaml`."""

    examples: list[PreferenceExampleEntry]


def load_preference_examples(path: Path) -> tuple[PreferenceExample, ...]:
    """Load a file of preference examples.

    Args:
        path: the file.

    Raises:
        TemplateError: with every problem found, each with its place.
    """
    document = load_yaml(path, error=TemplateError)
    entries = validate(document, PreferenceExamplesFile, error=TemplateError).examples
    problems: list[Problem] = []
    examples = []
    for index, entry in enumerate(entries):
        given = entry.prompt
        turns = (
            [Message("user", given)]
            if isinstance(given, str)
            else [Message(turn.role, turn.content) for turn in given]
        )
        prompt = tuple(Message(turn.role, turn.content.strip()) for turn in turns)
        if not is_prompt(prompt):
            message = "must be texts in turns that alternate, from a user's to a user's"
            problems.append(Problem(message, document.place("examples", index, "prompt")))
        for number, response in enumerate(entry.responses):
            if not response.strip():
                place = document.place("examples", index, "responses", number)
                problems.append(Problem("must not be empty", place))
        if entry.rationale is not None and not entry.rationale.strip():
            message = "must not be empty; write it or leave the key out"
            problems.append(Problem(message, document.place("examples", index, "rationale")))
        first, second = (response.strip() for response in entry.responses)
        rationale = entry.rationale.strip() if entry.rationale else None
        examples.append(PreferenceExample(prompt, (first, second), entry.answer, rationale))
    if problems:
        raise TemplateError(problems)
    return tuple(examples)


def is_prompt(turns: Conversation) -> bool:
    """Whether turns with a text alternate, from a user's to a user's."""
    roles = [turn.role for turn in turns]
    return (
        bool(turns)
        and roles == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        and all(turn.content for turn in turns)
    )
