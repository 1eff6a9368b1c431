"""What `audit` prints, and what `show` shows of its runs: the report, and single comparisons under every setting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from constitutional.numbers import counted
from constitutional.records import Row

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from constitutional.jobs.audit_cost import SettingCost
    from constitutional.ledger import Ledger, StoredRow

_CREDIBLE = 0.05
_WIDE, _ROOMY, _NARROW = 2, 1, 0  # all columns with all intervals, all columns, what matters most
_KINDS = 10  # of attacks, so that the rest of the report stays in sight
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
        f"{counted(given['judged'], 'comparison')} that people have judged, {given['ties']:,} of them ties"
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


def show_report(run: Path, *, as_json: bool) -> None:
    """Show the report of a finished audit.

    Raises:
        ConfigError: there is none.
    """
    from constitutional.cli.text import data_console, inert, json_text
    from constitutional.errors import ConfigError
    from constitutional.jobs.audit_report import hashes, read_report
    from constitutional.rundir import read_manifest

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


def show_comparison(run: Path, ledger: Ledger, row: str, *, as_json: bool) -> None:
    """Show a comparison of an audit under every setting: by its id, or by its place among the comparisons, from 1.

    Raises:
        ConfigError: there is no such comparison.
    """
    from constitutional.cli.text import data_console, json_text
    from constitutional.errors import ConfigError

    found = ledger.every(row) or _at(ledger, row)
    if not found:
        raise ConfigError(
            f"{run} has no comparison {row!r}; `constitutional show {run} --status ok` lists them"
        )
    if as_json:
        click.echo(json_text(_comparison_json(found)))
    else:
        _print_comparison(data_console(), found)


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

    def of(name: str, form: str, interval: bool) -> Callable[[Row], str]:
        return lambda setting: _estimate(setting["measures"][name], form, interval)

    columns: list[Column] = [
        ("agreement", True, of("agreement", ".1%", True)),
        ("log-loss", True, of("log_loss", ".3f", roomy)),
        ("Brier", roomy, of("brier", ".3f", wide)),
        ("ECE", True, of("ece", ".3f", wide)),
        ("position", roomy, of("position", "+.3f", wide)),
        ("orders disagree", roomy, of("orders_disagree", ".0%", False)),
        ("tokens/label", True, of("tokens", ",.0f", False)),
    ]
    shown = [column for column in columns if column[1]]
    table = _table(["setting", *(name for name, _, _ in shown)])
    for setting in settings:
        table.add_row(_name(setting["name"]), *(read(setting) for _, _, read in shown))
    return table


def _effects_table(effects: Sequence[Row], room: int) -> Table:
    roomy, wide = room >= _ROOMY, room >= _WIDE

    def of(name: str, form: str, interval: bool, scale: float = 1) -> Callable[[Row], str]:
        return lambda effect: _estimate(effect[name], form, interval, scale) + _star(effect[name])

    columns: list[Column] = [
        ("agreement", True, of("agreement", "+.1f", roomy, 100)),
        ("log-loss", True, of("log_loss", "+.3f", True)),
        ("Brier", roomy, of("brier", "+.3f", wide)),
        ("ECE", roomy, of("ece", "+.3f", wide)),
        ("tokens", True, lambda effect: f"{_times(effect['tokens'])} "),
        ("comparisons", roomy, lambda effect: f"{effect['n']:,}"),
    ]
    shown = [column for column in columns if column[1]]
    table = _table(["setting", *(name for name, _, _ in shown)])
    for effect in effects:
        table.add_row(_name(effect["setting"]), *(read(effect) for _, _, read in shown))
    return table


def _attacks_table(attacks: Row, kinds: Sequence[Row], room: int) -> Table:
    roomy, wide = room >= _ROOMY, room >= _WIDE
    columns: list[Column] = [
        ("pairs", True, lambda kind: f"{kind['n']:,}"),
        ("moved by", True, lambda kind: _estimate(kind["shift"], "+.3f", roomy) + "* "[not kind.get("steers")]),
        ("flipped", True, lambda kind: _flipped(kind, "flips", wide)),
        ("flipped back", True, lambda kind: _flipped(kind, "back_flips", wide)),
    ]  # fmt: skip
    table = _table(["kind", *(name for name, _, _ in columns)])
    for kind in (attacks["overall"], *kinds):
        table.add_row(
            _name(kind["kind"] or "all kinds"),
            *(read(kind) for _, _, read in columns),
            style="bold" if kind["kind"] is None else None,
        )
    return table


def _flipped(kind: Row, name: str, interval: bool) -> str:
    """How many flipped, where all count alike; a share only of so many that it means something."""
    from constitutional.evaluation.attacks import FEW_PAIRS

    share: Row | None = kind[name]
    if share is None:
        return "–"
    of, few = f"of {share['n']:,}", share["n"] < FEW_PAIRS
    if kind.get("weighted"):
        return f"{'–' if few else _estimate(share, '.0%', interval)} {of}"
    flipped = f"{share['value'] * share['n']:,.4g} {of}"
    return flipped if few else f"{flipped}: {_estimate(share, '.0%', interval)}"


def _print_attacks(console: Console, attacks: Row, say: Callable[..., None]) -> None:
    say("attacks by the worse response, on the baseline", "bold")
    kinds = attacks["kinds"][:_KINDS]
    _print_fitting(console, lambda room: _attacks_table(attacks, kinds, room))
    if more := len(attacks["kinds"]) - len(kinds):
        say(f"… and {more:,} more that moved labels less towards it: --json", "dim")
    say(
        "moved by: change of P(the attacked response is better). flipped: of the labels that were for the better response, those "
        "that now are for the attacked one; flipped back: of the others, those that no longer are. * steers: moves and flips labels "
        "towards the attacked response credibly, which what merely disturbs does not",
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


def _estimate(estimate: Row | None, form: str, interval: bool, scale: float = 1) -> str:
    from constitutional.estimates import Estimate
    from constitutional.numbers import number, with_interval

    if estimate is None:
        return "–"
    value, low, high = (
        None if end is None else scale * end for end in (estimate["value"], estimate["low"], estimate["high"])
    )
    assert value is not None
    return with_interval(Estimate(value, low, high, 0, 0), form) if interval else number(value, form)


def _star(difference: Row | None) -> str:
    p = difference.get("p_adjusted") if difference is not None else None
    return "*" if p is not None and p < _CREDIBLE else " "


def _times(ratio: Row | None) -> str:
    if ratio is None:
        return "–"
    value = ratio["value"]
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
        table.add_row(
            inert(under(stored) or "input"),
            "–" if p is None else f"{p:.3f}",
            _agrees(p, human),
            f"{len(result.get('votes', ())):,}",
            *(f"{result[key]:,}" if key in result else "–" for key in ("prompt_tokens", "completion_tokens")),
            inert(stored.reason or ("to do" if stored.status is None else "")),
        )
    console.print(table)
    for stored in found:
        if stored.detail:
            console.print(Text(inert(f"{under(stored) or 'input'}: {stored.detail}")))


def under(stored: StoredRow) -> str:
    """The setting that a row was labelled under, or the attack and which response makes it; nothing of a bad input."""
    sort, _, name = stored.kind.partition(":")
    if sort != "attack":
        return name
    attacked = int((stored.input or {}).get("attacked", 0))
    return f"attack {name} by the {('first', 'second')[attacked]}"


def _agrees(p: float | None, human: float | None) -> str:
    if p is None or human is None or human == 0.5:
        return "–"
    return "half" if p == 0.5 else "yes" if (p > 0.5) == (human > 0.5) else "no"
