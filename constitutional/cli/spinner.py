"""Something that turns on a terminal while a user has to wait."""

from __future__ import annotations

from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner as Dots
from rich.text import Text

from constitutional.cli.text import duration


class Spinner:
    """A line with something that turns and the time that it has been turning, until it is stopped.

    Unlike `Console.status` it leaves `sys.stdout` and `sys.stderr` as they are. rich would lead what is written to them to the
    console's descriptor, past the log that an engine sends the process's output to while it loads.

    Args:
        console: a terminal.
        text: what the user waits for.
        more: what is said after the time.
    """

    def __init__(self, console: Console, text: str, more: str = "") -> None:
        self._text, self._more = text, more
        self._began = monotonic()
        self._dots = Dots("dots", style="status.spinner")
        self._live = Live(
            get_renderable=self._line,
            console=console,
            refresh_per_second=12.5,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def update(self, text: str, more: str = "") -> None:
        """Say something else; the time goes on."""
        self._text, self._more = text, more

    def _line(self) -> Dots:
        waited = monotonic() - self._began
        time = f" {duration(waited)}" if waited >= 1 else ""
        self._dots.update(text=Text(self._text + time + self._more))
        return self._dots

    def stop(self) -> None:
        """Take the line away."""
        self._live.stop()
