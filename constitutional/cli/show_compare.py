"""What was sampled for one prompt, or joined of two files, readable: the prompt, and each pair with what made its responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import StoredRow

COLUMN = "pairs"


def brief(stored: StoredRow) -> str:
    """The pairs in a list of rows: a tick for each that makes a comparison, a cross for one that is left out."""
    return " ".join("✗" if pair["reason"] else "✓" for pair in (stored.result or {}).get("pairs", ()))


def print_row(console: Console, stored: StoredRow) -> None:
    """Print one row, its responses in the order of the comparison."""
    from rich.text import Text

    from constitutional.cli.text import inert

    def head(text: str, style: str = "bold cyan") -> None:
        console.print(Text(inert(text), style))

    def body(text: str | None) -> None:
        console.print(Text(inert(text or "(nothing)")), end="\n\n")

    why = f": {stored.reason}" if stored.reason else ""
    head(f"{stored.kind} {stored.id} · {stored.status or 'to do'}{why}", "bold")
    if stored.detail:
        console.print(Text(inert(stored.detail)))
    result: dict[str, Any] = stored.result or {}
    turns = result.get("prompt") or [
        {"role": role, "content": text} for role, text in (stored.input or {}).get("messages", ())
    ]
    for turn in turns:
        head(turn["role"])
        body(turn["content"])
    if result.get("dropped_turns"):
        console.print(f"without the {result['dropped_turns']} oldest turns, to fit the context")
    for text, finish_reason in result.get("responses", ()):
        head("response" + (" · truncated" if finish_reason == "length" else ""))
        body(text)
    pairs = result.get("pairs", [])
    for pair in pairs:
        if len(pairs) > 1:
            left_out = f" · left out: {pair['reason']}" if pair["reason"] else ""
            head(f"comparison {pair['id']}{left_out}", "bold")
        for place, text in enumerate(pair["responses"]):
            head(" · ".join(_made_by(pair, place)))
            body(text)


def _made_by(pair: dict[str, Any], place: int) -> list[str]:
    parts = [f"response {place + 1}"]
    parts += [pair["models"][place]] if "models" in pair else []
    temperature = pair["temperatures"][place]
    parts += [f"temperature {temperature:g}"] if temperature is not None else []
    return parts + (["truncated"] if pair["finish_reasons"][place] == "length" else [])
