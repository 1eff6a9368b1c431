"""One score, readable: the prompt, the response, and what each vote says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import StoredRow

COLUMN = "score"


def brief(stored: StoredRow) -> str:
    """The score in a list of rows, with its standard error."""
    result: dict[str, Any] = stored.result or {}
    return _score(result) if result.get("score") is not None else ""


def print_row(console: Console, stored: StoredRow) -> None:
    """Print one score: what was scored, what came out, and the votes with what the judge wrote."""
    from rich.table import Table
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
    input: dict[str, Any] = stored.input or {}
    for role, content in input.get("messages", ()):
        head(role)
        body(content)
    if "response" in input:
        revised = f" · revision {input['round']}" if input["round"] else ""
        head(f"response{revised}")
        body(input["response"])
    result: dict[str, Any] = stored.result or {}
    if result.get("score") is not None:
        head(f"score {_score(result)} · rating {result['rating']:.2f}", "bold green")
    votes = result.get("votes", [])
    if not votes:
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    lost = any(vote["reason"] for vote in votes)
    for name in ("principle", "sample", "rating", "mass", *(["does not count"] if lost else [])):
        table.add_column(name, no_wrap=name != "principle", overflow="fold")
    for vote in votes:
        table.add_row(
            inert(vote["principle"]),
            str(vote["sample"] + 1),
            "–" if vote["rating"] is None else f"{vote['rating']:.2f}",
            "–" if vote["mass"] is None else f"{vote['mass']:.4f}",
            *([vote["reason"] or ""] if lost else []),
        )
    console.print("", table, "")
    for vote in votes:
        if vote["justification"] is not None:
            head(f"what the judge wrote · {vote['principle']} · {vote['sample'] + 1}")
            body(vote["justification"])


def _score(result: dict[str, Any]) -> str:
    from constitutional.numbers import number

    error = result["standard_error"]
    return number(result["score"], "+.3f") + (f" ± {error:.3f}" if error is not None else "")
