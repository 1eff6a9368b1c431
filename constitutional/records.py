"""The records that pass between stages: typed, frozen, and plain enough to be a row of a data set.

Words are those of the papers and of TRL: a prompt is a conversation that ends in a user turn, a chain is one
prompt's initial response and its critique → revision rounds (Bai et al. 2022, arXiv 2212.08073, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
Status = Literal["ok", "skipped", "failed"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    def to_row(self) -> dict[str, str]:
        """The turn as TRL and chat templates know it: `{"role": …, "content": …}`."""
        return {"role": self.role, "content": self.content}


Conversation = tuple[Message, ...]


def conversation(messages: str | Iterable[Message | Mapping[str, str]]) -> Conversation:
    """A conversation from a string (one user turn), from messages or from `{role, content}` mappings."""
    if isinstance(messages, str):
        return (Message("user", messages),)
    return tuple(m if isinstance(m, Message) else Message(m["role"], m["content"]) for m in messages)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request is sampled.

    Attributes:
        temperature: 0 is greedy decoding.
        top_p: nucleus sampling; 1 keeps every token.
        top_k: keep the k likeliest tokens; 0 keeps every token.
        max_tokens: how many tokens may be generated.
        stop: strings that end the generation and are not part of it.
        seed: seed of this request alone (draw `i` of a request uses `assignment.draw_seed(seed, i)`).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0

    def with_seed(self, seed: int) -> Sampling:
        """The same sampling under another seed."""
        return replace(self, seed=seed)


@dataclass(frozen=True, slots=True)
class Generation:
    """What an engine generated for one request.

    Attributes:
        text: the text, without stop strings and special tokens.
        finish_reason: `stop`, or `length` where `max_tokens` cut it off.
        prompt_tokens: length of the request in tokens.
        completion_tokens: tokens generated.
        cached_tokens: how many of the request's tokens came from the engine's prefix cache.
        escaped: how many special tokens spelt out in the request's contents were made harmless.
    """

    text: str
    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    escaped: int = 0

    @property
    def truncated(self) -> bool:
        """Whether `max_tokens` cut the text off."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Choice:
    """How an engine scores some options as the continuation of an unfinished assistant turn.

    Attributes:
        logprobs: the raw log-probability (natural, before temperature) of each option, in the order asked.
        other_logprob: log of the probability mass left for anything else.
        prompt_tokens: length of the request in tokens (of the longest, where it took several).
        cached_tokens: how many of them came from the engine's prefix cache.
    """

    logprobs: tuple[float, ...]
    other_logprob: float
    prompt_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """One input of a stage.

    Attributes:
        id: the input's own id, or a hash of its content and occurrence.
        messages: the conversation; it ends in a user turn.
        response: an initial response that came with the input, if one did.
    """

    id: str
    messages: Conversation
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One generation as a chain keeps it: the text and how it came about."""

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int

    @classmethod
    def of(cls, generation: Generation) -> Step:
        """The step that a generation makes, its outer white space removed."""
        return cls(
            generation.text.strip(),
            generation.finish_reason,
            generation.prompt_tokens,
            generation.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Round:
    """One critique → revision round.

    Attributes:
        principles: ids of the principles drawn for it.
        critique: None where the revision was asked for directly.
        revision: None where the critique found nothing and the chain stopped there.
        checks: names of the checks that the revision failed; empty for a good one.
    """

    principles: tuple[str, ...]
    critique: Step | None
    revision: Step | None
    checks: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether there is a revision and it passed every check."""
        return self.revision is not None and not self.checks

    def to_row(self) -> Row:
        """The round as it stands in a chain's row."""
        return {
            "principles": list(self.principles),
            "critique": self.critique.text if self.critique else None,
            "critique_finish_reason": self.critique.finish_reason if self.critique else None,
            "revision": self.revision.text if self.revision else None,
            "revision_finish_reason": self.revision.finish_reason if self.revision else None,
            "checks": list(self.checks),
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """One prompt's initial response and its critique → revision rounds.

    Attributes:
        id: the prompt's id.
        prompt: the conversation, less any turns dropped to fit the context.
        response: the initial response; its counts are 0 where it was given in the input.
        rounds: the rounds, in order.
        status: `ok`; `failed` where no revision is good.
        reason: why it is not ok, or `clean` where a critique found nothing and ended the chain.
        dropped_turns: how many of the oldest turns were dropped to fit the context.
        escaped: special tokens spelt out in the texts and made harmless, over all requests.
    """

    id: str
    prompt: Conversation
    response: Step
    rounds: tuple[Round, ...]
    status: Status = "ok"
    reason: str | None = None
    dropped_turns: int = 0
    escaped: int = 0

    @property
    def final(self) -> str:
        """The last good revision, or the response where there is none."""
        good = [r.revision.text for r in self.rounds if r.good and r.revision]
        return good[-1] if good else self.response.text

    def to_row(self) -> Row:
        """The chain as a row of the `chains` data set; token counts are summed over its generations."""
        steps = [self.response, *(step for r in self.rounds for step in (r.critique, r.revision) if step)]
        return {
            "id": self.id,
            "prompt": [message.to_row() for message in self.prompt],
            "response": self.response.text,
            "response_finish_reason": self.response.finish_reason,
            "rounds": [r.to_row() for r in self.rounds],
            "status": self.status,
            "reason": self.reason,
            "prompt_tokens": sum(step.prompt_tokens for step in steps),
            "completion_tokens": sum(step.completion_tokens for step in steps),
            "dropped_turns": self.dropped_turns,
            "escaped": self.escaped,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one input ended: exactly one of ok, skipped or failed.

    Attributes:
        status: which of the three.
        reason: a typed reason where it is not ok, such as `too_long`.
        transient: whether another call should try the row again by itself.
        detail: a sentence for a person.
        result: the row's data, JSON-serialisable; present where status is ok, and where a failed row left some.
    """

    status: Status
    reason: str | None = None
    transient: bool = False
    detail: str | None = None
    result: Row = field(default_factory=dict)
