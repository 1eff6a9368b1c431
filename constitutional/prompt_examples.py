"""Few-shot examples of a prompt set: of critique and revision, and of comparisons.

Two files of a set hold them, both a list `examples`: `examples.yaml` for critiques and revisions (Bai et al. 2022,
section 3.1), `preference_examples.yaml` for a judge (section 4.1). The formats are in `docs/prompt-templates.md`.
A conversation is a text (one user turn), or turns of role and content from a user's to a user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from constitutional.errors import Problem, TemplateError
from constitutional.records import Conversation, Message
from constitutional.schema import FileModel, validate
from constitutional.yamlfile import load_yaml

EXAMPLES_FILE = "examples.yaml"
PREFERENCE_EXAMPLES_FILE = "preference_examples.yaml"
Answer = Literal["A", "B"]

_NO_PROMPT = "must be texts in turns that alternate, from a user's to a user's"


@dataclass(frozen=True, slots=True)
class Example:
    """A few-shot example: one round of critique and revision.

    Attributes:
        prompt: the conversation; it ends in a user turn.
        response: the response that is criticised.
        critique_request: what was asked of it.
        critique: the critique.
        revision_request: how it was to be rewritten; None where the critique finds nothing to change.
        revision: the rewritten response; None likewise.
    """

    prompt: Conversation
    response: str
    critique_request: str
    critique: str
    revision_request: str | None = None
    revision: str | None = None

    @property
    def clean(self) -> bool:
        """Whether its critique finds nothing to change."""
        return self.revision is None


@dataclass(frozen=True, slots=True)
class PreferenceExample:
    """A few-shot example of one comparison (Bai et al. 2022, section 4.1).

    Attributes:
        prompt: the conversation; it ends in a user turn.
        responses: the two responses, in the order in which they are shown as (A) and (B).
        answer: which of them is better.
        rationale: the reasoning that leads to the answer; None where there is none.
        question: what was asked of the two responses; None where that is just which of them is better.
    """

    prompt: Conversation
    responses: tuple[str, str]
    answer: Answer
    rationale: str | None = None
    question: str | None = None

    @property
    def chosen(self) -> str:
        """The better response."""
        return self.responses["AB".index(self.answer)]

    @property
    def rejected(self) -> str:
        """The other one."""
        return self.responses["BA".index(self.answer)]


class TurnEntry(FileModel):
    """One turn of an example's prompt."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


class ExampleEntry(FileModel):
    """One example of `examples.yaml`."""

    prompt: str | list[TurnEntry]
    response: str = Field(min_length=1)
    critique_request: str = Field(min_length=1)
    critique: str = Field(min_length=1)
    revision_request: str | None = Field(default=None, min_length=1)
    revision: str | None = Field(default=None, min_length=1)


class ExamplesFile(FileModel):
    """`examples.yaml`."""

    examples: list[ExampleEntry]


class PreferenceExampleEntry(FileModel):
    """One example of `preference_examples.yaml`."""

    prompt: str | list[TurnEntry]
    responses: list[str] = Field(min_length=2, max_length=2)
    question: str | None = None
    rationale: str | None = None
    answer: Answer


class PreferenceExamplesFile(FileModel):
    """`preference_examples.yaml`."""

    examples: list[PreferenceExampleEntry]


def load_examples(path: Path, marker: str | None = None) -> tuple[Example, ...]:
    """Load a file of examples of critique and revision.

    Args:
        path: the file, an `examples.yaml`.
        marker: the sentence that no critique may hold which a revision follows: the set's clean marker.

    Raises:
        TemplateError: with every problem found.
    """
    document = load_yaml(path, error=TemplateError)
    entries = validate(document, ExamplesFile, error=TemplateError).examples
    problems = []
    examples = []
    for index, entry in enumerate(entries):
        place = document.place("examples", index)
        prompt = _turns(entry.prompt)
        if not is_prompt(prompt):
            problems.append(Problem(_NO_PROMPT, document.place("examples", index, "prompt")))
        if (entry.revision is None) != (entry.revision_request is None):
            problems.append(Problem("give both revision_request and revision, or neither", place))
        if marker and entry.revision is not None and marker in entry.critique:
            message = f"the critique has the clean marker {marker!r}, but a revision follows"
            problems.append(Problem(message, document.place("examples", index, "critique")))
        texts = (
            entry.response,
            entry.critique_request,
            entry.critique,
            entry.revision_request,
            entry.revision,
        )
        examples.append(Example(prompt, *(text.strip() if text else text for text in texts)))  # type: ignore[arg-type]
    if problems:
        raise TemplateError(problems)
    return tuple(examples)


def load_preference_examples(path: Path) -> tuple[PreferenceExample, ...]:
    """Load a file of preference examples.

    Args:
        path: the file, a `preference_examples.yaml`.

    Raises:
        TemplateError: with every problem found, each with its place.
    """
    document = load_yaml(path, error=TemplateError)
    entries = validate(document, PreferenceExamplesFile, error=TemplateError).examples
    problems: list[Problem] = []
    examples = []
    for index, entry in enumerate(entries):
        prompt = _turns(entry.prompt)
        if not is_prompt(prompt):
            problems.append(Problem(_NO_PROMPT, document.place("examples", index, "prompt")))
        for number, response in enumerate(entry.responses):
            if not response.strip():
                place = document.place("examples", index, "responses", number)
                problems.append(Problem("must not be empty", place))
        for name in ("question", "rationale"):
            text = getattr(entry, name)
            if text is not None and not text.strip():
                message = "must not be empty; write it or leave the key out"
                problems.append(Problem(message, document.place("examples", index, name)))
        first, second = (response.strip() for response in entry.responses)
        rationale = entry.rationale.strip() if entry.rationale else None
        question = entry.question.strip() if entry.question else None
        examples.append(PreferenceExample(prompt, (first, second), entry.answer, rationale, question))
    if problems:
        raise TemplateError(problems)
    return tuple(examples)


def _turns(given: str | list[TurnEntry]) -> Conversation:
    if isinstance(given, str):
        return (Message("user", given.strip()),)
    return tuple(Message(turn.role, turn.content.strip()) for turn in given)


def is_prompt(turns: Conversation) -> bool:
    """Whether turns with a text alternate, from a user's to a user's."""
    roles = [turn.role for turn in turns]
    return (
        bool(turns)
        and roles == ["user", "assistant"] * (len(turns) // 2) + ["user"]
        and all(turn.content for turn in turns)
    )
