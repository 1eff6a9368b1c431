"""One request for red-team prompts, readable: the seeds that it showed, and what came back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import StoredRow

COLUMN = "candidates"


def brief(stored: StoredRow) -> str:
    """In a list of rows: how many candidates the answer held."""
    return str(len(stored.result["items"])) if stored.result else ""


def print_row(console: Console, stored: StoredRow) -> None:
    """Print one request: the topic, the seeds shown, and the candidates of its answer."""
    from rich.text import Text

    from constitutional.cli.text import inert

    def head(text: str, style: str = "bold cyan") -> None:
        console.print(Text(inert(text), style))

    why = f": {stored.reason}" if stored.reason else ""
    head(f"{stored.kind} {stored.id} · {stored.status or 'to do'}{why}", "bold")
    if stored.detail:
        console.print(Text(inert(stored.detail)))
    input: dict[str, Any] = stored.input or {}
    if input.get("topic"):
        head("topic")
        console.print(Text(inert(input["topic"])), end="\n\n")
    head("seeds shown")
    for id, text in input.get("seeds", ()):
        console.print(Text(inert(f"{id}: {text}")))
    result: dict[str, Any] = stored.result or {}
    items = result.get("items", [])
    cut = " · the answer was cut off" if result.get("finish_reason") == "length" else ""
    console.print("")
    head(f"candidates{cut}")
    for number, (text, truncated) in enumerate(items, 1):
        console.print(Text(inert(f"{number}. {text}" + (" …" if truncated else ""))))
    if not items:
        console.print("(none)")
