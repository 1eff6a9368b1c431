"""What an audit would cost, setting by setting, told by asking an engine that only writes down what it is asked.

Settings share requests: another clamp, one order of two, fewer principles ask for nothing new. So each request is counted for the
first setting that needs it, and not at all where it is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from constitutional.assignment import draw_seed
from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import EngineError, TemplateError
from constitutional.jobs.audit_rows import ATTACK
from constitutional.ledger import Ledger
from constitutional.pipeline import Work
from constitutional.records import Choice, Generation, Message, Row, Sampling
from constitutional.remembering import RequestKeys

_LETTERS_OF_A_TOKEN = 4  # of English, about
_HALF = -0.6931471805599453


@dataclass(frozen=True, slots=True)
class SettingCost:
    """What the rows of one setting, or all attacks together, would cost.

    Attributes:
        name: the setting's, or `attacks`.
        rows: to do.
        requests: that they need, remembered or shared with others.
        new: of these, how many are to be made and no setting before needs.
        prompt_tokens: of the new ones, about: four characters a token.
        completion_tokens: of the new ones, at most.
    """

    name: str
    rows: int = 0
    requests: int = 0
    new: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class _Notebook:
    """An engine that writes down what it is asked; it satisfies `engines.base.Engine`.

    What the ledger remembers is answered from there; anything else with a text or scores of no meaning, a different text for
    a different request, so that what is asked next is different too.
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
            generations.append(Generation(value[0] if value else key))
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


async def audit_costs(
    ledger: Ledger,
    engine: Engine | EngineFacts,
    work: Mapping[str, Work],
    rows: Iterable[tuple[str, str, Row]] | None = None,
) -> tuple[tuple[SettingCost, ...], int]:
    """What the rows to do would cost.

    Args:
        ledger: holds the generations that are remembered.
        engine: whose generations they are; it is not asked.
        work: what to do with each kind of row.
        rows: their (kind, id, input); None is all that the ledger's plan would compute.

    Returns:
        (the costs in the order of the settings; how many different requests of these rows are remembered)
    """
    costs: dict[str, SettingCost] = {name: SettingCost(name) for name in map(_name, work)}
    remembered, of, noted = 0, "", set[str]()
    for number, (kind, id, input) in enumerate(ledger.planned() if rows is None else rows):
        if id != of:  # requests are shared by the settings of one comparison, which follow one another
            of, noted = id, set()
        notebook = _Notebook(ledger, engine, noted)
        with suppress(EngineError, TemplateError):  # the row will fail there, and needs nothing more
            await work[kind].run(id, input, notebook)
        cost = costs[_name(kind)]
        costs[cost.name] = replace(
            cost,
            rows=cost.rows + 1,
            requests=cost.requests + notebook.requests,
            new=cost.new + notebook.new,
            prompt_tokens=cost.prompt_tokens + notebook.letters // _LETTERS_OF_A_TOKEN,
            completion_tokens=cost.completion_tokens + notebook.completion_tokens,
        )
        remembered += notebook.remembered
        if number % 100 == 0:
            await asyncio.sleep(0)
    return tuple(costs.values()), remembered


def _name(kind: str) -> str:
    sort, _, name = kind.partition(":")
    return "attacks" if sort == ATTACK else name
