"""Asking a model: about a conversation that may not fit its context, several things at once, and what ends an option."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeVar

from constitutional.engines.base import Engine
from constitutional.errors import RequestTooLong
from constitutional.records import Conversation, Generation, Sampling

Overlong = Literal["skip", "drop-oldest"]
T = TypeVar("T")

_CLOSING = {"(": ")", "[": "]", "{": "}", '"': '"', "“": "”", "*": "*"}


class Asker:
    """Asks about one conversation, and drops its oldest turns if it has to and may.

    Args:
        engine: where to ask.
        conversation: what the requests are about.
        overlong: `skip` lets `RequestTooLong` through; `drop-oldest` drops turns until the request fits, and
            lets it through when only the last turn is left.

    Attributes:
        conversation: what is left of it.
        dropped: how many turns were dropped.
        escaped: turn markers spelt out in the requests and made harmless.
    """

    def __init__(self, engine: Engine, conversation: Conversation, overlong: Overlong) -> None:
        self.conversation = conversation
        self.dropped = 0
        self.escaped = 0
        self._engine, self._overlong = engine, overlong

    async def ask(
        self, render: Callable[[Conversation], Conversation], sampling: Sampling, n: int = 1
    ) -> list[Generation]:
        """Generate `n` draws for the request that `render` makes of the conversation."""
        while True:
            try:
                generations = await self._engine.generate(render(self.conversation), sampling, n)
            except RequestTooLong:
                shorter = without_oldest(self.conversation)
                if self._overlong == "skip" or shorter is None:
                    raise
                self.dropped += len(self.conversation) - len(shorter)
                self.conversation = shorter
            else:
                self.escaped += generations[0].escaped
                return generations


def without_oldest(conversation: Conversation) -> Conversation | None:
    """The conversation without its oldest turns up to the next user turn; None if only the last turn is left.

    The system turn stays.
    """
    start = 1 if conversation[0].role == "system" else 0
    users = [place for place in range(start + 1, len(conversation)) if conversation[place].role == "user"]
    return conversation[:start] + conversation[users[0] :] if users else None


async def all_answers(asked: Iterable[Awaitable[T]]) -> list[T]:
    """All answers, in order, to what is asked at once.

    An engine shares the prefixes of such requests too (benchmarks/labeler.py). Every one of them is waited for, so that
    whatever is remembered is found even where some are not.

    Raises:
        RequestTooLong: if any of them does, since then less has to be shown to all; else the first error.
    """
    results = await asyncio.gather(*asked, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    errors.sort(key=lambda error: not isinstance(error, RequestTooLong))
    if errors:
        raise errors[0]
    return [result for result in results if not isinstance(result, BaseException)]


def terminator_of(request: Conversation) -> str | None:
    """What ends an option of several tokens: the bracket that closes the request's last one, or the end of turn (None)."""
    return _CLOSING.get(request[-1].content[-1:])
