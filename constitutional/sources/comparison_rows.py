"""From a row's fields to a prompt, two responses and what people made of them, or to the reason why it is no comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from constitutional.assignment import content_hash
from constitutional.records import Conversation, Message
from constitutional.sources.evaluation import evaluation_comparison, prompt_of
from constitutional.sources.judgements import ANNOTATOR, probability_of, row_judgement, weight_of
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import check_prompt, clean_text, kind_of, messages_of, transcript_of
from constitutional.sources.transcripts import common_prompt_and_rests, joined

RESPONSE_COLUMNS = ("responses", "response1", "response2", "chosen", "rejected", "corrects", "incorrects")
_COLUMNS = frozenset(
    {"id", "prompt", "instruction", "input", "probability", "votes", "weight", "chosen_probability"}
) | set(RESPONSE_COLUMNS)


@dataclass(frozen=True, slots=True)
class ComparisonFields:
    """What a row says of a comparison, but for its id.

    Attributes:
        prompt: the conversation.
        responses: the first and the second, without white space around them.
        human: P(the first is better) where the row says so.
        votes: how many votes that comes from, where it comes from votes.
        weight: how much the row counts.
    """

    prompt: Conversation
    responses: tuple[str, str]
    human: float | None = None
    votes: int | None = None
    weight: float = 1.0


def is_comparison_column(name: str) -> bool:
    """Whether a column is part of comparisons."""
    return name in _COLUMNS or ANNOTATOR.fullmatch(name) is not None


def row_comparison(row: dict[str, Any]) -> ComparisonFields:
    """The comparison in a row, whichever of the formats it has; docs/input-formats.md lists them.

    Raises:
        BadRow: it is none.
    """
    votes: int | None = None
    human: float | None
    if row.get("corrects") is not None or row.get("incorrects") is not None:
        prompt, texts, human = evaluation_comparison(row)
    elif row.get("chosen") is not None or row.get("rejected") is not None:
        prompt, texts = _chosen_and_rejected(row)
        human = probability_of(row, "chosen_probability")
        human = 1.0 if human is None else human
    else:
        texts = _two_responses(row)
        prompt = row_conversation(row)
        human, votes = row_judgement(row)
    first, second = (text.strip() for text in texts)
    for place, text in enumerate((first, second), 1):
        if not text:
            raise BadRow("empty_response", f"response {place} holds nothing but white space")
    if first == second:
        raise BadRow("identical_responses")
    return ComparisonFields(prompt, (first, second), human, votes, weight_of(row))


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


def _two_responses(row: dict[str, Any]) -> tuple[str, str]:
    if row.get("responses") is not None:
        given = row["responses"]
        if not isinstance(given, list | tuple):
            raise BadRow("wrong_type", f"expected a list of two responses, not {kind_of(given)}", "responses")
        if len(given) != 2:
            raise BadRow("not_two_responses", f"there are {len(given)} responses", "responses")
        return response_text(given[0], "responses.0"), response_text(given[1], "responses.1")
    if row.get("response1") is None and row.get("response2") is None:
        raise BadRow("missing_responses")
    return response_text(row.get("response1"), "response1"), response_text(row.get("response2"), "response2")


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


def response_text(value: object, field: str, prompt: Conversation = ()) -> str:
    """A response as a text, or as messages, which may repeat the prompt.

    Raises:
        BadRow: it is neither, or more than one assistant's turn.
    """
    if value is None:
        raise BadRow("missing_responses", field=field)
    if not isinstance(value, list | tuple):
        return _text(value, field)
    messages = joined(messages_of(value, field))
    repeated = [(m.role, m.content.strip()) for m in messages[: len(prompt)]]
    if prompt and repeated == [(m.role, m.content.strip()) for m in prompt]:
        messages = messages[len(prompt) :]
    return _answer(messages, field)


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
