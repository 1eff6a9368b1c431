"""Something that turns on a terminal while a user has to wait."""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner as Dots
from rich.text import Text


class Spinner:
    """A line with something that turns, until it is stopped.

    Unlike `Console.status` it leaves `sys.stdout` and `sys.stderr` as they are. rich would lead what is written to them to the
    console's descriptor, past the log that an engine sends the process's output to while it loads.

    Args:
        console: a terminal.
        text: what the user waits for.
    """

    def __init__(self, console: Console, text: str) -> None:
        self._dots = Dots("dots", Text(text), style="status.spinner")
        self._live = Live(
            self._dots,
            console=console,
            refresh_per_second=12.5,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def update(self, text: str) -> None:
        """Say something else."""
        self._dots.update(text=Text(text))

    def stop(self) -> None:
        """Take the line away."""
        self._live.stop()
