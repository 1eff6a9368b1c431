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
    return joined(transcripts[0][: _shared_turns(transcripts)])


def common_prompt_and_rests(transcripts: Sequence[Conversation]) -> tuple[Conversation, list[Conversation]]:
    """The common prompt, and what each transcript goes on with after it; see `common_prompt`."""
    shared = _shared_turns(transcripts)
    return joined(transcripts[0][:shared]), [joined(turns[shared:]) for turns in transcripts]


def _shared_turns(transcripts: Sequence[Conversation]) -> int:
    """How many first turns all share, up to the last user turn among them."""
    for turns in transcripts:
        if turns and not turns[-1].content.strip():
            raise BadRow("empty_last_turn")
    shared = 0
    for column in zip(*transcripts, strict=False):
        if any(turn != column[0] for turn in column):
            break
        shared += 1
    while shared and transcripts[0][shared - 1].role != "user":
        shared -= 1
    if not shared:
        detail = "no user turn comes first" if len(transcripts) == 1 else None
        raise BadRow("no_common_prompt", detail)
    return shared


def joined(turns: Sequence[Message]) -> Conversation:
    """The turns, with neighbouring ones of one speaker made one."""
    found: list[Message] = []
    for turn in turns:
        if found and found[-1].role == turn.role and turn.content and found[-1].content:
            turn = Message(turn.role, f"{found.pop().content}\n\n{turn.content}")
        found.append(turn)
    return tuple(found)
