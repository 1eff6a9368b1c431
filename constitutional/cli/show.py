"""`constitutional show`: a run, or one chain of it with what each revision changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from constitutional.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from rich.console import Console

    from constitutional.ledger import Ledger, StoredRow

_MODULES = {
    "label": "constitutional.cli.show_label",
    "sampled": "constitutional.cli.show_compare",
    "joined": "constitutional.cli.show_compare",
    "score": "constitutional.cli.show_score",
    "request": "constitutional.cli.show_redteam",
    "setting": "constitutional.cli.show_label",
    "attack": "constitutional.cli.show_label",
}
"""Kinds of rows, up to a colon, that are shown by a module of their own: `print_row(console, stored)`, `COLUMN` and `brief(stored)`,
which say in a list what came out of a row."""


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.argument("row", required=False)
@click.option(
    "--status", type=click.Choice(["ok", "skipped", "failed"]), help="List rows of this status only."
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to list.")
@click.option("--json", "as_json", is_flag=True, help="Print the row as JSON.")
def show(run: Path, row: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Show the run in the directory RUN, or one of its rows: ROW is an id, or a place from 1.

    Works while the run is being written.
    """
    from constitutional.cli import show_redteam
    from constitutional.cli.text import data_console, json_text
    from constitutional.errors import ConfigError
    from constitutional.rundir import open_ledger, read_manifest

    manifest = read_manifest(run)
    audited = manifest is not None and manifest.get("stage") == "audit"
    if as_json and row is None and not audited:
        raise ConfigError("--json prints one row: name it, as an id or a place from 1")
    if audited and status is None:
        from constitutional.cli.show_audit import show_audit

        show_audit(run, row, as_json=as_json)
        return
    if manifest and manifest.get("stage") == "mix" and status is None:
        from constitutional.cli.show_mix import show_mix

        show_mix(run, manifest, row, limit, as_json=as_json)
        return
    console = data_console()
    ledger = open_ledger(run)
    prompts = manifest if manifest and manifest.get("stage") == "redteam" else None
    try:
        if row is None:
            _overview(console, run, manifest, ledger, status, limit)
            return
        stored = ledger.row(row)
        if stored is None and prompts and (prompt := show_redteam.find_prompt(run, prompts, row)):
            if as_json:
                click.echo(json_text(prompt))
            else:
                show_redteam.print_prompt(console, ledger, run, prompts, prompt)
            return
        listed = prompts and prompts["data"]["prompts"]["rows"]  # prompts, whose places those are
        if stored is None and not listed:
            stored = _at(ledger, row)
        if stored is None:
            raise ConfigError(f"{run} has no row {row!r}; `constitutional show {run}` lists its rows")
        if as_json:
            whole = {name: getattr(stored, name) for name in ("kind", "id", "status", "reason", "detail")}
            click.echo(json_text({**whole, **(stored.result or {"input": stored.input})}))
        elif prompts:
            show_redteam.print_row(console, stored, show_redteam.candidate_fates(run, prompts, stored))
        else:
            print_row(console, stored)
    finally:
        ledger.close()


def print_row(console: Console, stored: StoredRow) -> None:
    """Print one row; of a chain each round's principle and critique, and its revision as a word diff."""
    from rich.text import Text

    if module := _module(stored):
        module.print_row(console, stored)
        return

    from constitutional.cli.text import inert, word_diff

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
    for number, (text, finish_reason) in enumerate(result.get("responses", ()), 1):
        head(f"response {number}" + (" · truncated" if finish_reason == "length" else ""))
        body(text)
    if "response" not in result:
        return
    head("response" + (" · truncated" if result["response_finish_reason"] == "length" else ""))
    body(result["response"])
    latest = result["response"]
    for number, round in enumerate(result["rounds"], 1):
        principles = ", ".join(round["principles"])
        if round["critique"] is not None:
            cut = " · truncated" if round["critique_finish_reason"] == "length" else ""
            head(f"round {number} · critique · {principles}{cut}")
            body(round["critique"])
        if round["revision"] is None:
            head("nothing to change", "bold green")
            continue
        failed = ", ".join(round["checks"])
        head(
            f"round {number} · revision · {principles}" + (f" · fails: {failed}" if failed else ""),
            "bold red" if failed else "bold green",
        )
        console.print(
            word_diff(latest, round["revision"], colour=console.color_system is not None), end="\n\n"
        )
        if not failed:
            latest = round["revision"]


def _module(stored: StoredRow | None) -> ModuleType | None:
    """The module that shows rows of this kind, or None where this one does."""
    from importlib import import_module

    kind = stored.kind.partition(":")[0] if stored else ""
    return import_module(_MODULES[kind]) if kind in _MODULES else None


def _at(ledger: Ledger, row: str) -> StoredRow | None:
    if not row.isdecimal() or row == "0" or len(row) > 18:  # SQLite's integers have 64 bits
        return None
    return ledger.row_at(int(row) - 1)


def _overview(
    console: Console, run: Path, manifest: Mapping[str, Any] | None, ledger: Ledger, status: Any, limit: int
) -> None:
    from constitutional.cli.show_redteam import list_prompts
    from constitutional.cli.text import inert
    from constitutional.rundir import split_files

    if manifest:
        console.print(inert(manifest["summary"]), end="\n\n")
        for name, entry in manifest["data"].items():
            held = "; ".join(
                (f"{split} " if "splits" in entry else "") + counted(file["rows"], "row")
                for split, file in split_files(entry).items()
            )
            console.print(f"{name}: {held}")
    else:
        console.print("No data have been published yet: the run is not finished.")
    for (kind, state, reason), count in ledger.counts().items():
        console.print(f"{kind}: {count:,} {state or 'to do'}" + (f" ({inert(reason)})" if reason else ""))
    if manifest and manifest.get("stage") == "redteam" and status is None:
        list_prompts(console, ledger, run, manifest, limit)
    else:
        _list_rows(console, ledger, status, limit)


def _list_rows(console: Console, ledger: Ledger, status: Any, limit: int) -> None:
    from itertools import islice

    from rich.table import Table

    from constitutional.cli.text import inert

    listed = list(islice(ledger.rows(status=status), limit))
    if not listed:
        console.print(f"\nNo row is {status}." if status else "\nThere are no rows.")
        return
    module = _module(listed[0])
    last = "prompt" if any(_last_message(stored) for stored in listed) else "why"
    rows = [
        {
            "#": str(stored.ordinal + 1),
            "id": inert(stored.id)[:24],
            "status": (stored.status or "to do") + (f": {stored.reason}" if stored.reason else ""),
            module.COLUMN if module else "rounds": _brief(stored),
            last: inert(_last_message(stored) or " ".join((stored.detail or "").split()))[:80],
        }
        for stored in listed
    ]
    table = Table(box=None, pad_edge=False, show_edge=False, expand=console.is_terminal)
    names = [name for name in rows[0] if any(row[name] for row in rows)]
    for name in names:
        table.add_column(name, no_wrap=True, ratio=1 if name == last else None)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    console.print("", table)


def _brief(stored: StoredRow) -> str:
    """What came out of a row: of a chain a tick, a cross or an equals sign for each round."""
    if module := _module(stored):
        return str(module.brief(stored))
    rounds = (stored.result or {}).get("rounds", ())
    return " ".join("✗" if r["checks"] else "✓" if r["revision"] else "=" for r in rounds)


def _last_message(stored: StoredRow) -> str:
    """The prompt's last turn on one line, or nothing where a row has none."""
    prompt = (stored.result or {}).get("prompt")
    messages = [turn["content"] for turn in prompt] if prompt else []
    messages = messages or [text for _, text in (stored.input or {}).get("messages", ())]
    return " ".join(messages[-1].split()) if messages else ""
