"""`constitutional demo`: a small SL-CAI data set, made on the machine in front of you."""

from __future__ import annotations

from pathlib import Path

import click

from constitutional.ledger import StoredRow

_MODEL = "smollm2-135m"


def _failed_rounds(stored: StoredRow) -> int:
    """How many rounds of a chain fail a check; the first chain with fewest is the one to print."""
    return sum(bool(round["checks"]) for round in (stored.result or {}).get("rounds", ()))


@click.command()
@click.option(
    "--out", "-o", default="runs/demo", show_default=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "vllm", "transformers", "scripted"]),
    default="auto",
    show_default=True,
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.pass_context
def demo(ctx: click.Context, out: Path, engine: str, seed: int) -> None:
    """Make a small SL-CAI data set with the embedded model SmolLM2-135M, and print one chain of it.

    Pulls the model first if it has to (93 MB). The same as:

    constitutional revise PROMPTS --constitution harmlessness --model smollm2-135m --rounds 2 --temperature 0.7
    --max-tokens 160 --out runs/demo
    """
    from constitutional.cli.revise import run_revise
    from constitutional.cli.show import print_row
    from constitutional.cli.text import data_console
    from constitutional.engines import EngineSettings
    from constitutional.rundir import open_ledger
    from constitutional.stages.revise import ReviseSettings

    if engine != "scripted":
        from constitutional.models import pull

        pull(_MODEL)
    settings = ReviseSettings(rounds=2, temperature=0.7, max_tokens=160, seed=seed)
    code = run_revise(
        {
            **settings.model_dump(),
            "prompts": str(Path(__file__).parents[1] / "demo" / "prompts.jsonl"),
            "constitution": "harmlessness",
            "out": str(out),
            "engine": EngineSettings(engine=engine, model=_MODEL),
            "direct": False,
            "revisions": "all",
            "keep_failing": (),
            "helpful": None,
            "helpful_samples": 2,
            "prompt_set": "default",
            "split": "train",
            "limit": None,
            "dry_run": False,
            "rebuild": False,
            "retry_failed": False,
        },
        debug=ctx.obj["debug"],
    )
    ledger = open_ledger(out)
    try:
        good = min(ledger.rows(status="ok"), key=_failed_rounds, default=None)
        if good:
            print_row(data_console(), good)
    finally:
        ledger.close()
    # A demo of a weak model has rows without a good revision; that is worth showing, not an error.
    ctx.exit(0 if code == 1 and good else code)
