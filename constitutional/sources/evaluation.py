r"""The evaluation format of Bai et al. 2022: `prompt, corrects, incorrects`, with the options inside the prompt or not.

In their multiple-choice files (438 HHH comparisons) the prompt is a conversation, a request to choose, and both options as
`(A) [[[…]]]` and `(B) [[[…]]]`; the answers are `" (A)"` and `" (B)"`. Elsewhere the prompt is a plain transcript that ends in
`Assistant:`, and the answers are the responses themselves.

Deviation: the wording of their request to choose is not kept; whoever judges the comparison asks in its own words.
"""

from __future__ import annotations

import re
from typing import Any

from constitutional.records import Conversation
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import check_prompt, clean_text, kind_of, messages_of
from constitutional.sources.transcripts import joined, transcript_turns

_OPENS = "(A) [[["
# white space has one way to match: `\s*\n\s*` would try each of many line ends
_BETWEEN = re.compile(r"\]\]\][^\S\n]*\n\s*\(B\) \[\[\[")
_CLOSES = "]]]"
_LETTER = re.compile(r"\s*\(?([AB])\)?\s*")
_TURN = re.compile(r"(?:\A|\n\n)Human:")
_TRANSCRIPT = re.compile(r"\s*Human:.*\n\nAssistant:\s*", re.DOTALL)


def evaluation_comparison(row: dict[str, Any]) -> tuple[Conversation, tuple[str, str], float]:
    """The comparison in a row of the evaluation format.

    Args:
        row: has `corrects` and `incorrects`.

    Returns:
        The prompt; both responses, (A) first where they are options, else the correct one; P(the first is better).

    Raises:
        BadRow: it is none.
    """
    prompt = row.get("prompt")
    answers = _answer(row, "corrects"), _answer(row, "incorrects")
    if isinstance(prompt, str) and _OPENS in prompt:
        messages, options = _with_options(clean_text(prompt, "prompt"))
        letters = [found[1] if (found := _LETTER.fullmatch(answer)) else None for answer in answers]
        if sorted(letter or "" for letter in letters) != ["A", "B"]:
            raise BadRow(
                "bad_options", "the answers have to be (A) and (B), one correct and one not", "corrects"
            )
        return messages, options, float(letters[0] == "A")
    if prompt is None:
        raise BadRow("missing_prompt")
    messages = prompt_of(prompt, "prompt")
    check_prompt(messages, "prompt")
    return messages, answers, 1.0


def prompt_of(value: object, field: str) -> Conversation:
    r"""The conversation in a prompt that may be a transcript, `\n\nHuman: …\n\nAssistant:`, unfinished.

    A text that does not both begin and end like one is a single user turn.

    Raises:
        BadRow: it is neither a text nor a list of messages.
    """
    if isinstance(value, str) and _TRANSCRIPT.fullmatch(value):
        turns = transcript_turns(clean_text(value, field))
        return joined(turns[:-1] if not turns[-1].content else turns)
    return messages_of(value, field)


def _answer(row: dict[str, Any], field: str) -> str:
    """The single answer of `corrects` or `incorrects`."""
    given = row.get(field)
    if given is None:
        raise BadRow("missing_responses", field=field)
    answers = [given] if isinstance(given, str) else given
    if not isinstance(answers, list | tuple):
        raise BadRow("wrong_type", f"expected a list of texts, not {kind_of(given)}", field)
    if len(answers) != 1:
        raise BadRow("not_two_responses", f"there are {len(answers)} answers, and one is needed", field)
    if not isinstance(answers[0], str):
        raise BadRow("wrong_type", f"an answer is a text, not {kind_of(answers[0])}", field)
    return clean_text(answers[0], field)


def _with_options(text: str) -> tuple[Conversation, tuple[str, str]]:
    """The conversation and the options of a multiple-choice prompt."""
    head, _, rest = text.partition(_OPENS)
    options, _, _ = rest.rpartition(_CLOSES)
    parts = _BETWEEN.split(options)
    if len(parts) != 2 or _OPENS in rest:
        raise BadRow(
            "bad_options", "there is not one '(A) [[[…]]]' with one '(B) [[[…]]]' after it", "prompt"
        )
    # the last paragraph before the options asks to choose, a line before the conversation introduces it
    conversation, _, request = head.rstrip().rpartition("\n\n")
    begins = _TURN.search(conversation)
    before = conversation[: begins.start()].strip() if begins else ""
    if not begins or not request.rstrip().endswith(":") or (before and not _introduces(before)):
        raise BadRow("bad_options", "there is no conversation before the options", "prompt")
    messages = joined(transcript_turns(conversation[begins.start() :]))
    check_prompt(messages, "prompt")
    return messages, (parts[0], parts[1])


def _introduces(text: str) -> bool:
    return "\n" not in text and text.endswith(":")
