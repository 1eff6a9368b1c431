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
        "\nA\n",
        "[A]",
        "A) because it",
        "The better one is (A).",
        "the better one is A.",
        "A) A good one",
        "A. It is better than the other",
    ],
)
def test_an_answer_that_names_an_option_is_read(text):
    assert read_answer(text, ("A", "B"), prefix="The better one is (") == 0
    assert read_answer(text.replace("A", "B"), ("A", "B"), prefix="The better one is (") == 1


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
        *("I would not pick (A) here.", " not (A).", "Neither. Response (A) is harmful", "Not (A"),
        *("A, or B", "A, no wait: B", "A: worse than B", "A; or rather B", "A) or B)", "A\nB", "A\n\n(B)."),
        *("I doubt that the better one is (A).", "The better one is not (A)", "The better one is (A) or (B)"),
    ],
)
def test_an_answer_that_may_mean_something_else_is_not_read(text):
    for one, other in (("A", "B"), ("B", "A")):
        swapped = text.translate({ord("A"): one, ord("B"): other})
        assert read_answer(swapped, ("A", "B"), prefix="The better one is (") is None


def test_brackets_count_only_at_the_start_or_after_the_prefix():
    assert read_answer("The better one is (A).", ("A", "B")) is None
    assert read_answer("The better one is (A).", ("A", "B"), prefix="The better one is (") == 0


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("A", None),  # the next token may make it "Apple"
        ("A)", 0),
        ("A. It is the one that", 0),
        ("The better one is (A). Since it", 0),
        ("The better one is (A", None),
        ("Response (A) is more harmful than (", None),
    ],
)
def test_an_answer_that_was_cut_off_counts_only_if_its_option_is_closed(text, read):
    assert read_answer(text, ("A", "B"), prefix="The better one is (", truncated=True) == read


def test_options_may_be_any_texts_and_one_may_begin_the_other():
    assert read_answer("first.", ("first", "second")) == 0
    assert read_answer("10", ("1", "10")) == 1
    assert read_answer("1)", ("1", "10")) == 0
    assert read_answer("(.*)", (".*", "B")) == 0


@given(st.text(max_size=30), st.sampled_from([("A", "B"), ("first", "second"), ("1", "2")]))
def test_no_text_is_read_as_an_option_that_it_does_not_hold(text, options):
    index = read_answer(text, options)
    assert index is None or options[index] in text
