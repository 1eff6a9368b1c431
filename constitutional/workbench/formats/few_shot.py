r"""The paper's few-shot files: examples of a prompt set, not principles.

- `paper-revision-examples` (`CritiqueRevisionFewShotPrompts.json` of Bai et al. 2022): a list of transcripts,
  `\n\nHuman: …\n\nAssistant: …\n\nCritiqueRequest: …\n\nCritique: …\n\nRevisionRequest: …\n\nRevision: …\n\nHuman:`.
- `paper-preference-examples` (`RLMadisonFewShotPrompts.json`): `[{prompt, corrects, incorrects}]`. The file does not say in
  which order the responses were shown. The better one is put first and second in turn, since a labeler that sees only
  one order learns the order.
- `paper-rationale-examples` (`RLMadisonPrecogFewShotPrompts.json`): `[{prompt}]`, transcripts of a comparison, the reasoning
  about it ("Let's think step by step: …"), and the answer.

Each has a function that recognises it, one that reads and one that writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from constitutional.prompt_examples import Answer, Example, PreferenceExample, is_prompt
from constitutional.records import Conversation, Message, Role
from constitutional.workbench.formats.principle_lists import to_json
from constitutional.workbench.formats.reading import Reading
from constitutional.workbench.formats.source import Source

_PART = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant|CritiqueRequest|Critique|RevisionRequest|Revision):")
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_SHORT_TURN = re.compile(r"(?:\A\s*|\n\n)(H|A):")
_ROLES: dict[str, Role] = {"Human": "user", "Assistant": "assistant", "H": "user", "A": "assistant"}
_JUDGED = ("CritiqueRequest", "Critique", "RevisionRequest", "Revision")

_PREAMBLE = "Consider the following conversation between a human (H) and an assistant (A):"
_THINKING = "Let's think step by step:"
# What stands around the conversation, the two responses and the reasoning. Each is looked for after the one before it,
# rather than all in one expression, which takes ages on a text that has one of them a thousand times.
_FRAME = (
    re.compile(r"\A\s*Human:\s*Consider the following conversation between [^\n]*:\n"),
    re.compile(r"\n\n\{\}\n ?\(A\) \[\[\["),  # {} is where the principle's question is put
    re.compile(r"\]\]\]\n ?\(B\) \[\[\["),
    re.compile(r"\]\]\]\n\nAssistant:\s*Let's think step by step:"),
    re.compile(r"\n\nHuman:\s*So the answer is: \(([AB])\)\s*\Z"),
)


def is_revision_examples(value: Any) -> bool:
    """Whether this is a list of texts of which one is a transcript with a critique."""
    return isinstance(value, list) and any(
        isinstance(text, str) and _PART.match(text) and "\n\nCritiqueRequest:" in text for text in value
    )


def read_revision_examples(source: Source, reading: Reading) -> None:
    """Read the paper's examples of critique and revision."""
    for index, value in enumerate(reading.listed(source.value, source.place(), of="transcripts")):
        place = source.place(index)
        if not isinstance(value, str):
            reading.text(value, place)
            continue
        pieces = _PART.split(value)
        before, names = pieces[0], pieces[1::2]
        texts = [text.strip() for text in pieces[2::2]]
        if names[-1:] == ["Human"] and not texts[-1]:
            reading.note("stripped", "'\\n\\nHuman:' at the end of an example", place)
            names, texts = names[:-1], texts[:-1]
        judged = next((at for at, name in enumerate(names) if name in _JUDGED), len(names))
        turns = tuple(Message(_ROLES[n], t) for n, t in zip(names[:judged], texts[:judged], strict=True))
        prompt = turns[:-1]
        if before.strip() or not is_prompt(prompt) or turns[-1].role != "assistant":
            reading.problem("must begin with turns of 'Human:' and 'Assistant:', each with a text", place)
        elif tuple(names[judged:]) not in (_JUDGED, _JUDGED[:2]):
            found = ", ".join(f"{name}:" for name in names[judged:]) or "nothing"
            wanted = ", ".join(f"{name}:" for name in _JUDGED)
            reading.problem(f"must go on with {wanted} after the conversation, not with {found}", place)
        elif not all((turns[-1].content, *texts)):
            empty = next(name for name, text in zip(names, texts, strict=True) if not text)
            reading.problem(f"there is no text after '{empty}:'", place)
        else:
            example = Example(prompt, turns[-1].content, *texts[judged:])
            reading.example(example, place)


def write_revision_examples(examples: Iterable[Example]) -> str:
    """The examples as transcripts."""
    written = []
    for example in examples:
        parts = [_transcript((*example.prompt, Message("assistant", example.response)))]
        texts = (example.critique_request, example.critique, example.revision_request, example.revision)
        parts += [f"{name}: {text}" for name, text in zip(_JUDGED, texts, strict=True) if text is not None]
        written.append("\n\n" + "\n\n".join([*parts, "Human:"]))
    return to_json(written)


def is_preference_examples(value: Any) -> bool:
    """Whether this is a list of entries with `corrects` or `incorrects`."""
    return isinstance(value, list) and any(
        isinstance(entry, dict) and ("corrects" in entry or "incorrects" in entry) for entry in value
    )


def read_preference_examples(source: Source, reading: Reading) -> None:
    """Read the paper's examples of preferences."""
    keys = ("corrects", "incorrects")
    for index, value in enumerate(reading.listed(source.value, source.place(), of="examples")):
        entry = reading.mapping(value, source, (index,), ("prompt", *keys))
        if entry is None:
            continue
        place = source.place(index, "prompt")
        prompt = _prompt(entry["prompt"], _TURN)
        if prompt is None:
            reading.problem(
                "must be a transcript that ends in a turn of 'Human:', or in an empty one after it", place
            )
        lists = [reading.listed(entry[key], source.place(index, key), of="responses") for key in keys]
        texts = [
            [_stripped(text, source, (index, key, number), reading) for number, text in enumerate(responses)]
            for key, responses in zip(keys, lists, strict=True)
        ]
        if len(texts[0]) != len(texts[1]) and all(texts):
            message = "corrects and incorrects of different lengths: what has no counterpart was left out"
            reading.note("not_placed", message, source.place(index))
        for better, worse in zip(*texts, strict=False):
            if not (prompt and better and worse):
                continue
            answer: Answer = "A" if len(reading.preference_examples) % 2 == 0 else "B"
            message = "an order of the responses, which the file does not give: the better one is"
            reading.note("made", message, source.place(index), answer)
            responses = (better, worse) if answer == "A" else (worse, better)
            reading.preference_example(PreferenceExample(prompt, responses, answer), source.place(index))


def write_preference_examples(examples: Iterable[PreferenceExample]) -> str:
    """The examples as transcripts with better and worse responses."""
    return to_json(
        [
            {
                "prompt": f"\n\n{_transcript(example.prompt)}\n\nAssistant:",
                "corrects": [example.chosen],
                "incorrects": [example.rejected],
            }
            for example in examples
        ]
    )


def is_rationale_examples(value: Any) -> bool:
    """Whether this is a list of entries with a `prompt` in which a comparison is thought through."""
    return isinstance(value, list) and any(
        isinstance(entry, dict) and isinstance(entry.get("prompt"), str) and "(A) [[[" in entry["prompt"]
        for entry in value
    )


def read_rationale_examples(source: Source, reading: Reading) -> None:
    """Read the paper's examples of preferences with their reasoning."""
    for index, value in enumerate(reading.listed(source.value, source.place(), of="examples")):
        entry = reading.mapping(value, source, (index,), ("prompt",))
        if entry is None:
            continue
        place = source.place(index, "prompt")
        pieces = _unframed(entry["prompt"])
        if not pieces:
            reading.problem(f"must be a transcript: {_expected()}", place)
            continue
        conversation, first, second, rationale, answer = pieces
        prompt = _prompt(conversation, _SHORT_TURN)
        if prompt is None:
            reading.problem(
                "the conversation must consist of turns of 'H:' and 'A:' and end in one of 'H:'", place
            )
        elif not (first and second):
            reading.problem(f"the response ({'B' if first else 'A'}) is empty", place)
        else:
            example = PreferenceExample(prompt, (first, second), cast("Answer", answer), rationale or None)
            reading.note(
                "stripped", "what stands around conversation, responses, reasoning and answer", place
            )
            reading.preference_example(example, place)


def write_rationale_examples(examples: Iterable[PreferenceExample]) -> str:
    """The examples as transcripts of a comparison, the reasoning and the answer."""
    return to_json([{"prompt": _comparison(example)} for example in examples])


def _comparison(example: PreferenceExample) -> str:
    turns = "\n\n".join(f"{'HA'[turn.role == 'assistant']}: {turn.content}" for turn in example.prompt)
    first, second = example.responses
    options = f" (A) [[[{first}]]]\n (B) [[[{second}]]]"
    thinking = f"Assistant: {_THINKING} {example.rationale or ''}".rstrip()
    return (
        f"\n\nHuman: {_PREAMBLE}\n\n{turns}\n\n{{}}\n{options}\n\n{thinking}"
        f"\n\nHuman:\nSo the answer is: ({example.answer})"
    )


def _unframed(text: object) -> list[str] | None:
    """Conversation, two responses, reasoning and answer, without outer white space; None where the frame is another."""
    if not isinstance(text, str):
        return None
    pieces, at, answer = [], 0, ""
    for mark in _FRAME:
        found = mark.search(text, at)
        if not found:
            return None
        pieces.append(text[at : found.start()].strip())
        at, answer = found.end(), found[found.re.groups]
    return [*pieces[1:], answer]


def _expected() -> str:
    return (
        f"'Human: {_PREAMBLE}', the conversation, '{{}}', ' (A) [[[…]]]', ' (B) [[[…]]]', 'Assistant: {_THINKING} …', "
        "'Human:' and 'So the answer is: (A)'"
    )


def _transcript(turns: Conversation) -> str:
    return "\n\n".join(f"{'Human' if turn.role == 'user' else 'Assistant'}: {turn.content}" for turn in turns)


def _prompt(text: object, mark: re.Pattern[str]) -> Conversation | None:
    """The conversation of a transcript, up to the empty turn that waits for the response; None where it is none."""
    if not isinstance(text, str):
        return None
    before, *parts = mark.split(text)
    turns = [Message(_ROLES[n], t.strip()) for n, t in zip(parts[::2], parts[1::2], strict=True)]
    if turns and turns[-1].role == "assistant" and not turns[-1].content:
        turns.pop()
    return tuple(turns) if is_prompt(tuple(turns)) and not before.strip() else None


def _stripped(text: object, source: Source, steps: tuple[str | int, ...], reading: Reading) -> str | None:
    """A response without outer white space; labels in it are what somebody said."""
    if isinstance(text, str) and text.strip():
        return text.strip()
    return reading.text(text, source.place(*steps))
