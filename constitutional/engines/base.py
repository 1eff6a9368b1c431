"""The protocol of an engine: where text is generated and options are scored.

An engine batches by itself; callers just await. Many coroutines await one engine at the same time, all on one event
loop. An engine holds no state that an answer depends on: the same messages under the same sampling (the seed is part
of it) give the same text, up to the numerical noise of batching on a real model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from constitutional.records import Choice, Generation, Message, Sampling


@runtime_checkable
class Engine(Protocol):
    """Where text is generated and options are scored.

    A request is a sequence of messages. Where the last one is an assistant's, its turn is unfinished: the generation
    continues it, and `choose` scores what may come next.

    Attributes:
        identity: all that determines its answers besides request and sampling: `engine` (its kind), `model`
            (what the user named), `fingerprint` (hub commit or hash of the files), `dtype`, `adapter`. It is part of
            the key of every remembered generation. Valid after `prepare`.
        slots: how many requests are worth having in flight at once.
        context_length: tokens that a request and its generation may hold, None where only a server knows it.
        dies_with_us: whether a request that kills the engine kills this process too.
    """

    identity: dict[str, str]
    slots: int
    context_length: int | None
    dies_with_us: bool

    async def prepare(self) -> None:
        """Find out `identity` and `context_length` without loading a model. `start` does it too if it has to.

        Raises:
            PrerequisiteError: the model, a library or the server is missing.
        """
        ...

    async def start(self) -> None:
        """Load the model, or start it again after `EngineDied`. Does nothing where the engine is already up.

        Raises:
            PrerequisiteError: the model or a library is missing.
            ConfigError: an argument that the engine does not take.
            EngineDied: it did not come up.
        """
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice."""
        ...

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """Generate `n` draws; draw `i` is sampled under `assignment.draw_seed(sampling.seed, i)`.

        Returns:
            `n` generations, in the order of their draws.

        Raises:
            RequestTooLong: found before anything is sent, wherever the engine has the tokenizer.
            EngineError: see `errors.py`; transient ones are worth another try.
        """
        ...

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """Score each option as the continuation of the unfinished assistant turn that ends `messages`.

        Options of one token each are scored as that token. As soon as one has several tokens, every option is scored
        as its whole sequence followed by the terminator, so that "10" is not "1".

        Args:
            messages: ends in an assistant's turn, possibly an empty one.
            options: two or more distinct, non-empty continuations.
            terminator: what ends an option of several tokens; None is the model's end of turn.

        Raises:
            ChoiceUnsupported: the engine can't give log-probabilities, or never those of these options.
            OptionNotShown: it shows just its likeliest tokens, and for this request an option is not among them.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What is known of an engine: enough to key rows and to find remembered generations without it.

    Attributes:
        identity: see `Engine`.
        context_length: see `Engine`.
        slots: see `Engine`.
    """

    identity: dict[str, str]
    context_length: int | None = None
    slots: int = 1


@runtime_checkable
class Logged(Protocol):
    """An engine whose processes write to a file what they have to say.

    Attributes:
        log: that file; None where they write to none.
    """

    log: Path | None
