"""Pairs of one prompt's responses: how they are drawn, drawn again, paired and ordered."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional import Generation, Message, Prompt, load_prompt_set
from constitutional.assignment import draw_seed, request_seed
from constitutional.errors import ConfigError, RequestTooLong
from constitutional.stages.compare import Comparer, CompareSettings, compare, second_comes_first
from tests.helpers import PROMPT_SET, CountingEngine

PROMPTS = load_prompt_set(PROMPT_SET)
PROMPT = Prompt("p1", (Message("user", "How do I boil an egg?"),), "a response that came along")


def sampled(engine=None, prompt=PROMPT, **settings):
    made = CompareSettings(**settings)
    return asyncio.run(compare(prompt, engine or CountingEngine(), prompts=PROMPTS, settings=made))


def in_turn(*texts):
    """An engine that gives one text after another."""
    left = list(texts)
    return CountingEngine(lambda messages, sampling: left.pop(0))


def drawn(found):
    """The texts of each pair in the order of their draws."""
    return [tuple(step.text for step in pair.responses) for pair in found.pairs]


# Sampling


def test_two_responses_make_one_comparison_with_the_prompts_id():
    engine = CountingEngine()
    found = sampled(engine)
    (comparison,) = found.comparisons
    assert (comparison.id, comparison.prompt) == ("p1", PROMPT.messages)
    assert len(engine.requests) == 1 and engine.requests[0][0] == PROMPT.messages
    assert set(comparison.responses) == {step.text for step in found.responses}
    assert comparison.responses[0] != comparison.responses[1]


def test_k_responses_make_disjoint_pairs_with_numbers():
    found = sampled(samples=6)
    assert [pair.id for pair in found.pairs] == ["p1#0", "p1#1", "p1#2"]
    texts = [step.text for step in found.responses]
    assert drawn(found) == list(zip(texts[::2], texts[1::2], strict=True))
    assert len(set(texts)) == 6


def test_more_samples_keep_those_there_are():
    assert sampled(samples=4).responses[:2] == sampled(samples=2).responses


def test_each_response_may_have_a_temperature_of_its_own():
    engine = CountingEngine(lambda messages, sampling: f"T={sampling.temperature} {sampling.seed}")
    found = sampled(engine, samples=4, temperature=(1.0, 0.5, 0.5, 1.0))
    assert [step.text[:5] for step in found.responses] == ["T=1.0", "T=0.5", "T=0.5", "T=1.0"]
    assert [pair.temperatures for pair in found.pairs] == [(1.0, 0.5), (0.5, 1.0)]
    assert len({step.text for step in found.responses}) == 4
    for pair in found.pairs:
        row = pair.to_row()
        assert [f"T={t}" for t in row["temperatures"]] == [text[:5] for text in row["responses"]]


def test_the_seeds_are_hashes_of_the_runs_seed_the_prompts_id_and_the_temperature():
    engine = CountingEngine()
    sampled(engine, seed=7, temperature=(1.0, 0.7))
    steps = [sampling.seed for _, sampling in engine.requests]
    assert steps == [request_seed(7, "compare", "p1", f"respond:{t}") for t in (1.0, 0.7)]
    assert sampled(seed=7).responses != sampled(seed=8).responses
    assert sampled().responses != sampled(prompt=Prompt("p2", PROMPT.messages)).responses


def test_both_draws_of_one_temperature_are_draws_of_one_request():
    engine = CountingEngine(lambda messages, sampling: str(sampling.seed))
    seed = request_seed(0, "compare", "p1", "respond:1.0")
    assert [step.text for step in sampled(engine).responses] == [str(seed), str(draw_seed(seed, 1))]


def test_the_settings_reach_the_request():
    engine = CountingEngine()
    sampled(engine, temperature=0.3, top_p=0.9, top_k=5, max_tokens=17)
    ((_, sampling),) = engine.requests
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_tokens) == (0.3, 0.9, 5, 17)


def test_one_sample_is_a_response_without_a_pair():
    found = sampled(samples=1)
    assert (len(found.responses), found.pairs, found.comparisons, found.reason) == (1, (), (), None)


# Order


def test_which_response_comes_first_is_a_hash_and_no_temperature_is_always_first():
    first = [
        sampled(prompt=Prompt(f"p{n}", PROMPT.messages), temperature=(1.0, 0.5))
        .pairs[0]
        .to_row()["temperatures"][0]
        for n in range(200)
    ]
    assert 70 < first.count(1.0) < 130  # 100 ± 4 standard deviations of a fair coin
    assert first.count(1.0) + first.count(0.5) == 200
    assert first[:20] == [0.5 if second_comes_first(0, f"p{n}") else 1.0 for n in range(20)]


def test_another_seed_tosses_another_coin():
    ids = [f"p{n}" for n in range(64)]
    assert [second_comes_first(0, id) for id in ids] != [second_comes_first(1, id) for id in ids]


# Drawing again


def test_equal_responses_are_drawn_again_until_they_differ():
    found = sampled(in_turn("same", " same\n", "same", "other"))
    assert drawn(found) == [("same", "other")]
    assert (found.pairs[0].redraws, found.reason) == (2, None)


def test_each_redraw_has_a_seed_of_its_own():
    engine = CountingEngine(lambda messages, sampling: "same")
    sampled(engine, redraws=3, samples=4)
    seeds = [sampling.seed for _, sampling in engine.requests]
    assert len(set(seeds)) == len(seeds) == 1 + 2 * 3


def test_a_pair_that_stays_equal_is_left_out_with_the_reason():
    engine = CountingEngine(lambda messages, sampling: "same")
    found = sampled(engine, redraws=2)
    assert (found.comparisons, found.reason, len(engine.requests)) == ((), "identical_responses", 3)
    assert found.pairs[0].redraws == 2
    assert len(sampled(in_turn("same", "same"), redraws=0).comparisons) == 0


def test_an_empty_response_is_drawn_again_whichever_of_the_two_it_is():
    assert drawn(sampled(in_turn(" ", "a", "b"))) == [("b", "a")]
    assert drawn(sampled(in_turn("a", "", "b"))) == [("a", "b")]
    assert drawn(sampled(in_turn("", "", "a", "b"))) == [("a", "b")]
    found = sampled(in_turn("a", "", "", "", ""))
    assert (found.comparisons, found.reason) == ((), "empty_response")


def test_one_sample_that_is_empty_is_drawn_again_too():
    found = sampled(in_turn("", "a"), samples=1)
    assert (found.responses[0].text, found.redraws) == ("a", 1)
    found = sampled(in_turn("", "", "", ""), samples=1)
    assert (found.reason, found.redraws) == ("empty_response", 3)


def test_of_two_equal_responses_the_one_that_varies_most_is_drawn_again():
    engine = CountingEngine(lambda m, s: "same" if len(engine.requests) < 3 else f"new at {s.temperature}")
    found = sampled(engine, temperature=(0.9, 0.0))
    assert drawn(found) == [("new at 0.9", "same")]


def test_what_no_draw_can_change_is_not_drawn_again():
    engine = CountingEngine(lambda messages, sampling: "" if sampling.temperature == 0 else "b")
    found = sampled(engine, temperature=(0.0, 1.0))
    assert (found.reason, len(engine.requests)) == ("empty_response", 2)


def test_a_bad_pair_does_not_spoil_a_good_one():
    found = sampled(in_turn("x", "x", "a", "b"), samples=4, redraws=0)
    assert [pair.reason for pair in found.pairs] == ["identical_responses", None]
    assert [c.id for c in found.comparisons] == ["p1#1"] and found.reason is None


def test_redraws_are_those_of_all_pairs():
    assert sampled(in_turn("x", "x", "", "b", "y", "a"), samples=4).redraws == 1 + 1


def test_a_truncated_response_is_kept_and_says_so():
    cut = [Generation("cut o", "length"), Generation("whole", "stop")]
    found = sampled(CountingEngine(lambda messages, sampling: cut.pop(0)))
    row = found.pairs[0].to_row()
    assert dict(zip(row["responses"], row["finish_reasons"], strict=True)) == {
        "cut o": "length",
        "whole": "stop",
    }
    assert len(found.comparisons) == 1


@given(st.lists(st.sampled_from(["", "a", "b"]), min_size=40, max_size=40), st.integers(0, 5))
def test_a_comparison_has_two_different_responses_that_are_not_empty(texts, redraws):
    found = sampled(in_turn(*texts), samples=4, redraws=redraws)
    for pair, comparison in zip([p for p in found.pairs if p.reason is None], found.comparisons, strict=True):
        assert all(comparison.responses) and len(set(comparison.responses)) == 2
        assert pair.redraws <= redraws
    assert all(p.redraws == redraws for p in found.pairs if p.reason is not None)


# Conversations that do not fit


def test_a_conversation_that_does_not_fit_is_refused_or_loses_its_oldest_turns():
    turns = tuple(
        Message("user" if n % 2 == 0 else "assistant", f"turn{n} " * length)
        for n, length in enumerate((500, 10, 10))
    )
    with pytest.raises(RequestTooLong):
        sampled(CountingEngine(context_length=300), Prompt("long", turns))
    found = sampled(
        CountingEngine(context_length=300),
        Prompt("long", turns),
        overlong="drop-oldest",
        temperature=(1, 0.5),
    )
    assert (found.prompt, found.dropped_turns) == (turns[2:], 2)
    assert found.comparisons[0].prompt == turns[2:]


# Settings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"samples": 3}, "even number"),
        ({"samples": 4, "temperature": (1.0, 0.5)}, "2 temperatures for 4 responses"),
        ({"temperature": 0}, "temperature 0"),
        ({"samples": 4, "temperature": (1.0, 0.5, 0.0, 0.0)}, "temperature 0"),
    ],
)
def test_settings_that_can_make_no_pairs_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        CompareSettings(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1}, {"temperature": float("nan")}, {"temperature": ()}, {"samples": 0}, {"redraws": -1},
     {"temprature": 1}, {"temperature": (1.0, 11.0)}],
)  # fmt: skip
def test_settings_that_are_none_are_refused(settings):
    with pytest.raises(ConfigError):
        CompareSettings(**settings)


def test_one_response_may_be_greedy():
    assert sampled(temperature=(0.0, 1.0)).comparisons
    assert sampled(samples=1, temperature=0).responses


def test_the_key_is_that_of_the_prompt_and_the_settings():
    def key(prompt=PROMPT, **settings):
        return Comparer(PROMPTS, CompareSettings(**settings)).key(prompt)

    assert key() == key(Prompt("p1", PROMPT.messages))  # the response that came along counts for nothing
    others = [
        key(Prompt("p2", PROMPT.messages)),
        key(Prompt("p1", (Message("user", "?"),))),
        *(
            key(**{name: value})
            for name, value in [("seed", 1), ("samples", 4), ("temperature", 0.5), ("redraws", 1)]
        ),
    ]
    assert len({key(), *others}) == 1 + len(others)
