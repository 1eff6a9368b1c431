"""From a row's fields to a prompt, or to the reason why it is none."""

from __future__ import annotations

from typing import Any

from constitutional.assignment import content_hash
from constitutional.errors import nearest
from constitutional.records import Conversation, Message, Role
from constitutional.sources.reasons import BadRow
from constitutional.sources.transcripts import common_prompt, transcript_turns

PROMPT_COLUMNS = ("prompt", "chosen", "rejected")
COLUMNS = frozenset({"id", "response", *PROMPT_COLUMNS})
_ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_MAX_ID = 1_000
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


def row_id(row: dict[str, Any]) -> str | None:
    """The id given in a row, None where there is none.

    Raises:
        BadRow: `invalid_id`, `nul_character` or `invalid_unicode`.
    """
    given = row.get("id")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise BadRow("invalid_id", f"an id is a text or an integer, not {kind_of(given)}", "id")
    if isinstance(given, int):
        if given.bit_length() > 256:
            raise BadRow("invalid_id", "the integer is too large for an id", "id")
        return str(given)
    if not given.strip() or len(given) > _MAX_ID:
        raise BadRow("invalid_id", f"an id has 1 to {_MAX_ID:,} characters", "id")
    return clean_text(given, "id")


def row_prompt(row: dict[str, Any]) -> tuple[Conversation, str | None]:
    """The conversation of a row, and the response that came with it.

    Raises:
        BadRow: it has none, or one that can't be used.
    """
    if row.get("prompt") is not None:
        messages = messages_of(row["prompt"], "prompt")
        check_prompt(messages, "prompt")
    else:
        names = [name for name in ("chosen", "rejected") if row.get(name) is not None]
        if not names:
            raise BadRow("missing_prompt")
        messages = common_prompt([transcript_of(row[name], name) for name in names])
        check_prompt(messages, names[0])
    return messages, _response(row.get("response"))


def content_id(messages: Conversation, response: str | None) -> str:
    """What an input without an id is called: 16 hexadecimal digits that depend on nothing but its content."""
    parts = [part for message in messages for part in (message.role, message.content)]
    return content_hash("prompt", len(messages), *parts, *([] if response is None else [response]))[:16]


def messages_of(value: object, field: str) -> Conversation:
    """The conversation that a text (one user turn) or a list of messages is.

    Raises:
        BadRow: it is neither, or holds what is no text.
    """
    if isinstance(value, str):
        return (Message("user", clean_text(value, field)),)
    if not isinstance(value, list | tuple):
        raise BadRow("wrong_type", f"expected a text or a list of messages, not {kind_of(value)}", field)
    return tuple(_message(item, f"{field}.{index}") for index, item in enumerate(value))


def _message(value: object, field: str) -> Message:
    if not isinstance(value, dict):
        raise BadRow("wrong_type", f"expected a message {{role, content}}, not {kind_of(value)}", field)
    role, content = value.get("role"), value.get("content")
    if not isinstance(role, str):
        raise BadRow("wrong_type", f"a role is a text, not {kind_of(role)}", f"{field}.role")
    if role not in _ROLES:
        raise BadRow("unknown_role", f"unknown role {_short(role)}; {nearest(role, _ROLES)}", f"{field}.role")
    if not isinstance(content, str):
        raise BadRow("wrong_type", f"a content is a text, not {kind_of(content)}", f"{field}.content")
    return Message(_ROLES[role], clean_text(content, f"{field}.content"))


def transcript_of(value: object, field: str) -> Conversation:
    """The turns of a transcript, or of a list of messages.

    Raises:
        BadRow: it is neither.
    """
    if not isinstance(value, str):
        return messages_of(value, field)
    try:
        return transcript_turns(clean_text(value, field))
    except BadRow as bad:
        raise BadRow(bad.reason, bad.detail, field) from None


def check_prompt(messages: Conversation, field: str) -> None:
    """Refuse a conversation that is no prompt.

    Raises:
        BadRow: it is empty, has an empty turn, or does not end in a user turn.
    """
    if not messages:
        raise BadRow("empty_prompt", field=field)
    last = messages[-1]
    if last.role == "assistant":
        raise BadRow("ends_with_assistant", field=field)
    if last.role == "system":
        raise BadRow("ends_with_system", field=field)
    if not last.content.strip():
        raise BadRow("empty_prompt", field=field)
    for index, message in enumerate(messages[:-1]):
        # An empty system turn means something: no system prompt, where a chat template would add its own.
        if message.role != "system" and not message.content.strip():
            raise BadRow("empty_turn", field=f"{field}.{index}")


def _response(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRow("wrong_type", f"a response is a text, not {kind_of(value)}", "response")
    if not value.strip():
        raise BadRow("empty_response", field="response")
    return clean_text(value, "response")


def clean_text(text: str, field: str) -> str:
    """The text, unless it can't be stored everywhere.

    Raises:
        BadRow: `nul_character` or `invalid_unicode`.
    """
    if "\0" in text:
        raise BadRow("nul_character", f"NUL at character {text.index(chr(0)) + 1:,}", field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        detail = f"half of a surrogate pair at character {error.start + 1:,}"
        raise BadRow("invalid_unicode", detail, field) from None
    return text


def kind_of(value: object) -> str:
    """What a value is, in the words of a message."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _short(text: str) -> str:
    """An untrusted name, short and inert, to quote in a sentence."""
    return ascii(text if len(text) <= 40 else f"{text[:40]}…")
