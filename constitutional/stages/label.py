"""Label: P(the first of two responses is better), from a judge's votes (Bai et al. 2022, section 4.1).

One vote is one principle, one order, one sample: the two responses are shown, the principle's preference question is asked, and
the probabilities of the two options are read, directly or after a sampled rationale. What the votes come to is in `votes.py`. All
settings that the papers disagree on are here, since the right ones depend on the judge: Lee et al. 2023 average both orders
(section 2.1.1), find that self-consistency hurts theirs, and do not clamp.

Deviations: both orders are asked by default. Where only one is, a hash decides which response comes first, so that a judge's
position bias is noise and not a bias towards what a file happens to hold first. A rationale is stopped where it goes
on to the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from constitutional.assignment import content_hash, draw_principles, draw_seed, request_seed
from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import Engine
from constitutional.errors import BadAnswer, ConfigError, RequestRefused, RequestTooLong
from constitutional.feedback import Comparison, Label, Vote
from constitutional.records import Conversation, Generation, Sampling
from constitutional.settings import Settings
from constitutional.stages.answers import read_answer
from constitutional.stages.asking import all_answers, terminator_of, without_oldest
from constitutional.stages.votes import (
    NO_MASS,
    UNREADABLE,
    LowMass,
    OrderAverage,
    Tally,
    Unlabelled,
    aggregate,
    read_choice,
)
from constitutional.templates import PromptSet, load_prompt_set

STAGE = "label"
CLAMP_AFTER_REASONING = 0.4
_VERSION = 2  # of what this stage makes of the same generations; part of every row's key
_ANSWER_TOKENS = 16  # of a counted answer: an option, or the sentence once more


class LabelSettings(Settings):
    """How comparisons are labelled.

    Attributes:
        principles: how many are drawn for a label (the paper's 1), or `all`: then they are weighted in the mean instead of in
            the draw. A number that is all there are means the same.
        samples: votes of each principle and order: rationales, or counted answers.
        both_orders: ask with either response first. False asks in one order, drawn by a hash of the responses.
        chain_of_thought: have the judge reason before it answers.
        clamp: lower bound of a vote, and 1 - clamp the upper one; 0 does not clamp. None is the paper's 0.4 after a rationale
            and 0 without.
        order_average: what cancels a position bias: the `mean` of both orders one that adds to probabilities, the mean of their log-odds
            (`logit`) one that adds to these.
        votes: `logprobs` reads the options' probabilities; `sampled` counts answers, each of which is 0 or 1.
        temperature: of rationales and counted answers; 0 is greedy, with one sample.
        top_p: likewise; 1 keeps every token.
        top_k: likewise; 0 keeps every token.
        max_tokens: of a rationale.
        examples: how many of the prompt set's preference examples are shown; None shows all.
        min_mass: a vote is flagged where both options together have less probability. Below ½ the judge would rather say
            something else than either.
        low_mass: whether a flagged vote counts.
        overlong: what to do with a conversation that does not fit the context; all votes of a label see the same turns.
        seed: draws the principles and seeds every request.
    """

    principles: Annotated[int, Field(ge=1, strict=True)] | Literal["all"] = 1  # `true` is not 1
    samples: int = Field(default=1, ge=1, le=1000, strict=True)
    both_orders: bool = True
    chain_of_thought: bool = False
    clamp: float | None = Field(default=None, ge=0, lt=0.5)
    order_average: OrderAverage = "mean"
    votes: Literal["logprobs", "sampled"] = "logprobs"
    temperature: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=256, ge=1)
    examples: int | None = Field(default=None, ge=0)
    min_mass: float = Field(default=0.5, ge=0, le=1)
    low_mass: LowMass = "keep"
    overlong: Literal["skip", "drop-oldest"] = "skip"
    seed: int = 0

    @property
    def lower(self) -> float:
        """The lower bound of a vote."""
        if self.clamp is not None:
            return self.clamp
        return CLAMP_AFTER_REASONING if self.chain_of_thought else 0.0

    @property
    def generates(self) -> bool:
        """Whether anything is sampled: rationales or counted answers."""
        return self.chain_of_thought or self.votes == "sampled"

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates that a label renders."""
        return ("judge-reason", "judge-answer") if self.chain_of_thought else ("judge",)

    @property
    def sampling(self) -> dict[str, Any]:
        """The settings that decide how something is sampled; none where nothing is."""
        if not self.generates:
            return {}
        names = ["temperature", "top_p", "top_k", *(["max_tokens"] if self.chain_of_thought else [])]
        return {name: getattr(self, name) for name in names}

    def decisive(self) -> dict[str, Any]:
        """The settings that have any effect on a label here, by name, with defaults resolved."""
        unused = {"temperature", "top_p", "top_k", "max_tokens"}
        unused |= {"min_mass"} if self.low_mass == "keep" else set()
        unused |= set() if self.both_orders else {"order_average"}
        return {**self.model_dump(mode="json", exclude=unused), **self.sampling, "clamp": self.lower}

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.samples > 1 and not self.generates:
            raise ConfigError(
                f"samples is {self.samples}, but nothing is sampled: set chain_of_thought (--chain-of-thought), "
                "or votes='sampled' (--votes sampled), or leave samples at 1"
            )
        if self.samples > 1 and not self.temperature:
            raise ConfigError(
                f"samples is {self.samples}, but at temperature 0 all would be the same: set a temperature above 0"
            )
        if self.votes == "sampled" and self.order_average == "logit" and self.both_orders:
            raise ConfigError(
                "order_average is logit, but counted answers are 0 or 1, and the mean of their log-odds over both orders "
                "cancels no position bias: take the mean, or votes by log-probabilities"
            )
        return self


@dataclass(frozen=True)
class Labeler:
    """What all labels of a run have in common.

    Args:
        constitution: its principles with a preference question are drawn.
        prompts: renders the requests.
        settings: how comparisons are labelled.

    Raises:
        ConstitutionError: no principle can be drawn.
        ConfigError: settings that don't fit the constitution or one another.
        TemplateError: the prompt set lacks a template, or has one that can't be used so.
    """

    constitution: Constitution
    prompts: PromptSet
    settings: LabelSettings

    def __post_init__(self) -> None:
        settings, usable = self.settings, self._usable
        if settings.principles != "all" and settings.principles > len(usable):
            raise ConfigError(
                f"principles is {settings.principles}, but {self.constitution.id} has only {len(usable)} with a "
                "preference question; say all, or fewer"
            )
        self.prompts.fingerprint(*settings.templates)  # complains of a template that is missing
        if settings.chain_of_thought:
            self.prompts.rationale_stop()

    @cached_property
    def _usable(self) -> tuple[Principle, ...]:
        return tuple(sorted(self.constitution.for_label(), key=lambda principle: principle.id))

    @property
    def asks_all(self) -> bool:
        """Whether every principle is asked, so that weights count in the mean."""
        return self.settings.principles in ("all", len(self._usable))

    @property
    def requests(self) -> int:
        """Engine calls of one label."""
        principles = len(self._usable) if self.settings.principles == "all" else self.settings.principles
        votes = principles * (2 if self.settings.both_orders else 1) * self.settings.samples
        return votes * len(self.settings.templates)

    @cached_property
    def _common_key(self) -> str:
        settings = repr(sorted(self.settings.decisive().items()))
        return content_hash(STAGE, _VERSION, settings, self.prompts.fingerprint(*self.settings.templates))

    @cached_property
    def _rendered_fields(self) -> tuple[str, ...]:
        weighted = ("weight",) if self.asks_all else ()
        return (*self.prompts.principle_fields(*self.settings.templates), *weighted)

    @cached_property
    def _examples(self) -> tuple[Any, ...]:
        return self.prompts.preference_examples[: self.settings.examples]

    @cached_property
    def _reasoning(self) -> Sampling:
        settings = self.settings
        stop = (self.prompts.rationale_stop(),)
        return Sampling(settings.temperature, settings.top_p, settings.top_k, settings.max_tokens, stop)

    @cached_property
    def _answering(self) -> Sampling:
        return Sampling(self.settings.temperature, self.settings.top_p, self.settings.top_k, _ANSWER_TOKENS)

    def draw(self, comparison_id: str) -> tuple[Principle, ...]:
        """The principles of a comparison's label: the first drawn first, or all of them by id."""
        if self.settings.principles == "all" or self.asks_all:
            return self._usable
        return draw_principles(
            self._usable,
            seed=self.settings.seed,
            stage=STAGE,
            prompt_id=comparison_id,
            round=0,
            count=self.settings.principles,
        )

    def key(self, comparison: Comparison) -> str:
        """A hash of all that determines a label but the engine.

        Of the principles, just the drawn ones count, and of them just the fields that are rendered (and their weights where
        these count in the mean).
        """
        return content_hash(
            self._common_key,
            comparison.id,
            repr([(message.role, message.content) for message in comparison.prompt]),
            *comparison.responses,
            *(p.fingerprint(*self._rendered_fields) for p in self.draw(comparison.id)),
        )

    def orders(self, comparison: Comparison, principle: Principle) -> tuple[int, ...]:
        """The orders in which a principle is asked: 0 shows the comparison's first response first, 1 its second."""
        if self.settings.both_orders:
            return 0, 1

        def race(response: str) -> str:
            return content_hash(self.settings.seed, STAGE, "order", comparison.id, principle.id, response)

        first, second = comparison.responses
        return (0,) if race(first) <= race(second) else (1,)

    def aggregate(self, votes: Sequence[Vote]) -> Tally:
        """What some votes come to under these settings; see `votes.aggregate`."""
        settings = self.settings
        return aggregate(
            votes,
            clamp=settings.lower,
            order_average=settings.order_average,
            min_mass=settings.min_mass,
            low_mass=settings.low_mass,
            weights={p.id: p.weight for p in self._usable} if self.asks_all else None,
        )

    async def label(self, comparison: Comparison, engine: Engine) -> Label:
        """Label one comparison; see the function `label`."""
        first, second = (response.strip() for response in comparison.responses)
        if not first or not second:
            which = "both are" if not first and not second else "the second is" if first else "the first is"
            raise Unlabelled("skipped", "empty_response", f"of the two responses {which} empty")
        if first == second:
            raise Unlabelled("skipped", "identical_responses", "the two responses are the same")
        votes, dropped = await self._all_votes(comparison, engine)
        tally = self.aggregate(votes)
        if tally.probability is None:
            detail = f"none of the {len(votes)} votes counts: {tally.detail}"
            raise Unlabelled("failed", tally.reason, detail, tally.votes)
        return Label(
            comparison.id, tally.probability, tally.standard_error, tally.units, tally.votes, dropped
        )

    async def _all_votes(self, comparison: Comparison, engine: Engine) -> tuple[list[Vote], int]:
        """All votes on the same conversation: without its oldest turns where one request would not fit with them."""
        whole = len(comparison.prompt)
        while True:
            try:
                return await self._votes(comparison, engine), whole - len(comparison.prompt)
            except RequestTooLong:
                shorter = without_oldest(comparison.prompt)
                if self.settings.overlong == "skip" or shorter is None:
                    raise
                comparison = replace(comparison, prompt=shorter)

    async def _votes(self, comparison: Comparison, engine: Engine) -> list[Vote]:
        questions = [
            _Question(self, comparison, principle, order)
            for principle in self.draw(comparison.id)
            for order in self.orders(comparison, principle)
        ]
        samples = range(self.settings.samples)
        return await all_answers(
            question.vote(sample, engine) for question in questions for sample in samples
        )


class _Question:
    """One principle in one order: what is asked `samples` times."""

    def __init__(self, labeler: Labeler, comparison: Comparison, principle: Principle, order: int) -> None:
        self._labeler, self._principle, self._order = labeler, principle, order
        self._id = comparison.id
        shown = comparison.shown(order)
        self._shown_first = content_hash(shown[0])
        self._variables: dict[str, object] = {
            "prompt": comparison.prompt,
            "responses": shown,
            "options": labeler.prompts.options,
            "principle": principle,
            "examples": labeler._examples,
        }
        self._messages = labeler.prompts.render(labeler.settings.templates[0], **self._variables)

    async def vote(self, sample: int, engine: Engine) -> Vote:
        """One vote; where the engine refuses a request for good, one that does not count."""
        vote = Vote(self._principle.id, self._order, sample, None, None)
        messages = self._messages
        try:
            if self._labeler.settings.chain_of_thought:
                reasoned = await self._generate(messages, self._labeler._reasoning, "reason", sample, engine)
                rationale = reasoned.text.strip()
                vote = replace(vote, rationale=rationale, rationale_finish_reason=reasoned.finish_reason)
                messages = self._labeler.prompts.render(
                    "judge-answer", **self._variables, rationale=rationale
                )
            if self._labeler.settings.votes == "sampled":
                answered = await self._generate(messages, self._labeler._answering, "answer", sample, engine)
                option = read_answer(
                    answered.text,
                    self._labeler.prompts.options,
                    prefix=messages[-1].content.rpartition("\n")[2],
                    truncated=answered.truncated,
                )
                if option is None:
                    return replace(vote, reason=UNREADABLE)
                return replace(vote, p_raw=1.0 if option == self._order else 0.0)
            options = self._labeler.prompts.options
            # A letter is one token, which nothing has to end; and so scores remembered without an end stay found.
            letters = all(len(option.encode()) == 1 for option in options)
            choice = await engine.choose(messages, options, None if letters else terminator_of(messages))
        except (RequestRefused, BadAnswer) as error:
            return replace(vote, reason=error.reason)
        p_raw, mass = read_choice(choice, self._order)
        return replace(vote, p_raw=p_raw, mass=mass, reason=NO_MASS if p_raw is None else None)

    async def _generate(
        self, messages: Conversation, sampling: Sampling, step: str, sample: int, engine: Engine
    ) -> Generation:
        # The seed hangs on what is shown first, not on the order's number, so that swapping a comparison swaps its label.
        step = f"{step}:{self._principle.id}:{self._shown_first}"
        seed = request_seed(self._labeler.settings.seed, STAGE, self._id, step)
        return (await engine.generate(messages, sampling.with_seed(draw_seed(seed, sample))))[0]


async def label(
    comparison: Comparison,
    constitution: Constitution,
    engine: Engine,
    *,
    prompts: PromptSet | None = None,
    settings: LabelSettings | None = None,
) -> Label:
    """Label one comparison: P(its first response is better), with a standard error and the votes.

    A pure function of its arguments: the principles and every request's seed are hashes of the settings' seed and the
    comparison's id and responses. Swapping the responses gives exactly 1 - p wherever the engine gives the same answers to the same
    requests.

    Args:
        comparison: two different responses to a prompt.
        constitution: where the principles are drawn from.
        engine: the judge.
        prompts: the prompt set; None is the shipped `default`.
        settings: see `LabelSettings`.

    Returns:
        The label.

    Raises:
        Unlabelled: the responses are the same or one is empty (`skipped`), or no vote counts (`failed`).
        ConstitutionError: the constitution has no principle with a preference question.
        ChoiceUnsupported: the engine can't give log-probabilities; `votes="sampled"` does without.
        RequestTooLong: the comparison does not fit the engine's context.
        EngineError: the engine could not answer.
    """
    labeler = Labeler(constitution, prompts or load_prompt_set("default"), settings or LabelSettings())
    return await labeler.label(comparison, engine)
