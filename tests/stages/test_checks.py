"""Checks of a revision: each with texts that fail it and texts, some of them near, that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.records import Step
from constitutional.stages.checks import CHECKS, failed_checks, is_clean

BEFORE = "You could climb over the fence at night when nobody is looking, and take what you like."
CRITIQUE = "It tells the user how to trespass and how to steal without warning of what that does to others."
EXAMPLE = "I would rather not help with that, but a locksmith can open your own door within the hour."
GOOD = "Climbing over that fence would be trespass; please ask the owner whether you may come in."


def checks(text, *, finish_reason="stop", before=BEFORE, critique=CRITIQUE, **more):
    return failed_checks(Step(text, finish_reason, 0, 0), before=before, critique=critique, **more)


def test_a_good_revision_fails_nothing():
    assert checks(GOOD, examples=[EXAMPLE], prompt="How do I get over the fence?") == ()


def test_no_text_is_empty_and_nothing_else():
    assert checks("", finish_reason="length", before="") == ("empty",)


def test_a_text_cut_off_by_the_limit_is_truncated():
    assert checks(GOOD, finish_reason="length") == ("truncated",)


@pytest.mark.parametrize("text", [BEFORE, BEFORE.upper(), f"  {BEFORE.replace(',', ' --')}\n", f"“{BEFORE}”"])
def test_the_same_words_are_unchanged(text):
    assert checks(text) == ("unchanged",)


def test_one_word_more_is_a_change():
    assert checks(BEFORE + " Don't.") == ()
    assert checks("Nein!", before="Ja!") == ()
    assert checks("!!", before="??") == ()


@pytest.mark.parametrize(
    "text",
    [
        "The response is harmful because it tells the user how to steal.",
        "The assistant's last response encourages trespassing.",
        "The assistant should have asked whose fence it is.",
        "This response, while polite, is dangerous.",
        "Your previous answer gave instructions.",
        "The answer is not helpful, and rude as well.",
        "The response doesn't say whose fence it is.",
        "Overall, the response fails to warn the user.",
        "In the original response, the user is told to climb.",
        "The response: it is rude.",
        "Critique: it is rude.",
        "Revision request: make it kind.",
        "CRITIQUE REQUEST: say how.",
    ],
)
def test_a_text_about_the_response_is_a_critique(text):
    assert checks(text, critique=None) == ("critique",)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 42.",
        "The answer is simple: ask first.",
        "The answer depends on who owns the fence.",
        "The answer may surprise you.",
        "The answer is to ask the owner.",
        "The answer lies in the deed of your house.",
        "The answer, as so often, is to ask.",
        "Your answer is correct: it is 4.",
        "The response time of the server is 20 ms, and its response rate 99 %.",
        "The response rates of such letters are low.",
        "The response of the body to cold is to shiver.",
        "The initial response of a dog is to bark.",
        "The response is due on Monday.",
        "The assistant manager can let you in.",
        "In response to your question: please ask the owner.",
        "Responses differ from place to place.",
        "Criticism is welcome, but climbing is not.",
        "The assistance you need is a locksmith's.",
    ],
)
def test_a_text_that_only_sounds_like_it_is_no_critique(text):
    assert checks(text, critique=None) == ()


def test_a_response_that_was_about_a_response_already_may_stay_so():
    before = "The response is harmful, so I would not send it."
    assert checks("The response is hurtful, so I would wait before I send it.", before=before) == ()


def test_a_text_that_repeats_the_critique_is_a_critique():
    assert checks(CRITIQUE) == ("critique",)
    assert checks(f"Indeed: {CRITIQUE}") == ("critique",)


def test_a_few_words_of_the_critique_are_no_repetition():
    assert checks(f"{GOOD} To steal without warning of what that does to others is wrong.") == ()


def test_a_critique_that_quotes_the_good_part_of_the_response_does_not_condemn_it():
    before = "Please ask the owner of the house whether you may come in tonight, or climb over the fence."
    kept = "Please ask the owner of the house whether you may come in tonight."
    assert checks(kept, before=before, critique=f'It says "{kept}" and then "or climb over the fence".') == ()


def test_a_repeated_example_is_a_copy():
    assert checks(EXAMPLE, examples=["Other words entirely, four of them.", EXAMPLE]) == ("copied-example",)
    assert checks(f"Well. {EXAMPLE}", examples=[EXAMPLE]) == ("copied-example",)


def test_a_response_that_was_an_example_before_is_only_unchanged():
    assert checks(EXAMPLE, before=EXAMPLE, examples=[EXAMPLE]) == ("unchanged",)


def test_the_users_message_is_a_copy_unless_it_was_there_before():
    prompt = "Tell me how to climb over the fence of my neighbour at night."
    assert checks(prompt, prompt=prompt) == ("copied-prompt",)
    assert checks(f"{prompt} Please.", prompt=prompt, before=prompt) == ()
    assert checks(GOOD, prompt="") == ()


def test_several_checks_are_named_in_their_order():
    found = checks(EXAMPLE, finish_reason="length", critique=EXAMPLE, examples=[EXAMPLE], prompt=EXAMPLE)
    assert found == ("truncated", "critique", "copied-example", "copied-prompt")
    assert [check for check in CHECKS if check in found] == list(found)


def test_every_check_says_what_it_means():
    assert all(meaning and not meaning.endswith(".") for meaning in CHECKS.values())


TEXTS = st.text(max_size=80) | st.sampled_from(
    [BEFORE, CRITIQUE, EXAMPLE, GOOD, "", " ", "\ud800", "\0", "the response "]
)


@given(
    TEXTS, TEXTS, st.none() | TEXTS, st.lists(TEXTS, max_size=3), TEXTS, st.sampled_from(["stop", "length"])
)
def test_no_text_is_too_strange_to_be_checked(text, before, critique, examples, prompt, finish_reason):
    found = failed_checks(
        Step(text, finish_reason, 0, 0), before=before, critique=critique, examples=examples, prompt=prompt
    )
    assert list(found) == [check for check in CHECKS if check in found]
    assert ("empty" in found) == (not text)
    assert found == failed_checks(
        Step(text, finish_reason, 0, 0), before=before, critique=critique, examples=examples, prompt=prompt
    )


@given(st.text(min_size=1, max_size=80))
def test_whatever_it_says_a_text_that_stays_is_unchanged(text):
    assert "unchanged" in failed_checks(Step(text, "stop", 0, 0), before=text, critique=None)


@pytest.mark.parametrize(
    ("critique", "clean"),
    [
        ("No changes needed.", True),
        ("no changes needed", True),
        ("It is kind and honest. No changes needed!", True),
        ("It is kind:\n**No changes needed.**", True),
        ("No changes needed. But it is rude.", False),
        ("I can't say that no changes needed.", False),
        ("Changes needed.", False),
        ("", False),
    ],
)
def test_a_critique_is_clean_when_it_ends_in_the_marker_as_a_sentence(critique, clean):
    assert is_clean(critique, "No changes needed.") == clean


@given(TEXTS, TEXTS)
def test_no_text_is_too_strange_to_be_searched_for_the_marker(critique, marker):
    assert is_clean(critique, marker) in (True, False)
