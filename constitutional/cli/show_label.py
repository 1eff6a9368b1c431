"""One label, readable: the prompt, the two responses, and what each vote says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from constitutional.numbers import counted

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
        human = f" · people: {input['human']:.3f}" if input.get("human") is not None else ""
        head(f"P(the first is better) = {label} · {_asked(result)}{human}", "bold green")
        if result["dropped_turns"]:
            console.print(f"without the {result['dropped_turns']} oldest turns, to fit the context")
    votes = result.get("votes", [])
    if not votes:
        return
    table = Table(box=None, pad_edge=False, show_edge=False)
    columns = {
        "principle": [inert(vote["principle"]) for vote in votes],
        "shown first": [("first", "second")[vote["order"]] for vote in votes],
        "sample": [str(vote["sample"] + 1) for vote in votes],
        "p": [_number(vote["p"]) for vote in votes],
        "before clamping": [_number(vote["p_raw"]) for vote in votes],
        "mass": [_number(vote["mass"]) for vote in votes],
        "does not count": [vote["reason"] or "" for vote in votes],
    }
    if columns["p"] == columns["before clamping"]:
        del columns["before clamping"]
    if not any(columns["does not count"]):
        del columns["does not count"]
    for name in columns:
        table.add_column(name, no_wrap=name != "principle", overflow="fold")
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    console.print("", table, "")
    for vote in votes:
        if vote["rationale"] is not None:
            cut = " · truncated" if vote["rationale_finish_reason"] == "length" else ""
            shown = ("first", "second")[vote["order"]]
            head(f"reasoning {vote['sample'] + 1} · {vote['principle']} · {shown} response shown first{cut}")
            body(vote["rationale"])


def _asked(result: dict[str, Any]) -> str:
    """How many principles and samples count, and whether in both orders."""
    counting = [vote for vote in result.get("votes", ()) if vote["reason"] is None]
    principles = len({vote["principle"] for vote in counting})
    text = counted(principles, "principle")
    if result["units"] > principles:
        text = f"{counted(result['units'], 'sample')} of {text}"
    return text + (" in both orders" if len({vote["order"] for vote in counting}) > 1 else "")


def _probability(probability: float, error: float | None) -> str:
    return f"{probability:.3f}" + (f" ± {error:.3f}" if error is not None else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
