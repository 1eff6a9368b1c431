"""The reasons for which a row of the input can't be used: tables, from which the documentation quotes."""

from __future__ import annotations

from constitutional.errors import Place

REASONS: dict[str, str] = {
    "invalid_json": "The line or array element is not valid JSON, or is nested too deeply to be a row.",
    "not_an_object": "The row is valid JSON but no object with named fields.",
    "invalid_csv": "The row's quoting is broken, or it has more or fewer fields than the header.",
    "invalid_utf8": "The row's bytes are not UTF-8.",
    "invalid_unicode": "A text holds half of a surrogate pair, which is no character and can't be stored.",
    "nul_character": "A text holds a NUL character, which many tools take for its end.",
    "oversized_row": "The row is longer than 64 MiB.",
    "missing_prompt": "The row has no `prompt`, and no `chosen` or `rejected` to take one from.",
    "empty_prompt": "The prompt, or the user turn it ends in, holds nothing but white space.",
    "empty_turn": "A turn before the last one holds nothing but white space.",
    "empty_last_turn": "The transcript's last turn is empty, so that a response is missing.",
    "ends_with_assistant": "The prompt ends in an assistant turn; it has to end in a user turn.",
    "ends_with_system": "The prompt ends in a system turn; it has to end in a user turn.",
    "unknown_role": "A message's role is none of system, user and assistant.",
    "wrong_type": "A field has the wrong type, such as a number where a text is expected.",
    "bad_transcript": "A transcript does not consist of `Human:` and `Assistant:` turns.",
    "no_common_prompt": "The transcripts `chosen` and `rejected` have no prompt in common.",
    "empty_response": "A response is given and holds nothing but white space.",
    "invalid_id": "The `id` is neither a text of 1 to 1,000 characters nor an integer.",
    "duplicate_id": "An earlier row has the same `id`.",
}
"""For which a row is no prompt; most of them go for comparisons too."""

COMPARISON_REASONS: dict[str, str] = {
    "missing_responses": "The row lacks a response: it takes `responses`, or `response1` and `response2`, or `chosen` and "
    "`rejected`, or `corrects` and `incorrects`.",
    "not_two_responses": "There are more or fewer than two responses.",
    "identical_responses": "Both responses are the same, but for white space around them.",
    "several_turns": "A response has a user's turn in it, or goes with another prompt, so that the two don't answer the same one.",
    "bad_probability": "A `probability` or `chosen_probability` is no number from 0 to 1.",
    "bad_vote": "A vote is none of 1 (the first response), 2 (the second), 0 (a tie) and null (no vote).",
    "bad_weight": "A `weight` is no number from 0.000000001 to 1,000,000.",
    "bad_options": "A prompt in the paper's evaluation format does not hold a conversation and its options (A) and (B), or "
    "`corrects` and `incorrects` don't name one of them each.",
    "no_partner": "Of two files of responses, only one has a response to this prompt.",
    "different_prompts": "The rows of two files of responses have the same `id` and different prompts.",
}
"""For which a row is no comparison, beside the others."""

RESPONSE_REASONS: dict[str, str] = {
    "missing_response": "The row has no `response` (nor `completion`) to be scored.",
}
"""For which a row is no response to score, beside the first."""

PREFERENCE_REASONS: dict[str, str] = {
    "no_label": "Nothing says which response is better: no probability, votes, ranking or ratings, or all votes are missing.",
    "bad_ranking": "A `ranking` is not one whole number for each of at most 256 responses, 1 for the best.",
    "bad_ratings": "The `ratings` are not one number for each of at most 256 responses, higher for better.",
}
"""For which a comparison is no preference."""

ALL_REASONS = {**REASONS, **COMPARISON_REASONS, **RESPONSE_REASONS, **PREFERENCE_REASONS}


class BadRow(Exception):
    """A row that can't be used.

    Attributes:
        reason: one of `ALL_REASONS`.
        detail: a sentence for a person, which names no content of the row but what is wrong.
        field: dotted path of the field, such as `prompt.2.role`, or None where it is the whole row.
    """

    def __init__(self, reason: str, detail: str | None = None, field: str | None = None) -> None:
        meaning = ALL_REASONS[reason]
        self.reason, self.detail, self.field = reason, detail or meaning, field
        super().__init__(reason)

    def sentence(self, path: str, line: int | None) -> str:
        """The detail with the place it is about."""
        return f"{Place(path, line, field=self.field)}: {self.detail}"
