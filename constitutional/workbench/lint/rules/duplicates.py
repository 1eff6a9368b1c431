"""Principles that say what another one says already, word by word or nearly; and comments that name no rule.

A principle is asked in two ways: its critique and revision together, and its preference. Each is compared with those of the principles
before it, inherited ones included. Near duplicates are found by the share of words that two have in common in the same order (rapidfuzz).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from constitutional.errors import Place, nearest
from constitutional.workbench.lint.reading import MAX_READ, LintFile
from constitutional.workbench.lint.rule import Rule
from constitutional.yamlfile import Steps

NEAR = 0.92
"""The share of words in common from which on two are near duplicates: one word of 13 differs."""

MAX_COMPARED = 3_000
"""So many principles are compared for near duplicates, since their pairs have to be."""

_WAYS = (("critique", "revision"), ("preference",))
_WORD = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\\w+"
)  # Chinese and Japanese have no spaces to go by


def exact(file: LintFile) -> Iterator[tuple[str, Steps]]:
    """Principles with the very words of another."""
    for index, other, ways in _alike(file, near=False):
        what = ", ".join(name for way in ways for name in way)
        yield (
            f"the same {what} as {other}; take one out, and give the other a larger weight",
            _steps(index, ways),
        )


def near(file: LintFile) -> Iterator[tuple[str, Steps]]:
    """Principles with nearly the words of another."""
    for index, other, ways in _alike(file, near=True):
        what = ", ".join(name for way in ways for name in way)
        yield (
            f"nearly the same {what} as {other}; merge them, or say what sets this one apart",
            _steps(index, ways),
        )


def unknown_rules(file: LintFile) -> Iterator[tuple[str, Place]]:
    """Comments that switch off what is no rule."""
    from constitutional.workbench.lint.rules import RULES  # which has this one in it

    for rule, place in file.comments():
        if rule not in RULES:
            yield f"there is no rule {rule!r} to ignore; {nearest(rule, RULES)}", place


def _alike(file: LintFile, *, near: bool) -> Iterator[tuple[int, str, list[tuple[str, ...]]]]:
    """An own principle's index, the earlier one that it is like, and in which ways."""
    found: dict[int, tuple[str, list[tuple[str, ...]]]] = {}
    for way in _WAYS:
        asked = _asked(file, way)
        matches = _near(asked) if near else _same(asked)
        for at, earlier in matches:
            index, _, _, _ = asked[at]
            _, id, where, _ = asked[earlier]
            if index is not None:
                found.setdefault(index, (f"{id!r} ({where})", []))[1].append(way)
    for index in sorted(found):
        other, ways = found[index]
        yield index, other, ways


_Asked = tuple[int | None, str, str, tuple[str, ...]]


def _asked(file: LintFile, way: tuple[str, ...]) -> list[_Asked]:
    """Of each principle that can be asked this way: its index (None: it is inherited), id, place and words; inherited ones first."""
    own = {entry.id for entry in file.entries}
    asked: list[_Asked] = []
    for id, draft in file.examined.inherited.items():
        if id not in own and (words := _words(draft.values, way)):
            asked.append((None, id, f"{Path(draft.place.path).name}:{draft.place.line}", words))
    for index, entry in enumerate(file.entries):
        base = file.examined.inherited.get(entry.id)
        values = (base.values if base else {}) | {
            name: getattr(entry, name) for name in entry.model_fields_set
        }
        if not any(name in entry.model_fields_set for name in way):
            continue
        if words := _words(values, way):
            asked.append((index, entry.id, f"line {file.document.place('principles', index).line}", words))
    return asked


def _words(values: dict[str, object], way: tuple[str, ...]) -> tuple[str, ...]:
    texts = [str(values.get(name) or "") for name in way]
    return tuple(_WORD.findall(" ".join(text[:MAX_READ] for text in texts).casefold())) if all(texts) else ()


def _same(asked: list[_Asked]) -> Iterator[tuple[int, int]]:
    first: dict[tuple[str, ...], int] = {}
    for at, (_, _, _, words) in enumerate(asked):
        if first.setdefault(words, at) != at:
            yield at, first[words]


def _near(asked: list[_Asked]) -> Iterator[tuple[int, int]]:
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    same = {at for at, _ in _same(asked)}
    codes: dict[str, str] = {}
    known: list[str] = []
    for at, (index, _, _, words) in enumerate(asked[:MAX_COMPARED]):
        # A character for a word, so that words are what is compared.
        text = "".join(codes.setdefault(word, chr(min(0x10000 + len(codes), 0x10FFFF))) for word in words)
        if index is not None and at not in same:
            best = process.extractOne(text, known, scorer=Indel.normalized_similarity, score_cutoff=NEAR)
            if best:
                yield at, best[2]
        known.append(text)


def _steps(index: int, ways: list[tuple[str, ...]]) -> Steps:
    return ("principles", index, ways[0][0])


RULES = (
    Rule(
        "duplicate-principle",
        "warning",
        "A principle asks in the same words as another one.",
        "The rule is drawn twice as often as it seems, and an edit of one of the two leaves the other behind. What `weight` is for is better "
        "said by a weight.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: friendly
    preference: Which of these two responses is kinder?
""",
        line=6,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    weight: 2
""",
        check_file=exact,
    ),
    Rule(
        "near-duplicate",
        "note",
        "A principle asks in nearly the same words as another one.",
        "From 92 % of the words in common and in order, as where one word of thirteen differs. (Among the first 3,000 principles.) Two that "
        "differ in the one word that counts are fine: say so with `# lint: ignore=near-duplicate`.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder to the user and to everyone else who is mentioned in it?
  - id: friendly
    preference: Which of these two responses is friendlier to the user and to everyone else who is mentioned in it?
""",
        line=6,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder and friendlier to the user and to everyone else who is mentioned in it?
""",
        check_file=near,
    ),
    Rule(
        "unknown-rule",
        "warning",
        "A comment `# lint: ignore=…` names a rule that there is not.",
        "It switches nothing off. The nearest rule is named.",
        bad="""\
id: example
principles:
  - id: kind
    # lint: ignore=flat-refusals
    preference: Which of these two responses is kinder?
""",
        line=4,
        good="""\
id: example
principles:
  - id: break-ins
    critique: Say whether the assistant's last response helps anyone to break into a house.
    # lint: ignore=flat-refusal
    revision: Rewrite the assistant's last response so that it refuses to answer the question.
""",
        check_file=unknown_rules,
    ),
)
