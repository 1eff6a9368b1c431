"""Written scores: what is one, what is none, and that nothing is ever read as one that is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.stages.rating import CONFLICTING, OUT_OF_RANGE, REASONS, UNREADABLE, read_rating


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("It is kind.\nScore: 3.50", 3.5),
        ("score: **3.50**", 3.5),
        ("**Score:** 3.50", 3.5),
        ("**Final score: 3.5**", 3.5),
        ("Score (1-5): 4", 4),
        ("Rating [1.00 to 5.00] = 4.25.", 4.25),
        ("My overall rating is 4", 4),
        ("The score is 2!", 2),
        ("Score - 4", 4),
        ("Score: [4]", 4),
        ("Score: (4)", 4),
        ("- Score: 2", 2),
        ("| Score: 4 |", 4),
        ("4/5", 4),
        ("Score: 3.50 / 5", 3.5),
        ("Score: 3,5 out of 5.00", 3.5),
        ("Score: 3,50", 3.5),
        ("(4.00)", 4),
        ("4.", 4),
        ("Score:\n4.00", 4),
        ("Score: 4\n\n---\n```", 4),
        ("It says:\n> Score: 5.00\nThat is a trick.\n1.00", 1),
        ("It says:\n> Score: 5.00\nScore: 1.00", 1),
        ("Score: 3,5000", 3.5),
        ("Score: 4\r\n", 4),
        ("Score: 3\nIn other words:\nScore: 3.00", 3),
        ("1.\nIt is kind.\n2.\nIt is short.\nScore: 4", 4),  # the numbers of a list are no scores beside one
    ],
)
def test_a_line_that_is_nothing_but_a_score_is_one(text, score):
    assert read_rating(text, 1, 5) == score


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", UNREADABLE),
        ("\n \n", UNREADABLE),
        ("I would give it a 4.", UNREADABLE),
        ("Score:", UNREADABLE),
        ("Score: four", UNREADABLE),
        ("Score: 3 or 4", UNREADABLE),
        ("Score: 3-4", UNREADABLE),
        ("Score: 4 because it is kind", UNREADABLE),
        ("Score: 3.5.1", UNREADABLE),
        ("Score: 1e0", UNREADABLE),
        ("Score: 4²", UNREADABLE),
        ("Score: 3½", UNREADABLE),
        ("Score: ٤", UNREADABLE),
        ("Score: nan", UNREADABLE),
        ("The response scores 4 of 5 points", UNREADABLE),
        ("Score: " + "4" * 200, UNREADABLE),
        ("Score: 0.99", OUT_OF_RANGE),
        ("Score: 5.01", OUT_OF_RANGE),
        ("10.", OUT_OF_RANGE),
        ("Score: -3", OUT_OF_RANGE),
        ("Score: −3", OUT_OF_RANGE),
        ("Score: 4/10", OUT_OF_RANGE),
        ("Score: " + "9" * 100, OUT_OF_RANGE),
        ("Score: 3,500", UNREADABLE),  # or three thousand five hundred
        ("Score: 4 / 5,000", UNREADABLE),
        ("> Score: 4", UNREADABLE),
        ("The response claims:\n> Score: 5.00\nThat is an attempt to cheat.", UNREADABLE),
        ("It is kind.\nIt ends with\n > **Rating: (5)**", UNREADABLE),
        ("- > Score: 5", UNREADABLE),
        ("Score: 3.50\nIt is kind.", UNREADABLE),
        ("Score: 5\nSo it claims. I say:\n1.00", CONFLICTING),
        ("Score: 3\nScore: 4", CONFLICTING),
        ("Score: 4/5\nScore: 3", CONFLICTING),
        ("3\n4", CONFLICTING),
    ],
)
def test_anything_else_has_a_reason(text, reason):
    assert read_rating(text, 1, 5) == reason


def test_a_minus_is_a_sign_and_a_dash_before_a_space_a_bullet():
    assert [read_rating(text, -5, 5) for text in ("-3", "Score: -3", "Score: −3", "**-3**", "-3.5/5")] == [
        -3,
        -3,
        -3,
        -3,
        -3.5,
    ]
    assert read_rating("- 3", -5, 5) == 3


def test_a_number_that_the_token_limit_may_have_cut_off_is_no_score():
    assert read_rating("Kind.\nScore: 1", 1, 10) == 1
    assert read_rating("Kind.\nScore: 1", 1, 10, truncated=True) == UNREADABLE
    assert read_rating("Kind.\nScore: 1\n", 1, 10, truncated=True) == 1
    assert read_rating("Score: 1\nSince it is", 1, 10, truncated=True) == UNREADABLE


def test_a_thousand_is_not_one():
    assert read_rating("Score: 1,000", 0, 1000) == read_rating("2,500", 1, 5000) == UNREADABLE
    assert read_rating("Score: 1,000.0", 0, 1000) == UNREADABLE
    assert read_rating("Score: 1000", 0, 1000) == read_rating("Score: 1000,0", 0, 1000) == 1000


NOISE = st.text(
    alphabet=st.characters(
        exclude_categories=["Nd", "Nl", "No", "Cs"], exclude_characters="\x1c\x1d\x1e\x85\u2028\u2029"
    ),
    max_size=60,
)


@given(NOISE, st.integers(100, 500), NOISE)
def test_a_last_score_line_is_found_whatever_words_are_before_it_and_never_with_words_behind_it(
    before, hundredths, after
):
    written = f"{hundredths / 100:.2f}"
    assert read_rating(f"{before}\nScore: {written}\n", 1, 5) == float(written)
    last = UNREADABLE if any(map(str.isalnum, after)) else float(written)
    assert read_rating(f"{before}\nScore: {written}\n{after}", 1, 5) == last


@given(NOISE)
def test_without_a_digit_nothing_is_a_score(text):
    assert read_rating(text, 1, 5) == UNREADABLE


@given(st.text(max_size=200), st.booleans())
def test_every_text_is_a_score_in_the_range_or_has_one_of_the_reasons(text, truncated):
    read = read_rating(text, 1, 5, truncated=truncated)
    assert read in REASONS if isinstance(read, str) else 1 <= read <= 5


@given(
    st.lists(
        st.sampled_from(
            ["Score: 2", "Score: 2.00", "Score: 4", "4", "It is kind.", "> Score: 5", "Score: 9"]
        ),
        max_size=5,
    )
)
def test_two_different_scores_are_none(lines):
    read = read_rating("\n".join(lines), 1, 5)
    if not lines or lines[-1].startswith(("It", ">")):
        assert read == UNREADABLE
        return
    said = {float(line.split()[1]) for line in lines if line.startswith("Score")}
    said |= {4.0} if lines[-1] == "4" else set()
    if len(said) > 1:
        assert read == CONFLICTING
    else:
        (value,) = said
        assert read == (value if value <= 5 else OUT_OF_RANGE)
