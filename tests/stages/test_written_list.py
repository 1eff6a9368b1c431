"""Lists as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.stages.written_list import ListItem, read_list


def texts(text, **more):
    return [item.text for item in read_list(text, **more)]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. One?\n2. Two?", ["One?", "Two?"]),
        ("1) One?\n(2) Two?\n3: Three?", ["One?", "Two?", "Three?"]),
        ("Sure, here they are:\n\n1. One?\n\n2. Two?\n\nI hope this helps!", ["One?", "Two?"]),
        ("1. One\n   goes on\n2. Two", ["One goes on", "Two"]),
        ("1.\nOne?\n2.\n\nTwo?", ["One?", "Two?"]),
        ("**1.** One?\n**2**. Two?", ["One?", "Two?"]),
        ("- One?\n* Two?\n• Three?", ["One?", "Two?", "Three?"]),
        ("1. One?\n- not a number", ["One? - not a number"]),
        ("1. \"One?\"\n2. “Two?”\n3. **Three?**\n4. 'Four?'", ["One?", "Two?", "Three?", "Four?"]),
        ('1. Say "yes" or "no"', ['Say "yes" or "no"']),
        ('1. Prompt 1: One?\n2. **Question:** Two?\n3. "User: Three?"', ["One?", "Two?", "Three?"]),
        ("1.   \n2. Two?", ["Two?"]),
        ("7. Seven?\n3. Three?", ["Seven?", "Three?"]),
        ("In 1999. Nothing else.", []),
        ("There is no list here.", []),
        ("", []),
    ],
)
def test_the_items_are_what_the_numbers_begin(text, items):
    assert texts(text) == items


def test_where_the_turn_ends_in_a_number_the_answer_begins_with_its_item():
    assert texts(" One?\n4. Two?", lead="1. Seed\n2. Seed\n3.") == ["One?", "Two?"]
    assert texts(" One?", lead="Here is a list:") == []
    assert texts("\n\nWell.\n1. One?", lead="3.") == ["One?"]
    assert texts("", lead="3.") == []


def test_only_the_last_item_of_an_answer_that_was_cut_off_is_cut():
    assert read_list("1. One?\n2. Tw", truncated=True) == (ListItem("One?"), ListItem("Tw", cut=True))
    assert read_list("1. One?\n2. Tw") == (ListItem("One?"), ListItem("Tw"))
    assert read_list("1. One?\n", truncated=True) == (ListItem("One?"),)
    assert read_list("1. One?\n\nI hope th", truncated=True) == (ListItem("One?"),)


LINE = st.text(
    alphabet=st.characters(
        categories=["Ll", "Lu", "Po", "Zs"], exclude_characters="*_`:：\"'#•‣\u2028\u2029"
    ),
    min_size=1,
).map(lambda text: " ".join(text.split()))


@given(st.lists(LINE.filter(lambda line: any(map(str.isalpha, line))), min_size=1, max_size=8))
def test_what_was_numbered_comes_back(lines):
    assert texts("\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))) == lines


@given(st.text(max_size=300), st.sampled_from(["", "1.", "x\n12.", "a list:"]), st.booleans())
def test_no_text_is_too_strange(text, lead, truncated):
    items = read_list(text, lead=lead, truncated=truncated)
    assert all(item.text == " ".join(item.text.split()) and item.text for item in items)
    assert not any(item.cut for item in items[:-1]) and (truncated or not any(item.cut for item in items))
