"""Every figure of an analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constitutional.report.agreement import draw_agreement
from constitutional.report.label_principles import draw_influence, draw_label_overview
from constitutional.report.likeness import draw_likeness
from constitutional.report.principles import draw_changes, draw_failed_checks, draw_overview
from constitutional.workbench.analysis import Analysis
from constitutional.workbench.label_analysis import LabelAnalysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_all(analysis: Analysis | LabelAnalysis) -> dict[str, Figure]:
    """The figures that the run has data for, by the name of their files; nothing is saved."""
    figures: dict[str, Figure | None]
    if isinstance(analysis, LabelAnalysis):
        figures = {
            "principles": draw_label_overview(analysis),
            "influence": draw_influence(analysis),
            "agreement": draw_agreement(analysis),
        }
    else:
        figures = {
            "principles": draw_overview(analysis),
            "changes": draw_changes(analysis),
            "failed-checks": draw_failed_checks(analysis),
            "critique-likeness": draw_likeness(analysis),
        }
    return {name: figure for name, figure in figures.items() if figure}
