import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from constitutional.errors import ConfigError, InputError, Place, Problem
from constitutional.schema import FileModel, validate
from constitutional.yamlfile import MAX_BYTES, MAX_VALUES, Document, load_yaml, parse_yaml


class Step(FileModel):
    name: str
    weight: float = 1.0


class Settings(FileModel):
    title: str
    seed: int = Field(default=0, ge=0)
    flag: bool = False
    steps: list[Step] = Field(default_factory=list)
    extra: Step | None = None
    folder: Path | None = Field(default=None, strict=False)


@pytest.fixture
def load(tmp_path):
    def load(content: str | bytes) -> Document:
        path = tmp_path / "file.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_yaml(path)

    return load


def refusal(load, content):
    with pytest.raises(InputError) as caught:
        load(content)
    return caught.value


def test_values_come_with_their_places(load):
    document = load("title: x\nsteps:\n  - name: a\n    weight: 2.5\n  - {name: 'b'}\n")
    assert document.value == {"title": "x", "steps": [{"name": "a", "weight": 2.5}, {"name": "b"}]}
    assert document.positions["steps", 0, "weight"] == (4, 13)
    assert document.key_positions["steps", 1, "name"] == (5, 6)
    assert str(document.place("steps", 1, "name")) == f"{document.path}:5:12: steps.1.name"


def test_the_place_of_something_missing_is_that_of_what_should_hold_it(load):
    document = load("steps:\n  - name: a\n")
    place = document.place("steps", 0, "weight")
    assert (place.line, place.column, place.field) == (2, 5, "steps.0.weight")


def test_a_byte_order_mark_is_skipped(load):
    assert load(b"\xef\xbb\xbfa: 1\n").value == {"a": 1}


def test_scalars_are_what_yaml_makes_of_them(load):
    value = load("a: yes\nb: 2026-01-01\nc: 0x10\nd: ~\ne: '1'\nf: 1.5\ng: '='\nh: =\ni: .inf\n").value
    assert value.pop("b").year == 2026
    assert value == {"a": True, "c": 16, "d": None, "e": "1", "f": 1.5, "g": "=", "h": "=", "i": float("inf")}


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("", "empty", None),
        ("# only a comment\n", "empty", None),
        ("--- \n...\n", "must be a mapping (`key: value` lines), not nothing", 1),
        ("- a\n- b\n", "must be a mapping (`key: value` lines), not a list", 1),
        ("just text", "(`key: value` lines), not a text", 1),
        ("a: !!python/object:os.system x\n", "tags", 1),
        ("a: !local x\n", "tags", 1),
        ("x: 1\na: &anchor [1]\n", "anchors (&anchor)", 2),
        ("a: &x 1\nb: *x\n", "aliases (*x)", 2),
        ("a: 1\nb: 2\na: 3\n", "duplicate key 'a' (first on line 1)", 3),
        ("a:\n  b: 1\n  'b': 2\n", "duplicate key 'b'", 3),
        ("a: 1\n---\nb: 2\n", "second document", 2),
        ("a: 1\n<<: {b: 2}\n", "merge keys", 2),
        ("a: 1\n? [x]\n: 2\n", "a key must be a text", 2),
        ("a: 1\non: 2\n", "reads the key 'on' as a yes/no value", 2),
        ("1: a\n", "reads the key '1' as a number", 1),
        ("a: [1, 2\n", "not valid YAML", 2),
        ("a: b: c\n", "quote a text that contains ': '", 1),
        ("a:\n\t- b\n", "spaces, not tabs", 2),
        ("x: 1\na: 2026-13-45\n", "looks like a date but is none", 2),
        ("a: " + "1:" * 200 + "1\n", "more than 100 characters", 1),
        ("a: " + "[" * 100 + "\n", "nested deeper than 50", 1),
        ("a: " + "[" * 100_000, "nested deeper than 50", 1),
        ("{" + "a: {" * 100_000, "nested deeper than 50", 1),
        ('a: "x\\0y"\n', "U+0000", 1),
        ('a: 1\nb: "\\e[31m"\n', "U+001B", 2),
        ('"k\\x07": 1\n', "U+0007", 1),
        (b"a: 1\nb: \x00\n", "U+0000", 2),
        (b"a: \x1b[0m\n", "U+001B", 1),
        (b"a: 1\nb: \xff\n", "not valid UTF-8 at byte 8 (0xff)", 2),
        (b"a: \xed\xa0\x80\n", "not valid UTF-8", 1),
        (b"\xff\xfea\x00", "not valid UTF-8 at byte 0", 1),
    ],
)
def test_what_can_surprise_or_attack_is_refused_with_its_line(load, content, message, line):
    error = refusal(load, content)
    assert message in str(error)
    assert line in {problem.place.line for problem in error.problems}


def test_a_lone_surrogate_written_as_an_escape_is_refused(load):
    refusal(load, 'a: "\\ud800"\n')


def test_the_parser_in_plain_python_refuses_the_same(load, monkeypatch):
    monkeypatch.setattr("constitutional.yamlfile._Loader", yaml.SafeLoader)
    assert load("a: [1, {b: 'c'}]\n").value == {"a": [1, {"b": "c"}]}
    for content in (
        'a: "\\ud800"\n',
        'a: "\\U00110000"\n',
        "a: &x 1\n",
        "a: [" * 5000,
        '"\\0": 1\n',
        "a: 1\n---\n",
    ):
        refusal(load, content)


def test_what_is_refused_leaves_the_rest_readable(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: !x 1\nb: &y 2\nb: 3\nc: *y\nd: 4\n")
    document, problems = parse_yaml(path)
    assert document.value == {"a": "1", "b": 2, "c": None, "d": 4}
    assert [problem.rule for problem in problems] == [
        "yaml-feature",
        "yaml-feature",
        "duplicate-key",
        "yaml-feature",
    ]
    for content in (
        "a: !x 1\nb: [\n",
        "- &x 1\n",
        "a: !x 1\n---\nb: 1\n",
        "".join(f"k{n}: !x 1\n" for n in range(60)),
    ):
        path.write_text(content)
        document, problems = parse_yaml(path)
        assert document is None and problems
    assert parse_yaml(tmp_path / "none.yaml") == (
        None,
        [Problem("there is no such file", Place(tmp_path / "none.yaml"), "unreadable-file")],
    )


def test_all_problems_of_a_file_are_reported_at_once(load):
    error = refusal(load, "a: !x 1\nb: &y 2\nb: 3\non: 4\n")
    assert [problem.place.line for problem in error.problems] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", ["hunter2", "'hunter2'", "20261121", "2026.1121", "2026-11-21"])
def test_of_a_file_that_holds_one_value_nothing_is_told(load, content):
    message = str(refusal(load, content)).partition("file.yaml")[
        2
    ]  # it may be a link to what is nobody's business
    assert "must be a mapping" in message
    assert not any(content.strip("'")[at : at + 4] in message for at in range(len(content) - 4))


def test_a_file_of_too_many_values_is_read_no_further(load):
    assert len(load("a: [" + "1," * (MAX_VALUES - 2) + "]").value["a"]) == MAX_VALUES - 2
    error = refusal(load, "a: [" + "1," * (MAX_VALUES - 1) + "]\nb: [")
    assert "more than 200,000 values" in str(error) and len(error.problems) == 1
    assert error.problems[0].rule == "unreadable-file"


def test_a_large_file_is_refused(load):
    assert "larger than 5,000,000 bytes" in str(refusal(load, b"#" * (MAX_BYTES + 1)))


def test_what_is_not_a_readable_file_is_refused(tmp_path):
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    for path, message in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "a folder"),
        ("nul\0.yaml", "can't be read"),
        (pipe, "regular" if pipe.exists() else "no such file"),
        (tmp_path / ("x" * 5000), "can't be read"),
    ):
        with pytest.raises(InputError, match=message):
            load_yaml(path)


def test_an_unreadable_file_is_refused(tmp_path):
    path = tmp_path / "secret.yaml"
    path.write_text("a: 1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    with pytest.raises(InputError, match="can't be read"):
        load_yaml(path)


def test_the_error_is_of_the_class_asked_for(tmp_path):
    with pytest.raises(ConfigError):
        load_yaml(tmp_path / "none.yaml", error=ConfigError)


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.text("ab:-?[]{}&*!|>'\"%@#<\\x0u \n\t=~1.,", max_size=60).map(str.encode))
def test_no_bytes_raise_anything_but_an_input_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(load_yaml(path).value, dict)
    except InputError as error:
        assert error.problems


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcde", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.text("abcdef", min_size=2), json_like, max_size=4))
def test_what_yaml_writes_is_read_back_the_same(tmp_path_factory, value):
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(yaml.dump(value, Dumper=Plain, allow_unicode=True), encoding="utf-8")
    if "\ufffe" not in path.read_text("utf-8") and "\uffff" not in path.read_text("utf-8"):
        assert load_yaml(path).value == value


def test_a_valid_document_becomes_its_model(load):
    made = validate(load("title: x\nfolder: a/b\nsteps: [{name: n, weight: 2}]\n"), Settings)
    assert made == Settings(title="x", folder=Path("a/b"), steps=[Step(name="n", weight=2)])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("seed: 1", ":1:1: 'title' is missing"),
        ("title: 5", ":1:8: title: must be a text, not the number 5"),
        ("title: yes", "title: must be a text, not true (a YAML yes/no; quote it"),
        ("title: 2026-01-01", "title: must be a text, not the date 2026-01-01"),
        ("title:", "title: must be a text, not nothing"),
        ("title: x\nseed: '5'", ":2:7: seed: must be a whole number, not the text '5'"),
        ("title: x\nseed: -1", "seed: must be at least 0, not the number -1"),
        ("title: x\nflag: 1", "flag: must be true or false, not the number 1"),
        ("title: x\nsteps: {}", "steps: must be a list, not a mapping"),
        ("title: x\nsteps: {a: 1}", "steps: must be a list, not a mapping; begin each entry with '- '"),
        (
            "title: x\nsteps: [a]",
            ":2:9: steps.0: must be a mapping, not the text 'a'; write its keys, as 'name: …'",
        ),
        ("title: x\nsede: 1", ":2:1: sede: unknown key 'sede'; did you mean 'seed'?"),
        (
            "title: x\nsteps:\n- name: a\n  wieght: 1",
            ":4:3: steps.0.wieght: unknown key 'wieght'; did you mean 'weight'?",
        ),
        ("title: x\nextra: {nam: 1, name: a}", "extra.nam: unknown key 'nam'; did you mean 'name'?"),
        ("title: x\nsteps:\n- weight: 1", ":3:3: steps.0: 'name' is missing; add it"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_change(load, content, expected):
    with pytest.raises(ConfigError) as caught:
        validate(load(content), Settings, error=ConfigError)
    assert expected in str(caught.value)


def test_all_mistakes_are_told_in_the_order_of_the_file(load):
    with pytest.raises(InputError) as caught:
        validate(load("sede: 1\nseed: x\ntitle: 3\nsteps: 1\n"), Settings)
    assert [problem.place.line for problem in caught.value.problems] == [1, 2, 3, 4]
