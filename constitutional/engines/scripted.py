"""The scripted engine: deterministic answers from a function or a table, for tests, dry runs of a set-up, and examples.

It answers at once, needs no model, and gives the same text for the same messages and sampling in any process, so that
everything around a model can be tested to the byte. It is used like any other engine: `--engine scripted`.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from constitutional.assignment import content_hash, draw_seed
from constitutional.errors import ConfigError, RequestTooLong
from constitutional.records import Choice, Generation, Message, Sampling

Answer = Callable[[Sequence[Message], Sampling], "str | Generation"]
Score = Callable[[Sequence[Message], Sequence[str]], Sequence[float]]

_WORDS = [
    "a",
    "answer",
    "ask",
    "before",
    "better",
    "can",
    "care",
    "clear",
    "consider",
    "could",
    "does",
    "explain",
    "fair",
    "first",
    "give",
    "good",
    "help",
    "honest",
    "how",
    "if",
    "it",
    "kind",
    "look",
    "make",
    "matters",
    "may",
    "mean",
    "need",
    "other",
    "people",
    "plain",
    "question",
    "reason",
    "safe",
    "say",
    "should",
    "so",
    "someone",
    "talk",
    "tell",
    "that",
    "the",
    "then",
    "think",
    "this",
    "to",
    "understand",
    "useful",
    "want",
    "way",
    "what",
    "when",
    "why",
    "with",
    "would",
    "you",
    "your",
]


class ScriptedEngine:
    """An engine whose answers are scripted.

    Args:
        answer: a function of messages and sampling that gives a text or a `Generation` and may raise any engine error;
            or a table from the last message's content to a text; or None for pseudo-text made from a hash of the request.
        score: a function of messages and options that gives their probabilities (not logs; they may sum to less
            than 1); None makes them from a hash.
        slots: requests worth having in flight at once.
        context_length: context in tokens, counted as white-space separated words; None is no limit.
        latency: seconds that an answer takes.
        log: a file to which each request's hash is appended before it is answered.
        name: part of the identity; two scripts that answer differently need different names.
    """

    def __init__(
        self,
        answer: Answer | Mapping[str, str] | None = None,
        *,
        score: Score | None = None,
        slots: int = 16,
        context_length: int | None = None,
        latency: float = 0.0,
        log: str | Path | None = None,
        name: str = "scripted",
    ) -> None:
        self.identity = {"engine": "scripted", "model": name, "fingerprint": name, "dtype": "", "adapter": ""}
        self.slots = slots
        self.context_length = context_length
        self.dies_with_us = False
        self._answer = (
            answer if callable(answer) else _from_table(answer) if answer is not None else pseudo_text
        )
        self._score = score or _pseudo_scores
        self._latency = latency
        try:
            self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if log else None
        except OSError as error:
            raise ConfigError(
                f"the scripted engine's log {log} can't be written: {error.strerror}"
            ) from error

    async def prepare(self) -> None:
        """Nothing to find out."""

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to release."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        prompt_tokens = _count_tokens(messages)
        if self.context_length is not None and prompt_tokens + sampling.max_tokens > self.context_length:
            raise RequestTooLong(prompt_tokens, sampling.max_tokens, self.context_length)
        generations = []
        for draw in range(n):
            drawn = sampling.with_seed(draw_seed(sampling.seed, draw))
            await self._take_time(messages, drawn)
            got = self._answer(messages, drawn)
            if isinstance(got, str):
                got = Generation(got, "stop", prompt_tokens, len(got.split()))
            generations.append(got)
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        prompt_tokens = _count_tokens(messages)
        if self.context_length is not None and prompt_tokens + 1 > self.context_length:
            raise RequestTooLong(prompt_tokens, 1, self.context_length)
        await self._take_time(messages, options)
        probabilities = self._score(messages, options)
        rest = max(0.0, 1.0 - sum(probabilities))
        return Choice(
            tuple(math.log(p) if p > 0 else -math.inf for p in probabilities),
            math.log(rest) if rest > 0 else -math.inf,
            prompt_tokens,
        )

    async def _take_time(self, messages: Sequence[Message], rest: object) -> None:
        if self._log is not None:
            os.write(self._log, (_hash(messages, rest) + "\n").encode())
        await asyncio.sleep(self._latency)


def request_hash(messages: Sequence[Message], sampling: Sampling) -> str:
    """A hash of a request; what the log has a line of."""
    return _hash(messages, sampling)


def pseudo_text(messages: Sequence[Message], sampling: Sampling) -> str:
    """The text that stands for a request's answer; the same one in every process."""
    return text_of(request_hash(messages, sampling))


def text_of(hash: str) -> str:
    """Some thirty words made from a hash; different ones for different hashes, for all practical purposes."""
    digest = bytes.fromhex(hash)
    words = [_WORDS[byte % len(_WORDS)] for byte in digest * 2]
    sentences = (" ".join(words[start : start + 8]).capitalize() for start in range(0, len(words), 8))
    return ". ".join(sentences) + "."


def _from_table(table: Mapping[str, str]) -> Answer:
    def answer(messages: Sequence[Message], sampling: Sampling) -> str:
        asked = messages[-1].content
        if asked not in table:
            raise ConfigError(f"the scripted engine's table has no answer to {asked[:80]!r}")
        return table[asked]

    return answer


def _pseudo_scores(messages: Sequence[Message], options: Sequence[str]) -> list[float]:
    weights = [1 + int(content_hash(_hash(messages, None), option)[:4], 16) for option in options]
    return [0.99 * weight / sum(weights) for weight in weights]


def _hash(messages: Sequence[Message], rest: object) -> str:
    return content_hash(json.dumps([[[m.role, m.content] for m in messages], repr(rest)]))


def _count_tokens(messages: Sequence[Message]) -> int:
    return sum(1 + message.content.count(" ") for message in messages)
