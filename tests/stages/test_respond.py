"""Responses as they are sampled, and what becomes of a conversation that does not fit."""

import asyncio

import pytest

from constitutional import Message, Prompt, Sampling, load_prompt_set, respond
from constitutional.assignment import draw_seed, request_seed
from constitutional.errors import RequestTooLong
from tests.helpers import PROMPT_SET, CountingEngine

PROMPTS = load_prompt_set(PROMPT_SET)
PROMPT = Prompt("p1", (Message("user", "How do I boil an egg?"),))
SAMPLING = Sampling(temperature=0.7, max_tokens=20, seed=999)


def sampled(prompt=PROMPT, engine=None, **more):
    return asyncio.run(respond(prompt, engine or CountingEngine(), PROMPTS, SAMPLING, **more))


def conversation(*lengths, system=False):
    turns = [
        Message("user" if n % 2 == 0 else "assistant", f"turn{n} " * length)
        for n, length in enumerate(lengths)
    ]
    return Prompt("long", ((Message("system", "Be kind."),) if system else ()) + tuple(turns))


def test_draws_differ_and_come_in_order():
    steps = sampled(n=3)
    assert len({step.text for step in steps}) == 3
    assert sampled(n=2) == steps[:2]
    assert all(step.finish_reason == "stop" and step.completion_tokens > 0 for step in steps)


def test_a_response_depends_on_the_seed_and_the_prompts_id_and_not_on_the_samplings_own_seed():
    engine = CountingEngine()
    sampled(engine=engine, seed=7, n=2)
    ((messages, sampling),) = engine.requests
    assert sampling.seed == draw_seed(request_seed(7, "respond", "p1", "respond"), 0)
    assert (sampling.temperature, sampling.max_tokens) == (0.7, 20)
    assert messages[-1].content == PROMPT.messages[0].content
    assert sampled(seed=7) != sampled(seed=8)
    assert sampled() != sampled(Prompt("p2", PROMPT.messages))


def test_white_space_around_a_response_is_dropped_and_an_empty_one_is_left_to_the_caller():
    assert sampled(engine=CountingEngine(lambda messages, sampling: "\n an egg \n"))[0].text == "an egg"
    assert sampled(engine=CountingEngine(lambda messages, sampling: "  "))[0].text == ""


def test_a_conversation_that_does_not_fit_is_refused():
    with pytest.raises(RequestTooLong):
        sampled(conversation(500, 10, 10), CountingEngine(context_length=300))


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((500, 10, 10), [2]), ((500, 10, 10, 10, 10), [2, 3, 4]), ((10, 500, 10, 10, 10), [2, 3, 4])],
)
@pytest.mark.parametrize("system", [False, True])
def test_the_oldest_exchanges_are_dropped_when_asked_and_the_system_turn_stays(lengths, kept, system):
    engine = CountingEngine(context_length=300)
    sampled(conversation(*lengths, system=system), engine, overlong="drop-oldest")
    messages = engine.requests[-1][0]
    roles = [message.role for message in messages]
    assert roles == ["system"] * system + ["user", "assistant"] * (len(kept) // 2) + ["user"]
    assert [int(m.content.split()[0][4:]) for m in messages[system:]] == kept


@pytest.mark.parametrize("system", [False, True])
def test_a_last_turn_that_does_not_fit_alone_is_refused_even_so(system):
    with pytest.raises(RequestTooLong):
        sampled(
            conversation(10, 10, 500, system=system),
            CountingEngine(context_length=300),
            overlong="drop-oldest",
        )
