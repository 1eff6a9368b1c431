"""The analysis of a run of `label` as JSON; docs/analysis.md documents the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constitutional.estimates import Estimate
from constitutional.stages.label import STAGE

if TYPE_CHECKING:
    from constitutional.workbench.label_analysis import LabelAnalysis
    from constitutional.workbench.label_stats import LabelStats


def label_json(analysis: LabelAnalysis) -> dict[str, Any]:
    """The analysis as plain JSON; a section that the run does not have is left out."""
    facts, settings = analysis.run, analysis.run.settings
    return {
        "format": 1,
        "run": {
            "path": str(facts.path),
            "stage": STAGE,
            "constitution": facts.constitution,
            "version": facts.version,
            "model": facts.model,
            "principles_per_label": settings.principles,
            "samples": settings.samples,
            "both_orders": settings.both_orders,
            "order_average": settings.order_average,
            "chain_of_thought": settings.chain_of_thought,
            "vote_kind": settings.votes,
            "clamp": settings.lower,
            "min_mass": settings.min_mass,
            "comparisons": dict(analysis.comparisons),
        },
        "analysed": {
            "comparisons": analysis.analysed,
            "labels": analysis.labels,
            "human_labels": analysis.human,
        },
        "remarks": [
            {"kind": remark.kind, "principles": list(remark.principles), "text": remark.text}
            for remark in analysis.remarks
        ],
        "notes": list(analysis.notes),
        "label": {
            "decisive": _estimate(analysis.decisive),
            "agrees_with_people": _estimate(analysis.people),
        },
        "overall": _stats(analysis.overall),
        "principles": [
            {"id": stats.id, "remarks": list(stats.remarks), **_stats(stats)} for stats in analysis.principles
        ],
        "pairs": [
            {
                "principles": [pair.first, pair.second],
                "agree": _estimate(pair.agree),
                "correlation": _estimate(pair.correlation),
            }
            for pair in analysis.pairs
        ],
    }


def _stats(stats: LabelStats) -> dict[str, Any]:
    """The sections that there are."""
    draws, votes = stats.draws, stats.votes
    found: dict[str, Any] = {
        "draws": {
            "comparisons": draws.rounds,
            "share": _estimate(draws.share),
            "expected_share": None if draws.expected is None else round(draws.expected, 6),
        }
    }
    if votes:
        found["votes"] = {
            "cast": votes.cast,
            "counted": votes.counted,
            "not_counted": dict(votes.not_counted),
            "lost": _estimate(votes.lost),
            "flagged": _estimate(votes.flagged),
            "mass": _estimate(votes.mass),
            "truncated_rationales": votes.truncated,
        }
    if stats.decisive:
        found["decisive"] = {
            "raw": _estimate(stats.decisive.raw),
            "clamped": _estimate(stats.decisive.clamped),
        }
    if stats.position:
        found["position"] = {
            "bias": _estimate(stats.position.bias),
            "prefers_first": _estimate(stats.position.prefers_first),
            "orders_disagree": _estimate(stats.position.orders_disagree),
        }
    if stats.influence:
        found["influence"] = {
            "flips": _estimate(stats.influence.flips),
            "moves": _estimate(stats.influence.moves),
            "agrees_with_others": _estimate(stats.influence.agree),
            "correlation_with_others": _estimate(stats.influence.correlation),
        }
    if stats.people:
        found["agrees_with_people"] = _estimate(stats.people)
    return found


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate, whose clusters are comparisons."""
    if estimate is None:
        return None
    found = estimate.to_json()
    found["comparisons"] = found.pop("chains")
    return {
        name: value + 0.0 if isinstance(value, float) else value for name, value in found.items()
    }  # no -0.0
