"""Red-team prompts, readable: the accepted ones, and one request with the seeds that it showed and what became of its candidates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitutional.records import Row

if TYPE_CHECKING:
    from rich.console import Console

    from constitutional.ledger import Ledger, StoredRow

COLUMN = "candidates"


def brief(stored: StoredRow) -> str:
    """In a list of rows: how many candidates the answer held."""
    return str(len(stored.result["items"])) if stored.result else ""


def list_prompts(
    console: Console, ledger: Ledger, run: Path, manifest: Mapping[str, Any], limit: int
) -> None:
    """Print the accepted prompts of a run, each with the request that it comes from."""
    from constitutional.cli.show_list import beginning, print_list
    from constitutional.cli.text import inert_line
    from constitutional.rundir import published_rows

    prompts = manifest["data"]["prompts"]
    rows = []
    for place, (_, prompt) in enumerate(islice(published_rows(run, prompts), limit), 1):
        request = ledger.row_at(prompt["request"] - 1)
        rows.append(
            {
                "#": str(place),
                "id": inert_line(prompt["id"]),
                "request": request.id if request else "",
                "prompt": beginning(prompt["prompt"][0]["content"]),
            }
        )
    if rows:
        print_list(console, rows, prompts["rows"])
    else:
        console.print("\nNo prompt was accepted; `show --status ok` lists the requests.")


def find_prompt(run: Path, manifest: Mapping[str, Any], row: str) -> Row | None:
    """The accepted prompt of that id, or at that place from 1."""
    from constitutional.rundir import published_rows

    at_place = None
    for place, (_, prompt) in enumerate(published_rows(run, manifest["data"]["prompts"]), 1):
        if prompt["id"] == row:
            return prompt
        if str(place) == row:
            at_place = prompt
    return at_place


def print_prompt(
    console: Console, ledger: Ledger, run: Path, manifest: Mapping[str, Any], prompt: Row
) -> None:
    """Print an accepted prompt, and the request that it comes from."""
    from rich.text import Text

    from constitutional.cli.text import inert

    console.print(Text(inert(f"prompt {prompt['id']}"), "bold"))
    console.print(Text(inert(prompt["prompt"][0]["content"])), end="\n\n")
    if stored := ledger.row_at(prompt["request"] - 1):
        print_row(console, stored, candidate_fates(run, manifest, stored))


def candidate_fates(run: Path, manifest: Mapping[str, Any], stored: StoredRow) -> list[str]:
    """What became of each candidate of a request: accepted, left out for a reason, or not needed.

    A text that comes twice in one answer was accepted the first time, if at all.
    """
    from constitutional.rundir import published_rows

    place = stored.ordinal + 1
    fates: dict[str, list[str]] = defaultdict(list)
    for _, prompt in published_rows(run, manifest["data"]["prompts"]):
        if prompt["request"] == place:
            fates[prompt["prompt"][0]["content"]].append("accepted")
    for _, left_out in published_rows(run, manifest["data"]["rejected"]):
        if left_out["request"] == place:
            like = f" of {left_out['like']}" if left_out["like"] else ""
            fates[left_out["text"]].append(f"left out: {left_out['reason']}{like}")
    counts = manifest["counts"]
    rest = "not needed" if counts["accepted"] >= counts["wanted"] else "not judged yet"
    items = (stored.result or {}).get("items", [])
    return [fates[text].pop(0) if fates[text] else rest for text, _ in items]


def print_row(console: Console, stored: StoredRow, fates: Sequence[str] | None = None) -> None:
    """Print one request: the topic, the seeds shown, and the candidates of its answer.

    Args:
        console: where to.
        stored: the request.
        fates: what became of each candidate; None where nothing has been published.
    """
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
        line = Text(inert(f"{number}. {text}" + (" …" if truncated else "")))
        if fates:
            fate = fates[number - 1]
            line.append(f" · {inert(fate)}", "green" if fate == "accepted" else "yellow")
        console.print(line)
    if not items:
        console.print("(none)")
