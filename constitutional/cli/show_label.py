"""One label, readable: the prompt, the two responses, and what each vote says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import StoredRow

COLUMN = "P(first)"


def brief(stored: StoredRow) -> str:
    """The label in a list of rows: its probability and standard error."""
    result: dict[str, Any] = stored.result or {}
    return _probability(result["probability"], result["standard_error"]) if "probability" in result else ""


def print_row(console: Console, stored: StoredRow) -> None:
    """Print one label: what was compared, what came out, and the votes with their rationales."""
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
    for name, response in zip(("first", "second"), input.get("responses", ()), strict=False):
        head(f"{name} response")
        body(response)
    result: dict[str, Any] = stored.result or {}
    if "probability" in result:
        label = _probability(result["probability"], result["standard_error"])
        units = f"{result['units']:,} unit" + ("s" if result["units"] > 1 else "")
        human = f" · people: {input['human']:.3f}" if input.get("human") is not None else ""
        head(f"P(the first is better) = {label} · {units}{human}", "bold green")
        if result["dropped_turns"]:
            console.print(f"without the {result['dropped_turns']} oldest turns, to fit the context")
    votes = result.get("votes", [])
    if not votes:
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    for name in ("principle", "shown first", "sample", "p", "before clamping", "mass", "does not count"):
        table.add_column(name, no_wrap=name != "principle", overflow="fold")
    for vote in votes:
        table.add_row(
            inert(vote["principle"]),
            ("first", "second")[vote["order"]],
            str(vote["sample"] + 1),
            _number(vote["p"]),
            _number(vote["p_raw"]),
            _number(vote["mass"]),
            vote["reason"] or "",
        )
    console.print("", table, "")
    for vote in votes:
        if vote["rationale"] is not None:
            cut = " · truncated" if vote["rationale_finish_reason"] == "length" else ""
            shown = ("first", "second")[vote["order"]]
            head(f"reasoning {vote['sample'] + 1} · {vote['principle']} · {shown} response shown first{cut}")
            body(vote["rationale"])


def _probability(probability: float, error: float | None) -> str:
    return f"{probability:.3f}" + (f" ± {error:.3f}" if error is not None else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
