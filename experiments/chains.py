"""Prints what a run of `constitutional revise` came to, in Markdown: `python experiments/chains.py RUN [--seed 0]`.

Counts by outcome, failed checks, rates, and five chains drawn by seed from all chains that were not skipped.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def main() -> None:
    """Read the run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chains", type=int, default=5)
    given = parser.parse_args()
    manifest = json.loads((given.run / "manifest.json").read_text(encoding="utf-8"))
    rows = pq.read_table(given.run / manifest["data"]["chains"]["path"]).to_pylist()
    print_counts(manifest, rows)
    chains = [row for row in rows if row["status"] != "skipped"]
    print(f"\n## {given.chains} chains, `random.Random({given.seed}).sample` of {len(chains)}\n")
    for row in random.Random(given.seed).sample(chains, given.chains):
        print_chain(row)


def print_counts(manifest: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Outcomes, checks and rates."""
    counts, timings = manifest["counts"], manifest["timings"]
    outcome = counts["rows"]
    print("| outcome | rows |\n| --- | ---: |")
    for status in ("ok", "skipped", "failed"):
        print(f"| {status} | {outcome[status]} |")
    for reason, count in sorted(outcome["reasons"].items()):
        print(f"| – of these `{reason}` | {count} |")
    total = counts["revisions"]
    print(f"\n| check | revisions that fail it, of {total} |\n| --- | ---: |")
    for check, count in counts["failed_checks"].items():
        print(f"| {check} | {count} ({count / total:.0%}) |")
    good = sum(not r["checks"] and r["revision"] is not None for row in rows for r in row["rounds"])
    cached = timings["cached_tokens"] / timings["prompt_tokens"]
    print(
        f"\n{good} good revisions; {counts['sft'].get('revision', 0)} rows of SFT data. "
        f"{timings['generated']:,} generations in {timings['seconds']:,.0f} s: "
        f"{timings['completion_tokens_per_second']} tokens/s generated, {timings['prompt_tokens']:,} prompt tokens, "
        f"{cached:.0%} of them from the prefix cache; first row after {timings['first_row_seconds']:.0f} s. "
        f"Engine: {manifest['engine']['engine']}, {manifest['engine']['dtype']}."
    )


def print_chain(row: dict[str, Any]) -> None:
    """One chain; its prompt, which is somebody else's data, is only named."""
    print(f"### {row['id']}: {row['status']}{': ' + row['reason'] if row['reason'] else ''}\n")
    print(f"A prompt of {len(row['prompt'])} turns: `constitutional show RUN {row['id']}` shows it.\n")
    print_text("response", row["response"])
    for number, round in enumerate(row["rounds"], 1):
        named = f"round {number}, {', '.join(round['principles'])}"
        print_text(f"critique, {named}", round["critique"])
        failed = f"; fails {', '.join(round['checks'])}" if round["checks"] else ""
        print_text(f"revision, {named}{failed}", round["revision"])


def print_text(head: str, text: str | None) -> None:
    """A labelled block that Markdown leaves alone."""
    fence = "````"
    print(f"**{head}**\n\n{fence}text\n{(text or '').replace(fence, '…')}\n{fence}\n")


if __name__ == "__main__":
    main()
