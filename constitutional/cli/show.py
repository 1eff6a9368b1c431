"""`constitutional show`: a run, or one chain of it with what each revision changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from constitutional.numbers import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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

_PUBLISHED = {"redteam": "prompts", "mix": "preferences"}
"""The data set that is listed in place of the rows, by stage."""


@click.command()
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.argument("row", required=False)
@click.option(
    "--status", type=click.Choice(["ok", "skipped", "failed"]), help="List rows of this status only."
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to list.")
@click.option("--json", "as_json", is_flag=True, help="Print the row as JSON.")
def show(run: Path, row: str | None, status: str | None, limit: int, as_json: bool) -> None:
    """Show the run in the directory RUN, or one of its rows: ROW is an id, or the number in front of it.

    Works while the run is being written.
    """
    from constitutional.cli.text import data_console
    from constitutional.errors import ConfigError
    from constitutional.rundir import open_ledger, read_manifest

    manifest = read_manifest(run)
    published = manifest.get("stage") if manifest else None
    report = published == "audit" and row is None and status is None
    if as_json and row is None and not report:
        raise ConfigError("--json prints one row: name it, as an id or a place from 1")
    if report:
        from constitutional.cli.show_audit import show_report

        show_report(run, as_json=as_json)
        return
    if manifest and published == "mix" and row is None and status in (None, "ok"):
        from constitutional.cli.show_mix import show_mix

        show_mix(data_console(), run, manifest, limit)
        return
    ledger = open_ledger(run)
    try:
        if row is None:
            _overview(data_console(), run, manifest, ledger, status, limit)
        else:
            _show_row(run, manifest, ledger, row, as_json=as_json)
    finally:
        ledger.close()


def _show_row(
    run: Path, manifest: Mapping[str, Any] | None, ledger: Ledger, row: str, *, as_json: bool
) -> None:
    """Show what has this id or number: a comparison of an audit, what was published under it, or a row of the ledger."""
    from constitutional.cli import show_audit, show_mix, show_redteam
    from constitutional.cli.text import data_console, json_text
    from constitutional.errors import ConfigError

    stage = _stage(manifest, ledger)
    if stage == "audit":
        show_audit.show_comparison(run, ledger, row, as_json=as_json)
        return
    if manifest and stage == "mix" and show_mix.show_preference(run, manifest, row, as_json=as_json):
        return
    stored = show_mix.find_skipped(ledger, row) if stage == "mix" else ledger.row(row)
    prompts = manifest if manifest and stage == "redteam" else None
    console = data_console()
    if stored is None and prompts and (prompt := show_redteam.find_prompt(run, prompts, row)):
        if as_json:
            click.echo(json_text(prompt))
        else:
            show_redteam.print_prompt(console, ledger, run, prompts, prompt)
        return
    if stored is None and not _numbers_published(manifest):
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


def _stage(manifest: Mapping[str, Any] | None, ledger: Ledger) -> str | None:
    """The stage whose run this is, also where nothing has been published yet."""
    return (manifest or ledger.read_meta("recipe") or {}).get("stage")


def _numbers_published(manifest: Mapping[str, Any] | None) -> bool:
    """Whether numbers count what was published and is listed, the prompts of `redteam` or the preferences of `mix`, and not the rows."""
    from constitutional.rundir import split_files

    if manifest is None or manifest.get("stage") not in _PUBLISHED:
        return False
    listed = manifest["data"][_PUBLISHED[manifest["stage"]]]
    return any(file["rows"] for file in split_files(listed).values())


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
        _list_rows(console, manifest, ledger, status, limit)


def _list_rows(
    console: Console, manifest: Mapping[str, Any] | None, ledger: Ledger, status: Any, limit: int
) -> None:
    from itertools import islice

    from constitutional.cli.show_audit import under
    from constitutional.cli.show_list import beginning, print_list
    from constitutional.cli.show_mix import id_in_mix
    from constitutional.cli.text import inert, inert_line

    listed = list(islice(ledger.rows(status=status), limit))
    if not listed:
        console.print(f"\nNo row is {status}." if status else "\nThere are no rows.")
        return
    stage = _stage(manifest, ledger)
    numbers = [""] * len(listed) if _numbers_published(manifest) else _numbers(stage, ledger, listed)
    module = next(filter(None, map(_module, listed)), None)
    last = "prompt" if any(_last_message(stored) for stored in listed) else "why"
    rows = [
        {
            "#": number,
            "id": inert_line(id_in_mix(stored) if stage == "mix" else stored.id),
            "setting or attack": inert(under(stored)) if stage == "audit" else "",
            "status": (stored.status or "to do") + (f": {stored.reason}" if stored.reason else ""),
            module.COLUMN if module else "rounds": _brief(stored),
            last: beginning(_last_message(stored) or stored.detail or ""),
        }
        for number, stored in zip(numbers, listed, strict=True)
    ]
    total = sum(count for (_, state, _), count in ledger.counts().items() if status in (None, state))
    print_list(console, rows, total)


def _numbers(stage: str | None, ledger: Ledger, listed: Sequence[StoredRow]) -> list[str]:
    """The numbers that `show` finds these rows by: nothing where that is the id of another one."""
    if stage == "audit":  # a comparison has a row under each setting
        places = ledger.places(stored.id for stored in listed)
        numbers = [str(places[stored.id] + 1) for stored in listed]
    else:
        numbers = [str(stored.ordinal + 1) for stored in listed]
    ids = ledger.known(numbers)
    return [
        "" if number in ids and number != stored.id else number
        for number, stored in zip(numbers, listed, strict=True)
    ]


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
