"""What a command prints when its job is done."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from constitutional.cli.progress import Display
from constitutional.cli.text import inert
from constitutional.jobs.job import Report


def print_report(report: Report, display: Display, more: Sequence[str] = ()) -> None:
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
            **{name: report.manifest[name] for name in ("counts", "timings")},
            data={name: entry["rows"] for name, entry in report.manifest["data"].items()},
        )
    say = display.console.print
    counts = report.manifest["counts"]
    rows = counts["rows"]
    say(
        f"{rows['total']:,} rows: {rows['ok']:,} ok, {rows['skipped']:,} skipped, {rows['failed']:,} failed",
        style="bold",
        markup=False,
    )
    for reason, count in sorted(rows["reasons"].items()):
        say(f"  {reason}: {count:,}", markup=False)
    failing = {check: count for check, count in counts.get("failed_checks", {}).items() if count}
    if "revisions" in counts:
        listed = ", ".join(f"{check} {count:,}" for check, count in failing.items()) or "none failed a check"
        say(f"{counts['revisions']:,} revisions; {listed}", markup=False)
    for line in more:
        say(inert(line), markup=False)
    if counts.get("ignored_columns"):
        say(f"columns that nothing used: {inert(', '.join(counts['ignored_columns']))}", markup=False)
    for name, entry in report.manifest["data"].items():
        say(f"  {name}: {entry['rows']:,} rows", markup=False)
    timings = report.manifest["timings"]
    if timings.get("generated"):  # absent where no row could be worked on
        cached = timings["cached_tokens"] / timings["prompt_tokens"] if timings["prompt_tokens"] else 0
        say(
            f"{timings['generated']:,} generations in {timings['seconds']:,.0f} s, "
            f"{timings['completion_tokens_per_second']} tokens/s, {cached:.0%} of prompt tokens from the cache; "
            f"first row after {timings['first_row_seconds']} s",
            markup=False,
        )
    say(f"constitutional show {inert(quote(str(report.out)))}", markup=False)
    first = next((name for name, entry in report.manifest["data"].items() if entry["rows"]), None)
    if first:  # `datasets` can't load one without rows
        say(f'datasets.load_dataset("{inert(str(report.out))}", "{first}")', markup=False)
