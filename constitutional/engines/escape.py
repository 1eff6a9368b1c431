"""Text that came from data can't open a chat turn: how spellings of a model's turn markers are made harmless.

There are two kinds of marker. A *token* marker is an added token such as `<|im_start|>`; text that spells
it out stays what it says but is tokenised in pieces, none of which is the token. A *text* marker, such as
`Human:` at the start of a line or Llama 2's `[/INST]`, is made of ordinary tokens, so that only changing
the text can tell data from turn: `> Human:` and `[ /INST]`. Where a turn has a token marker, that alone is
guarded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LINE_START = r"(?:(?<=[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])|\A)[ \t]*"


def forbidden_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The added tokens, special or not, that text from data must not form: their strings and ids.

    Left out are tokens for runs of white space and single letters that aren't special, which some
    tokenizers add: they can't open a turn, and single letters can't be cut.
    """
    found = {
        token.content: id
        for id, token in tokenizer.added_tokens_decoder.items()
        if token.content and (token.special or len(token.content.replace("\u2581", " ").strip()) > 1)
    }
    if folds_tokens(tokenizer):
        normal = tokenizer.backend_tokenizer.normalizer.normalize_str
        found |= {normal(text): id for text, id in found.items() if len(normal(text).strip()) > 1}
    return found


def folds_tokens(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a text may hold an added token that only its normal form shows, such as one in wide letters."""
    if not tokenizer.is_fast or tokenizer.backend_tokenizer.normalizer is None:
        return False
    return any(token.normalized for token in tokenizer.added_tokens_decoder.values())


def any_of(strings: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of some strings, the longest at each place: a trie, as there may be thousands."""
    return re.compile(_trie(sorted(set(strings))) or r"(?!)")


def _trie(strings: list[str]) -> str:
    branches: dict[str, list[str]] = {}
    for string in strings:
        branches.setdefault(string[:1], []).append(string[1:])
    ends = branches.pop("", None) is not None
    parts = []
    for first, rests in branches.items():
        if len(rests) == 1:
            parts.append(re.escape(first + rests[0]))
        else:
            parts.append(re.escape(first) + _trie(rests))
    if not parts:
        return ""
    return f"(?:{'|'.join(parts)}){'?' if ends else ''}"


def split_token(spelling: str, forbidden: re.Pattern[str]) -> list[str]:
    """Cut the spelling of a token into pieces of which none contains a forbidden token.

    A token of a single character can't be cut; the replacement character U+FFFD takes its place.
    """
    match = forbidden.search(spelling)
    if match is None:
        return [spelling] if spelling else []
    head, token, tail = spelling[: match.start()], match[0], spelling[match.end() :]
    if len(token) == 1:
        return [head + "\ufffd", *split_token(tail, forbidden)]
    return [head + token[0], *split_token(token[1:] + tail, forbidden)]


def text_markers(between: Iterable[str]) -> re.Pattern[str] | None:
    r"""A pattern for the text markers among what a template puts between turns, or None where there are none.

    Args:
        between: what stands between two contents, such as `\n\nHuman: `; only those without a token marker.
    """
    lines: set[str] = set()
    words: set[str] = set()
    for glue in between:
        marker = glue.strip()
        if len(marker) > 1:
            (lines if "\n" in glue[: glue.index(marker)] else words).add(marker)
    patterns = []
    if lines:
        patterns.append(f"(?P<line>{_LINE_START}{any_of(lines).pattern})")
    if words:
        patterns.append(f"(?P<word>{any_of(words).pattern})")
    return re.compile("|".join(patterns)) if patterns else None


def escape_text_markers(text: str, markers: re.Pattern[str]) -> tuple[str, int]:
    """Change a text so that none of its lines or words is a text marker.

    Returns:
        The text, and how many markers were changed.
    """

    def harmless(match: re.Match[str]) -> str:
        if match.lastgroup == "line":
            return "> " + match[0]
        return f"{match[0][0]} {match[0][1:]}"

    return markers.subn(harmless, text)
