"""Scoring options as continuations of an unfinished assistant's turn, for engines that hold the tokenizer.

Options of one token each take one request: the log-probabilities of those tokens as the next one. As soon
as one has several tokens, each option is its whole sequence of tokens followed by a terminator, so that
"10" is not "1". The sequences form a trie, and each of its branching points is one request, the
log-probabilities of its children as the next token: "1" to "10" take a handful of requests rather than ten,
all behind one prefix. An option's log-probability is the sum along its path; options are exclusive, so that
what they sum to is at most 1.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from constitutional.engines.chat import ChatEncoder
from constitutional.errors import BadAnswer, ChoiceUnsupported
from constitutional.records import Choice, Message

NextLogprobs = Callable[[list[int], list[int]], Awaitable[list[float]]]
TokenPath = tuple[int, ...]


async def score_options(
    encoder: ChatEncoder,
    messages: Sequence[Message],
    options: Sequence[str],
    terminator: str | None,
    next_logprobs: NextLogprobs,
) -> Choice:
    """Score options as `Engine.choose` says.

    Args:
        encoder: the model's encoder.
        messages: ends in an assistant's turn.
        options: two or more distinct, non-empty continuations.
        terminator: what ends an option of several tokens; None is the model's end of turn.
        next_logprobs: given ids and some token ids, the raw log-probability of each of these tokens after
        the ids.

    Raises:
        ValueError: the messages or options are none that can be scored.
        BadAnswer: a log-probability is not a number, as where a dtype's range is too small for the model.
        ChoiceUnsupported: the tokens of one option with its terminator are, or begin, those of another.
    """
    check_options(messages, options)
    context, continuations = encoder.encode_options(messages, options)
    paths = option_paths(encoder, continuations, terminator)
    nodes = branches(paths)
    if len(set(paths)) < len(paths) or any(path in nodes for path in paths):
        raise ChoiceUnsupported(
            f"the options {', '.join(map(repr, options))} can't be told apart by their tokens: "
            "take others, or another terminator"
        )
    requests = list(nodes.items())
    answers = await asyncio.gather(
        *(next_logprobs(context.ids + list(node), children) for node, children in requests)
    )
    known = {
        (*node, child): logprob
        for (node, children), logprobs in zip(requests, answers, strict=True)
        for child, logprob in zip(children, logprobs, strict=True)
    }
    if any(map(math.isnan, known.values())):
        raise BadAnswer("the model's log-probabilities are not numbers: try another dtype, such as float32")
    scores = tuple(sum(known[path[: end + 1]] for end in range(len(path))) for path in paths)
    return Choice(scores, log_rest(scores), len(context.ids) + max(len(node) for node, _ in requests))


def check_options(messages: Sequence[Message], options: Sequence[str]) -> None:
    """Refuse what can't be scored.

    Raises:
        ValueError: the conversation does not end in an assistant's turn, or the options are not two or more,
            distinct and non-empty.
    """
    if not messages or messages[-1].role != "assistant":
        raise ValueError(
            "options continue an assistant's turn: the last message has to be one, if an empty one"
        )
    if len(options) < 2 or len(set(options)) < len(options) or "" in options:
        raise ValueError(f"options have to be two or more, distinct and not empty, not {list(options)!r}")


def option_paths(
    encoder: ChatEncoder, continuations: Sequence[list[int]], terminator: str | None
) -> list[TokenPath]:
    """The tokens that score each option: one where each has one, else its sequence with the terminator."""
    if all(len(ids) == 1 for ids in continuations):
        return [tuple(ids) for ids in continuations]
    end = encoder.end_of_turn_ids if terminator is None else encoder.tokens(terminator)
    return [(*ids, *end) for ids in continuations]


def branches(paths: Sequence[TokenPath]) -> dict[TokenPath, list[int]]:
    """The inner nodes of the trie of some paths, each with its children in the order of the paths."""
    nodes: dict[TokenPath, list[int]] = {}
    for path in paths:
        for depth, token in enumerate(path):
            children = nodes.setdefault(path[:depth], [])
            if token not in children:
                children.append(token)
    return nodes


def log_rest(logprobs: Sequence[float]) -> float:
    """The log of the probability left beside those of some exclusive events; -inf where nothing is left."""
    first, *others = sorted(logprobs, reverse=True)
    # 1 - exp(first) by expm1, exact where one option has nearly all of the mass
    rest = math.fsum([-math.expm1(first), *(-math.exp(logprob) for logprob in others)])
    return math.log(rest) if rest > 0 else -math.inf
