"""Read what the user gives: prompts and comparisons from files, data sets, runs and hh-rlhf transcripts, one row at a time.

Contract: every row of the input comes out exactly once, in order, as a `Prompt` or a `Comparison`, or with a typed reason why
it is none, so that the counts add up. A bad row spoils no other. Nothing is ever held as a whole; what
grows with the input is the set of ids seen, of 12 to 36 bytes a row. An input that can't be a source of
such rows at all is a `SourceError`. docs/input-formats.md describes the formats for users.
"""

from __future__ import annotations

from constitutional.sources.comparisons import ComparisonRow, ComparisonSource, read_comparisons
from constitutional.sources.prompts import InputRow, PromptSource, read_prompts
from constitutional.sources.reasons import COMPARISON_REASONS, REASONS, BadRow
from constitutional.sources.transcripts import transcript_turns

__all__ = [
    "COMPARISON_REASONS",
    "REASONS",
    "BadRow",
    "ComparisonRow",
    "ComparisonSource",
    "InputRow",
    "PromptSource",
    "read_comparisons",
    "read_prompts",
    "transcript_turns",
]
