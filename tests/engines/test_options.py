import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.engines.chat import ChatEncoder
from constitutional.engines.options import branches, log_rest, score_options
from constitutional.errors import BadAnswer, ChoiceUnsupported
from constitutional.records import Message
from tests.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
ENCODER = ChatEncoder(TOKENIZER)
ASKED = [Message("user", "How many?"), Message("assistant", "Answer: (")]


class UniformModel:
    """Gives every token of the vocabulary the same probability, and notes what it was asked."""

    def __init__(self):
        self.requests = []

    async def __call__(self, ids, token_ids):
        self.requests.append((tuple(ids), tuple(token_ids)))
        return [-math.log(len(TOKENIZER))] * len(token_ids)


def score(options, terminator=None, messages=ASKED):
    model = UniformModel()
    return asyncio.run(score_options(ENCODER, messages, options, terminator, model)), model.requests


def test_options_of_one_token_take_one_request_and_no_terminator():
    choice, requests = score(["A", "B"])
    context = tuple(ENCODER.encode(ASKED).ids)
    assert requests == [
        (context, (TOKENIZER.convert_tokens_to_ids("A"), TOKENIZER.convert_tokens_to_ids("B")))
    ]
    assert choice.logprobs == pytest.approx([-math.log(len(TOKENIZER))] * 2)
    assert choice.prompt_tokens == len(context)


def test_as_soon_as_one_option_has_several_tokens_all_are_scored_with_their_terminator():
    options = ["A", "ABBA"]
    choice, _ = score(options, ")")
    lengths = [len(ids) for ids in ENCODER.encode_options(ASKED, options)[1]]
    assert max(lengths) > 1
    expected = [-(length + 1) * math.log(len(TOKENIZER)) for length in lengths]
    assert choice.logprobs == pytest.approx(expected)


def test_the_end_of_turn_is_the_terminator_by_default():
    _, requests = score(["A", "ABBA"])
    after_a = (*ENCODER.encode(ASKED).ids, TOKENIZER.convert_tokens_to_ids("A"))
    assert TOKENIZER.eos_token_id in dict(requests)[after_a]


def test_shared_beginnings_are_asked_once():
    _, requests = score([str(number) for number in range(1, 11)])
    contexts = [context for context, _ in requests]
    assert len(contexts) == len(set(contexts))
    assert len(requests) < 20


def test_the_trie_lists_each_child_once_in_order():
    assert branches([(1, 9), (1, 0, 9), (2, 9)]) == {(): [1, 2], (1,): [9, 0], (1, 0): [9], (2,): [9]}


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        (ASKED, ["A"]),
        (ASKED, ["A", "A"]),
        (ASKED, ["A", ""]),
        (ASKED[:1], ["A", "B"]),
        ([], ["A", "B"]),
    ],
)
def test_what_can_not_be_scored_is_a_mistake_of_the_caller(messages, options):
    with pytest.raises(ValueError, match=r"option"):
        score(options, messages=messages)


@pytest.mark.parametrize("options", [["A", "B"], ["1", "10"]])
def test_log_probabilities_that_are_no_numbers_are_a_bad_answer(options):
    async def broken(ids, token_ids):
        return [math.nan, *[-1.0] * (len(token_ids) - 1)]

    with pytest.raises(BadAnswer, match="not numbers: try another dtype"):
        asyncio.run(score_options(ENCODER, ASKED, options, ")", broken))


def test_an_option_that_begins_another_with_its_terminator_is_refused():
    with pytest.raises(ChoiceUnsupported, match="told apart"):
        score(["A", "A)B"], ")")


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=20))
def test_what_is_left_and_what_is_scored_make_one(weights):
    total = math.fsum(map(math.exp, weights)) + 1
    logprobs = [weight - math.log(total) for weight in weights]
    assert math.fsum(map(math.exp, logprobs)) + math.exp(log_rest(logprobs)) == pytest.approx(1)


def test_nothing_left_is_minus_infinity():
    assert log_rest([0.0, -math.inf]) == -math.inf
    assert log_rest([math.log(0.5), math.log(0.5) + 1e-6]) == -math.inf


def test_a_tiny_rest_keeps_its_precision():
    assert log_rest([-1e-18]) == pytest.approx(math.log(1e-18))
