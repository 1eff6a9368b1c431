"""The records of AI feedback: two responses, how a judge votes on them, the label the votes make, and the preference it implies.

A *label* is P(the comparison's first response is better), whatever order it was shown in; a *preference* is derived from it for
training (Bai et al. 2022, section 4.1: soft labels; Lee et al. 2023, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from constitutional.assignment import content_hash
from constitutional.records import Conversation, Message, Row


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prompt and two responses to it.

    Attributes:
        id: its own id, or a hash of its content that does not depend on the order of the responses.
        prompt: the conversation; it ends in a user turn.
        responses: the first and the second.
    """

    id: str
    prompt: Conversation
    responses: tuple[str, str]

    def shown(self, order: int) -> tuple[str, str]:
        """The responses as a judge is shown them: the first one first in order 0, the second one first in order 1."""
        return self.responses if order == 0 else (self.responses[1], self.responses[0])

    def swap(self) -> Comparison:
        """The same comparison with the second response first."""
        return replace(self, responses=(self.responses[1], self.responses[0]))

    def to_row(self) -> Row:
        """The comparison as a row of the `comparisons` data set."""
        return {
            "id": self.id,
            "prompt": [message.to_row() for message in self.prompt],
            "responses": list(self.responses),
        }


@dataclass(frozen=True, slots=True)
class Vote:
    """One answer of a judge: one principle, one order, one sample.

    Attributes:
        principle: id of the principle that was asked.
        order: 0 where the comparison's first response was shown first, 1 where the second was.
        sample: number of the rationale or counted answer, from 0.
        p_raw: P(the comparison's first response is better), whatever the order; None where the answer can't be read.
        p: `p_raw` after clamping.
        mass: probability that the judge gave to both options together; None for counted answers.
        rationale: the reasoning that came first; None where none was asked for.
        rationale_finish_reason: `length` where the token limit cut the reasoning off.
        reason: why the vote does not count, as `unreadable_answer` or `low_mass`; None for one that counts.
    """

    principle: str
    order: int
    sample: int
    p_raw: float | None
    p: float | None
    mass: float | None = None
    rationale: str | None = None
    rationale_finish_reason: str | None = None
    reason: str | None = None

    def swap(self) -> Vote:
        """The vote as one on the swapped comparison."""
        return replace(
            self,
            order=1 - self.order,
            p_raw=None if self.p_raw is None else 1.0 - self.p_raw,
            p=None if self.p is None else 1.0 - self.p,
        )

    def to_row(self) -> Row:
        """The vote as it stands in a label's row."""
        return {name: getattr(self, name) for name in VOTE_FIELDS}


VOTE_FIELDS = (
    "principle",
    "order",
    "sample",
    "p_raw",
    "p",
    "mass",
    "rationale",
    "rationale_finish_reason",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Label:
    """P(the first response of a comparison is better), with the votes that it is the mean of.

    Attributes:
        id: the comparison's.
        probability: in [0, 1].
        standard_error: of the probability, over units of votes; None for a single unit.
        units: how many units of votes counted; both orders of a vote are one unit.
        votes: all votes, those that do not count too.
        dropped_turns: how many of the oldest turns were dropped to fit the context.
    """

    id: str
    probability: float
    standard_error: float | None
    units: int
    votes: tuple[Vote, ...]
    dropped_turns: int = 0

    def swap(self) -> Label:
        """The label of the swapped comparison."""
        return replace(
            self, probability=1.0 - self.probability, votes=tuple(vote.swap() for vote in self.votes)
        )

    def to_row(self) -> Row:
        """The label as a row of the `labels` data set."""
        return {
            "id": self.id,
            "probability": self.probability,
            "standard_error": self.standard_error,
            "units": self.units,
            "votes": [vote.to_row() for vote in self.votes],
            "dropped_turns": self.dropped_turns,
        }


@dataclass(frozen=True, slots=True)
class Preference:
    """What a reward model or DPO is trained on.

    Attributes:
        id: the comparison's.
        prompt: the conversation; it ends in a user turn.
        chosen: the response that is better with a probability of at least ½.
        rejected: the other one.
        chosen_probability: that probability, from ½ to 1.
        source: where the label came from, as `harmlessness` or the name of a file.
        weight: how much the pair counts; below 1 for the pairs of a ranking (1 / number of its pairs).
    """

    id: str
    prompt: Conversation
    chosen: str
    rejected: str
    chosen_probability: float
    source: str
    weight: float = 1.0

    @classmethod
    def from_probability(
        cls, comparison: Comparison, probability: float, source: str, weight: float = 1.0
    ) -> Preference:
        """The preference that a label implies.

        Args:
            comparison: what was labelled.
            probability: that its first response is better, in [0, 1]. At exactly ½ the response with the smaller content
                hash is the chosen one, so that the order of the responses does not matter.
            source: see the class.
            weight: see the class.

        Raises:
            ValueError: the probability is not in [0, 1].
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"a probability is from 0 to 1, not {probability}")
        first, second = comparison.responses
        tie = probability == 0.5
        if probability > 0.5 or (tie and content_hash(first) <= content_hash(second)):
            return cls(comparison.id, comparison.prompt, first, second, probability, source, weight)
        return cls(comparison.id, comparison.prompt, second, first, 1.0 - probability, source, weight)

    def to_row(self) -> Row:
        """The preference as a row that TRL's trainers load as it is: conversational, with an explicit prompt."""
        return {
            "id": self.id,
            "prompt": [message.to_row() for message in self.prompt],
            "chosen": [Message("assistant", self.chosen).to_row()],
            "rejected": [Message("assistant", self.rejected).to_row()],
            "chosen_probability": self.chosen_probability,
            "source": self.source,
            "weight": self.weight,
        }
