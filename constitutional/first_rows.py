"""The first rows of a run that all fail alike: then it is not the rows, and the user hears what to do before all have failed.

A single row that an engine can't answer is a failed row. Where none can be answered, as by a judge that never shows the
options, each would be sent in vain. So the first failures of such a kind are held back until a row ends in another way:
a run that is given up has stored none of them, and the setting that the message names can be taken up without more ado.
One input may have several rows, as under each setting of an audit, and these fail together: it is inputs that count.
"""

from __future__ import annotations

from collections.abc import Mapping

from constitutional.errors import ConfigError
from constitutional.ledger import Ledger
from constitutional.records import Outcome

FIRST_ROWS = 10


class FirstRows:
    """Stores how rows end, and gives up where the first ones all fail for a reason with a way out.

    Args:
        ledger: where they are stored; once it has a row that is ok, nothing is given up.
        ways_out: what to tell the user, by the kind of a row and the reason of its failure.
    """

    def __init__(self, ledger: Ledger, ways_out: Mapping[str, Mapping[str, str]]) -> None:
        self._ledger, self._ways_out = ledger, ways_out
        self._open = all(status != "ok" for _, status, _ in ledger.counts())
        self._held: list[tuple[str, str, Outcome]] = []
        self._inputs: set[str] = set()
        self._given_up = False

    def finish(self, kind: str, id: str, outcome: Outcome, *, joined: bool = False) -> None:
        """Store how a row ended, or hold it back.

        Args:
            kind: the row's kind.
            id: the row's id; rows of other kinds with the same id are of the same input.
            outcome: how it ended.
            joined: it failed with a request that another row sent, which counts already.

        Raises:
            ConfigError: it is one failure too many.
        """
        way_out = self._ways_out.get(kind, {}).get(outcome.reason or "") if self._open else None
        if way_out is None:
            self._ledger.finish(kind, id, outcome)
            if outcome.status != "skipped" and not outcome.transient:  # of those the engine was not heard
                self._open = False
                self.release()
            return
        self._held.append((kind, id, outcome))
        if not joined:
            self._inputs.add(id)
        if len(self._inputs) >= FIRST_ROWS:
            self._given_up = True
            raise ConfigError(
                f"none of the first {len(self._held)} rows could be answered ({outcome.detail or outcome.reason}): {way_out}"
            )

    def release(self) -> None:
        """Store what is held back, unless the run was given up."""
        if self._given_up:
            return
        for kind, id, outcome in self._held:
            self._ledger.finish(kind, id, outcome)
        self._held.clear()
        self._inputs.clear()
