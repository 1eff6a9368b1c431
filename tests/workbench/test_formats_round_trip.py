"""Import → export → import gives the same, whatever the texts look like; what does not come back is reported."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from constitutional import Constitution, Principle
from constitutional.composition import compose
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.prompt_examples import load_examples, load_preference_examples
from constitutional.workbench.formats.cleaning import clean
from constitutional.workbench.formats.csv_file import guard, unguard
from constitutional.workbench.formats.exporting import export_constitution, export_examples
from constitutional.workbench.formats.importing import read_into
from constitutional.workbench.formats.reading import Reading, slug
from constitutional.workbench.formats.source import parse_source
from constitutional.workbench.formats.table import FORMATS
from constitutional.workbench.formats.yaml_writer import (
    constitution_yaml,
    examples_yaml,
    preference_examples_yaml,
)
from tests.workbench.formats_strategies import (
    constitutions,
    examples,
    ids,
    preference_examples,
    raw_texts,
    weights,
)

PRINCIPLES = [format for format in FORMATS.values() if format.holds == "principles"]
CASES = settings(
    max_examples=50,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)


def read(text, format, lines_as="rule", id="x"):
    reading = Reading()
    source = parse_source(text, Path("in"), format.syntax)
    read_into(reading, source, format, lines_as)
    reading.raise_problems()
    if format.holds == "principles":
        return Constitution(id, reading.principles(source.place()))
    return tuple(reading.examples or reading.preference_examples)


def test_what_is_clean_stays_as_it_is():
    @CASES
    @given(raw_texts)
    def check(text):
        once, _ = clean(text)
        assert clean(once) == (once, [note for note in clean(once)[1] if note.kind == "kept"])
        assert once == once.strip() and "\r" not in once

    check()


@CASES
@given(raw_texts)
def test_a_guarded_cell_comes_back_and_is_no_formula(text):
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(tuple("=+-@\t\r＝＋－＠"))


@CASES
@given(ids, raw_texts)
def test_an_id_is_its_own_slug_and_any_slug_is_an_id(id, text):
    assert slug(id) == id
    assert slug(slug(text)) == slug(text)


@CASES
@given(constitutions)
def test_yaml_gives_exactly_what_was_written(tmp_path, given):
    path = tmp_path / "x.yaml"
    path.write_bytes(constitution_yaml(given).encode())
    loaded = compose(path)
    assert (loaded.id, loaded.version, loaded.description) == (given.id, given.version, given.description)
    assert (loaded.principles, loaded.hash) == (given.principles, given.hash)


@CASES
@given(st.lists(examples, min_size=1, max_size=3), st.lists(preference_examples, min_size=1, max_size=3))
def test_yaml_gives_exactly_the_examples_that_were_written(tmp_path, revisions, preferences):
    path = tmp_path / "x.yaml"
    path.write_bytes(examples_yaml(revisions).encode())
    assert load_examples(path) == tuple(revisions)
    path.write_bytes(preference_examples_yaml(preferences).encode())
    assert load_preference_examples(path) == tuple(preferences)


# ---------------------------------------------- import → export → import, from any file of a format

SAID = st.tuples(raw_texts, st.sampled_from(["word", "Is it so?"]), raw_texts).map("".join)
PAIRS = st.tuples(SAID, SAID)
RAW = {
    "paper-revisions": st.dictionaries(
        raw_texts, st.tuples(st.lists(SAID, min_size=1, max_size=3), SAID), min_size=1, max_size=4
    ).map(lambda d: {k: {"prompt": prompts, "edit_request": edit} for k, (prompts, edit) in d.items()}),
    "paper-preferences": st.lists(SAID, min_size=1, max_size=5),
    "huggingface": st.lists(PAIRS, min_size=1, max_size=5).map(
        lambda pairs: {"constitutions": [{"critic": c, "revision": r} for c, r in pairs]}
    ),
    "langchain": st.lists(st.tuples(st.none() | raw_texts, PAIRS), min_size=1, max_size=5).map(
        lambda rows: [
            ({"name": n} if n is not None else {}) | {"critique_request": c, "revision_request": r}
            for n, (c, r) in rows
        ]
    ),
    "csv": st.lists(
        st.tuples(
            st.just("") | ids | raw_texts,
            SAID,
            SAID,
            st.just("") | SAID,
            weights.map(str),
            raw_texts,
            raw_texts,
        ),
        min_size=1,
        max_size=5,
    ),
    "text": st.lists(SAID, min_size=1, max_size=6).map("\n".join),
}


def file_text(name, raw):
    if name == "text":
        return raw
    if name != "csv":
        return json.dumps(raw)
    out = io.StringIO(newline="")
    csv.writer(out).writerows(
        [("id", "critique", "revision", "preference", "weight", "tags", "source"), *raw]
    )
    return out.getvalue()


@pytest.mark.parametrize("lines_as", ["rule", "critique", "preference"])
def test_plain_text_comes_back_exactly_once_imported(lines_as):
    @CASES
    @given(RAW["text"])
    def check(raw):
        comes_back("text", raw, lines_as)

    check()


@pytest.mark.parametrize("name", [name for name in RAW if name != "text"])
def test_a_file_comes_back_exactly_once_imported(name):
    @CASES
    @given(RAW[name])
    def check(raw):
        comes_back(name, raw)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RAW))
def test_a_thousand_files_of_each_format_come_back_exactly(name):
    @settings(CASES, max_examples=1000)
    @given(RAW[name], st.sampled_from(["rule", "critique", "preference"]))
    def check(raw, lines_as):
        comes_back(name, raw, lines_as)

    check()


def comes_back(name, raw, lines_as="rule"):
    try:
        first = read(file_text(name, raw), FORMATS[name], lines_as)
    except ConstitutionError:  # a text of which nothing is left
        assume(False)
    out = export_constitution(first, name, lines_as=lines_as)
    assert out.notes == ()
    assert read(out.text, FORMATS[name], lines_as).principles == first.principles
    if name == "langchain":
        out = export_constitution(first, "langchain-yaml")
        assert out.notes == ()
        assert read(out.text, FORMATS["langchain-yaml"]).principles == first.principles


# ------------------------------------------------------ export → import, from any constitution


@pytest.mark.parametrize(
    ("format", "lines_as"),
    [(format, "rule") for format in PRINCIPLES]
    + [(FORMATS["text"], "critique"), (FORMATS["text"], "preference")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_an_export_reports_all_that_does_not_come_back(format, lines_as):
    @CASES
    @given(constitutions)
    def check(given):
        try:
            out = export_constitution(given, format.name, lines_as=lines_as)
        except ConfigError:
            return
        back = {p.id: p for p in read(out.text, format, lines_as).principles}
        said = {
            note.detail.split("'")[1] if "'" in note.detail else note.detail
            for note in out.notes
            if note.detail
        }
        for principle in given.principles:
            assert principle.id in said or back[principle.id] == principle
        about_head = {note.message for note in out.notes if note.detail is None}
        assert ("the description of the constitution" in about_head) == bool(given.description)
        assert ("the version of the constitution" in about_head) == (given.version != 1)

    check()


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("paper-revision-examples", examples),
        ("paper-preference-examples", preference_examples),
        ("paper-rationale-examples", preference_examples),
    ],
)
def test_examples_come_back_exactly_or_what_does_not_is_reported(name, drawn):
    @CASES
    @given(st.lists(drawn, min_size=1, max_size=3))
    def check(given):
        try:
            out = export_examples(given, name)
        except ConfigError:
            return
        back = read(out.text, FORMATS[name])
        assert len(back) == out.count
        assert (back == tuple(given)) == (out.notes == ())
        again = export_examples(back, name)
        assert again.notes == () and read(again.text, FORMATS[name]) == back

    check()


def test_two_principles_with_the_same_texts_survive_where_there_are_ids_and_are_reported_elsewhere():
    twins = Constitution("x", [Principle("a", "Find.", "Fix."), Principle("b", "Find.", "Fix.")])
    assert read(export_constitution(twins, "csv").text, FORMATS["csv"]) == twins
    assert read(export_constitution(twins, "paper-revisions").text, FORMATS["paper-revisions"]) == twins
    out = export_constitution(twins, "huggingface")
    assert len(read(out.text, FORMATS["huggingface"]).principles) == 1
    assert [note.detail for note in out.notes if "earlier one" in note.message] == ["b"]
