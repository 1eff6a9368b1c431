"""The rows of SL-CAI data: what each of them is keyed by, and what is done with it.

Two kinds: a red-team prompt becomes a chain, a helpful prompt some sampled responses. A row's key is a hash of all that
determines it, so the same function that plans a run says which of its rows an edit would make stale.
"""

from __future__ import annotations

from collections import Counter

from constitutional.assignment import content_hash
from constitutional.engines.base import Engine, EngineFacts
from constitutional.ledger import PlannedRow
from constitutional.pipeline import Work
from constitutional.records import Message, Outcome, Prompt, Row, Step
from constitutional.stages.respond import respond
from constitutional.stages.revise import Reviser

CHAIN, HELPFUL = "chain", "helpful"


class SLCAIRows:
    """Plans and makes the rows of one run.

    Args:
        reviser: makes the chains.
        helpful_samples: responses sampled for each helpful prompt.
        engine: what answers depend on besides the request.

    Attributes:
        work: what to do with each kind of row.
    """

    def __init__(self, reviser: Reviser, helpful_samples: int, engine: Engine | EngineFacts) -> None:
        chain = reviser.settings
        self._reviser, self._samples = reviser, helpful_samples
        self._helpful_key = content_hash(
            HELPFUL,
            reviser.prompts.fingerprint("respond"),
            repr(chain.sampling),
            chain.seed,
            chain.overlong,
            helpful_samples,
        )
        # where turns are dropped to fit, the data depend on how much fits
        context = str(engine.context_length) if chain.overlong == "drop-oldest" else ""
        decisive = (value for name, value in sorted(engine.identity.items()) if name != "model")
        self._engine_key = content_hash(context, *decisive)
        self.work = {
            CHAIN: Work(
                self._run_chain, chain.steps, lambda row: chain.steps - (row["response"] is not None)
            ),
            HELPFUL: Work(self._run_helpful, 1, lambda row: helpful_samples),
        }

    def planned(self, kind: str, prompt: Prompt) -> PlannedRow:
        """The row of one prompt, with its key."""
        messages = [[message.role, message.content] for message in prompt.messages]
        if kind == CHAIN:
            stage_key = self._reviser.key(prompt)
        else:
            stage_key = content_hash(self._helpful_key, prompt.id, repr(messages))
        key = content_hash(self._engine_key, stage_key)
        return PlannedRow(kind, prompt.id, key, {"messages": messages, "response": prompt.response})

    def planned_again(self, row: PlannedRow) -> PlannedRow:
        """A row that a ledger holds, with the key that it would have now; a bad input stays one."""
        return row if row.outcome else self.planned(row.kind, _prompt(row.id, row.input))

    async def _run_chain(self, id: str, input: Row, engine: Engine) -> Outcome:
        chain = await self._reviser.chain(_prompt(id, input), engine)
        detail = None
        if chain.status == "failed":
            failed = Counter(check for round in chain.rounds for check in round.checks)
            detail = ", ".join(f"{check} × {count}" for check, count in sorted(failed.items())) or None
        return Outcome(chain.status, chain.reason, detail=detail, result=chain.to_row())

    async def _run_helpful(self, id: str, input: Row, engine: Engine) -> Outcome:
        prompt, chain = _prompt(id, input), self._reviser.settings
        responses = await respond(
            prompt,
            engine,
            self._reviser.prompts,
            chain.sampling,
            n=self._samples,
            seed=chain.seed,
            overlong=chain.overlong,
        )
        result = {
            "prompt": [message.to_row() for message in prompt.messages],
            "responses": [[step.text, step.finish_reason] for step in responses],
        }
        if not any(is_good(step) for step in responses):
            return Outcome(
                "failed", "no_good_response", detail="every sample is empty or truncated", result=result
            )
        return Outcome("ok", result=result)


def bad_input(kind: str, id: str, reason: str | None, detail: str | None) -> PlannedRow:
    """The row of an input that can't be worked on."""
    return PlannedRow(kind, id, f"bad:{reason}:{detail}", {}, Outcome("skipped", reason, detail=detail))


def is_good(step: Step) -> bool:
    """Whether a sampled response is fit to train on."""
    return bool(step.text) and step.finish_reason == "stop"


def _prompt(id: str, input: Row) -> Prompt:
    return Prompt(id, tuple(Message(role, content) for role, content in input["messages"]), input["response"])
