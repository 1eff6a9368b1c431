"""What an audit would cost, setting by setting, told by asking an engine that only writes down what it is asked.

Settings share requests: another clamp, one order of two, fewer principles ask for nothing new. So each request is counted for the
first setting that needs it, and not at all where it is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import EngineError, TemplateError
from constitutional.jobs.audit_rows import ATTACK
from constitutional.jobs.cost import Notebook
from constitutional.ledger import Ledger
from constitutional.pipeline import Work
from constitutional.records import Row


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
        notebook = Notebook(ledger, engine, noted)
        with suppress(EngineError, TemplateError):  # the row will fail there, and needs nothing more
            await work[kind].run(id, input, notebook)
        cost = costs[_name(kind)]
        costs[cost.name] = replace(
            cost,
            rows=cost.rows + 1,
            requests=cost.requests + notebook.requests,
            new=cost.new + notebook.new,
            prompt_tokens=cost.prompt_tokens + notebook.prompt_tokens,
            completion_tokens=cost.completion_tokens + notebook.completion_tokens,
        )
        remembered += notebook.remembered
        if number % 100 == 0:
            await asyncio.sleep(0)
    return tuple(costs.values()), remembered


def _name(kind: str) -> str:
    sort, _, name = kind.partition(":")
    return "attacks" if sort == ATTACK else name
