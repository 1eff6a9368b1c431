"""Where a trial is shown: what comes of it on standard output, what is going on on standard error; and what Ctrl-C does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any

from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from constitutional.cli.constitution.trial_view import TrialView, event_row
from constitutional.cli.spinner import Spinner
from constitutional.cli.text import data_console, inert, json_text
from constitutional.workbench.memory import RememberingEngine
from constitutional.workbench.watch import Event, Tried, Trying, Unusable


class Screen:
    """Where a trial is shown: results on standard output, what is going on on standard error.

    Args:
        model: what to call the model while it is loaded.
        as_json: print results as JSON.
        watching: whether more than one will come.

    Attributes:
        waiting: whether all that was to be done is done, and the next save is waited for.
    """

    def __init__(self, model: str, *, as_json: bool, watching: bool) -> None:
        self.watching, self.waiting = watching, False
        self._model, self._as_json = model, as_json
        self._stack = contextlib.ExitStack()
        self._status: Spinner | None = None
        self._what = ""
        self._base: int | None = None
        self._resting = False
        self._main: asyncio.Task[Any] | None = None
        self._interrupts = 0

    def __enter__(self) -> Screen:
        # descriptors of our own: engines redirect the process's while they load
        self._out, err = (self._stack.enter_context(_own(stream)) for stream in (sys.stdout, sys.stderr))
        self._err = data_console(err)
        self._view = TrialView(data_console(self._out))
        return self

    def __exit__(self, *_: object) -> None:
        self._idle()
        with contextlib.suppress(OSError, ValueError):
            self._stack.close()

    def say(self, text: str) -> None:
        """A line on standard error."""
        self._err.print(Text(inert(text), "dim"))

    async def follow(self, engine: RememberingEngine) -> None:
        """Keep up what is said about what is going on, for ever."""
        while True:
            if self._status is not None:
                self._base = engine.made if self._base is None else self._base
                made = engine.made - self._base
                self._status.update(f"{self._what} …", f", {made} made" if made else "")
            await asyncio.sleep(0.25)

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Say what is going on, on a terminal, for as long as it does."""
        self._begin(what)
        try:
            yield
        finally:
            self._idle()

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Say that the model is being loaded; Ctrl-C ends it at once, since a library that loads can't be stopped."""
        before = self._status is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._leave)
        try:
            with self.busy(f"loading {self._model}"):
                yield
        finally:
            self.catch_interrupts()
        if before:
            self._begin("generating")

    def show(self, event: Event) -> None:
        """Show what has happened."""
        self._idle()
        self.waiting = self.watching and not isinstance(event, Trying)
        if isinstance(event, Trying):
            self._trying(event)
        elif self._as_json:
            self._json(event)
        elif isinstance(event, Tried):
            self._view.show(event)
        elif isinstance(event, Unusable):
            self._view.problems(event.error)
        if self.waiting:
            self._flush()
            self._rest("waiting for the next save; Ctrl-C ends")

    def _trying(self, event: Trying) -> None:
        if not event.changed:
            self.say(f"watching {', '.join(map(str, event.watched))}")
        elif not self._as_json:
            self._view.changed(event)
        self._flush()
        self._begin("generating")

    def _json(self, event: Event) -> None:
        indent = None if self.watching else 2
        self._out.write(json_text(event_row(event), indent=indent) + "\n")
        self._flush()

    def _flush(self) -> None:
        self._out.flush()

    def _begin(self, what: str) -> None:
        self._idle()
        self._what, self._base = inert(what), None
        if self._err.is_terminal:
            self._status = Spinner(self._err, f"{self._what} …")

    def _rest(self, what: str) -> None:
        """A line that stays, without anything that moves, until there is something to say."""
        if self._err.is_terminal:
            self._err.print(Text(what, "dim"), end="")
            self._resting = True

    def _idle(self) -> None:
        status, self._status = self._status, None
        if status is not None:
            status.stop()
        if self._resting:
            self._resting = False
            self._err.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))

    # ------------------------------------------------------------------ interrupts

    def catch_interrupts(self) -> None:
        """Let Ctrl-C and SIGTERM end the running task, so that the engine is closed; a second one ends it at once."""
        loop = asyncio.get_running_loop()
        main = self._main = self._main or asyncio.current_task()

        def stop() -> None:
            self._interrupts += 1
            if self._interrupts > 1 or main is None:
                os._exit(130)
            main.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, stop)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))

    def _leave(self, number: int, frame: FrameType | None) -> None:
        # A signal comes in the middle of anything, a write included, which can't be entered twice.
        with contextlib.suppress(RuntimeError):
            self._idle()
        text = b"interrupted while the model was loading; the same command goes on from here\n"
        with contextlib.suppress(OSError):
            os.write(self._err.file.fileno(), text)
        os._exit(130)


@contextlib.contextmanager
def _own(stream: IO[str]) -> Iterator[IO[str]]:
    """A stream to where this one leads now, wherever it will lead later."""
    stream.flush()
    try:
        copy = os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace")
    except (OSError, ValueError, AttributeError):
        yield stream
        return
    with copy:
        yield copy
