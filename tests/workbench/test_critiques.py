"""What critiques say: whether they find something, told in doubt by "yes", and how alike they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.workbench import critiques
from constitutional.workbench.critiques import CritiqueSample, finds_nothing, words


@pytest.mark.parametrize(
    "critique",
    [
        "The response is harmless.",
        "The assistant's last response is perfectly fine as it is.",
        "The response names the risks and stays calm. There is nothing harmful in it.",
        "I read it twice.\nNo changes are needed.",
        "It answers the question. I can't find anything offensive here.",
        "The response does not contain any illegal or unethical advice.",
        "The response isn't harmful, unethical or dangerous.",
        "I see no problems with this response!",
        "No issues.",
        "None.",
        "The reply is polite and honest",
        "Overall, the response is not biased.",
    ],
)
def test_a_critique_that_plainly_says_all_is_well_finds_nothing(critique):
    assert finds_nothing(critique)


@pytest.mark.parametrize(
    "critique",
    [
        "",
        "The response tells the user how to pick a lock.",
        "The response is harmless, but it is rude.",
        "The response is fine. However, nothing harmful is named.",
        "The response could be kinder. There is nothing illegal in it.",
        "There is nothing helpful in the response.",
        "The response does not contain any warning.",
        "The response does not contain an apology.",
        "The response does not answer the question.",
        "The response is harmless. It tells the user to hit back.",
        "The response is not harmless.",
        "The response is not fine.",
        "The response is not only harmful, it is illegal.",
        "No, it does not help anyone.",
        "The user is fine.",
        "There is nothing harmful: the joke is only cruel.",
        "The response is good at insulting people.",
        "La réponse ne pose aucun problème.",
    ],
)
def test_in_doubt_a_critique_found_something(critique):
    assert not finds_nothing(critique)


@given(st.text())
def test_no_text_is_too_strange_to_be_read(text):
    assert finds_nothing(text) in (True, False)
    assert all(word.strip() for word in words(text))


def test_words_have_no_case_and_no_punctuation():
    assert words("Don't — STOP, it’s  fine!") == ["don't", "stop", "it’s", "fine"]


@pytest.mark.parametrize(
    ("text", "count"),
    [("これはだめです", 7), ("不要这样做。", 5), ("ไม่ดี", 5), ("لا تفعل هذا", 3), ("하지 마세요", 2)],
)
def test_scripts_without_spaces_are_compared_by_character(text, count):
    assert len(words(text)) == count


def sample(*chains, size=1000):
    made = CritiqueSample(size)
    for number, chain in enumerate(chains):
        made.add(f"c{number}", [(tuple(ids.split()), text) for ids, text in chain])
    return made


def likeness(made, first, second):
    (found,) = [x for x in made.likenesses(sorted({first, second})) if {x.first, x.second} == {first, second}]
    return found


def test_likeness_is_the_share_of_words_in_common_and_in_order():
    made = sample([("a", "one two three four"), ("b", "one three four five")])
    assert likeness(made, "a", "b").same_chain.value == pytest.approx(6 / 8)


def test_critiques_of_two_principles_are_compared_on_the_same_chain_and_on_others_apart():
    made = sample(
        [("a", "it is rude"), ("b", "it is rude")],
        [("a", "this harms children badly"), ("b", "this harms children badly")],
    )
    found = likeness(made, "a", "b")
    assert (found.same_chain.value, found.same_chain.n, found.same_chain.chains) == (1, 2, 2)
    assert (found.elsewhere, found.pairs) == (0, 2)


def test_a_principle_is_compared_with_itself_on_different_chains():
    made = sample([("a", "it is rude")], [("a", "It is rude!")], [("a", "not at all")])
    found = likeness(made, "a", "a")
    assert found.same_chain is None
    assert (found.elsewhere, found.pairs) == (pytest.approx(1 / 3), 3)


def test_two_rounds_of_one_chain_are_no_two_chains():
    made = sample([("a", "it is rude"), ("a", "it is rude")])
    found = likeness(made, "a", "a")
    assert (found.elsewhere, found.pairs) == (None, 0)
    assert found.same_chain.value == 1


def test_a_critique_of_two_principles_together_is_not_compared_with_itself():
    made = sample([("a b", "it is rude"), ("a c", "this harms")])
    assert likeness(made, "b", "c").same_chain.value == 0
    assert likeness(made, "a", "b").same_chain.n == 1


def test_the_sample_is_the_same_in_any_order_and_of_stated_size(monkeypatch):
    monkeypatch.setattr(critiques, "SAMPLE", 10)
    chains = [(f"c{n}", [(("a",), f"word{n % 7} again and word{n % 5}")]) for n in range(60)]
    found = []
    for order in (chains, chains[::-1]):
        made = CritiqueSample(60)
        for id, texts in order:
            made.add(id, texts)
        found.append(likeness(made, "a", "a"))
    assert found[0] == found[1]
    assert found[0].pairs == 10 * 9 / 2


def test_of_many_chains_some_are_compared_within(monkeypatch):
    monkeypatch.setattr(critiques, "SAME_CHAIN_SAMPLE", 100)
    made = sample(*[[("a", f"say {n}"), ("b", f"say {n} too")] for n in range(1000)])
    assert 60 < likeness(made, "a", "b").same_chain.n < 140


def test_empty_critiques_are_alike():
    made = sample([("a", ""), ("b", "")], [("a", "")])
    assert likeness(made, "a", "b").same_chain.value == 1
    assert likeness(made, "a", "a").elsewhere == 1
