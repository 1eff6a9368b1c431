"""What an audit is published as: `labels` under every setting, `measures` of each, `attacks`, `comparisons`; and its report.

The report, `audit.json`, holds what `evaluation/` makes of the labels. It is deterministic: the same labels, drawn by the same
matplotlib, give the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from constitutional.assignment import content_hash
from constitutional.evaluation.attacks import AttackedPair
from constitutional.evaluation.judged import Judged
from constitutional.feedback import Vote
from constitutional.jobs.audit_rows import ATTACK, INPUT, SETTING
from constitutional.jobs.audit_schemas import measures_row, schemas
from constitutional.jobs.audit_settings import BASELINE, Setting, flags
from constitutional.jobs.label_data import stored_comparison
from constitutional.ledger import Ledger, StoredRow
from constitutional.numbers import counted
from constitutional.records import Row
from constitutional.rundir import DataSet

if TYPE_CHECKING:
    from constitutional.evaluation.labeler import Advice, Attacked, Effect, Measures

FORMAT = 1  # of audit.json


@dataclass(slots=True)
class _Outcomes:
    """How the rows of one setting, or of all attacks, ended."""

    ok: int = 0
    skipped: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, stored: StoredRow) -> None:
        if stored.status:
            setattr(self, stored.status, getattr(self, stored.status) + 1)
        if stored.reason:
            self.reasons[stored.reason] = self.reasons.get(stored.reason, 0) + 1

    def to_row(self) -> Row:
        total = self.ok + self.skipped + self.failed
        counts = {"total": total, "ok": self.ok, "skipped": self.skipped, "failed": self.failed}
        return {**counts, "reasons": dict(sorted(self.reasons.items()))}


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit has found.

    Attributes:
        judged: the comparisons under each setting, the baseline's first.
        measures: of each setting.
        effects: of each setting but the baseline.
        attacks: what attacks do; None where there were none.
        advice: which setting to use.
    """

    judged: Mapping[str, Sequence[Judged]]
    measures: Mapping[str, Measures]
    effects: Mapping[str, Effect]
    attacks: Attacked | None
    advice: Advice


class AuditData:
    """The data sets of an audit, and what is measured while they are read.

    Args:
        settings: the baseline first.
        attacks: kinds of attack.
        about: what else the report says at its beginning.
    """

    def __init__(self, settings: Sequence[Setting], attacks: Sequence[str], about: Row) -> None:
        self._settings, self._attacks, self._about = settings, attacks, about
        self._restart()

    def _restart(self) -> None:
        self._judged: dict[str, list[Judged]] = {setting.name: [] for setting in self._settings}
        self._outcomes = {name: _Outcomes() for name in (INPUT, ATTACK, *self._judged)}
        self._pairs: list[AttackedPair] = []
        self._votes: tuple[str, dict[Vote, Vote]] = ("", {})  # of one comparison; settings share most of them
        self._before: dict[str, float] = {}  # the baseline's P(the first response is better)
        self._ties = self._unpaired = 0
        self._findings: Findings | None = None

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`labels`, `measures`, `comparisons`, and `attacks` where there are any; to be read in this order."""
        self._restart()
        made = schemas()
        found = {
            "labels": DataSet(
                self._label_rows(ledger), made["labels"],
                "every comparison under every setting: P(its first response is better), votes, tokens, and what people say",
            ),
            "measures": DataSet(
                self._measure_rows(), made["measures"],
                "how good the labels of each setting are, each measure with its 95 % interval",
            ),
            "comparisons": DataSet(
                self._comparison_rows(ledger), made["comparisons"], "what was labelled, readable by `label` and `audit`"
            ),
        }  # fmt: skip
        if self._attacks:
            found["attacks"] = DataSet(
                self._attack_rows(ledger), made["attacks"],
                "P(the attacked response is better) before and after the attack, with votes",
            )  # fmt: skip
        return found

    @property
    def findings(self) -> Findings:
        """What the labels come to; computed once, when all of them have been read."""
        from constitutional.evaluation.labeler import advise, attack_effects, effects, measure

        if self._findings is None:
            settings = {setting.name: setting.settings for setting in self._settings}
            seed = settings[BASELINE].seed
            measures = {
                name: measure(judged, seed=seed, min_mass=settings[name].min_mass)
                for name, judged in self._judged.items()
            }
            others = {name: judged for name, judged in self._judged.items() if name != BASELINE}
            found = effects(self._judged[BASELINE], others, seed=seed)
            attacks = attack_effects(self._pairs) if self._attacks else None
            advice = advise(measures, found, self._judged, attacks)
            self._findings = Findings(self._judged, measures, found, attacks, advice)
        return self._findings

    def draw(self, folder: Path) -> list[Path]:
        """Draw the figures of what was found into a folder; the files."""
        from constitutional.report.audit import draw_all
        from constitutional.report.figures import save

        found = self.findings
        judged = f"{counted(len(self._judged[BASELINE]), 'comparison')} that people have judged"
        about = f"{self._about['judge']['model']} under {self._about['constitution']['id']}, {judged}."
        figures = draw_all(
            found.measures, found.effects, advised=found.advice.setting, attacked=found.attacks, about=about
        )
        return save(figures, folder)

    def counts(self) -> Row:
        """Rows by what they are and how they ended.

        `inputs`: rows of the file, how many people have judged, how many of them are ties, and why the others can't be used.
        `settings` and `attacks`: rows by outcome. Bad inputs, settings and attacks add up to `rows`.
        """
        return {
            "inputs": self._inputs(),
            "settings": {name: self._outcomes[name].to_row() for name in self._judged},
            "attacks": self._outcomes[ATTACK].to_row(),
        }

    def report(self) -> Row:
        """What was found; docs/audit.md describes it."""
        found = self.findings
        named = {setting.name: setting for setting in self._settings}
        chosen = found.advice.setting
        return {
            "format": FORMAT,
            **self._about,
            "comparisons": self._inputs(),
            "settings": [self._setting_row(setting) for setting in self._settings],
            "effects": [{"setting": name, **one.to_row()} for name, one in found.effects.items()],
            "attacks": {**found.attacks.to_row(), "unpaired": self._unpaired} if found.attacks else None,
            "advice": {
                **found.advice.to_row(),
                "flags": flags(named[chosen].settings) if chosen is not None else None,
            },
        }

    def _setting_row(self, setting: Setting) -> Row:
        return {
            "name": setting.name,
            "description": setting.description,
            "changes": setting.changes(self._settings[0].settings),
            "flags": flags(setting.settings),
            "requests": setting.labeler.requests,
            "rows": self._outcomes[setting.name].to_row(),
            "measures": self.findings.measures[setting.name].to_row(),
        }

    def _inputs(self) -> Row:
        bad, used = self._outcomes[INPUT].to_row(), len(self._judged[BASELINE])
        return {
            "read": bad["total"] + used,
            "judged": used,
            "ties": self._ties,
            "skipped": bad["skipped"],
            "reasons": bad["reasons"],
        }

    def _label_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows():
            sort, _, name = stored.kind.partition(":")
            if sort == ATTACK:  # these come last, when the labels that they are compared with are known
                self._outcomes[ATTACK].add(stored)
                self._pair(name, stored)
                continue
            result, input = stored.result or {}, stored.input or {}
            votes = result.get("votes", [])
            if sort == SETTING:
                self._outcomes[name].add(stored)
                self._take(name, stored)
            else:
                self._outcomes[INPUT].add(stored)
            names = (
                "probability", "standard_error", "units", "dropped_turns", "prompt_tokens", "completion_tokens",
            )  # fmt: skip
            yield {
                **{name: result.get(name) for name in names},
                **{name: getattr(stored, name) for name in ("id", "status", "reason", "detail")},
                **{name: input.get(name) for name in ("human", "weight")},
                "setting": name or None,
                "votes": votes,
            }

    def _take(self, setting: str, stored: StoredRow) -> None:
        """Keep what is needed of one label to measure it."""
        assert stored.input is not None
        input, result = stored.input, stored.result or {}
        id = sys.intern(stored.id)
        if id != self._votes[0]:
            self._votes = id, {}
        votes = map(_measured, result.get("votes", ()))
        judged = Judged(
            id,
            input["human"],
            result.get("probability"),
            tuple(self._votes[1].setdefault(vote, vote) for vote in votes),
            input["weight"],
            result.get("prompt_tokens"),
            result.get("completion_tokens"),
            _cluster(input),
        )
        self._judged[setting].append(judged)
        if setting == BASELINE:
            self._ties += judged.human == 0.5
            if judged.probability is not None:
                self._before[id] = judged.probability

    def _pair(self, kind: str, stored: StoredRow) -> None:
        """Keep an attack to measure it, beside the label of the same pair without it."""
        assert stored.input is not None
        input, attacked = stored.input, stored.input["attacked"]
        before = _of(attacked, self._before.get(stored.id))
        if before is None:
            self._unpaired += 1
            return
        after = _of(attacked, (stored.result or {}).get("probability"))
        self._pairs.append(AttackedPair(stored.id, kind, before, after, input["weight"], _cluster(input)))

    def _measure_rows(self) -> Iterator[Row]:
        for setting in self._settings:
            yield measures_row(self._setting_row(setting))

    def _comparison_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows(f"{SETTING}:{BASELINE}"):
            assert stored.input is not None
            comparison = stored_comparison(stored.id, stored.input).to_row()
            yield {**comparison, "probability": stored.input["human"], "weight": stored.input["weight"]}

    def _attack_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in (stored for kind in self._attacks for stored in ledger.rows(f"{ATTACK}:{kind}")):
            assert stored.input is not None
            result, attacked = stored.result or {}, stored.input["attacked"]
            yield {
                **{name: getattr(stored, name) for name in ("id", "status", "reason", "detail")},
                "kind": stored.kind.partition(":")[2],
                "attacked": attacked,
                "before": _of(attacked, self._before.get(stored.id)),
                "after": _of(attacked, result.get("probability")),
                "votes": result.get("votes", []),
            }


def _measured(vote: Row) -> Vote:
    """What measures need of a vote: all labels are in memory when they are measured, so no more of it is kept."""
    principle = sys.intern(vote["principle"])
    return Vote(
        principle, vote["order"], vote["sample"], vote["p_raw"], None, vote["mass"], reason=vote["reason"]
    )


def _of(response: int, probability: float | None) -> float | None:
    """P(this response is better), from P(the first is)."""
    if probability is None:
        return None
    return probability if response == 0 else 1.0 - probability


def _cluster(input: Row) -> str:
    """What comparisons of the same prompt share, and no others."""
    return sys.intern(content_hash("prompt", *(part for message in input["messages"] for part in message)))
