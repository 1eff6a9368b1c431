"""The rows of an audit: one a comparison and setting, one an attack, one an input that can't be used; what keys and makes them.

A setting's row is keyed and made as `label` would alone, so adding a setting redoes nothing. Settings share their requests through
the ledger. Yet every row has the token counts of all of its own requests, remembered or not: what it would cost alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from constitutional.assignment import content_hash
from constitutional.engines.base import Engine, EngineFacts
from constitutional.errors import SourceError
from constitutional.feedback import Comparison
from constitutional.jobs.audit_attacks import AttackDraw, AttackedComparison, worse
from constitutional.jobs.audit_settings import BASELINE, Setting
from constitutional.jobs.label import WAYS_OUT, engine_key, label_outcome
from constitutional.jobs.label_data import comparison_input, stored_comparison
from constitutional.jobs.sl_cai_rows import bad_input
from constitutional.ledger import PlannedRow
from constitutional.pipeline import Work
from constitutional.records import Choice, Generation, Message, Outcome, Row, Sampling
from constitutional.sources.comparisons import ComparisonRow, ComparisonSource
from constitutional.stages.label import Labeler

INPUT, SETTING, ATTACK = "input", "setting", "attack"
NO_HUMAN_LABEL = "no_human_label"


def setting_kind(name: str) -> str:
    """The kind of a setting's rows."""
    return f"{SETTING}:{name}"


def attack_kind(kind: str) -> str:
    """The kind of an attack's rows."""
    return f"{ATTACK}:{kind}"


class Meter:
    """An engine that adds up the tokens of what it is asked, remembered or not; it satisfies `engines.base.Engine`.

    Args:
        engine: answers.

    Attributes:
        prompt_tokens: of all requests, those of each draw.
        completion_tokens: generated for them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.identity, self.slots = engine.identity, engine.slots
        self.context_length, self.dies_with_us = engine.context_length, engine.dies_with_us
        self.prompt_tokens = self.completion_tokens = 0

    async def prepare(self) -> None:
        """Prepared already."""

    async def start(self) -> None:
        """Started already."""

    async def close(self) -> None:
        """Not ours to close."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        generations = await self._engine.generate(messages, sampling, n)
        self.prompt_tokens += sum(one.prompt_tokens for one in generations)
        self.completion_tokens += sum(one.completion_tokens for one in generations)
        return generations

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        choice = await self._engine.choose(messages, options, terminator)
        self.prompt_tokens += choice.prompt_tokens
        return choice


class AuditRows:
    """Plans and makes the rows of an audit.

    Args:
        source: comparisons that people have judged.
        settings: the baseline first.
        attacks: kinds of attack on the baseline.
        attack_pairs: comparisons to attack, of each kind.
        engine: what answers depend on besides the request.

    Attributes:
        work: what to do with each kind of row.
    """

    def __init__(
        self,
        source: ComparisonSource,
        settings: Sequence[Setting],
        attacks: Sequence[str],
        attack_pairs: int,
        engine: Engine | EngineFacts,
    ) -> None:
        self._source, self._settings = source, settings
        self._attacks, self._attack_pairs = attacks, attack_pairs
        self._keys = {setting.name: engine_key(setting.labeler, engine) for setting in settings}
        assert settings[0].name == BASELINE
        self._baseline = settings[0].labeler
        self._labelers = {setting_kind(setting.name): setting.labeler for setting in settings}
        self._labelers |= {attack_kind(kind): self._baseline for kind in attacks}
        self.work = {
            kind: Work(_runner(kind, labeler), labeler.requests, ways_out=WAYS_OUT)
            for kind, labeler in self._labelers.items()
        }

    def planned(self) -> Iterator[PlannedRow]:
        """Every row: a comparison under all settings, so that they share a prefix cache too, then the attacks.

        Raises:
            SourceError: people have judged none of the comparisons.
        """
        draw = AttackDraw(self._attacks, self._attack_pairs, self._baseline.settings.seed)
        read = used = 0
        for row in self._source:
            read += 1
            if row.comparison is None:
                yield bad_input(INPUT, row.id, row.reason, row.detail)
            elif row.human is None:
                detail = "nothing says which response people prefer: no probability, no votes, no chosen one"
                yield bad_input(INPUT, row.id, NO_HUMAN_LABEL, detail)
            else:
                used += 1
                draw.offer(row)
                for setting in self._settings:
                    yield self._planned(setting, row, row.comparison)
        if not used:
            raise SourceError(
                f"{self._source.path}: of {read:,} rows none is a comparison that people have judged. An audit needs "
                "`chosen` and `rejected`, `corrects` and `incorrects`, a `probability`, or votes"
            )
        for kind, row in draw.drawn():
            assert row.comparison is not None and row.human is not None
            yield self._attacked(kind, row, row.comparison, row.human)

    def _planned(self, setting: Setting, row: ComparisonRow, comparison: Comparison) -> PlannedRow:
        about = repr((row.human, row.weight))  # they change no vote, but what is measured
        key = content_hash(self._keys[setting.name], setting.labeler.key(comparison), about)
        input = comparison_input(comparison, row.human, row.weight)
        return PlannedRow(setting_kind(setting.name), row.id, key, input)

    def _attacked(self, kind: str, row: ComparisonRow, comparison: Comparison, human: float) -> PlannedRow:
        attacked = attacked_comparison(comparison, kind, worse(human), self._baseline)
        key = content_hash(
            self._keys[BASELINE],
            self._baseline.key(comparison),
            "attack",
            *(text for order in (0, 1) for text in attacked.shown(order)),
            repr((human, row.weight)),
        )
        input = {**comparison_input(comparison, human, row.weight), "attacked": attacked.attacked}
        return PlannedRow(attack_kind(kind), row.id, key, input)


def attacked_comparison(
    comparison: Comparison, kind: str, attacked: int, labeler: Labeler
) -> AttackedComparison:
    """A comparison in which one response attacks this labeler."""
    return AttackedComparison(
        comparison.id, comparison.prompt, comparison.responses, kind, attacked, labeler.prompts.options
    )


def row_comparison(kind: str, id: str, input: Row, labeler: Labeler) -> Comparison:
    """What is labelled in a row of this kind."""
    comparison = stored_comparison(id, input)
    sort, _, name = kind.partition(":")
    return attacked_comparison(comparison, name, input["attacked"], labeler) if sort == ATTACK else comparison


def _runner(kind: str, labeler: Labeler) -> Callable[[str, Row, Engine], Awaitable[Outcome]]:
    """What labels the comparison of a row of this kind, and adds to the row's result what that takes."""

    async def run(id: str, input: Row, engine: Engine) -> Outcome:
        meter = Meter(engine)
        outcome = await label_outcome(labeler, row_comparison(kind, id, input, labeler), meter)
        tokens = {"prompt_tokens": meter.prompt_tokens, "completion_tokens": meter.completion_tokens}
        return replace(outcome, result={**outcome.result, **tokens})

    return run
