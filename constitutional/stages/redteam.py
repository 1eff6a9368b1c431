"""Red-team: more prompts like some given ones, written by a model (Bai et al. 2022, section 3.2: 140,335 of the
paper's 182,831 red-team prompts were made so, by few-shot prompting).

One request shows a few seeds, drawn by a hash of its number, and asks for more. What is accepted of the answers is
decided by the job, in the order of the requests (`jobs/redteam_filter.py`), since it depends on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field

from constitutional.assignment import content_hash, request_seed
from constitutional.engines.base import Engine
from constitutional.records import FinishReason, Sampling
from constitutional.settings import Settings
from constitutional.stages.written_list import ListItem, read_list
from constitutional.templates import PromptSet

if TYPE_CHECKING:
    import numpy as np

STAGE = "redteam"
_VERSION = 1  # of what this stage makes of the same answers; part of every row's key


class RedteamSettings(Settings):
    """How prompts are written.

    Attributes:
        seeds_per_request: how many seeds a request shows.
        prompts_per_request: how many more it asks for.
        seed: draws seeds and topics, and seeds every request.
        temperature: of every answer; 0 would make all answers to the same seeds the same.
        top_p: nucleus sampling; 1 keeps every token.
        top_k: 0 keeps every token.
        max_tokens: of every answer.
    """

    seeds_per_request: int = Field(default=5, ge=1, le=100)
    prompts_per_request: int = Field(default=10, ge=1, le=100)
    seed: int = 0
    temperature: float = Field(default=1.0, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: int = Field(default=400, ge=1)

    @property
    def sampling(self) -> Sampling:
        """How every answer is sampled, but for its seed."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Seed:
    """A prompt to write others like.

    Attributes:
        id: unique among the seeds.
        text: its one user turn.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class RedteamRequest:
    """What one request shows.

    Attributes:
        id: of the request: `request-1` and so on.
        seeds: in the order shown.
        topic: what the prompts are to be about; None where there are no topics.
    """

    id: str
    seeds: tuple[Seed, ...]
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote for one request.

    Attributes:
        items: of its list, in order; possibly none.
        finish_reason: `length` where the token limit cut the answer off.
    """

    items: tuple[ListItem, ...]
    finish_reason: FinishReason


class SeedDraw:
    """Which seeds, and which topic, for which request: rendezvous hashing, as principles are drawn.

    Adding or removing a seed moves only the requests that draw it. Each draw goes over all seeds, in NumPy, so that
    forty thousand seeds and requests take seconds.

    Args:
        seeds: with different ids; at least one.
        topics: different ones; possibly none.
        settings: how many to draw, and the seed.
    """

    def __init__(self, seeds: Sequence[Seed], topics: Sequence[str], settings: RedteamSettings) -> None:
        self._seeds, self._topics, self._settings = tuple(seeds), tuple(topics), settings
        self._seed_hashes = _hashes([seed.id for seed in seeds])
        self._topic_hashes = _hashes(topics)

    def request(self, number: int) -> RedteamRequest:
        """The request of that number, from 0."""
        count = min(self._settings.seeds_per_request, len(self._seeds))
        seeds = [self._seeds[place] for place in self._draw("seeds", number, self._seed_hashes, count)]
        topic = None
        if self._topics:
            topic = self._topics[self._draw("topic", number, self._topic_hashes, 1)[0]]
        return RedteamRequest(f"request-{number + 1}", tuple(seeds), topic)

    def _draw(self, what: str, number: int, hashes: np.ndarray[Any, Any], count: int) -> list[int]:
        """The places of the `count` hashes that win, the first first."""
        import numpy as np

        base = np.uint64(int(content_hash(STAGE, self._settings.seed, what, number)[:16], 16))
        keys = _mixed(hashes ^ base)
        best = np.argpartition(keys, -count)[-count:]
        return [int(place) for place in best[np.argsort(keys[best])[::-1]]]


def _hashes(names: Sequence[str]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array([int(content_hash(name)[:16], 16) for name in names], dtype=np.uint64)


def _mixed(keys: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each key thoroughly mixed: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    import numpy as np

    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray[Any, Any] = keys ^ (keys >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class Writer:
    """What all requests of a run have in common.

    Args:
        prompts: its template `redteam` renders the requests.
        settings: how prompts are written.

    Raises:
        TemplateError: the prompt set has no such template.
    """

    prompts: PromptSet
    settings: RedteamSettings

    def __post_init__(self) -> None:
        _ = self._common_key

    @cached_property
    def _common_key(self) -> str:
        return content_hash(
            STAGE,
            _VERSION,
            self.settings.model_dump_json(exclude={"seeds_per_request"}),  # the seeds themselves are hashed
            self.prompts.fingerprint("redteam"),
        )

    def key(self, request: RedteamRequest) -> str:
        """A hash of all that determines an answer but the engine."""
        return content_hash(
            self._common_key, request.id, *(seed.text for seed in request.seeds), request.topic or ""
        )

    async def write(self, request: RedteamRequest, engine: Engine) -> Written:
        """Have the model write; see `redteam`."""
        settings = self.settings
        messages = self.prompts.render(
            "redteam",
            seeds=tuple(seed.text for seed in request.seeds),
            number=settings.prompts_per_request,
            topic=request.topic,
        )
        sampling = settings.sampling.with_seed(request_seed(settings.seed, STAGE, request.id, "write"))
        (answer,) = await engine.generate(messages, sampling)
        lead = messages[-1].content if messages[-1].role == "assistant" else ""
        return Written(read_list(answer.text, lead=lead, truncated=answer.truncated), answer.finish_reason)


async def redteam(
    request: RedteamRequest, engine: Engine, prompts: PromptSet, settings: RedteamSettings | None = None
) -> Written:
    """Have a model write more prompts like some seeds.

    Args:
        request: the seeds to show, and a topic.
        engine: where they are written.
        prompts: its template `redteam` renders the request.
        settings: how they are written.

    Returns:
        The prompts that the answer's list holds, unfiltered.

    Raises:
        TemplateError: the prompt set has no template `redteam`.
        RequestTooLong: the seeds do not fit the context.
        EngineError: the engine could not answer.
    """
    return await Writer(prompts, settings or RedteamSettings()).write(request, engine)
