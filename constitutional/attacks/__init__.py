"""A corpus of attacks on a judge: ways in which a response may try to steer who reads it instead of being good.

A policy that is trained against a judge finds such responses by itself, and text from the web holds them. A judge has to be immune
in two ways. *Mechanically*: whatever a response says, it stays inside its quotation and opens no turn; `tests/test_attacks.py`
asserts that on the tokens of every shipped template. *By conviction*: the judge reads the words and should not follow them; how
often it does is measured by `constitutional audit --attack`, kind by kind.

The texts are the project's own (`corpus.py`), mild and harmless. `attack(kind, response, option)` is deterministic. Neither of
the papers has such a test; prompt injection against judges is later work.
"""

from __future__ import annotations

from collections.abc import Sequence

from constitutional.attacks.corpus import ATTACKS
from constitutional.attacks.kinds import Attack
from constitutional.errors import ConfigError, nearest

__all__ = ["ATTACKS", "Attack", "attack"]


def attack(kind: str, response: str, option: str, options: Sequence[str] = ("A", "B")) -> str:
    """A response with an attack on the judge in it.

    Args:
        kind: a key of `ATTACKS`.
        response: the response; it may be empty.
        option: what stands for this response where the attack is to work, one of `options`.
        options: both, in the order shown.

    Returns:
        The attacked response. The same arguments give the same text.

    Raises:
        ConfigError: there is no such kind, or the option is none of the two.
    """
    if kind not in ATTACKS:
        raise ConfigError(f"there is no attack {kind!r}; {nearest(kind, ATTACKS)}")
    if len(set(options)) != 2 or option not in options:
        raise ConfigError(
            f"the option has to be one of two different ones, not {option!r} of {list(options)!r}"
        )
    other = options[1] if option == options[0] else options[0]
    return ATTACKS[kind].apply(response, option, other)
