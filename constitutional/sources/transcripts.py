r"""Transcripts as hh-rlhf writes them: `\n\nHuman: …\n\nAssistant: …`.

A turn begins where a line does, after a blank one. Elsewhere "Human:" is text: in hh-rlhf 2 % of the rows
have it inside a turn, so splitting at ": " or at every "Human:" changes what was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from constitutional.records import Conversation, Message, Role
from constitutional.sources.reasons import BadRow

_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def transcript_turns(text: str) -> Conversation:
    r"""The turns of a transcript, as they are: empty ones included, the outer white space of each removed.

    Args:
        text: `\n\nHuman: …\n\nAssistant: …`; the first blank line may be missing.

    Raises:
        BadRow: `bad_transcript`, where the text does not begin with a turn.
    """
    parts = _TURN.split(text)
    if len(parts) == 1 or parts[0].strip():
        raise BadRow("bad_transcript", "a transcript has to begin with 'Human:' or 'Assistant:'")
    return tuple(
        Message(_ROLES[speaker], content.strip())
        for speaker, content in zip(parts[1::2], parts[2::2], strict=True)
    )


def common_prompt(transcripts: Sequence[Conversation]) -> Conversation:
    """The longest run of first turns that all transcripts share, cut so that it ends in a user turn.

    Neighbouring turns of one speaker become one, since many chat templates refuse them.

    Args:
        transcripts: one or more conversations, of which the last turn is usually the response.

    Raises:
        BadRow: `empty_last_turn`, or `no_common_prompt`.
    """
    for turns in transcripts:
        if turns and not turns[-1].content.strip():
            raise BadRow("empty_last_turn")
    shared: list[Message] = []
    for column in zip(*transcripts, strict=False):
        if any(turn != column[0] for turn in column):
            break
        shared.append(column[0])
    while shared and shared[-1].role != "user":
        shared.pop()
    if not shared:
        detail = "no user turn comes first" if len(transcripts) == 1 else None
        raise BadRow("no_common_prompt", detail)
    return _joined(shared)


def _joined(turns: Sequence[Message]) -> Conversation:
    joined: list[Message] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role and turn.content and joined[-1].content:
            turn = Message(turn.role, f"{joined.pop().content}\n\n{turn.content}")
        joined.append(turn)
    return tuple(joined)
