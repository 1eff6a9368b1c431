"""Read what the user gives: prompts from files, data sets and hh-rlhf transcripts, one row at a time.

Contract: every row of the input comes out exactly once, in order, as a `Prompt` or with a typed reason why
it is none, so that the counts add up. A bad row spoils no other. Nothing is ever held as a whole; what
grows with the input is the set of ids seen, of 12 to 36 bytes a row. An input that can't be a source of
prompts at all is a `SourceError`. docs/input-formats.md describes the formats for users.
"""

from __future__ import annotations

from constitutional.sources.prompts import InputRow, PromptSource, read_prompts
from constitutional.sources.reasons import REASONS, BadRow
from constitutional.sources.transcripts import transcript_turns

__all__ = ["REASONS", "BadRow", "InputRow", "PromptSource", "read_prompts", "transcript_turns"]
