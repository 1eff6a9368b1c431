"""Score: how good one response is, by a judge's rating under each principle (direct RLAIF; Lee et al. 2023, arXiv
2309.00267).

A rating is the expectation Σ i·P(i) over the ratings of a scale, each scored as a whole sequence so that "10" is not
"1", and divided by the probability that all of them have together. Or it is written: the judge justifies itself and
ends in a decimal. The score is the mean over principles, rescaled from the scale to [−1, 1].

Deviations: the paper rates by one preamble, here each principle's preference question is the standard; and the judge
is asked under all principles unless told otherwise, since scores of different responses are compared, so that they
should not depend on which principle each of them has drawn (docs/scores.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from constitutional.assignment import content_hash, draw_principles, draw_seed, request_seed
from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import Engine
from constitutional.errors import BadAnswer, ConfigError, RequestRefused
from constitutional.records import Prompt, Sampling
from constitutional.settings import Settings
from constitutional.stages.asking import all_answers, terminator_of
from constitutional.stages.rating import read_rating
from constitutional.stages.score_votes import Score, ScoreVote, aggregate, scored_vote
from constitutional.stages.votes import LowMass
from constitutional.templates import PromptSet, Scale, load_prompt_set

STAGE = "score"
_VERSION = 2  # of what this stage makes of the same answers; part of every row's key
_MOST_OPTIONS = 101


class ScoreSettings(Settings):
    """How a response is scored.

    Attributes:
        written: let the judge write a justification and a decimal, rather than take the expectation over the ratings'
            probabilities.
        low: the worst rating; None is 1. A whole number unless the rating is written.
        high: the best rating; None is 10, or 5 where it is written. Likewise.
        principles: how many are drawn for a response, or `all`.
        samples: written ratings for each principle.
        temperature: of a written rating; 0 is greedy, and several samples need more.
        top_p: nucleus sampling; 1 keeps every token.
        top_k: 0 keeps every token.
        max_tokens: of a written rating with its justification.
        min_mass: probability of all ratings together below which a vote is flagged.
        low_mass: whether a flagged vote counts.
        seed: draws principles and seeds every written rating.
    """

    written: bool = False
    low: float | None = Field(default=None, ge=-1e6, le=1e6)
    high: float | None = Field(default=None, ge=-1e6, le=1e6)
    principles: int | Literal["all"] = "all"
    samples: int = Field(default=1, ge=1, le=1000)
    temperature: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=256, ge=1)
    min_mass: float = Field(default=0.5, ge=0, le=1)
    low_mass: LowMass = "keep"
    seed: int = 0

    @property
    def template(self) -> str:
        """The template that is rendered."""
        return "score-write" if self.written else "score"

    @property
    def scale(self) -> Scale:
        """The range of a rating; whole numbers are integers."""
        low = 1.0 if self.low is None else self.low
        high = (5.0 if self.written else 10.0) if self.high is None else self.high
        return Scale(*(int(end) if end.is_integer() else end for end in (low, high)))

    @property
    def sampling(self) -> Sampling:
        """How a written rating is sampled, but for its seed."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_tokens)

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        scale = self.scale
        if scale.low >= scale.high:
            raise ConfigError(f"low is {scale.low} and high is {scale.high}: low has to be the smaller one")
        if not self.written and not (isinstance(scale.low, int) and isinstance(scale.high, int)):
            raise ConfigError(
                f"ratings from {scale.low} to {scale.high} are no whole numbers: take written ratings (--written) for decimals"
            )
        if not self.written and scale.high - scale.low >= _MOST_OPTIONS:
            raise ConfigError(
                f"{scale.high - scale.low + 1:,} ratings are too many to score each: at most {_MOST_OPTIONS}"
            )
        for name in _OF_SCORED if self.written else _OF_WRITTEN:
            if getattr(self, name) != type(self).model_fields[name].default:
                which = "ratings that are not written" if self.written else "written ratings (--written)"
                raise ConfigError(f"{name} is only for {which}")
        if self.samples > 1 and not self.temperature:
            raise ConfigError(
                f"{self.samples} samples at temperature 0 would all be the same: give a temperature"
            )
        return self


_OF_WRITTEN = ("samples", "temperature", "top_p", "top_k", "max_tokens")
_OF_SCORED = ("min_mass", "low_mass")


@dataclass(frozen=True)
class Scorer:
    """What all scores of a run have in common.

    Args:
        constitution: its principles with a preference question are asked.
        prompts: renders the requests.
        settings: how a response is scored.

    Raises:
        ConstitutionError: no principle can be asked.
        TemplateError: the prompt set lacks the template.
        ConfigError: settings that don't fit each other, the constitution or the prompt set.
    """

    constitution: Constitution
    prompts: PromptSet
    settings: ScoreSettings

    def __post_init__(self) -> None:
        settings, usable = self.settings, self._usable
        _ = self._common_key  # so that a missing template is found here
        if settings.principles != "all" and not 1 <= settings.principles <= len(usable):
            raise ConfigError(
                f"principles is {settings.principles}; {self.constitution.id} has {len(usable)} with a preference question, "
                "so give a number up to that, or 'all'"
            )

    @cached_property
    def _usable(self) -> tuple[Principle, ...]:
        # by id, so that their order in the file does not matter
        return tuple(sorted(self.constitution.for_label(), key=lambda principle: principle.id))

    @cached_property
    def _rendered_fields(self) -> tuple[str, ...]:
        return self.prompts.principle_fields(self.settings.template)

    @cached_property
    def _common_key(self) -> str:
        settings = self.settings
        return content_hash(
            STAGE, _VERSION, settings.model_dump_json(), self.prompts.fingerprint(settings.template)
        )

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The ratings to choose from, as texts."""
        return tuple(map(str, range(int(self.settings.scale.low), int(self.settings.scale.high) + 1)))

    @property
    def requests(self) -> int:
        """How many requests one response takes."""
        count = len(self._usable) if self.settings.principles == "all" else self.settings.principles
        return count * self.settings.samples

    def draw(self, id: str) -> tuple[Principle, ...]:
        """The principles that a response is scored by, by its own id or that of what it is a version of."""
        wanted = self.settings.principles
        if wanted == "all":
            return self._usable
        return draw_principles(
            self._usable, seed=self.settings.seed, stage=STAGE, prompt_id=id, round=0, count=wanted
        )

    def key(self, item: Prompt, *, of: str | None = None) -> str:
        """A hash of all that determines a score but the engine.

        Of the principles, just the drawn ones count, and of them just the fields that are rendered, and the weights
        where all are asked.

        Args:
            item: the conversation and the response to it.
            of: see `score`.
        """
        principles = self.draw(of or item.id)
        weights = [str(p.weight) for p in principles] if self.settings.principles == "all" else []
        return content_hash(
            self._common_key,
            item.id,
            repr([(m.role, m.content) for m in item.messages]),
            item.response or "",
            *(p.fingerprint(*self._rendered_fields) for p in principles),
            *weights,
        )

    async def score(self, item: Prompt, engine: Engine, *, of: str | None = None) -> Score:
        """Score one response; see the function `score`.

        Args:
            item: the conversation and the response to it.
            engine: the judge.
            of: id of what the response is a version of, as of the chain it is a round of: all versions are scored by
                the same principles. None is the item's own id.
        """
        settings = self.settings
        votes = await all_answers(
            self._vote(item, principle, sample, engine)
            for principle in self.draw(of or item.id)
            for sample in range(settings.samples)
        )
        # where principles are drawn, the weights have acted in the draw already
        weights = {p.id: p.weight for p in self._usable} if settings.principles == "all" else None
        return aggregate(item.id, votes, settings.scale, weights=weights, min_mass=settings.min_mass)

    async def _vote(self, item: Prompt, principle: Principle, sample: int, engine: Engine) -> ScoreVote:
        """One vote; where the engine refuses the request for good, one that does not count."""
        try:
            return await self._ask(item, principle, sample, engine)
        except (RequestRefused, BadAnswer) as error:
            return ScoreVote(principle.id, sample, None, reason=error.reason)

    async def _ask(self, item: Prompt, principle: Principle, sample: int, engine: Engine) -> ScoreVote:
        settings = self.settings
        variables = {
            "prompt": item.messages,
            "response": item.response,
            "principle": principle,
            "scale": settings.scale,
        }
        if not settings.written:
            request = self.prompts.render("score", options=self.options, **variables)
            choice = await engine.choose(request, self.options, terminator_of(request))
            values = [float(option) for option in self.options]
            return scored_vote(
                principle.id, choice.logprobs, values, min_mass=settings.min_mass, low_mass=settings.low_mass
            )
        request = self.prompts.render("score-write", **variables)
        seed = request_seed(settings.seed, STAGE, item.id, f"write:{principle.id}")
        (written,) = await engine.generate(request, settings.sampling.with_seed(draw_seed(seed, sample)))
        text, scale = written.text, settings.scale
        read = read_rating(text, scale.low, scale.high, truncated=written.truncated)
        if isinstance(read, str):
            return ScoreVote(principle.id, sample, None, justification=text.strip(), reason=read)
        return ScoreVote(principle.id, sample, read, justification=text.strip())


async def score(
    item: Prompt,
    constitution: Constitution,
    engine: Engine,
    *,
    prompts: PromptSet | None = None,
    settings: ScoreSettings | None = None,
) -> Score:
    """Score one response to a prompt.

    A pure function of its arguments: principles and seeds are hashes of the settings' seed and the prompt's id.

    Args:
        item: the conversation and the response to it.
        constitution: whose principles with a preference question are the standard.
        engine: the judge.
        prompts: the prompt set; None is the shipped `default`.
        settings: see `ScoreSettings`.

    Returns:
        The score; without a value, but with a reason, where no answer of the judge could be read.

    Raises:
        ConstitutionError: the constitution has no principle with a preference question.
        ValueError: the prompt has no response.
        RequestTooLong: conversation and response do not fit the engine's context.
        ChoiceUnsupported: the engine can't give the log-probabilities of the ratings.
        EngineError: the engine could not answer.
    """
    if item.response is None:
        raise ValueError(f"the prompt {item.id!r} has no response to score")
    scorer = Scorer(constitution, prompts or load_prompt_set("default"), settings or ScoreSettings())
    return await scorer.score(item, engine)
