"""Compare: responses of one model to a prompt, sampled and paired, for a judge to choose between (Bai et al. 2022, section 4.1).

The paper samples two responses of the SL-CAI model to each prompt. Here k responses make k/2 disjoint pairs, each response may have a
temperature of its own, and which response of a pair comes first is a hash, so that no temperature is always first.

Deviation: a pair that could not be judged, of equal responses or with an empty one, is drawn again a few times and then left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from constitutional.assignment import content_hash, request_seed
from constitutional.engines.base import Engine
from constitutional.errors import ConfigError
from constitutional.feedback import Comparison
from constitutional.records import Conversation, Prompt, Row, Sampling, Step
from constitutional.settings import Settings
from constitutional.stages.asking import Asker
from constitutional.templates import PromptSet, load_prompt_set

STAGE = "compare"
_VERSION = 1  # of what this stage makes of the same generations; part of every row's key


class CompareSettings(Settings):
    """How responses are sampled and paired.

    Attributes:
        samples: responses of a prompt: an even number makes half as many pairs; 1 makes a response to be paired with
            another model's.
        temperature: one for all responses, or one for each; responses 1 and 2 make the first pair, 3 and 4 the second.
        redraws: how often a response of a pair that can't be judged is drawn again.
        overlong: what to do with a conversation that does not fit the context.
        seed: seeds every request, and says which response of a pair comes first.
        top_p: nucleus sampling; 1 keeps every token.
        top_k: 0 keeps every token.
        max_tokens: of every response.
    """

    samples: int = Field(default=2, ge=1, le=1000)
    temperature: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    redraws: int = Field(default=3, ge=0, le=100)
    overlong: Literal["skip", "drop-oldest"] = "skip"
    seed: int = 0
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=256, ge=1)

    @field_validator("temperature", mode="before")
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @field_validator("temperature")
    @classmethod
    def _are_temperatures(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        for value in values:
            if not 0.0 <= value <= 10.0:  # false for NaN too
                raise ValueError("a temperature is from 0 to 10")
        return values

    @model_validator(mode="after")
    def _makes_pairs(self) -> Self:
        if self.samples > 1 and self.samples % 2:
            raise ConfigError(f"samples is {self.samples}; pairs are made of an even number of responses")
        if len(self.temperature) not in (1, self.samples):
            raise ConfigError(
                f"there are {len(self.temperature)} temperatures for {self.samples} responses: "
                "give one for all, or one for each"
            )
        for first, second in _pairs(self.per_response):
            if first == second == 0.0:
                raise ConfigError(
                    "both responses of a pair have the temperature 0, and would be the same: give one of them another"
                )
        return self

    @cached_property
    def per_response(self) -> tuple[float, ...]:
        """The temperature of each response."""
        return self.temperature * self.samples if len(self.temperature) == 1 else self.temperature


@dataclass(frozen=True, slots=True)
class ResponsePair:
    """Two responses to one prompt.

    Attributes:
        id: the prompt's, with `#` and the pair's number where a prompt has several.
        responses: as they were drawn.
        temperatures: of each.
        redraws: how many responses were drawn again.
        swapped: whether the second comes first in the comparison.
        reason: why it makes no comparison: `identical_responses` or `empty_response`; None where it does.
    """

    id: str
    responses: tuple[Step, Step]
    temperatures: tuple[float, float]
    redraws: int
    swapped: bool
    reason: str | None = None

    def to_row(self) -> Row:
        """The pair with its responses in the order of the comparison."""
        places = (1, 0) if self.swapped else (0, 1)
        steps = [self.responses[place] for place in places]
        return {
            "id": self.id,
            "responses": [step.text for step in steps],
            "finish_reasons": [step.finish_reason for step in steps],
            "temperatures": [self.temperatures[place] for place in places],
            "redraws": self.redraws,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was sampled for one prompt.

    Attributes:
        id: the prompt's.
        prompt: the conversation, less any turns dropped to fit the context.
        responses: all of them, in the order of their draws, after redraws.
        pairs: the pairs they make; none of a single response.
        dropped_turns: how many of the oldest turns were dropped.
        escaped: special tokens spelt out in the prompt and made harmless, over all requests.
        redraws: how many responses were drawn again, over all pairs.
    """

    id: str
    prompt: Conversation
    responses: tuple[Step, ...]
    pairs: tuple[ResponsePair, ...]
    dropped_turns: int = 0
    escaped: int = 0
    redraws: int = 0

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons of the pairs that can be judged."""
        return tuple(
            Comparison(pair.id, self.prompt, tuple(pair.to_row()["responses"]))
            for pair in self.pairs
            if pair.reason is None
        )

    @property
    def reason(self) -> str | None:
        """Why nothing of it can be used; None where something can."""
        reasons = [pair.reason for pair in self.pairs] or [_empty(self.responses)]
        return None if None in reasons else reasons[0]


@dataclass(frozen=True)
class Comparer:
    """What all prompts of a run have in common.

    Args:
        prompts: its template `respond` renders the requests.
        settings: how responses are sampled and paired.

    Raises:
        ConfigError: settings that can't make pairs.
        TemplateError: the prompt set has no template `respond`.
    """

    prompts: PromptSet
    settings: CompareSettings

    def __post_init__(self) -> None:
        _ = self._common_key

    @cached_property
    def _common_key(self) -> str:
        return content_hash(
            STAGE, _VERSION, self.settings.model_dump_json(), self.prompts.fingerprint("respond")
        )

    def key(self, prompt: Prompt) -> str:
        """A hash of all that determines a prompt's responses but the engine."""
        return content_hash(self._common_key, prompt.id, repr([(m.role, m.content) for m in prompt.messages]))

    async def sample(self, prompt: Prompt, engine: Engine) -> Sampled:
        """Sample the responses to one prompt and pair them; see `compare`."""
        asker = Asker(engine, prompt.messages, self.settings.overlong)
        responses = await self._draw_all(prompt.id, asker)
        temperatures = self.settings.per_response
        if len(responses) == 1:
            step, redraws = await self._drawn_again(prompt.id, 0, (responses[0],), temperatures, asker)
            return self._sampled(prompt.id, asker, step, (), redraws)
        several = len(responses) > 2
        pairs = []
        for number, both in enumerate(_pairs(temperatures)):
            id = f"{prompt.id}#{number}" if several else prompt.id
            at = 2 * number
            steps, redraws = await self._drawn_again(
                prompt.id, number, tuple(responses[at : at + 2]), both, asker
            )
            responses[at : at + 2] = steps
            reason = _empty(steps) or ("identical_responses" if _same(steps) else None)
            swapped = second_comes_first(self.settings.seed, id)
            pairs.append(ResponsePair(id, (steps[0], steps[1]), both, redraws, swapped, reason))
        redraws = sum(pair.redraws for pair in pairs)
        return self._sampled(prompt.id, asker, tuple(responses), tuple(pairs), redraws)

    def _sampled(
        self,
        id: str,
        asker: Asker,
        responses: tuple[Step, ...],
        pairs: tuple[ResponsePair, ...],
        redraws: int,
    ) -> Sampled:
        return Sampled(id, asker.conversation, responses, pairs, asker.dropped, asker.escaped, redraws)

    async def _draw_all(self, prompt_id: str, asker: Asker) -> list[Step]:
        """All responses, those of one temperature in one request, so that more samples keep those there are."""
        temperatures = self.settings.per_response
        found: dict[int, Step] = {}
        for temperature in dict.fromkeys(temperatures):
            places = [place for place, other in enumerate(temperatures) if other == temperature]
            steps = await self._ask(prompt_id, f"respond:{temperature!r}", temperature, len(places), asker)
            found.update(zip(places, steps, strict=True))
        return [found[place] for place in range(len(temperatures))]

    async def _drawn_again(
        self,
        prompt_id: str,
        number: int,
        steps: tuple[Step, ...],
        temperatures: tuple[float, ...],
        asker: Asker,
    ) -> tuple[tuple[Step, ...], int]:
        """One or two responses, drawn again until they can be judged or the redraws are spent; and how many were."""
        for redraw in range(self.settings.redraws):
            place = _to_draw_again(steps, temperatures)
            if place is None:
                return steps, redraw
            (new,) = await self._ask(prompt_id, f"redraw:{number}:{redraw}", temperatures[place], 1, asker)
            steps = (*steps[:place], new, *steps[place + 1 :])
        return steps, self.settings.redraws

    async def _ask(
        self, prompt_id: str, step: str, temperature: float, n: int, asker: Asker
    ) -> tuple[Step, ...]:
        settings = self.settings
        seed = request_seed(settings.seed, STAGE, prompt_id, step)
        sampling = Sampling(temperature, settings.top_p, settings.top_k, settings.max_tokens, seed=seed)
        generations = await asker.ask(
            lambda conversation: self.prompts.render("respond", prompt=conversation), sampling, n
        )
        return tuple(Step.of(generation) for generation in generations)


async def compare(
    prompt: Prompt,
    engine: Engine,
    *,
    prompts: PromptSet | None = None,
    settings: CompareSettings | None = None,
) -> Sampled:
    """Sample responses to a prompt and pair them.

    A pure function of its arguments: every request's seed, and which response comes first, are hashes of the settings' seed
    and the prompt's id.

    Args:
        prompt: the conversation to respond to; a response that came with it is not used.
        engine: where the responses are generated.
        prompts: its template `respond` renders the requests; None is the shipped set `default`.
        settings: see `CompareSettings`.

    Returns:
        The responses and their pairs; `comparisons` are those that can be judged.

    Raises:
        ConfigError: settings that can't make pairs.
        RequestTooLong: the conversation does not fit the engine's context.
        EngineError: the engine could not answer.
    """
    return await Comparer(prompts or load_prompt_set("default"), settings or CompareSettings()).sample(
        prompt, engine
    )


def second_comes_first(seed: int, id: str) -> bool:
    """Whether the second response of the pair of that id comes first in its comparison: a coin tossed by a hash."""
    return bool(request_seed(seed, STAGE, id, "order") & 1)


def _pairs(values: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=False))


def _to_draw_again(steps: tuple[Step, ...], temperatures: tuple[float, ...]) -> int | None:
    """Which response to draw again: an empty one, or of two equal ones the later of the highest temperature.

    None where all is well, or where no draw could differ.
    """
    empty = [place for place, step in enumerate(steps) if not step.text]
    if empty:
        return next((place for place in empty if temperatures[place] > 0.0), None)
    if not _same(steps):
        return None
    return max(range(len(steps)), key=lambda place: (temperatures[place], place))


def _empty(steps: tuple[Step, ...]) -> str | None:
    return "empty_response" if any(not step.text for step in steps) else None


def _same(steps: tuple[Step, ...]) -> bool:
    return len(steps) == 2 and steps[0].text == steps[1].text
