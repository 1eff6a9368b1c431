"""Constitutional AI: from a written constitution to critique-and-revision data and an aligned model.

The public API. Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "AcceptSettings": "jobs.redteam",
    "AuditReport": "jobs.audit",
    "Chain": "records",
    "Choice": "records",
    "CompareSettings": "stages.compare",
    "Comparison": "feedback",
    "Constitution": "constitution",
    "ConstitutionalError": "errors",
    "DataSettings": "jobs.sl_cai",
    "Engine": "engines.base",
    "EngineSettings": "engines",
    "Generation": "records",
    "JobOptions": "jobs.job",
    "Label": "feedback",
    "LabelSettings": "stages.label",
    "Message": "records",
    "MixSettings": "stages.mix",
    "Preference": "feedback",
    "Principle": "constitution",
    "Prompt": "records",
    "PromptSet": "templates",
    "RedteamSettings": "stages.redteam",
    "Report": "jobs.job",
    "ReviseSettings": "stages.revise",
    "Round": "records",
    "Sampling": "records",
    "ScoreSettings": "stages.score",
    "ScriptedEngine": "engines.scripted",
    "Vote": "feedback",
    "audit_labeler": "jobs.audit",
    "audit_labeler_async": "jobs.audit",
    "build_comparisons": "jobs.compare",
    "build_comparisons_async": "jobs.compare",
    "build_sl_cai": "jobs.sl_cai",
    "build_sl_cai_async": "jobs.sl_cai",
    "compare": "stages.compare",
    "join_responses": "jobs.join",
    "join_responses_async": "jobs.join",
    "label": "stages.label",
    "label_comparisons": "jobs.label",
    "label_comparisons_async": "jobs.label",
    "load_constitution": "constitution",
    "load_prompt_set": "templates",
    "mix_preferences": "jobs.mix",
    "open_engine": "engines",
    "read_comparisons": "sources.comparisons",
    "read_preferences": "sources.preferences",
    "read_prompts": "sources",
    "read_responses": "sources.responses",
    "redteam": "stages.redteam",
    "respond": "stages.respond",
    "revise": "stages.revise",
    "score": "stages.score",
    "score_responses": "jobs.score",
    "score_responses_async": "jobs.score",
    "write_redteam_prompts": "jobs.redteam",
    "write_redteam_prompts_async": "jobs.redteam",
}

__all__ = [
    "AcceptSettings",
    "AuditReport",
    "Chain",
    "Choice",
    "CompareSettings",
    "Comparison",
    "Constitution",
    "ConstitutionalError",
    "DataSettings",
    "Engine",
    "EngineSettings",
    "Generation",
    "JobOptions",
    "Label",
    "LabelSettings",
    "Message",
    "MixSettings",
    "Preference",
    "Principle",
    "Prompt",
    "PromptSet",
    "RedteamSettings",
    "Report",
    "ReviseSettings",
    "Round",
    "Sampling",
    "ScoreSettings",
    "ScriptedEngine",
    "Vote",
    "__version__",
    "audit_labeler",
    "audit_labeler_async",
    "build_comparisons",
    "build_comparisons_async",
    "build_sl_cai",
    "build_sl_cai_async",
    "compare",
    "join_responses",
    "join_responses_async",
    "label",
    "label_comparisons",
    "label_comparisons_async",
    "load_constitution",
    "load_prompt_set",
    "mix_preferences",
    "open_engine",
    "read_comparisons",
    "read_preferences",
    "read_prompts",
    "read_responses",
    "redteam",
    "respond",
    "revise",
    "score",
    "score_responses",
    "score_responses_async",
    "write_redteam_prompts",
    "write_redteam_prompts_async",
]

if TYPE_CHECKING:
    from constitutional.constitution import Constitution, Principle, load_constitution
    from constitutional.engines import EngineSettings, open_engine
    from constitutional.engines.base import Engine
    from constitutional.engines.scripted import ScriptedEngine
    from constitutional.errors import ConstitutionalError
    from constitutional.feedback import Comparison, Label, Preference, Vote
    from constitutional.jobs.audit import AuditReport, audit_labeler, audit_labeler_async
    from constitutional.jobs.compare import build_comparisons, build_comparisons_async
    from constitutional.jobs.job import JobOptions, Report
    from constitutional.jobs.join import join_responses, join_responses_async
    from constitutional.jobs.label import label_comparisons, label_comparisons_async
    from constitutional.jobs.mix import mix_preferences
    from constitutional.jobs.redteam import AcceptSettings, write_redteam_prompts, write_redteam_prompts_async
    from constitutional.jobs.score import score_responses, score_responses_async
    from constitutional.jobs.sl_cai import DataSettings, build_sl_cai, build_sl_cai_async
    from constitutional.records import Chain, Choice, Generation, Message, Prompt, Round, Sampling
    from constitutional.sources import read_prompts
    from constitutional.sources.comparisons import read_comparisons
    from constitutional.sources.preferences import read_preferences
    from constitutional.sources.responses import read_responses
    from constitutional.stages.compare import CompareSettings, compare
    from constitutional.stages.label import LabelSettings, label
    from constitutional.stages.mix import MixSettings
    from constitutional.stages.redteam import RedteamSettings, redteam
    from constitutional.stages.respond import respond
    from constitutional.stages.revise import ReviseSettings, revise
    from constitutional.stages.score import ScoreSettings, score
    from constitutional.templates import PromptSet, load_prompt_set


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'constitutional' has no attribute {name!r}")
    return getattr(import_module(f"constitutional.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
