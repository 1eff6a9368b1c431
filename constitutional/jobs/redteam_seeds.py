"""What red-team prompts are written from: the seeds, and the topics if there are any."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from constitutional.errors import Place, SourceError
from constitutional.records import Row
from constitutional.sources import PromptSource, read_prompts
from constitutional.stages.redteam import Seed

SEVERAL_TURNS = "several_turns"


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds and topics of a run.

    Attributes:
        path: the seeds' source as it was given.
        seeds: those that can be used, without repeated texts.
        left_out: how many rows of the source can't be used, by reason.
        topics_path: the topics' source; None where none was given.
        topics: different ones.
    """

    path: str
    seeds: tuple[Seed, ...]
    left_out: dict[str, int]
    topics_path: str | None = None
    topics: tuple[str, ...] = ()

    def to_row(self) -> Row:
        """How many there are, for the manifest."""
        return {"used": len(self.seeds), "left_out": self.left_out, "topics": len(self.topics)}


def read_seeds(
    seeds: str | Path, topics: str | Path | None = None, *, split: str = "train", limit: int | None = None
) -> Seeds:
    """Read seeds and topics; all of them are held in memory.

    Args:
        seeds: whatever `read_prompts` reads. Prompts of one user turn are seeds; a system turn before it is left out.
        topics: likewise; a text file has one a line.
        split: which split of a data set of seeds.
        limit: read this many rows of the seeds at most.

    Raises:
        SourceError: there is no seed, or no topic where topics were given.
    """
    found, left_out = _texts(read_prompts(seeds, split=split, limit=limit))
    if not found:
        reasons = ", ".join(f"{reason} × {count}" for reason, count in sorted(left_out.items()))
        raise SourceError(f"no row can be a seed, which is one user turn ({reasons})", Place(str(seeds)))
    about: tuple[str, ...] = ()
    if topics is not None:
        about = tuple(dict.fromkeys(seed.text for seed in _texts(read_prompts(topics))[0]))
        if not about:
            raise SourceError("there is no topic in it", Place(str(topics)))
    return Seeds(str(seeds), tuple(found), left_out, None if topics is None else str(topics), about)


def _texts(source: PromptSource) -> tuple[list[Seed], dict[str, int]]:
    found: dict[str, Seed] = {}
    left_out: Counter[str] = Counter()
    for row in source:
        turns = [message for message in row.prompt.messages if message.role != "system"] if row.prompt else []
        if row.prompt is None:
            left_out[row.reason or "bad"] += 1
        elif len(turns) != 1:
            left_out[SEVERAL_TURNS] += 1
        elif (text := turns[0].content.strip()) in found:
            left_out["duplicate"] += 1
        else:
            found[text] = Seed(row.id, text)
    return list(found.values()), dict(sorted(left_out.items()))
