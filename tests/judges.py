"""Scripted judges: engines of known opinions, for the tests of the labeler."""

import asyncio
import math
import re

from constitutional import Constitution, Principle
from constitutional.assignment import content_hash
from constitutional.engines.chat import ChatEncoder
from constitutional.engines.options import score_options
from constitutional.feedback import Comparison
from constitutional.records import Message
from tests.helpers import CountingEngine
from tests.tiny import tiny_tokenizer

_SHOWN = re.compile(r"\nA:\n> (.*)\nB:\n> (.*)\nQuestion: (.*)$")


def rules(count=16, **fields):
    """A constitution of `rule-0`, `rule-1`, … with preference questions."""
    return Constitution(
        "test-rules",
        [Principle(f"rule-{n}", preference=f"Which keeps rule {n}?", **fields) for n in range(count)],
    )


def comparison(number=0, first="The first answer.", second="The second answer."):
    return Comparison(f"c{number}", (Message("user", f"Question {number}?"),), (first, second))


def shown(messages):
    """The response shown as A, the one shown as B, and the question, as the tests' prompt set asks it."""
    asked = next(message.content for message in reversed(messages) if message.role == "user")
    return _SHOWN.search(asked).groups()


def uniform(*parts):
    """A number from 0 to 1 that depends on the parts alone."""
    return (int(content_hash(*map(repr, parts))[:13], 16) + 0.5) / 16**13


class Judge(CountingEngine):
    """A judge whose P(the response shown as A is better) is a function of what it is shown.

    Args:
        opinion: of the response shown as A, the one shown as B, the question, and all messages.
        mass: probability that both options have together.

    Its rationales are texts that differ with the seed; a counted answer is drawn with the opinion's probability. `requests`
    holds generations, `choices` the messages of options that were scored.
    """

    def __init__(self, opinion, mass=0.9, **more):
        super().__init__(self._write, **more)
        self._score = self._scores
        self.opinion, self.mass, self.choices = opinion, mass, []

    async def choose(self, messages, options, terminator=None):
        self.choices.append(tuple(messages))
        return await super().choose(messages, options, terminator)

    def believes(self, messages):
        first, second, question = shown(messages)
        return self.opinion(first, second, question, messages)

    def _scores(self, messages, options):
        p = self.believes(messages)
        return [self.mass * p, self.mass * (1 - p)]

    def _write(self, messages, sampling):
        drawn = uniform([(m.role, m.content) for m in messages], sampling.seed)
        if messages[-1].content.endswith("("):
            return "A)" if drawn < self.believes(messages) else "B)."
        return f"I lean by {drawn:.6f}."


class Overflowing(CountingEngine):
    """Scores options as engines with a model do; where `overflows(messages)`, the model's log-probabilities are no numbers."""

    def __init__(self, overflows, **more):
        super().__init__(**more)
        self._overflows, self._encoder = overflows, ChatEncoder(tiny_tokenizer())

    async def choose(self, messages, options, terminator=None):
        async def next_logprobs(ids, token_ids):
            return [math.nan if self._overflows(messages) else -1.5] * len(token_ids)

        return await score_options(self._encoder, messages, options, terminator, next_logprobs)


def lean(messages):
    """The number in the last turn's rationale, from 0 to 1."""
    return float(re.search(r"I lean by ([\d.]+)\.", messages[-1].content)[1])


def quality(response):
    """The number that a response of the tests ends in: its true quality, in log-odds."""
    return float(response.rsplit(" ", 1)[1])


def bradley_terry(first, second, question, messages):
    """The opinion of a judge without a bias, of responses that end in their quality."""
    return sigmoid(quality(first) - quality(second))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def wait(coroutine):
    return asyncio.run(coroutine)
