"""How good a labeler is, and which of its settings to use: the measures of `constitutional audit` (Bai et al. 2022, section 4.1; Lee et al. 2023, section 3.3).

Contract: pure functions of labels and people's judgements. Labels come as `Judged`, one for each comparison and setting; the same ones in any order,
and with any of them swapped, give the same results. Neither paper has intervals, paired comparisons of settings, or a correction for
their number; those are ours. `docs/audit.md`, "How it is measured", says why each is as it is.
"""

from __future__ import annotations

from constitutional.evaluation.advice import Advice, advise
from constitutional.evaluation.attacks import Attacked, AttackedPair, AttackEffect, attack_effects
from constitutional.evaluation.calibration import Bin, ByChance
from constitutional.evaluation.effects import Difference, Effect, effect, effects
from constitutional.evaluation.judged import Judged
from constitutional.evaluation.measures import Clamped, Measures, measure
from constitutional.evaluation.position import Position
from constitutional.evaluation.remarks import Remark

__all__ = [
    "Advice",
    "AttackEffect",
    "Attacked",
    "AttackedPair",
    "Bin",
    "ByChance",
    "Clamped",
    "Difference",
    "Effect",
    "Judged",
    "Measures",
    "Position",
    "Remark",
    "advise",
    "attack_effects",
    "effect",
    "effects",
    "measure",
]
