"""What a command prints when its job is done."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from constitutional.cli.progress import Display, estimate_line, plan_line
from constitutional.cli.text import data_console, inert
from constitutional.jobs.job import Report, rows_published
from constitutional.jobs.refusals import loss_line
from constitutional.numbers import counted


def print_report(report: Report, display: Display, more: Sequence[str] = ()) -> None:
    """Print `print_summary`, and at the end `print_loss`."""
    print_summary(report, display, more)
    print_loss(report, display)


def print_plan(report: Report) -> None:
    """Print the plan of a dry run, which is what that was asked for, to standard output."""
    console = data_console()
    console.print(plan_line(report.plan))
    if loss := loss_line(report.plan):
        console.print(f"warning: {loss}", style="bold")
    if report.estimate:
        console.print(estimate_line(report.estimate))


def print_loss(report: Report, display: Display) -> None:
    """Print what the job has taken out of the data that were there: the last thing that a command says."""
    if loss := loss_line(report.plan):
        display.console.print(f"warning: {loss}", style="bold", markup=False)


def print_summary(report: Report, display: Display, more: Sequence[str] = ()) -> None:
    """Print counts, and what to do with them, to standard error; off a terminal, first as one more JSON line.

    Args:
        report: how the job went; not that of a dry run.
        display: where to print.
        more: lines on what only this kind of job counts.
    """
    assert report.manifest is not None
    if not display.live:
        display.line(
            "done",
            out=str(report.out),
            generated=report.generated,
            **{name: report.manifest[name] for name in ("counts", "timings")},
            data={name: entry["rows"] for name, entry in report.manifest["data"].items()},
        )
    say = display.console.print
    counts = report.manifest["counts"]
    rows = counts["rows"]
    say(
        f"{counted(rows['total'], 'row')}: {rows['ok']:,} ok, {rows['skipped']:,} skipped, {rows['failed']:,} failed",
        style="bold",
        markup=False,
    )
    for reason, count in sorted(rows["reasons"].items()):
        say(f"  {reason}: {count:,}", markup=False)
    failing = {check: count for check, count in counts.get("failed_checks", {}).items() if count}
    if "revisions" in counts:
        listed = ", ".join(f"{check} {count:,}" for check, count in failing.items()) or "none failed a check"
        say(f"{counted(counts['revisions'], 'revision')}; {listed}", markup=False)
    for line in more:
        say(inert(line), markup=False)
    if counts.get("ignored_columns"):
        say(f"columns that nothing used: {inert(', '.join(counts['ignored_columns']))}", markup=False)
    published = rows_published(report.manifest)
    for name, count in published.items():
        before = report.before.get(name, 0)
        say(
            f"  {name}: {counted(count, 'row')}{f' ({before:,} before)' if before > count else ''}",
            markup=False,
        )
    for name in report.before.keys() - published.keys():
        say(f"  {name}: no longer there ({counted(report.before[name], 'row')} before)", markup=False)
    timings = report.manifest["timings"]
    if timings.get("generated"):  # absent where no row could be worked on
        cached = timings["cached_tokens"] / timings["prompt_tokens"] if timings["prompt_tokens"] else 0
        in_all = timings["generated"]
        rate = timings["completion_tokens_per_second"]  # 0 where probabilities of answers were read
        rate = f"{rate} tokens/s, " if rate else ""
        made = "" if report.generated == in_all else f"{counted(report.generated, 'new generation')}; in all "
        say(
            f"{made}{counted(in_all, 'generation')} in {timings['seconds']:,.0f} s, "
            f"{rate}{cached:.0%} of prompt tokens from the cache; "
            f"first row after {timings['first_row_seconds']} s",
            markup=False,
        )
    say(f"constitutional show {inert(quote(str(report.out)))}", markup=False)
    first = next((name for name, entry in report.manifest["data"].items() if entry["rows"]), None)
    if first:  # `datasets` can't load one without rows
        say(f'datasets.load_dataset("{inert(str(report.out))}", "{first}")', markup=False)
