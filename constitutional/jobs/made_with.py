"""What a manifest and a recipe say of the constitution and of the prompt set that a run was made with, the same for every job."""

from __future__ import annotations

from collections.abc import Iterable

from constitutional.constitution import Constitution, Principle
from constitutional.records import Row
from constitutional.templates import PromptSet


def constitution_record(constitution: Constitution, asked: Iterable[Principle]) -> Row:
    """A constitution in a manifest.

    Args:
        constitution: as it was loaded.
        asked: those of its principles that this job can draw.
    """
    return {
        **constitution_facts(constitution),
        "principles": [principle.id for principle in asked],
    }


def constitution_facts(constitution: Constitution) -> Row:
    """Which constitution it is, and where it was read from: an absolute path, or None."""
    return {
        "id": constitution.id,
        "version": constitution.version,
        "hash": constitution.hash,
        "path": str(constitution.path.absolute()) if constitution.path else None,
    }


def prompt_set_record(prompts: PromptSet, *templates: str) -> Row:
    """Which prompt set it is, its absolute path, and the hash of those of its templates that this job renders."""
    return {
        "id": prompts.id,
        "path": str(prompts.path.absolute()),
        "hash": prompts.fingerprint(*templates),
    }
