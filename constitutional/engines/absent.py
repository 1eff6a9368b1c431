"""The absent engine: for a job whose rows come from files alone, and which asks no model anything."""

from __future__ import annotations

from collections.abc import Sequence

from constitutional.errors import RequestRefused
from constitutional.records import Choice, Generation, Message, Sampling


class AbsentEngine:
    """An engine that answers nothing; satisfies `engines.base.Engine`."""

    def __init__(self) -> None:
        self.identity = {"engine": "none", "model": "no model", "fingerprint": "", "dtype": "", "adapter": ""}
        self.slots = 16
        self.context_length: int | None = None
        self.dies_with_us = False

    async def prepare(self) -> None:
        """Nothing to find out."""

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to release."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """Refuse.

        Raises:
            RequestRefused: always.
        """
        raise RequestRefused("this job was started without a model")

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """Refuse.

        Raises:
            RequestRefused: always.
        """
        raise RequestRefused("this job was started without a model")
