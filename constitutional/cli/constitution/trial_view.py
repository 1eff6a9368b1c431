"""What `try` prints: one response, and what each principle made of it, alone or two beside each other."""

from __future__ import annotations

import time
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from constitutional.cli.text import are_alike, bare_words, hanging, inert, split_words, word_diff
from constitutional.errors import ConstitutionalError, InputError
from constitutional.numbers import counted
from constitutional.records import Row, Step
from constitutional.stages.checks import CHECKS
from constitutional.workbench.trial import Attempt, Trial
from constitutional.workbench.watch import Event, Tried, Trying, Unusable

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDE = 100
"""Columns of a terminal that two results need to stand beside each other."""
_GUTTER = 3


def event_row(event: Event) -> Row:
    """A trial, or why there is none, as JSON knows it."""
    if isinstance(event, Tried):
        return {
            **event.trial.to_row(),
            "generated": event.made,
            "remembered": event.remembered,
            "seconds": round(event.seconds, 3),
        }
    assert isinstance(event, Unusable)
    problems = event.error.problems if isinstance(event.error, InputError) else ()
    return {
        "error": str(event.error),
        "problems": [
            {
                "message": problem.message,
                "path": str(problem.place.path) if problem.place else None,
                "line": problem.place.line if problem.place else None,
                "column": problem.place.column if problem.place else None,
            }
            for problem in problems
        ],
    }


class TrialView:
    """Prints trials; from the second one on, just what is not as it was.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._colour = console.color_system is not None and not console.no_color
        self._before: Trial | None = None

    def changed(self, event: Trying) -> None:
        """Print a line that says which files were saved."""
        names = ", ".join(
            sorted({f"{path.name} {'changed' if path.exists() else 'is gone'}" for path in event.changed})
        )
        ended = "; the trial before was ended" if event.interrupted else ""
        self._line(f"── {time.strftime('%H:%M:%S')} {names}{ended} ──", "bold blue")
        self._line("")

    def problems(self, error: ConstitutionalError) -> None:
        """Print what is wrong with the files."""
        for line in str(error).splitlines():
            self.console.print(Text("error: ", "bold red") + Text(inert(line)))
        self._line("")

    def show(self, tried: Tried) -> None:
        """Print a trial."""
        trial, before = tried.trial, self._before
        self._before = trial
        if before is None:
            for message in trial.prompt.messages:
                self._head(message.role)
                self._body(message.content)
        if before is None or before.response != trial.response:
            given = " · given" if trial.prompt.response is not None else ""
            self._head(f"response{given}{_cut(trial.response)}")
            self._body(trial.response.text or "(nothing)")
        if not trial.attempts:
            self._line(
                "The response is empty: there is nothing to criticise. Try another --seed.", "bold red"
            )
        same = []
        for group in trial.groups():
            if before is not None and all(_known(attempt, before) for attempt in group):
                same += [attempt.candidate.principle.id for attempt in group]
            elif len(group) == 2:
                self._pair(*group)
            else:
                for attempt in group:
                    self._alone(attempt)
        if same:
            self._line(f"as before: {', '.join(dict.fromkeys(same))}", "dim")
        self._tail(tried)

    # ------------------------------------------------------------------ one

    def _alone(self, attempt: Attempt) -> None:
        self._title(_title(attempt))
        if attempt.round is None:
            self._failure(attempt)
            return
        principle, made = attempt.candidate.principle, attempt.round
        if made.critique is not None:
            self._request("critique request", principle.critique)
            self._head(f"critique{_cut(made.critique)}")
            self._body(made.critique.text or "(nothing)")
        if made.revision is None:
            self._line("nothing to change", "bold green")
            self._line("")
            return
        self._request("revision request", principle.revision)
        self._revision_head(attempt)
        if are_alike(inert(self._response), inert(made.revision.text)):
            diff = word_diff(self._response, made.revision.text, colour=self._colour)
            self.console.print(diff, end="\n\n")
            return
        self.console.print(
            Text(inert(made.revision.text) or "(nothing)")
        )  # marks would be all there is to see
        self._line(self._kept(attempt), "dim")
        self._line("")

    def _request(self, name: str, text: str | None) -> None:
        shown = Text(f"{name}: {inert(' '.join((text or '').split()))}", "dim")
        self.console.print(hanging(self.console, shown, 2))

    def _revision_head(self, attempt: Attempt) -> None:
        text, good = _revision(attempt)
        self._head(text, "bold green" if good else "bold red")

    def _failure(self, attempt: Attempt) -> None:
        self._line(f"not tried: {attempt.detail}", "bold red")
        self._line("")

    # ------------------------------------------------------------------ two

    def _pair(self, left: Attempt, right: Attempt) -> None:
        a, b = left.candidate, right.candidate
        self._titles(left, right)
        if a.principle.critique != b.principle.critique or a.principle.revision != b.principle.revision:
            for name in ("critique", "revision"):
                self._both(
                    (f"{name} request", f"{name} request"),
                    (getattr(a.principle, name), getattr(b.principle, name)),
                    style="dim",
                )
        if left.round is None or right.round is None:
            for attempt in (left, right):
                if attempt.round is None:
                    self._line(f"{_title(attempt)}: not tried: {attempt.detail}", "bold red")
                else:
                    self._alone(attempt)
            return
        if left.round.critique and right.round.critique:
            steps = left.round.critique, right.round.critique
            self._both(
                (f"critique{_cut(steps[0])}", f"critique{_cut(steps[1])}"), (steps[0].text, steps[1].text)
            )
        self._both(
            (_revision(left)[0], _revision(right)[0]),
            tuple(attempt.round.revision.text if attempt.round.revision else "" for attempt in (left, right)),  # type: ignore[union-attr]
            styles=tuple("bold green" if _revision(attempt)[1] else "bold red" for attempt in (left, right)),
            notes=tuple(self._kept(attempt) for attempt in (left, right)),
        )

    def _titles(self, left: Attempt, right: Attempt) -> None:
        if self._wide:
            self._columns(*(Text(_title(attempt), "bold magenta") for attempt in (left, right)))
        else:
            self._title(f"{_title(left)} and {_title(right)}")

    def _both(
        self,
        heads: tuple[str, str],
        texts: Sequence[str],
        *,
        style: str = "",
        styles: Sequence[str] = ("bold cyan", "bold cyan"),
        notes: Sequence[str] = ("", ""),
    ) -> None:
        """Two texts: in columns with what differs marked, or the second as a change of the first.

        Where hardly a word is the same, as in most texts that a model samples, nothing is marked.
        """
        a, b = (inert(text) or "(nothing)" for text in texts)
        if a == b:
            self._head(f"{heads[0]}, the same in both", styles[0])
            self.console.print(Text(a, style), end="\n\n")
            return
        alike = are_alike(a, b)
        if self._wide:
            marked = _sides(a, b, colour=self._colour) if alike else (Text(a), Text(b))
            cells = [Text(style=style).append(text) for text in marked]
            self._columns(*(Text(inert(head), look) for head, look in zip(heads, styles, strict=True)))
            self._columns(*cells)
            if any(notes):
                self._columns(*(Text(note, "dim") for note in notes))
            self._line("")
            return
        diff = word_diff(a, b, colour=self._colour) if alike else Text(b, style)
        places = "first", "second, as a change of the first" if alike else "second"
        for place, text, head, look, note in zip(
            places, (Text(a, style), diff), heads, styles, notes, strict=True
        ):
            self._head(f"{head} · {place}", look)
            self.console.print(text)
            if note:
                self._line(note, "dim")
            self._line("")

    def _columns(self, left: Text, right: Text) -> None:
        table = Table.grid(padding=(0, _GUTTER, 0, 0), expand=True)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        table.add_row(left, right)
        self.console.print(table)

    @property
    def _wide(self) -> bool:
        return self.console.is_terminal and self.console.width >= WIDE

    # ------------------------------------------------------------------ plumbing

    @property
    def _response(self) -> str:
        assert self._before is not None
        return self._before.response.text

    def _kept(self, attempt: Attempt) -> str:
        """How much of the response a revision keeps."""
        if attempt.round is None or attempt.round.revision is None:
            return ""
        before, after = bare_words(self._response), bare_words(attempt.round.revision.text)
        kept = sum(
            block.size for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        )
        return (
            f"keeps {kept:,} of the response's {len(before):,} words, and has {len(after) - kept:,} new ones"
        )

    def _tail(self, tried: Tried) -> None:
        trial = tried.trial
        escaped = trial.escaped + sum(attempt.escaped for attempt in trial.attempts)
        dropped = trial.dropped_turns + max((attempt.dropped_turns for attempt in trial.attempts), default=0)
        if escaped:
            self._line(f"{escaped} turn markers spelt out in the texts were made harmless", "dim")
        if dropped:
            self._line(f"{dropped} of the oldest turns were dropped to fit the context", "dim")
        self._line(
            f"{counted(tried.made, 'generation')} made, {tried.remembered:,} remembered · {tried.seconds:.1f} s",
            "dim",
        )
        self._line("")

    def _title(self, text: str) -> None:
        self._line(f"── {text}", "bold magenta")

    def _head(self, text: str, style: str = "bold cyan") -> None:
        self.console.print(Text(inert(text), style))

    def _body(self, text: str) -> None:
        self.console.print(Text(inert(text)), end="\n\n")

    def _line(self, text: str, style: str = "") -> None:
        self.console.print(Text(inert(text), style))


def _title(attempt: Attempt) -> str:
    candidate = attempt.candidate
    return f"{candidate.name} · {candidate.principle.id}" + (" · drawn" if candidate.drawn else "")


def _revision(attempt: Attempt) -> tuple[str, bool]:
    """The head of a revision, and whether it is a good one."""
    if attempt.round is None or attempt.round.revision is None:
        return "nothing to change", True
    checks = attempt.round.checks
    if not checks:
        return "revision", True
    return "revision · fails: " + "; ".join(f"{check} ({CHECKS[check]})" for check in checks), False


def _known(attempt: Attempt, before: Trial) -> bool:
    """Whether a trial before has this very attempt."""

    def what(attempt: Attempt) -> tuple[object, ...]:
        principle = attempt.candidate.principle
        texts = principle.id, principle.critique, principle.revision
        return attempt.candidate.name, texts, attempt.round, attempt.detail

    return what(attempt) in [what(other) for other in before.attempts]


def _cut(step: Step) -> str:
    return " · cut off" if step.finish_reason == "length" else ""


def _sides(before: str, after: str, *, colour: bool) -> tuple[Text, Text]:
    """Two texts, in each of which the words are marked that the other does not have at that place."""
    old, new = split_words(before), split_words(after)
    sides = Text(), Text()
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for side, words, style, left, right in (
            (sides[0], old[a0:a1], "red", "[-", "-]"),
            (sides[1], new[b0:b1], "green", "{+", "+}"),
        ):
            text = "".join(words)
            if tag == "equal" or not text.strip():
                side.append(text)
            elif colour:
                side.append(text, style=style)
            else:
                side.append(f"{left}{text.strip()}{right}" + text[len(text.rstrip()) :])
    return sides
