"""Trying principles: one prompt, one response, and what each of some principles makes of it.

`try_principles` is a stage like any other, a pure function of its arguments and an engine: the same requests under the same
seeds as the first round of a chain that `revise` makes, so that what a trial shows is what a run will hold, and what a run
asked need not be asked again. All candidates are tried on the same response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import Engine
from constitutional.errors import (
    BadAnswer,
    ConfigError,
    RequestRefused,
    RequestTooLong,
    TemplateError,
)
from constitutional.records import Prompt, Round, Row, Step
from constitutional.remembering import KilledEngine
from constitutional.stages.asking import Asker
from constitutional.stages.revise import Reviser, ReviseSettings
from constitutional.templates import PromptSet, load_prompt_set

# What one candidate can fail with while the others are fine; anything else concerns them all.
_OWN_FAILURES = (RequestTooLong, RequestRefused, BadAnswer, KilledEngine, TemplateError)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A principle to try.

    Attributes:
        name: what the user calls its constitution.
        constitution: the constitution.
        principle: one of its principles, with a critique and a revision.
        drawn: whether it was drawn for the prompt, as `revise` draws it, rather than chosen.
        group: candidates of one group are meant to be compared with each other.
    """

    name: str
    constitution: Constitution
    principle: Principle
    drawn: bool = False
    group: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a candidate.

    Attributes:
        candidate: the candidate.
        round: critique and revision; None where the engine could not answer.
        reason: why it could not, typed, as `too_long`.
        detail: the same as a sentence for a person.
        dropped_turns: how many of the oldest turns were dropped to fit the context, beyond those dropped for the response.
        escaped: special tokens spelt out in its requests and made harmless.
    """

    candidate: Candidate
    round: Round | None
    reason: str | None = None
    detail: str | None = None
    dropped_turns: int = 0
    escaped: int = 0

    def to_row(self) -> Row:
        """The attempt as JSON knows it; the critique and revision as in a row of `chains`."""
        candidate, principle = self.candidate, self.candidate.principle
        constitution = candidate.constitution
        return {
            "constitution": {
                "name": candidate.name,
                "id": constitution.id,
                "version": constitution.version,
                "hash": constitution.hash,
                "path": str(constitution.path) if constitution.path else None,
            },
            "principle": {
                "id": principle.id,
                "critique": principle.critique,
                "revision": principle.revision,
                "drawn": candidate.drawn,
            },
            **(self.round or Round((principle.id,), None, None)).to_row(),
            "clean": self.round is not None and self.round.revision is None,
            "reason": self.reason,
            "detail": self.detail,
            "dropped_turns": self.dropped_turns,
            "escaped": self.escaped,
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """One response, and what each candidate made of it.

    Attributes:
        prompt: the prompt; its own response, if it has one, is the one that was tried on.
        response: the response; its counts are 0 where it came with the prompt.
        attempts: one for each candidate, in their order; none where the response is empty.
        dropped_turns: how many of the prompt's oldest turns were dropped for the response, and so for every attempt.
        escaped: special tokens spelt out in the response's own request and made harmless.
    """

    prompt: Prompt
    response: Step
    attempts: tuple[Attempt, ...] = ()
    dropped_turns: int = 0
    escaped: int = 0

    @property
    def failed(self) -> int:
        """Attempts without a critique and a revision."""
        return sum(attempt.round is None for attempt in self.attempts)

    def groups(self) -> tuple[tuple[Attempt, ...], ...]:
        """The attempts that are meant to be compared with each other, together."""
        found: dict[int, list[Attempt]] = {}
        for attempt in self.attempts:
            found.setdefault(attempt.candidate.group, []).append(attempt)
        return tuple(map(tuple, found.values()))

    def to_row(self) -> Row:
        """The trial as JSON knows it."""
        return {
            "id": self.prompt.id,
            "prompt": [message.to_row() for message in self.prompt.messages],
            "response": self.response.text,
            "response_finish_reason": self.response.finish_reason,
            "response_given": self.prompt.response is not None,
            "dropped_turns": self.dropped_turns,
            "escaped": self.escaped,
            "attempts": [attempt.to_row() for attempt in self.attempts],
        }


async def try_principles(
    prompt: Prompt,
    candidates: Sequence[Candidate],
    engine: Engine,
    *,
    prompts: PromptSet | None = None,
    settings: ReviseSettings | None = None,
) -> Trial:
    """Try each of some principles on one response: critique, then revision.

    Args:
        prompt: the conversation; where it has a response, that is the one to try on. See `trial_spec.prompt_from`.
        candidates: what to try, see `trial_spec.choose_candidates`; at least one.
        engine: where everything is generated. A `memory.RememberingEngine` asks nothing twice.
        prompts: the prompt set; None is the shipped `default`.
        settings: how requests are made; of the rounds, only one is made.

    Returns:
        The response and one attempt for each candidate. One that the engine could not answer is an attempt without
        a round; it does not disturb the others.

    Raises:
        ConfigError: a prompt that is empty or does not fit the engine's context.
        TemplateError: the response's template fails.
        EngineError: the engine is gone, or does not answer for now.
    """
    if not candidates:
        raise ConfigError("there is nothing to try: give at least one principle")
    prompts, settings = prompts or load_prompt_set("default"), settings or ReviseSettings()
    revisers = [Reviser(candidate.constitution, prompts, settings) for candidate in candidates]
    asker = Asker(engine, prompt.messages, settings.overlong)
    try:
        response = await revisers[0].respond(prompt, asker)
    except RequestTooLong as error:
        raise ConfigError(f"the prompt is too long: {error}; shorten it, or generate fewer tokens") from error
    if not response.text:
        return Trial(prompt, response, (), asker.dropped, asker.escaped)

    async def attempt(candidate: Candidate, reviser: Reviser) -> Attempt:
        own = Asker(engine, asker.conversation, settings.overlong)
        try:
            made = await reviser.round(prompt.id, 0, (candidate.principle,), response.text, own)
        except _OWN_FAILURES as error:
            reason = "template_error" if isinstance(error, TemplateError) else error.reason
            return Attempt(candidate, None, reason, str(error))
        return Attempt(candidate, made, dropped_turns=own.dropped, escaped=own.escaped)

    found = await asyncio.gather(*map(attempt, candidates, revisers), return_exceptions=True)
    attempts = []
    for result in found:  # all have ended: nothing goes on behind the caller's back
        if isinstance(result, BaseException):
            raise result
        attempts.append(result)
    return Trial(prompt, response, tuple(attempts), asker.dropped, asker.escaped)
