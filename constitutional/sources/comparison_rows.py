"""From a row's fields to a prompt, two responses and what people made of them, or to the reason why it is no comparison."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from constitutional.assignment import content_hash
from constitutional.records import Conversation, Message
from constitutional.sources.evaluation import evaluation_comparison, prompt_of
from constitutional.sources.judgements import ANNOTATOR, probability_of, row_judgement, weight_of
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import check_prompt, clean_text, kind_of, messages_of, transcript_of
from constitutional.sources.transcripts import common_prompt_and_rests, joined, transcript_turns

RESPONSE_COLUMNS = ("responses", "response1", "response2", "chosen", "rejected", "corrects", "incorrects")
_COLUMNS = frozenset(
    {"id", "prompt", "instruction", "input", "probability", "votes", "weight", "chosen_probability"}
) | set(RESPONSE_COLUMNS)
_TRANSCRIPT = re.compile(r"\s*Human:")


@dataclass(frozen=True, slots=True)
class ComparisonFields:
    """What a row says of a comparison, but for its id.

    Attributes:
        prompt: the conversation.
        responses: the first and the second, without white space around them.
        human: P(the first is better) where the row says so.
        votes: how many votes that comes from, where it comes from votes.
        weight: how much the row counts.
        soft: whether the row says how probable, by a probability or several votes, not only which.
    """

    prompt: Conversation
    responses: tuple[str, str]
    human: float | None = None
    votes: int | None = None
    weight: float = 1.0
    soft: bool = False


def is_comparison_column(name: str) -> bool:
    """Whether a column is part of comparisons."""
    return name in _COLUMNS or ANNOTATOR.fullmatch(name) is not None


def row_comparison(row: dict[str, Any], *, of_a_run: bool = False) -> ComparisonFields:
    """The comparison in a row, whichever of the formats it has; docs/input-formats.md lists them.

    Args:
        row: its fields.
        of_a_run: its responses are texts as they are: one that reads like a transcript is what a model wrote.

    Raises:
        BadRow: it is none.
    """
    votes: int | None = None
    human: float | None
    soft = False
    if row.get("corrects") is not None or row.get("incorrects") is not None:
        prompt, texts, human = evaluation_comparison(row)
    elif row.get("chosen") is not None or row.get("rejected") is not None:
        prompt, texts = _chosen_and_rejected(row)
        human = probability_of(row, "chosen_probability")
        if human is None:
            human, votes = row_judgement(row)
        soft = human is not None
        if human is None:  # that it was chosen says as much
            human, votes = 1.0, None
    else:
        prompt, texts = _two_responses(row, of_a_run)
        human, votes = row_judgement(row)
        soft = human is not None
    first, second = (text.strip() for text in texts)
    for place, text in enumerate((first, second), 1):
        if not text:
            raise BadRow("empty_response", f"response {place} holds nothing but white space")
    if first == second:
        raise BadRow("identical_responses")
    soft = soft and votes != 1
    return ComparisonFields(prompt, (first, second), human, votes, weight_of(row), soft)


def row_conversation(row: dict[str, Any]) -> Conversation:
    """The conversation in a row's `prompt`, or in its `instruction` and `input`, as instruction data sets have it.

    Raises:
        BadRow: there is none, or it is no prompt.
    """
    if row.get("prompt") is not None:
        messages = prompt_of(row["prompt"], "prompt")
        check_prompt(messages, "prompt")
        return messages
    if row.get("instruction") is None:
        raise BadRow("missing_prompt")
    parts = [
        _text(row.get(name), name).strip() for name in ("instruction", "input") if row.get(name) is not None
    ]
    messages = (Message("user", "\n\n".join(part for part in parts if part)),)
    check_prompt(messages, "instruction")
    return messages


def comparison_id(prompt: Conversation, responses: tuple[str, str]) -> str:
    """What a comparison without an id is called: 16 hexadecimal digits that don't depend on the responses' order."""
    parts = [part for message in prompt for part in (message.role, message.content)]
    return content_hash("comparison", len(prompt), *parts, *sorted(responses))[:16]


def _two_responses(row: dict[str, Any], of_a_run: bool) -> tuple[Conversation, tuple[str, str]]:
    if row.get("responses") is not None:
        given = row["responses"]
        if not isinstance(given, list | tuple):
            raise BadRow("wrong_type", f"expected a list of two responses, not {kind_of(given)}", "responses")
        if len(given) != 2:
            raise BadRow("not_two_responses", f"expected two, not {len(given)}", "responses")
        fields = ("responses.0", "responses.1")
    else:
        fields = ("response1", "response2")
        given = [row.get(field) for field in fields]
        for field, value in zip(fields, given, strict=True):
            if value is None:
                raise BadRow("missing_responses", field=None if given == [None, None] else field)
    prompt = row_conversation(row)
    if of_a_run:
        return prompt, (_text(given[0], fields[0]), _text(given[1], fields[1]))
    return prompt, (response_text(given[0], fields[0], prompt), response_text(given[1], fields[1], prompt))


def _chosen_and_rejected(row: dict[str, Any]) -> tuple[Conversation, tuple[str, str]]:
    for name in ("chosen", "rejected"):
        if row.get(name) is None:
            raise BadRow("missing_responses", field=name)
    if row.get("prompt") is None and row.get("instruction") is None:
        transcripts = [transcript_of(row[name], name) for name in ("chosen", "rejected")]
        prompt, rests = common_prompt_and_rests(transcripts)
        check_prompt(prompt, "chosen")
        return prompt, (_answer(rests[0], "chosen"), _answer(rests[1], "rejected"))
    prompt = row_conversation(row)
    return prompt, (
        response_text(row["chosen"], "chosen", prompt),
        response_text(row["rejected"], "rejected", prompt),
    )


def response_text(value: object, field: str, prompt: Conversation) -> str:
    """A response as a text, or as messages or a transcript that repeats the prompt; messages need not.

    Raises:
        BadRow: it is neither, or more than one assistant's turn.
    """
    if value is None:
        raise BadRow("missing_responses", field=field)
    if isinstance(value, list | tuple):
        messages = joined(messages_of(value, field))
        rest = _after(prompt, messages)
        return _answer(messages if rest is None else rest, field)
    text = _text(value, field)
    if _TRANSCRIPT.match(text):
        turns = [message for message in prompt if message.role != "system"]  # a transcript has none
        rest = _after(turns, joined(transcript_turns(text)))
        if rest is not None:
            return _answer(rest, field)
    return text


def _after(prompt: Sequence[Message], messages: Conversation) -> Conversation | None:
    """What comes after the prompt in messages that begin with it; None where they don't."""
    asked = [(message.role, message.content.strip()) for message in joined(prompt)]
    repeated = [(message.role, message.content.strip()) for message in messages[: len(asked)]]
    return messages[len(asked) :] if asked and repeated == asked else None


def _answer(messages: Conversation, field: str) -> str:
    """The text of what has to be one assistant's turn."""
    if not messages:
        raise BadRow("missing_responses", "the conversation ends with the prompt", field)
    if [message.role for message in messages] != ["assistant"]:
        raise BadRow("several_turns", field=field)
    return messages[0].content


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise BadRow("wrong_type", f"expected a text, not {kind_of(value)}", field)
    return clean_text(value, field)
