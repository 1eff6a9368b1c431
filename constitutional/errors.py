"""Every error this package raises on purpose, in one tree.

::

    ConstitutionalError                 exit code
    ├── InputError                          2   bad input or configuration
    │   ├── ConstitutionError                   a constitution file
    │   ├── TemplateError                       a prompt set or one of its templates
    │   ├── SourceError                         a file of prompts
    │   ├── ConfigError                         a setting, a flag, a refused change of a run
    │   │   └── DamagedError                        a database file that can't be read any more
    │   └── RunLockedError                      another process writes this run
    ├── PrerequisiteError                   3   something is not installed, not downloaded, not reachable
    ├── EngineError                         4   what an engine can answer instead of text
    │   ├── RequestTooLong                      the request does not fit the model's context
    │   ├── RequestRefused                      this request, sent again, would be refused again
    │   ├── BadAnswer                           the engine answered something that is not an answer
    │   │   └── OptionNotShown                      an option is not among the tokens that it shows
    │   ├── ChoiceUnsupported                   the engine cannot give log-probabilities
    │   └── TransientEngineError                worth another try
    │       ├── EngineTimeout
    │       ├── EngineUnavailable               a server refuses connections, is overloaded, answers 5xx
    │       └── EngineDied                      the engine is gone, and with it all requests in flight
    ├── ThresholdMissed                     5   an evaluation found less than was asked for
    └── Interrupted                       130   the user stopped the run

A message says what is wrong, where, and what to do about it; the command line prints it without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


class ConstitutionalError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line exits with."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file. Lines and columns count from 1; `field` is a dotted path such as `principles.3.weight`."""

    path: Path | str
    line: int | None = None
    column: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        numbers = "".join(f":{number}" for number in (self.line, self.column) if number is not None)
        return f"{self.path}{numbers}" + (f": {self.field}" if self.field else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what to do about it.

    Attributes:
        message: what is wrong, and what to do about it.
        place: where.
        rule: the rule of `constitutional constitution lint` that it breaks, where there is one.
    """

    message: str
    place: Place | None = None
    rule: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InputError(ConstitutionalError):
    """Bad input or configuration. All problems of a file are reported at once.

    Attributes:
        problems: what is wrong, in the order of the file.
    """

    exit_code = 2

    def __init__(self, problems: str | Problem | Iterable[Problem], place: Place | None = None) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems, place)]
        elif isinstance(problems, Problem):
            problems = [problems]
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConstitutionError(InputError):
    """A constitution file that can't be used."""


class TemplateError(InputError):
    """A prompt set, or one of its templates, that can't be used."""


class SourceError(InputError):
    """A file of prompts that can't be read as one."""


class ConfigError(InputError):
    """A setting that is wrong, or a change of a run that is refused."""


class DamagedError(ConfigError):
    """A database file that is damaged, or none."""


class RunLockedError(InputError):
    """Another process is writing this run directory."""


class PrerequisiteError(ConstitutionalError):
    """Something has to be installed, downloaded or started first; the message names the command."""

    exit_code = 3


class EngineError(ConstitutionalError):
    """An engine could not answer. `reason` is what a row that fails with it carries."""

    exit_code = 4
    reason = "engine_error"
    transient = False


class RequestTooLong(EngineError):
    """The request and the tokens it may generate do not fit the model's context.

    Attributes:
        prompt_tokens: length of the request, or None where only a server knows it.
        max_tokens: how many tokens were to be generated.
        context_length: what the model can hold.
    """

    reason = "too_long"

    def __init__(self, prompt_tokens: int | None, max_tokens: int, context_length: int | None) -> None:
        self.prompt_tokens, self.max_tokens, self.context_length = prompt_tokens, max_tokens, context_length
        known = f"{prompt_tokens:,} tokens" if prompt_tokens is not None else "the request"
        room = f"the context of {context_length:,} tokens" if context_length else "the context"
        super().__init__(f"{known} and {max_tokens:,} to be generated do not fit {room}")


class RequestRefused(EngineError):
    """The engine refuses this request and would refuse it again."""

    reason = "refused"


class BadAnswer(EngineError):
    """What came back is not an answer: not JSON, no choices, a text that is no text."""

    reason = "bad_answer"


class OptionNotShown(BadAnswer):
    """An engine shows just its likeliest tokens, and an option is not among them.

    All that is known of the option is that it is less likely than those: too little for a probability.
    """

    reason = "option_not_shown"


class ChoiceUnsupported(EngineError):
    """The engine can't give the log-probabilities that `choose` needs, whatever the request."""

    reason = "choice_unsupported"


class TransientEngineError(EngineError):
    """A failure that another try may mend."""

    reason = "engine_unavailable"
    transient = True


class EngineTimeout(TransientEngineError):
    """No answer in time."""

    reason = "timeout"


class EngineUnavailable(TransientEngineError):
    """A server that refuses connections, is overloaded or broken for now."""


class EngineDied(TransientEngineError):
    """The engine is gone, and with it every request in flight."""

    reason = "engine_died"


class ThresholdMissed(ConstitutionalError):
    """An evaluation is complete, and worse than a threshold that the user has set."""

    exit_code = 5


class Interrupted(ConstitutionalError):
    """The user stopped the run; what was finished is kept."""

    exit_code = 130


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint to end a sentence with: the valid name nearest to a misspelt one, or all of them.

    Returns:
        `did you mean 'weight'?`, or `valid: a, b, c` where nothing is near.
    """
    names = sorted(valid)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(names)}" if names else "there are none"
