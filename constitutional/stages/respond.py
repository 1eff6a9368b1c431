"""Respond: sample responses of the model to a prompt, as they are.

The SFT data of the paper mixes the revisions with two sampled responses for each of a set of helpful prompts, so that
training on them does not cost helpfulness (Bai et al. 2022, section 3.2).
"""

from __future__ import annotations

from constitutional.assignment import request_seed
from constitutional.engines.base import Engine
from constitutional.records import Prompt, Sampling, Step
from constitutional.stages.asking import Asker, Overlong
from constitutional.templates import PromptSet


async def respond(
    prompt: Prompt,
    engine: Engine,
    prompts: PromptSet,
    sampling: Sampling,
    *,
    n: int = 1,
    seed: int = 0,
    overlong: Overlong = "skip",
) -> tuple[Step, ...]:
    """Sample `n` responses to a prompt.

    Args:
        prompt: the conversation to respond to.
        engine: where they are generated.
        prompts: its template `respond` renders the request.
        sampling: temperature and limits; its seed is replaced by a hash of `seed` and the prompt's id.
        n: how many.
        seed: the run's seed.
        overlong: what to do with a conversation that does not fit the context.

    Returns:
        The responses, in the order of their draws. They may be empty or truncated; it is for the caller to judge.

    Raises:
        RequestTooLong: the conversation does not fit.
        EngineError: the engine could not answer.
    """
    asker = Asker(engine, prompt.messages, overlong)
    sampling = sampling.with_seed(request_seed(seed, "respond", prompt.id, "respond"))
    generations = await asker.ask(
        lambda conversation: prompts.render("respond", prompt=conversation), sampling, n
    )
    return tuple(Step.of(generation) for generation in generations)
