"""Reading counted answers: nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.stages.answers import read_answer


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "A)",
        " A).",
        "(A)",
        "**A**",
        '"A"',
        "A.",
        "A: it is kinder",
        "\nA\n",
        "[A]",
        "A) because it",
        "The better one is (A).",
    ],
)
def test_an_answer_that_names_an_option_is_read(text):
    assert read_answer(text, ("A", "B")) == 0
    assert read_answer(text.replace("A", "B"), ("A", "B")) == 1


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "C)",
            "a)",
            "A good response is the second.",
            "A's tone is better",
            "Both",
            "Neither (A) nor (B)",
        ),
        *("A) is worse than (B)", "(A) or (B)", "Apple", "the first one", "AB)", "I can't say. A"),
    ],
)
def test_an_answer_that_may_mean_something_else_is_not_read(text):
    assert read_answer(text, ("A", "B")) is None


def test_options_may_be_any_texts_and_one_may_begin_the_other():
    assert read_answer("first.", ("first", "second")) == 0
    assert read_answer("10", ("1", "10")) == 1
    assert read_answer("1)", ("1", "10")) == 0
    assert read_answer("(.*)", (".*", "B")) == 0


@given(st.text(max_size=30), st.sampled_from([("A", "B"), ("first", "second"), ("1", "2")]))
def test_no_text_is_read_as_an_option_that_it_does_not_hold(text, options):
    index = read_answer(text, options)
    assert index is None or options[index] in text
