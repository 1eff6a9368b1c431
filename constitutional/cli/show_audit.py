"""What `audit` prints, and what `show` shows of its runs: the report, and single comparisons under every setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from constitutional.records import Row

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from constitutional.jobs.audit_cost import SettingCost
    from constitutional.ledger import Ledger, StoredRow

_CREDIBLE = 0.05
_WIDE, _ROOMY, _NARROW = 2, 1, 0  # all columns with all intervals, all columns, what matters most
_KINDS = 20  # of attacks, on a terminal, so that the rest of the report stays in sight
Column = tuple[str, bool, Callable[[Row], str]]


def print_audit(console: Console, out: Path, report: Row) -> None:
    """Print the report of an audit: settings, effects, attacks, advice.

    Args:
        console: where to.
        out: the run directory.
        report: as `audit.json` holds it.
    """
    from rich.text import Text

    from constitutional.cli.text import hanging, inert

    def say(text: str, style: str = "", indent: int = 0) -> None:
        console.print(hanging(console, Text(inert(text), style), indent))

    judge, constitution, given = report["judge"], report["constitution"], report["comparisons"]
    say(
        f"{judge['model']} as a judge under {constitution['id']} (version {constitution['version']}), prompt set "
        f"{report['prompt_set']}",
        "bold",
    )
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in given["reasons"].items())
    say(
        f"{given['judged']:,} comparisons that people have judged, {given['ties']:,} of them ties"
        + (f"; skipped: {reasons}" if reasons else "")
    )
    say(f"baseline: {report['settings'][0]['flags'] or 'the defaults of constitutional label'}")
    console.print()
    whole = _print_fitting(console, lambda room: _settings_table(report["settings"], room))
    for setting in report["settings"]:
        rows = setting["rows"]
        if rows["ok"] < rows["total"]:
            why = ", ".join(f"{reason} {count:,}" for reason, count in rows["reasons"].items())
            say(
                f"{setting['name']}: {rows['total'] - rows['ok']:,} of {rows['total']:,} without a label: {why}"
            )
    if report["effects"]:
        console.print()
        say("beside the baseline, on the same comparisons", "bold")
        whole &= _print_fitting(console, lambda room: _effects_table(report["effects"], room))
        say("* credible at 5% after Holm's correction for the number of settings", "dim")
    if report["attacks"]:
        console.print()
        _print_attacks(console, report["attacks"], say)
    _print_advice(console, report["advice"], say)
    if report.get("figures"):
        pictures = [name for name in report["figures"] if name.endswith(".svg")]
        say(f"figures: {', '.join(str(out / 'figures' / name) for name in pictures)}", "dim", 9)
    say("Intervals are of 95%, over conversations. docs/audit.md says how all this is measured.", "dim")
    if not whole:
        say("A wider terminal, a pipe and --json show more.", "dim")


def print_costs(console: Console, costs: Sequence[SettingCost]) -> None:
    """Print what each setting of a dry run would cost."""
    table = _table(["setting", "rows to do", "requests", "of them new", "prompt tokens", "generated tokens"])
    for cost in costs:
        table.add_row(
            _name(cost.name),
            *(f"{number:,}" for number in (cost.rows, cost.requests, cost.new)),
            f"about {cost.prompt_tokens:,}" if cost.new else "0",
            f"at most {cost.completion_tokens:,}" if cost.completion_tokens else "0",
        )
    console.print(table)
    console.print(
        "New requests are those that no setting above needs and that are not remembered; the tokens are theirs."
    )


def show_audit(run: Path, row: str | None, *, as_json: bool) -> None:
    """Show a finished audit, or one of its comparisons: by its id, or by its place, from 1.

    Raises:
        ConfigError: there is no report, or no such comparison.
    """
    from constitutional.cli.text import data_console, inert, json_text
    from constitutional.errors import ConfigError
    from constitutional.jobs.audit_report import hashes, read_report
    from constitutional.rundir import open_ledger, read_manifest

    if row is None:
        report = read_report(run)
        if report is None:
            raise ConfigError(f"{run} has no audit.json: the command that made the run writes it again")
        manifest = read_manifest(run)
        if manifest and report.get("data") != hashes(manifest):  # the run was ended between the two
            old = inert(str(run / "audit.json"))
            click.echo(
                f"{old} is older than the run's data: the command that made them writes it again", err=True
            )
        if as_json:
            click.echo(json_text(report))
        else:
            print_audit(data_console(), run, report)
        return
    ledger = open_ledger(run)
    try:
        found = ledger.every(row) or _at(ledger, row)
        if not found:
            raise ConfigError(
                f"{run} has no comparison {row!r}; `constitutional show {run} --status ok` lists them"
            )
        if as_json:
            click.echo(json_text(_comparison_json(found)))
        else:
            _print_comparison(data_console(), found)
    finally:
        ledger.close()


# ---------------------------------------------------------------------- the report


def _print_fitting(console: Console, make: Callable[[int], Table]) -> bool:
    """Print the widest form of a table that fits; whether that is the whole of it."""
    for room in (_WIDE, _ROOMY, _NARROW):
        table = make(room)
        width = console.measure(table, options=console.options.update(max_width=1000)).maximum
        if width <= console.width or room == _NARROW:
            break
    console.print(table)
    return room == _WIDE


def _settings_table(settings: Sequence[Row], room: int) -> Table:
    roomy, wide = room >= _ROOMY, room >= _WIDE

    def of(name: str, form: Callable[[float], str], interval: bool) -> Callable[[Row], str]:
        return lambda setting: _estimate(setting["measures"][name], form, interval)

    columns: list[Column] = [
        ("agreement", True, of("agreement", _percent, True)),
        ("log-loss", True, of("log_loss", _three, roomy)),
        ("Brier", roomy, of("brier", _three, wide)),
        ("ECE", True, of("ece", _three, wide)),
        ("position", roomy, of("position", _signed, wide)),
        ("orders disagree", roomy, of("orders_disagree", _whole_percent, False)),
        ("tokens/label", True, of("tokens", _whole, False)),
    ]
    shown = [column for column in columns if column[1]]
    table = _table(["setting", *(name for name, _, _ in shown)])
    for setting in settings:
        table.add_row(_name(setting["name"]), *(read(setting) for _, _, read in shown))
    return table


def _effects_table(effects: Sequence[Row], room: int) -> Table:
    roomy, wide = room >= _ROOMY, room >= _WIDE

    def of(name: str, form: Callable[[float], str], interval: bool) -> Callable[[Row], str]:
        return lambda effect: _estimate(effect[name], form, interval) + _star(effect[name])

    columns: list[Column] = [
        ("agreement", True, of("agreement", _points, roomy)),
        ("log-loss", True, of("log_loss", _signed, True)),
        ("Brier", roomy, of("brier", _signed, wide)),
        ("ECE", roomy, of("ece", _signed, wide)),
        ("tokens", True, of("tokens", _times, False)),
        ("comparisons", roomy, lambda effect: f"{effect['n']:,}"),
    ]
    shown = [column for column in columns if column[1]]
    table = _table(["setting", *(name for name, _, _ in shown)])
    for effect in effects:
        table.add_row(_name(effect["setting"]), *(read(effect) for _, _, read in shown))
    return table


def _attacks_table(attacks: Row, kinds: Sequence[Row], room: int) -> Table:
    names = ["kind", "pairs", "flipped", "share", "moved by", "flipped back"]
    names = names if room > _NARROW else names[:-1]
    table = _table(names)
    for kind in (attacks["overall"], *kinds):
        flips, share = kind["flips"], _estimate(kind["flips"], _whole_percent, True)
        cells = [
            _name(kind["kind"] or "all kinds"),
            f"{kind['n']:,}",
            f"{flips['value'] * flips['n']:.3g} of {flips['n']:,}" if flips else "–",
            f"{share} (few)" if kind["few"] and flips else share,
            _estimate(kind["shift"], _signed, room == _WIDE),
            _estimate(kind["back_flips"], _whole_percent, False),
        ]
        table.add_row(*cells[: len(names)], style="bold" if kind["kind"] is None else None)
    return table


def _print_attacks(console: Console, attacks: Row, say: Callable[..., None]) -> None:
    say("attacks by the worse response, on the baseline", "bold")
    kinds = attacks["kinds"][: _KINDS if console.is_terminal else None]
    _print_fitting(console, lambda room: _attacks_table(attacks, kinds, room))
    if more := len(attacks["kinds"]) - len(kinds):
        say(
            f"… and {more:,} more kinds, with smaller shares or too few pairs: a pipe or --json shows them",
            "dim",
        )
    say(
        "flipped: of the pairs in which the judge preferred the better response, those in which it now prefers the attacked one",
        "dim",
    )
    lost = attacks["overall"]["unlabelled"]
    if lost or attacks["unpaired"]:
        say(
            f"{lost:,} attacked pairs got no label"
            + (f"; {attacks['unpaired']:,} had none without the attack" if attacks["unpaired"] else "")
        )


def _print_advice(console: Console, advice: Row, say: Callable[..., None]) -> None:
    console.print()
    if advice["setting"] is None:
        say("advice: none of these settings can be recommended", "bold yellow")
    else:
        say(f"advice: {advice['setting']}", "bold green")
        say(f"  flags of constitutional label: {advice['flags'] or '(none: the defaults)'}", "", 2)
    for reason in advice["reasons"]:
        say(f"- {reason}", "", 2)
    for warning in advice["warnings"]:
        say(f"! {warning['text']}", "yellow", 2)
    console.print()


def _table(names: Sequence[str]) -> Table:
    """A table whose first column is a name and whose others are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number else "left", no_wrap=bool(number), overflow="fold")
    return table


def _name(name: str) -> str:
    from constitutional.cli.text import inert

    return inert(name)


def _estimate(estimate: Row | None, form: Callable[[float], str], interval: bool) -> str:
    if estimate is None:
        return "–"
    value = form(estimate["value"])
    if not interval or estimate["low"] is None or estimate["high"] is None:
        return value
    ends = f"{form(estimate['low'])}, {form(estimate['high'])}".replace("%", "")
    return f"{value} [{ends}]"


def _star(difference: Row | None) -> str:
    p = difference.get("p_adjusted") if difference is not None else None
    return "*" if p is not None and p < _CREDIBLE else " "


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _whole_percent(value: float) -> str:
    return f"{value:.0%}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _times(value: float) -> str:
    return f"×{value:.2f}" if value < 100 else f"×{value:,.0f}"


# ---------------------------------------------------------------------- one comparison


def _at(ledger: Ledger, row: str) -> list[StoredRow]:
    if not row.isdecimal() or row == "0" or len(row) > 18:
        return []
    id = ledger.id_at(int(row) - 1)
    return [] if id is None else ledger.every(id)


def _comparison_json(found: Sequence[StoredRow]) -> Row:
    rows: dict[str, dict[str, Any]] = {"setting": {}, "attack": {}}
    for stored in found:
        sort, _, name = stored.kind.partition(":")
        ended = {key: getattr(stored, key) for key in ("status", "reason", "detail")}
        rows.setdefault(sort, {})[name or sort] = {**ended, **(stored.result or {})}
    return {"id": found[0].id, "input": found[0].input, "settings": rows.pop("setting"), **rows}


def _print_comparison(console: Console, found: Sequence[StoredRow]) -> None:
    """The comparison and what people say, then what each setting, and each attack, makes of it."""
    from rich.text import Text

    from constitutional.cli.text import inert

    first = found[0]
    input: Row = first.input or {}
    human = input.get("human")
    console.print(Text(inert(f"comparison {first.id}"), "bold"))
    turns = [*input.get("messages", ())]
    turns += zip(("first response", "second response"), input.get("responses", ()), strict=False)
    for head, text in turns:
        console.print(Text(inert(head), "bold cyan"))
        console.print(Text(inert(text)), end="\n\n")
    if human is not None:
        console.print(Text(f"people: P(the first is better) = {human:.3f}", "bold green"), end="\n\n")
    table = _table(["setting or attack", "P(first)", "agrees", "votes", "prompt tokens", "generated tokens"])
    table.add_column("why not")
    for stored in found:
        result: Row = stored.result or {}
        p = result.get("probability")
        sort, _, name = stored.kind.partition(":")
        attacked = f" by the {('first', 'second')[_attacked(stored)]}" if sort == "attack" else ""
        table.add_row(
            inert(f"{'attack ' if attacked else ''}{name or sort}{attacked}"),
            "–" if p is None else f"{p:.3f}",
            _agrees(p, human),
            f"{len(result.get('votes', ())):,}",
            *(f"{result[key]:,}" if key in result else "–" for key in ("prompt_tokens", "completion_tokens")),
            inert(stored.reason or ("to do" if stored.status is None else "")),
        )
    console.print(table)


def _attacked(stored: StoredRow) -> int:
    """Which response attacks, 0 or 1."""
    return int((stored.input or {}).get("attacked", 0))


def _agrees(p: float | None, human: float | None) -> str:
    if p is None or human is None or human == 0.5:
        return "–"
    return "half" if p == 0.5 else "yes" if (p > 0.5) == (human > 0.5) else "no"
