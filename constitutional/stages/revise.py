"""Revise: one prompt's initial response and its critique → revision rounds (Bai et al. 2022, section 3.1).

In each round a principle is drawn, the model criticises the last good version of its response in that principle's
words, and rewrites it. As in the paper, each round sees the conversation, the latest version and nothing of the rounds before.
Deviations: revisions are checked, and one that fails its checks is kept but not built upon (docs/deviations.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

from pydantic import Field, model_validator

from constitutional.assignment import content_hash, draw_principles, request_seed
from constitutional.constitution import Constitution, Principle
from constitutional.engines.base import Engine
from constitutional.errors import ConfigError
from constitutional.prompt_examples import Example
from constitutional.records import Chain, Conversation, Prompt, Round, Sampling, Step
from constitutional.settings import Settings
from constitutional.stages.asking import Asker
from constitutional.stages.checks import failed_checks, is_clean
from constitutional.templates import PromptSet, load_prompt_set

STAGE = "revise"
_VERSION = 3  # of what this stage makes of the same generations; part of every row's key


class ReviseSettings(Settings):
    """How chains are made. The defaults are the paper's where it names one.

    Attributes:
        rounds: critique → revision rounds of a chain.
        principles_per_round: how many different principles one critique and revision follow together.
        critique: False asks for the revision directly.
        stop_when_clean: let a critique that finds nothing end the chain; the response it approves is then the result.
        examples: how many of the prompt set's few-shot examples are shown; None shows all.
        overlong: what to do with a conversation that does not fit the context.
        seed: draws the principles and seeds every request.
        temperature: of every generation.
        top_p: nucleus sampling; 1 keeps every token.
        top_k: 0 keeps every token.
        max_tokens: of every generation.
    """

    rounds: int = Field(default=4, ge=1, le=100)
    principles_per_round: int = Field(default=1, ge=1)
    critique: bool = True
    stop_when_clean: bool = False
    examples: int | None = Field(default=None, ge=0)
    overlong: Literal["skip", "drop-oldest"] = "skip"
    seed: int = 0
    temperature: float = Field(default=1.0, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=256, ge=1)

    @property
    def sampling(self) -> Sampling:
        """How every request is sampled, but for its seed."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_tokens)

    @property
    def steps(self) -> int:
        """Generations of a whole chain."""
        return 1 + self.rounds * (2 if self.critique else 1)

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates that a chain renders."""
        return ("respond", "critique", "revise") if self.critique else ("respond", "direct")

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.stop_when_clean and not self.critique:
            raise ConfigError(
                "stop_when_clean (--stop-when-clean) needs critiques: it can't be combined with critique=False (--direct)"
            )
        return self


@dataclass(frozen=True)
class Reviser:
    """What all chains of a run have in common.

    Args:
        constitution: its principles with a critique and a revision are drawn.
        prompts: renders the requests.
        settings: how chains are made.

    Raises:
        ConstitutionError: no principle can be drawn.
        ConfigError: settings that don't fit the constitution or the prompt set.
    """

    constitution: Constitution
    prompts: PromptSet
    settings: ReviseSettings

    def __post_init__(self) -> None:
        settings, usable = self.settings, self._usable
        if settings.principles_per_round > len(usable):
            raise ConfigError(
                f"principles_per_round is {settings.principles_per_round}, but {self.constitution.id} has only "
                f"{len(usable)} principles with a critique and a revision"
            )

    @cached_property
    def _usable(self) -> tuple[Principle, ...]:
        return self.constitution.for_revise()

    @cached_property
    def _rendered_fields(self) -> tuple[str, ...]:
        return self.prompts.principle_fields(*self.settings.templates)

    @cached_property
    def _common_key(self) -> str:
        return content_hash(
            STAGE,
            _VERSION,
            self.settings.model_dump_json(),
            self.prompts.fingerprint(*self.settings.templates),
        )

    def draw(self, prompt_id: str) -> tuple[tuple[Principle, ...], ...]:
        """The principles of each round of a prompt's chain."""
        settings = self.settings
        return tuple(
            draw_principles(
                self._usable,
                seed=settings.seed,
                stage=STAGE,
                prompt_id=prompt_id,
                round=number,
                count=settings.principles_per_round,
            )
            for number in range(settings.rounds)
        )

    def key(self, prompt: Prompt) -> str:
        """A hash of all that determines a chain but the engine.

        Of the principles, just the drawn ones count, and of them just the fields that are rendered.
        """
        return content_hash(
            self._common_key,
            prompt.id,
            repr([(m.role, m.content) for m in prompt.messages]),
            "given" if prompt.response is not None else "generated",
            prompt.response or "",
            *(p.fingerprint(*self._rendered_fields) for drawn in self.draw(prompt.id) for p in drawn),
        )

    async def chain(self, prompt: Prompt, engine: Engine) -> Chain:
        """Make the chain of one prompt; see `revise`."""
        asker = Asker(engine, prompt.messages, self.settings.overlong)
        response = await self.respond(prompt, asker)
        rounds: list[Round] = []
        latest, clean = response.text, False
        for number, principles in enumerate(self.draw(prompt.id)) if latest else ():
            made = await self.round(prompt.id, number, principles, latest, asker)
            rounds.append(made)
            clean = made.revision is None
            if clean:
                break
            if made.good and made.revision:
                latest = made.revision.text
        ended_well = clean or any(made.good for made in rounds)
        reason = (
            "clean" if clean else None if ended_well else "no_good_revision" if latest else "empty_response"
        )
        return Chain(
            prompt.id,
            asker.conversation,
            response,
            tuple(rounds),
            "ok" if ended_well else "failed",
            reason,
            asker.dropped,
            asker.escaped,
        )

    async def respond(self, prompt: Prompt, asker: Asker) -> Step:
        """The initial response of a chain: the one that came with the prompt, or else the model's."""
        if prompt.response is not None:
            return Step(prompt.response.strip(), "stop", 0, 0)
        return await self._ask(asker, prompt.id, "respond", "respond")

    async def round(
        self, prompt_id: str, number: int, principles: tuple[Principle, ...], before: str, asker: Asker
    ) -> Round:
        """One round of a chain under given principles.

        Args:
            prompt_id: the chain's prompt; part of every request's seed.
            number: of the round, from 0; likewise.
            principles: whose texts are asked.
            before: the text to criticise and rewrite.
            asker: holds the conversation.

        Returns:
            The round; without a revision where the critique found nothing and that ends the chain.
        """
        settings = self.settings
        about: dict[str, object] = {"response": before, "principles": principles, "examples": self._examples}
        ids = tuple(principle.id for principle in principles)
        critique: Step | None = None
        if settings.critique:
            marker = self.prompts.clean_marker if settings.stop_when_clean else None
            about["clean_marker"] = marker
            critique = await self._ask(asker, prompt_id, f"critique:{number}", "critique", **about)
            if marker and is_clean(critique.text, marker):
                return Round(ids, critique, None)
            about["critique"] = critique.text
            revision = await self._ask(asker, prompt_id, f"revise:{number}", "revise", **about)
        else:
            revision = await self._ask(asker, prompt_id, f"direct:{number}", "direct", **about)
        failed = failed_checks(
            revision,
            before=before,
            critique=critique.text if critique else None,
            examples=[text for e in self._examples for text in (e.revision, e.critique) if text],
            prompt=asker.conversation[-1].content,
        )
        return Round(ids, critique, revision, failed)

    @property
    def _examples(self) -> tuple[Example, ...]:
        return self.prompts.examples[: self.settings.examples]

    async def _ask(self, asker: Asker, prompt_id: str, step: str, template: str, **variables: object) -> Step:
        seed = request_seed(self.settings.seed, STAGE, prompt_id, step)

        def render(conversation: Conversation) -> Conversation:
            return self.prompts.render(template, prompt=conversation, **variables)

        return Step.of((await asker.ask(render, self.settings.sampling.with_seed(seed)))[0])


def check_examples(prompts: PromptSet, settings: ReviseSettings) -> None:
    """Refuse to be asked for more few-shot examples than there are.

    Raises:
        ConfigError: the prompt set has fewer.
    """
    there = len(prompts.examples)
    if settings.examples is not None and settings.examples > there:
        raise ConfigError(
            f"the prompt set has {there} few-shot examples, not {settings.examples:,}: ask for fewer"
        )


async def revise(
    prompt: Prompt,
    constitution: Constitution,
    engine: Engine,
    *,
    prompts: PromptSet | None = None,
    settings: ReviseSettings | None = None,
) -> Chain:
    """Make the chain of one prompt: initial response, then rounds of critique and revision.

    A pure function of its arguments: the principles and every request's seed are hashes of the settings' seed and
    the prompt's id.

    Args:
        prompt: the conversation; its own response, if it has one, is the initial response.
        constitution: where the principles are drawn from.
        engine: where everything is generated.
        prompts: the prompt set; None is the shipped `default`.
        settings: see `ReviseSettings`.

    Returns:
        The chain. It is failed where no revision is good.

    Raises:
        ConstitutionError: the constitution has no principle with a critique and a revision.
        RequestTooLong: the conversation does not fit the engine's context.
        EngineError: the engine could not answer.
    """
    reviser = Reviser(constitution, prompts or load_prompt_set("default"), settings or ReviseSettings())
    return await reviser.chain(prompt, engine)
