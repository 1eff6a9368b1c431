"""The plan of a mix: what each source gives and what the checks found, why it can't be written, and its counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from constitutional.errors import ConfigError, Problem
from constitutional.numbers import counted
from constitutional.records import Row
from constitutional.stages.mix import MixSettings, Part
from constitutional.stages.mix_checks import Finding


@dataclass(frozen=True, slots=True)
class MixPlan:
    """What a mix would be.

    Attributes:
        settings: what was asked for.
        paths: of the sources, by name.
        splits: which split of a source is read, by name, where it is not `train`.
        parts: what each source gives.
        findings: of all checks.
    """

    settings: MixSettings
    paths: Mapping[str, Path]
    splits: Mapping[str, str]
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]

    @property
    def failing(self) -> tuple[Finding, ...]:
        """The checks that fail and were not waived."""
        return tuple(finding for finding in self.findings if finding.state == "fail")

    @property
    def can_be_written(self) -> bool:
        """Whether no check fails and there is something to train on."""
        return not self.failing and self._rows_on(test=False) > 0

    def refuse_failing(self, *, briefly: bool = False) -> None:
        """Refuse to go on where a check fails, or where nothing is left to train on, which can't be waived.

        Args:
            briefly: say only how many fail and how to waive them, where the user has read what they found.

        Raises:
            ConfigError: each such check, with how to waive it; or that there is nothing, with the ways out.
        """
        if briefly and (count := len(self.failing)):
            allow = " ".join(f"--allow {check}" for check in dict.fromkeys(f.check for f in self.failing))
            raise ConfigError(
                f"{count} checks fail, so nothing is written. Mend them, or say {allow}"
                if count > 1
                else f"a check fails, so nothing is written. Mend it, or say {allow}"
            )
        problems = [
            Problem(
                f"check {finding.check}{f', {finding.source}' if finding.source else ''}: "
                f"{finding.sentence.removesuffix('.')}{'' if finding.sentence.endswith('?') else '.'} "
                f"Mend it, or say --allow {finding.check}"
            )
            for finding in self.failing
        ]
        if problems:
            raise ConfigError(problems)
        if not self.can_be_written:
            raise ConfigError(self._nothing())

    def _rows_on(self, *, test: bool) -> int:
        return sum(int((part.taken & (part.test == test)).sum()) for part in self.parts)

    def _nothing(self) -> str:
        """That there is nothing to train on, why, and what can be done."""
        if not (held_out := self._rows_on(test=True)):
            return "there is nothing to mix: no source gives a row"
        ways = ["--test 0 holds nothing out", "another --seed holds out others"]
        if self.settings.split_by == "opening":
            ways.append("--split-by prompt goes by the whole prompt")
        if "leakage" in self.settings.allow:
            same = f"the same {self.settings.split_by}"
        else:
            same = f"the same {self.settings.split_by} or the same two responses"
            ways.append("--allow leakage parts the same two responses")
        return (
            f"there is nothing to train on: test has {counted(held_out, 'row')}, and train none. "
            f"Rows with {same} are on one side of the split: {', '.join(ways[:-1])}, and {ways[-1]}"
        )

    def counts(self) -> Row:
        """Rows read, by outcome; what each source gave; what each split holds."""
        reasons: Counter[str] = Counter()
        for part in self.parts:
            reasons.update(part.facts.skipped)
        total = sum(part.facts.rows for part in self.parts)
        rows = {"total": total, "ok": total - reasons.total(), "skipped": reasons.total(), "failed": 0}
        return {
            "rows": {**rows, "reasons": dict(sorted(reasons.items()))},
            "sources": {part.facts.name: _counts_of_source(part) for part in self.parts},
            "splits": {
                name: _counts_of_split(self.parts, test)
                for name, test in (("train", False), ("test", True))
                if not test or self.settings.test
            },
        }


def _counts_of_source(part: Part) -> Row:
    facts = part.facts
    skipped = sum(facts.skipped.values())
    return {
        "rows": facts.rows,
        "ok": facts.rows - skipped,
        "skipped": skipped,
        "reasons": dict(sorted(facts.skipped.items())),
        "pairs": len(facts),
        "available": round(facts.available, 6),
        "drawn": {"rows": part.rows, "weight": round(part.weight, 6)},
        "train": int((part.taken & ~part.test).sum()),
        "test": int((part.taken & part.test).sum()),
        "ties": int((part.drawn("probability") == 0.5).sum()),
    }


def _counts_of_split(parts: Sequence[Part], test: bool) -> Row:
    probability = [part.drawn("probability", test=test) for part in parts]
    return {
        "rows": sum(map(len, probability)),
        "weight": round(sum(float(part.drawn("weight", test=test).sum()) for part in parts), 6),
        "ties": sum(int((values == 0.5).sum()) for values in probability),
    }
