"""The options that say how comparisons are labelled, the same for every command that labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from constitutional.stages.label import LabelSettings

F = TypeVar("F", bound=Callable[..., Any])
_DEFAULTS = {name: field.default for name, field in LabelSettings.model_fields.items()}


class NumberOrAll(click.ParamType[Any]):
    """How many principles: a number from 1, or `all`."""

    name = "number or all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or `all`."""
        text = str(value).strip()
        if text == "all":
            return text
        if not text.isascii() or not text.isdecimal() or not 1 <= int(text) < 10**6:
            self.fail(f"{text[:40]!r} is neither a number of principles nor 'all'", param, ctx)
        return int(text)


_OPTIONS = (
    click.option(
        "--principles",
        type=NumberOrAll(),
        default=_DEFAULTS["principles"],
        show_default=True,
        help="Principles drawn for each label, or all, weighted.",
    ),
    click.option(
        "--chain-of-thought", is_flag=True, help="Let the judge reason first, and answer after its reasoning."
    ),
    click.option(
        "--samples",
        type=int,
        default=_DEFAULTS["samples"],
        show_default=True,
        help="Rationales (or counted answers) for each principle and order.",
    ),
    click.option(
        "--both-orders/--one-order",
        default=True,
        show_default=True,
        help="Show the responses in both orders, or in one that a hash draws.",
    ),
    click.option(
        "--clamp",
        type=float,
        help="Move votes into [CLAMP, 1 - CLAMP]; 0 does not.  [default: 0.4 with chain of thought, else 0]",
    ),
    click.option(
        "--order-average",
        type=click.Choice(["mean", "logit"]),
        default=_DEFAULTS["order_average"],
        show_default=True,
        help="Average both orders as probabilities or as log-odds.",
    ),
    click.option(
        "--votes",
        type=click.Choice(["logprobs", "sampled"]),
        default=_DEFAULTS["votes"],
        show_default=True,
        help="Read the probabilities of the answers, or count sampled answers.",
    ),
    click.option(
        "--temperature",
        type=float,
        default=_DEFAULTS["temperature"],
        show_default=True,
        help="Of rationales and counted answers.",
    ),
    click.option("--top-p", type=float, default=_DEFAULTS["top_p"], show_default=True),
    click.option(
        "--top-k", type=int, default=_DEFAULTS["top_k"], show_default=True, help="0 keeps every token."
    ),
    click.option(
        "--max-tokens", type=int, default=_DEFAULTS["max_tokens"], show_default=True, help="Of a rationale."
    ),
    click.option(
        "--min-mass",
        type=float,
        default=_DEFAULTS["min_mass"],
        show_default=True,
        help="Flag votes whose two answers have less probability together.",
    ),
    click.option(
        "--low-mass",
        type=click.Choice(["keep", "exclude"]),
        default=_DEFAULTS["low_mass"],
        show_default=True,
        help="Whether flagged votes count.",
    ),
    click.option(
        "--prompt-set", default="default", show_default=True, help="A name (see `prompts list`) or a folder."
    ),
    click.option(
        "--examples", type=int, help="Preference examples to show; all of the prompt set's if not given."
    ),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Draws principles and seeds every request."
    ),
    click.option(
        "--overlong",
        type=click.Choice(["skip", "drop-oldest"]),
        default="skip",
        show_default=True,
        help="What to do with a conversation that does not fit the context.",
    ),
)


def label_options(command: F) -> F:
    """Give a command the options of `LabelSettings`, and the prompt set's."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
