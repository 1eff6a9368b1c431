"""What a plan would cost, told without asking the engine: generations counted, their tokens measured before or guessed.

Where a run has generated something, that is the measure of what is still to be made. Where it has not, rows are run against
an engine that only writes down what it is asked: four characters a token, and answers as long as they may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from constitutional.assignment import draw_seed
from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import EngineError, TemplateError
from constitutional.ledger import Ledger
from constitutional.pipeline import Work
from constitutional.records import Choice, Generation, Message, Row, Sampling
from constitutional.remembering import RequestKeys

_LETTERS_OF_A_TOKEN = 4  # of English, about
_HALF = -0.6931471805599453
_SAMPLED = 200  # rows, about, whose requests are written down; those of all others cost as much


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a plan would cost.

    Attributes:
        generations: needed by the rows to do; an upper bound where chains may stop early.
        remembered: how many of them are remembered already.
        prompt_tokens: of the generations still to be made, about; None where nothing is to be made, or nothing known.
        completion_tokens: likewise; an upper bound where there are no `seconds`.
        seconds: likewise, at the rate of the last run with this engine; None where it has not generated anything yet.
    """

    generations: int
    remembered: int
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None

    @property
    def missing(self) -> int:
        """Generations to be made."""
        return self.generations - self.remembered


class TokensEach(NamedTuple):
    """Tokens of one generation, on average."""

    prompt: float
    completion: float


def estimate_cost(
    ledger: Ledger, needed: int, remembered: int, about: TokensEach | None = None
) -> CostEstimate:
    """What some generations would cost, at the rate of the run so far.

    Args:
        ledger: the run's.
        needed: generations of the rows to do.
        remembered: how many of them are remembered.
        about: what a generation takes, where nothing has been generated yet; see `guess_tokens`.

    Returns:
        The estimate; without time where nothing has been generated yet.
    """
    missing = needed - remembered
    tokens = (round(missing * about.prompt), round(missing * about.completion)) if about else (None, None)
    return measured(ledger, CostEstimate(needed, remembered, *tokens))


def measured(ledger: Ledger, guessed: CostEstimate) -> CostEstimate:
    """An estimate with tokens and time at the rate of the run so far, if it has one."""
    rate = _rate(ledger)
    if not rate:
        return guessed
    each = guessed.missing / rate["generations"]
    return CostEstimate(
        guessed.generations,
        guessed.remembered,
        round(each * rate["prompt_tokens"]),
        round(each * rate["completion_tokens"]),
        each * rate["seconds"],
    )


def _rate(ledger: Ledger) -> Row | None:
    """What generations have cost here: those of the last run, or of a first one that is still at work, or was killed."""
    totals = ledger.read_meta("totals") or {}
    so_far = {**totals, "generations": totals["generated"]} if totals.get("generated") else None
    return ledger.read_meta("rate") or so_far


async def guess_tokens(
    ledger: Ledger, engine: Engine | EngineFacts, work: Mapping[str, Work], to_do: int
) -> TokensEach | None:
    """What a generation of the rows to do takes, by what some of them would ask for.

    Args:
        ledger: holds the plan, and the generations that are remembered.
        engine: whose generations they are; it is not asked.
        work: what to do with each kind of row.
        to_do: rows that the plan would compute.

    Returns:
        The guess; None where there is nothing to guess: the run has a rate, or nothing is to be asked.
    """
    if _rate(ledger):
        return None
    notebook = Notebook(ledger, engine)
    for kind, id, input in islice(ledger.planned(), 0, None, max(1, to_do // _SAMPLED)):
        with suppress(EngineError, TemplateError):  # the row will fail there, and needs nothing more
            await work[kind].run(id, input, notebook)
    if not notebook.new:
        return None
    return TokensEach(notebook.prompt_tokens / notebook.new, notebook.completion_tokens / notebook.new)


@dataclass
class Notebook:
    """An engine that writes down what it is asked; it satisfies `engines.base.Engine`.

    What the ledger remembers is answered from there; anything else with a text or scores of no meaning, a different text for
    a different request, so that what is asked next is different too, and as long as it may be, so that it takes as many tokens.
    """

    ledger: Ledger
    facts: Engine | EngineFacts
    noted: set[str] = field(default_factory=set)
    requests: int = 0
    new: int = 0
    letters: int = 0
    completion_tokens: int = 0
    remembered: int = 0

    def __post_init__(self) -> None:
        self.identity, self.slots = self.facts.identity, self.facts.slots
        self.context_length, self.dies_with_us = self.facts.context_length, False
        self._keys = RequestKeys(self.identity)

    @property
    def prompt_tokens(self) -> int:
        """Of the new requests, about."""
        return self.letters // _LETTERS_OF_A_TOKEN

    async def prepare(self) -> None:
        """Nothing to find out."""

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        generations = []
        for draw in range(n):
            drawn = sampling.with_seed(draw_seed(sampling.seed, draw))
            key = self._keys.generation(messages, drawn)
            value = self._note(key, messages, drawn.max_tokens)
            generations.append(Generation(value[0] if value else _text(key, drawn.max_tokens)))
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        value = self._note(self._keys.choice(messages, options, terminator), messages, 0)
        return Choice(tuple(value[0]), value[1]) if value else Choice((_HALF,) * len(options), -float("inf"))

    def _note(self, key: str, messages: Sequence[Message], max_tokens: int) -> list[Any] | None:
        self.requests += 1
        value = self.ledger.recall(key)
        if key not in self.noted:
            self.noted.add(key)
            if value is None:
                self.new += 1
                self.letters += sum(len(message.content) for message in messages)
                self.completion_tokens += max_tokens
            else:
                self.remembered += 1
        return value


def _text(key: str, tokens: int) -> str:
    """A text of about so many tokens that no other request is answered with."""
    return key + f" {key}" * (tokens * _LETTERS_OF_A_TOKEN // (len(key) + 1) - 1)
