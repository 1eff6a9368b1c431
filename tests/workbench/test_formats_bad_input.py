"""Whatever a file holds, an import ends with a result or with a sentence and a place: never a crash."""

import json
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutional.errors import InputError
from constitutional.workbench.formats.importing import import_files
from constitutional.workbench.formats.table import FORMATS
from constitutional.workbench.formats.yaml_writer import (
    constitution_yaml,
    examples_yaml,
    preference_examples_yaml,
)
from tests.workbench.formats_strategies import PIECES, raw_texts

ENTRY = '{"prompt": ["\\n\\nCritiqueRequest: a\\n\\nCritique:"], "edit_request": "b"}'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "in.json"


def refusal(path, content, **options):
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        import_files([path], id="x", **options)
    assert all(problem.place and problem.place.path == path for problem in caught.value.problems)
    return str(caught.value).replace(str(path), "IN")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "IN: the file is empty"),
        (" \n", "IN: the file is empty"),
        (b"\xef\xbb\xbf", "IN: the file is empty"),
        (b"\xff\xfe[\x00]\x00", "IN:1: not valid UTF-8"),
        ('["a"', "IN:1:5: not valid JSON"),
        ('{\n "a": "b",\n}', "IN:3:1: not valid JSON"),
        ('["a"] x', "IN:1:7: not valid JSON: extra data"),
        ("[1e999, 7]", "numbers"),
        ('["a\nb"]', "IN:1:4: not valid JSON"),
        (f'{{"a": {ENTRY}, "a": {ENTRY}}}', "IN: a: duplicate key 'a'"),
        ('{"x": {"prompt": ["a"], "edit_request": NaN}}', "IN: x.edit_request: NaN is not JSON"),
        ('[{"a": [-Infinity]}]', "IN: [0].a[0]: -Infinity is not JSON"),
        ('["a\\u0000 Options:"]', "IN: [0]: the character U+0000 is not allowed"),
        ('["a\\ud800 Options:"]', "IN: [0]: the character U+D800 is not allowed"),
        ('{"a\\u001b": 1}', "the character U+001B is not allowed in the key"),
        ('{"a b": {"c": "\\u0007"}}', 'IN: ["a b"].c: the character U+0007'),
        (b'["\xed\xa0\x80"]', "IN:1: not valid UTF-8"),
        (b'["\x00"]', "IN:1:3: the control character U+0000"),
        ("[" * 60 + "]" * 60, "nested deeper than 50 levels"),
        ("[" * 1_000_000, "nested deeper than 50 levels"),
        ('["x", "]\\"]", ' + "\n" + '{"a":' * 500_000, "IN:2:246: nested deeper than 50 levels"),
        ('["' + "a" * 5_000_000 + '"]', "IN: the file is larger than 5,000,000 bytes"),
        ("[" + "9" * 1_000_000 + "]", "a list of 1 (numbers)"),
        (json.dumps(["Which? Options:"] * 6000), "this looks like data"),
        ('"' + '\\"' * 100_000, "not valid JSON"),
    ],
    ids=range(25),
)
def test_a_broken_file_is_one_sentence_with_its_place(path, content, message):
    assert message in refusal(path, content)


def test_files_that_are_none_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("missing.json", "..", "pipe", "loop", "x" * 300, "a\0b"):
        with pytest.raises(InputError) as caught:
            import_files([tmp_path / name], id="x")
        assert caught.value.problems[0].place.path == tmp_path / name


@pytest.mark.parametrize("id", ["..", "../x", "A", "", "a b", "x" * 101, "a\0"])
def test_an_id_that_is_none_is_refused(path, id):
    path.write_text('["Which? Options:"]')
    with pytest.raises(InputError, match="is not an id"):
        import_files([path], id=id)


@pytest.mark.parametrize(
    "text", ["לא לשקר", "لا تكذب", "不要说谎", "ne mens pas", "\u202eevil", "👩‍👩‍👧", "Çok güzel"]
)
def test_other_languages_come_through(tmp_path, text):
    path = tmp_path / "in.txt"
    path.write_text(f"{text}\n", encoding="utf-8")
    found = import_files([path], id="x", lines_as="preference")
    assert found.constitution.principles[0].preference == text
    assert text in constitution_yaml(found.constitution)


def test_a_text_in_which_a_frame_is_repeated_is_read_in_good_time(path):
    """All of the marks of a chain-of-thought transcript, many times, but never the last."""
    text = "\n\nHuman: Consider the following conversation between a and b:\n" + (
        "\n\n{}\n (A) [[[x]]]\n (B) [[[y]]]\n\nAssistant: Let's think step by step: z\n\nHuman: So\n" * 20_000
    )
    assert "must be a transcript" in refusal(path, json.dumps([{"prompt": text}]))


# ------------------------------------------------------------------------------- fuzz

KEYS = st.sampled_from(
    ["prompt", "edit_request", "critic", "revision", "constitutions", "system_chat", "name", "critique_request",
     "revision_request", "corrects", "incorrects", "role", "content", "id", "x", "", "principles"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | raw_texts | PIECES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
GOOD = [
    f'{{"x": {ENTRY}}}',
    '["\\nWhich is kinder? Options:"]',
    '{"constitutions": [{"critic": "a", "revision": "b"}], "system_chat": [[{"role": "user", "content": "c"}]]}',
    '[{"name": "a", "critique_request": "b", "revision_request": "c"}]',
    '["\\n\\nHuman: a\\n\\nAssistant: b\\n\\nCritiqueRequest: c\\n\\nCritique: d\\n\\nRevisionRequest: e\\n\\nRevision: f"]',
    '[{"prompt": "\\n\\nHuman: a\\n\\nAssistant:", "corrects": ["b"], "incorrects": ["c"]}]',
    'id,critique,revision,preference,weight,tags,source\n"a","b","c","d",1.5,"e; f",g\n',
    "- name: a\n  critique_request: b\n  revision_request: c\n",
    "# rules\n- Be kind.\n",
]


@st.composite
def mutated(draw):
    """A good file with some of its characters removed, repeated, replaced or exchanged."""
    text = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 6)))
        text = (
            text[:at]
            + draw(PIECES | st.sampled_from(["", '"', "{", "[", "]", "}", ",", "\n", text[at:end] * 2]))
            + text[end:]
        )
    return text


CONTENTS = (
    VALUES.map(json.dumps).map(str.encode)
    | mutated().map(str.encode)
    | st.binary(max_size=60)
    | st.lists(PIECES).map("".join).map(str.encode)
)
NAMES = st.sampled_from(["in.json", "in.yaml", "in.csv", "in.txt", "in"])


def never_crashes(folder, content, name, format, lines_as):
    path = folder / name
    path.write_bytes(content)
    try:
        found = import_files([path], id="x", format=format, lines_as=lines_as)
    except InputError as error:
        assert str(error)
        assert all(problem.place and problem.place.path == path for problem in error.problems)
        return
    if found.constitution:
        assert constitution_yaml(found.constitution)
    if found.examples:
        assert examples_yaml(found.examples)
    if found.preference_examples:
        assert preference_examples_yaml(found.preference_examples)


FUZZ = {
    "content": CONTENTS,
    "name": NAMES,
    "format": st.none() | st.sampled_from(sorted(FORMATS)),
    "lines_as": st.sampled_from(["rule", "critique", "preference"]),
}
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=200, suppress_health_check=QUIET)
@given(**FUZZ)
def test_whatever_a_file_holds_nothing_crashes(tmp_path, content, name, format, lines_as):
    never_crashes(tmp_path, content, name, format, lines_as)


@pytest.mark.slow
@settings(max_examples=12_000, suppress_health_check=QUIET)
@given(**FUZZ)
def test_nothing_crashes_in_twelve_thousand_cases(tmp_path, content, name, format, lines_as):
    never_crashes(tmp_path, content, name, format, lines_as)


@pytest.mark.slow
def test_nothing_crashes_on_the_real_files_with_bytes_changed(tmp_path, real_data):
    random_bytes = random.Random(0)
    for source in sorted((real_data / "cai-paper" / "prompts").glob("*.json")):
        good = source.read_bytes()
        for _ in range(300):
            bad = bytearray(good)
            for _ in range(random_bytes.randint(1, 5)):
                at = random_bytes.randrange(len(bad))
                bad[at : at + random_bytes.randint(0, 3)] = random_bytes.randbytes(random_bytes.randint(0, 3))
            never_crashes(tmp_path, bytes(bad), "in.json", None, "rule")
