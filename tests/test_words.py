"""What a word is, in scripts of all kinds."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.words import find_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 2 late, snake_case!", ["It", "s", "2", "late", "snake_case"]),
        ("cafe\u0301 na\u00efve", ["cafe\u0301", "na\u00efve"]),
        ("किसी की किवाड़", ["किसी", "की", "किवाड़"]),
        ("என் வீட்டாரை", ["என்", "வீட்டாரை"]),
        ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("我怎么 テスト", ["我", "怎", "么", "テ", "ス", "ト"]),
        ("상사를 속이지", ["상사를", "속이지"]),
        ("?! … —", []),
    ],
)
def test_marks_belong_to_their_letter_and_spaces_part_words_where_there_are_spaces(text, words):
    assert find_words(text) == words


@given(st.text(max_size=80))
def test_every_letter_and_digit_is_in_a_word_and_none_is_lost(text):
    found = "".join(find_words(text))
    assert [char for char in found if char.isalnum()] == [char for char in text if char.isalnum()]
    assert all(unicodedata.category(char) not in ("Zs", "Cc") for char in found)
