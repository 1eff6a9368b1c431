"""What a user sees of a job at work: how far it is, how long it still takes, and where an engine's log is."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from constitutional import ScriptedEngine
from constitutional.cli.progress import Display, _progress, _text, default_interrupts
from constitutional.remembering import Stats


def line(width, **fields):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})
    progress = _progress(console)
    progress.add_task("rows", total=20_000, completed=7_030, **fields)
    console.print(progress.get_renderable())
    return console.file.getvalue().rstrip("\n")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_how_far_a_job_is_and_how_long_it_takes_are_never_cut_off(width):
    text = "2 skipped or failed · 812.4 tok/s · 7,030 generations · 120 rounds · 53% of prompts cached"
    shown = line(width, left="12 min 03 s left", text=text)
    assert "\n" not in shown and len(shown) <= width
    assert "7030/20000 12 min 03 s left 2 s" in shown
    assert text in shown or "…" in shown


def test_where_nothing_is_written_the_rate_is_that_of_requests():
    stats = Stats()
    stats.generated, stats.prompt_tokens = 40, 4000
    assert " requests/s · 40 generations" in _text(stats) and "tok/s" not in _text(stats)
    stats.completion_tokens = 900
    assert " tok/s · 40 generations" in _text(stats) and "requests/s" not in _text(stats)


@pytest.mark.parametrize("log", [Path("runs/a/engine.log"), None])
def test_the_log_of_an_engine_is_named_while_it_loads(log):
    engine, stream = ScriptedEngine(), io.StringIO()
    engine.log = log
    with Display(stream) as display, default_interrupts():
        display.loading(engine)
    assert json.loads(stream.getvalue()).get("log") == (str(log) if log else None)
