"""Constitutional AI: from a written constitution to critique-and-revision data and an aligned model.

The public API. Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "Chain": "records",
    "Choice": "records",
    "Constitution": "constitution",
    "ConstitutionalError": "errors",
    "DataSettings": "jobs.sl_cai",
    "Engine": "engines.base",
    "EngineSettings": "engines",
    "Generation": "records",
    "JobOptions": "jobs.job",
    "Message": "records",
    "Principle": "constitution",
    "Prompt": "records",
    "PromptSet": "templates",
    "Report": "jobs.job",
    "ReviseSettings": "stages.revise",
    "Round": "records",
    "Sampling": "records",
    "ScriptedEngine": "engines.scripted",
    "build_sl_cai": "jobs.sl_cai",
    "build_sl_cai_async": "jobs.sl_cai",
    "load_constitution": "constitution",
    "load_prompt_set": "templates",
    "open_engine": "engines",
    "read_prompts": "sources",
    "respond": "stages.respond",
    "revise": "stages.revise",
}

__all__ = [
    "Chain",
    "Choice",
    "Constitution",
    "ConstitutionalError",
    "DataSettings",
    "Engine",
    "EngineSettings",
    "Generation",
    "JobOptions",
    "Message",
    "Principle",
    "Prompt",
    "PromptSet",
    "Report",
    "ReviseSettings",
    "Round",
    "Sampling",
    "ScriptedEngine",
    "__version__",
    "build_sl_cai",
    "build_sl_cai_async",
    "load_constitution",
    "load_prompt_set",
    "open_engine",
    "read_prompts",
    "respond",
    "revise",
]

if TYPE_CHECKING:
    from constitutional.constitution import Constitution, Principle, load_constitution
    from constitutional.engines import EngineSettings, open_engine
    from constitutional.engines.base import Engine
    from constitutional.engines.scripted import ScriptedEngine
    from constitutional.errors import ConstitutionalError
    from constitutional.jobs.job import JobOptions, Report
    from constitutional.jobs.sl_cai import DataSettings, build_sl_cai, build_sl_cai_async
    from constitutional.records import Chain, Choice, Generation, Message, Prompt, Round, Sampling
    from constitutional.sources import read_prompts
    from constitutional.stages.respond import respond
    from constitutional.stages.revise import ReviseSettings, revise
    from constitutional.templates import PromptSet, load_prompt_set


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'constitutional' has no attribute {name!r}")
    return getattr(import_module(f"constitutional.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
