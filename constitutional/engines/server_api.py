"""The OpenAI-compatible chat API as data: what is sent, and what may come back. Nothing here does any I/O.

A server is not trusted: whatever is not exactly an answer is `BadAnswer`, and its messages are shortened
and made inert before they reach an error.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from constitutional.engines.markers import escape_markers
from constitutional.engines.options import log_rest
from constitutional.errors import (
    BadAnswer,
    ChoiceUnsupported,
    EngineError,
    OptionNotShown,
    RequestRefused,
    RequestTooLong,
)
from constitutional.records import Choice, Generation, Message, Sampling

Body = dict[str, Any]
TOP_LOGPROBS = 20  # the most that the API allows
_SEED_MASK = 2**31 - 1  # some servers take no more
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:input|sequence|model) length|max_model_len|too many tokens"
    r"|(?:prompt|input|request|message|conversation)s?\b[^.]{0,40}\btoo long",
    re.IGNORECASE,
)
_INSTEAD = (
    "Options have to be single, likely tokens here: sample answers, or use an engine that holds the model"
)
_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}


def chat_body(model: str, messages: Sequence[Message], sampling: Sampling, seed: int) -> tuple[Body, int]:
    """The body of one chat request, and how many chat markers in its contents were made harmless.

    An assistant's turn at the end is continued (`continue_final_message`, which vLLM has). An empty one is
    left out: the server opens the same turn by itself.
    """
    rows, escaped = _message_rows(messages)
    body: Body = {
        "model": model,
        "messages": rows,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": seed & _SEED_MASK,
        "n": 1,
    }
    if sampling.top_k > 0:
        body["top_k"] = sampling.top_k
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if rows and rows[-1]["role"] == "assistant":
        body.update(_CONTINUE)
    return body, escaped


def choice_body(model: str, messages: Sequence[Message]) -> Body:
    """The body of the request that asks for the likeliest next tokens of an unfinished assistant turn."""
    body, _ = chat_body(model, messages, Sampling(temperature=0.0, max_tokens=1), 0)
    return {**body, "logprobs": True, "top_logprobs": TOP_LOGPROBS}


def read_generation(answer: bytes, escaped: int) -> Generation:
    """The generation in an answer.

    Raises:
        BadAnswer: it is none.
        RequestRefused: a content filter or the model refused to answer.
    """
    value = _object(answer)
    choice = _first_choice(value)
    finish = choice.get("finish_reason")
    if finish is not None and not isinstance(finish, str):
        raise BadAnswer("the server's finish_reason is not a text")
    if finish == "content_filter":
        raise RequestRefused("the server's content filter refused the request")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise BadAnswer("the server's answer has no message")
    text = message.get("content")
    if text is None and isinstance(message.get("refusal"), str):
        raise RequestRefused("the server refused the request")
    if not isinstance(text, str):
        kind = "null" if text is None else type(text).__name__
        raise BadAnswer(f"the server's content is {kind}, not a text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadAnswer("the server's content is not valid Unicode (half of a surrogate pair)") from None
    prompt, completion, cached = _usage(value)
    return Generation(text, "length" if finish == "length" else "stop", prompt, completion, cached, escaped)


def read_choice(answer: bytes, options: Sequence[str]) -> Choice:
    """The log-probabilities of some options in an answer.

    Raises:
        BadAnswer: it is none.
        OptionNotShown: an option is not among the tokens that the server shows.
        ChoiceUnsupported: it has no log-probabilities at all.
    """
    value = _object(answer)
    shown = _top_logprobs(_first_choice(value))
    missing = [option for option in options if option not in shown]
    if missing:
        raise OptionNotShown(
            f"the server shows the {len(shown)} likeliest tokens, and {_quoted(missing)} is not among them. "
            f"{_INSTEAD}"
        )
    scores = tuple(shown[option] for option in options)
    others = sorted(logprob for token, logprob in shown.items() if token not in options)
    # Where the options have nearly all of the mass, what is left of 1 is rounding; the other tokens are not.
    listed = math.log(math.fsum(map(math.exp, others))) if others and others[-1] > -700 else -math.inf
    prompt, _, cached = _usage(value)
    return Choice(scores, min(0.0, max(log_rest(scores), listed)), prompt, cached)


def read_models(answer: bytes) -> dict[str, Mapping[str, Any]]:
    """The models that a server lists, by their ids.

    Raises:
        BadAnswer: the answer is no list of models.
    """
    models = _object(answer).get("data")
    if not isinstance(models, list):
        raise BadAnswer("the server's list of models has no 'data'")
    return {m["id"]: m for m in models if isinstance(m, dict) and isinstance(m.get("id"), str)}


def refusal(status: int, answer: bytes, max_tokens: int, context_length: int | None) -> EngineError:
    """What a 4xx answer to one request means for it: too long, or refused."""
    message = server_message(answer)
    if status == 413 or is_too_long(answer):
        return RequestTooLong(None, max_tokens, context_length)
    return RequestRefused(f"the server refused the request (HTTP {status}): {message}")


def is_too_long(answer: bytes) -> bool:
    """Whether an error says that the request does not fit the context."""
    return _TOO_LONG.search(answer[:10_000].decode("utf-8", "replace")) is not None


def server_message(answer: bytes) -> str:
    """What an error answer says: short, on one line, without control characters."""
    text = answer[:10_000].decode("utf-8", "replace")
    try:
        value = json.loads(text)
        error = value.get("error", value) if isinstance(value, dict) else value
        found = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        text = found if isinstance(found, str) else text
    except (ValueError, RecursionError):
        pass
    return inert(text) or "no message"


def inert(text: str, limit: int = 300) -> str:
    """A text from outside for a sentence of ours: printable, on one line, at most `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= limit else f"{line[:limit]}…"


def _message_rows(messages: Sequence[Message]) -> tuple[list[dict[str, str]], int]:
    if not messages:
        raise ValueError("a request needs at least one message")
    if messages[-1] == Message("assistant", ""):
        messages = messages[:-1]
    rows, escaped = [], 0
    for message in messages:
        try:
            message.content.encode()
        except UnicodeEncodeError:
            detail = "a content is not valid Unicode (it holds half of a surrogate pair)"
            raise RequestRefused(detail) from None
        content, count = escape_markers(message.content)
        escaped += count
        rows.append({"role": message.role, "content": content})
    return rows, escaped


def _object(answer: bytes) -> dict[str, Any]:
    try:
        value = json.loads(answer.decode())
    except (ValueError, RecursionError):
        start = inert(answer[:200].decode("utf-8", "replace"), 80)
        raise BadAnswer(f"the server's answer is not JSON: {start!r}") from None
    if not isinstance(value, dict):
        raise BadAnswer("the server's answer is no JSON object")
    if value.get("error"):
        raise BadAnswer(f"the server answered an error: {server_message(answer)}")
    return value


def _first_choice(value: dict[str, Any]) -> dict[str, Any]:
    choices = value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadAnswer("the server's answer has no choices")
    first: dict[str, Any] = choices[0]
    return first


def _usage(value: dict[str, Any]) -> tuple[int, int, int]:
    """Tokens of the prompt, of the completion and from the cache; 0 where the server does not say."""
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return 0, 0, 0
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _top_logprobs(choice: dict[str, Any]) -> dict[str, float]:
    """The likeliest first tokens as the server shows them, and their log-probabilities."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        raise ChoiceUnsupported(f"the server gives no log-probabilities. {_INSTEAD}")
    top = content[0].get("top_logprobs") if isinstance(content[0], dict) else None
    if not isinstance(top, list):
        raise BadAnswer("the server's top_logprobs are no list")
    shown: dict[str, float] = {}
    for entry in top:
        entry = entry if isinstance(entry, dict) else {}
        token, logprob = entry.get("token"), entry.get("logprob")
        if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, int | float):
            raise BadAnswer("the server's top_logprobs are not pairs of a token and its log-probability")
        if math.isnan(logprob) or logprob > 1e-3:  # rounding may put one slightly above 0
            raise BadAnswer("the server's log-probabilities are not those of a distribution")
        shown.setdefault(token, min(0.0, float(logprob)))
    return shown


def _quoted(options: Sequence[str]) -> str:
    return ", ".join(ascii(option[:40]) for option in options[:5])
