"""Two files of responses, joined: every row of both in a pair, or with the reason why it is in none."""

import gzip
import json

import pytest

from constitutional.errors import ConfigError, SourceError
from constitutional.records import Message
from constitutional.sources import COMPARISON_REASONS
from constitutional.sources.joining import ResponseJoin
from tests.helpers import REPOSITORY

Q1, Q2 = "What is tea?", "What is coffee?"


@pytest.fixture
def join(tmp_path):
    """A function that writes two files of rows, and maybe prompts, and joins them."""

    def write(name, rows):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def call(first, second, prompts=None, **settings):
        given = write("prompts.jsonl", prompts) if prompts is not None else None
        return ResponseJoin(write("one.jsonl", first), write("two.jsonl", second), given, **settings)

    return call


def pairs(rows):
    """(id, prompt's text, both responses' texts) of the pairs; (id, reason) of the others."""
    return [
        (r.id, r.prompt[-1].content, *(response.text for response in r.responses))
        if r.responses
        else (r.id, r.reason)
        for r in rows
    ]


def test_rows_are_joined_by_id_in_the_order_of_the_first_file(join):
    first = [{"id": "a", "prompt": Q1, "response": "1"}, {"id": "b", "prompt": Q2, "response": "2"}]
    second = [{"id": "b", "response": " 4 "}, {"id": "a", "response": "3"}]
    assert pairs(join(first, second)) == [("a", Q1, "1", "3"), ("b", Q2, "2", "4")]
    assert pairs(join(second, first)) == [("b", Q2, "4", "2"), ("a", Q1, "3", "1")]


def test_without_ids_rows_are_joined_by_their_prompt_and_its_occurrence(join):
    first = [
        {"prompt": Q1, "response": "1"},
        {"prompt": Q2, "response": "2"},
        {"prompt": Q1, "response": "3"},
    ]
    second = [
        {"prompt": Q1, "response": "4"},
        {"prompt": Q1, "response": "5"},
        {"prompt": Q2, "response": "6"},
    ]
    found = pairs(join(first, second))
    assert [row[1:] for row in found] == [(Q1, "1", "4"), (Q2, "2", "6"), (Q1, "3", "5")]
    assert found[2][0] == f"{found[0][0]}-2"


@pytest.mark.parametrize("swap", [False, True])
def test_where_one_file_has_ids_and_the_other_prompts_the_prompt_joins_them(join, swap):
    files = [{"id": "a", "prompt": Q1, "response": "1"}], [{"prompt": Q1, "response": "1"}]
    assert pairs(join(*(files[::-1] if swap else files))) == [("a", Q1, "1", "1")]


def test_a_prompt_as_a_text_and_as_messages_is_the_same(join):
    messages = [{"role": "user", "content": Q1}]
    (row,) = join([{"prompt": Q1, "response": "1"}], [{"prompt": messages, "response": "2"}])
    assert row.prompt == (Message("user", Q1),)


def test_prompts_come_from_a_third_file_where_neither_has_them(join):
    first, second = [{"id": "a", "response": "1"}], [{"id": "a", "response": "2"}]
    assert pairs(join(first, second, [{"id": "a", "prompt": Q1}])) == [("a", Q1, "1", "2")]
    (without,) = join(first, second)
    assert without.reason == "missing_prompt" and "give the prompts too" in without.detail
    (other,) = join(first, second, [{"id": "b", "prompt": Q1}])
    assert other.reason == "missing_prompt" and "prompts.jsonl" in other.detail


def test_every_row_of_both_files_comes_out_once(join):
    first = [
        {"id": "both", "prompt": Q1, "response": "1"},
        {"id": "only-first", "prompt": Q1, "response": "2"},
        {"id": "both", "prompt": Q1, "response": "3"},
        {"id": "bad-second", "prompt": Q1, "response": "4"},
        {"id": "no-response", "prompt": Q1},
        {"id": "differs", "prompt": Q1, "response": "5"},
        {"response": "6"},
    ]
    second = [
        {"id": "both", "response": "7"},
        {"id": "bad-second", "response": 8},
        {"id": "no-response", "response": "9"},
        {"id": "differs", "prompt": Q2, "response": "10"},
        {"id": "only-second", "response": "11"},
    ]
    found = pairs(join(first, second))
    assert found[0] == ("both", Q1, "1", "7")
    assert [row[1] for row in found[1:]] == [
        "no_partner",
        "duplicate_id",
        "no_partner",
        "missing_responses",
        "different_prompts",
        "missing_prompt",
        "wrong_type",
        "no_partner",
        "no_partner",
    ]
    assert len({row[0] for row in found}) == len(found)
    in_pairs = 2 * sum(len(row) == 4 or row[1] == "different_prompts" for row in found)
    assert in_pairs + sum(len(row) == 2 and row[1] != "different_prompts" for row in found) == 7 + 5


def test_a_row_alone_says_which_file_it_is_in(join):
    first, second = join([{"id": "a", "response": "1"}], [{"id": "b", "response": "2"}])
    assert "only one.jsonl" in first.detail and "only two.jsonl" in second.detail


def test_a_response_knows_what_made_it(join):
    made = {"model": "m", "temperature": 0.5, "finish_reason": "length"}
    (row,) = join([{"prompt": Q1, "response": "1", **made}], [{"prompt": Q1, "response": "2", "model": None}])
    first, second = row.responses
    assert (first.model, first.temperature, first.finish_reason) == ("m", 0.5, "length")
    assert (second.model, second.temperature, second.finish_reason) == ("two", None, None)


@pytest.mark.parametrize(
    ("given", "made_of"), [("0.7", 0.7), (" ", None), ("", None), (0, 0.0), (None, None)]
)
def test_a_temperature_may_be_a_text_as_csv_has_it(join, given, made_of):
    (row,) = join(
        [{"id": "a", "prompt": Q1, "response": "1", "temperature": given}], [{"id": "a", "response": "2"}]
    )
    assert row.responses[0].temperature == made_of


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("given", [float("nan"), float("inf"), 10**400, "warm", True, [1]])
def test_a_temperature_that_is_none_costs_its_row_alone(join, given, first):
    rows = [{"id": name, "prompt": Q1, "response": name} for name in "ab"]
    bad = [{**rows[0], "temperature": given}, rows[1]]
    others = [{**row, "response": "x"} for row in rows]
    found = list(join(bad, others) if first else join(others, bad))
    assert sorted(row.reason or "" for row in found) == ["", "no_partner", "wrong_type"]
    (reason,) = (row.detail for row in found if row.reason == "wrong_type")
    assert ".jsonl:1: temperature: " in reason
    assert [row.id for row in found if row.responses] == ["b"]


def test_a_limit_leaves_out_what_may_go_with_rows_that_were_not_read(join):
    first = [{"id": str(n), "prompt": Q1, "response": "1"} for n in range(5)]
    second = [{"id": str(n), "response": "2"} for n in (7, 1, 2, 3, 0)]
    found = pairs(join(first, second, limit=2))
    assert [row[0] for row in found] == ["0", "1"] and all(len(row) == 4 for row in found)
    whole = pairs(join(first, second, limit=6))
    assert whole == pairs(join(first, second)) and ("7", "no_partner") in whole


@pytest.mark.parametrize("first", [True, False])
def test_a_bad_row_is_an_occurrence_of_its_prompt_too(join, first):
    """So that what was the second answer here is never paired with the first one there."""
    bad = [{"prompt": Q1, "response": None}, {"prompt": Q1, "response": "second"}]
    good = [{"prompt": Q1, "response": "first"}, {"prompt": Q1, "response": "second too"}]
    found = pairs(join(bad, good) if first else join(good, bad))
    assert [set(row[2:]) for row in found if len(row) == 4] == [{"second", "second too"}]
    assert sorted(row[1] for row in found if len(row) == 2) == ["missing_responses", "no_partner"]


def test_a_model_is_called_what_its_file_is_called_without_known_endings(tmp_path):
    files = [tmp_path / name for name in ("llama-3.1-8b.jsonl", "llama-3.1-70b.json.gz")]
    for path in files:
        text = json.dumps({"prompt": Q1, "response": path.name}).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    (row,) = ResponseJoin(*files)
    assert [response.model for response in row.responses] == ["llama-3.1-8b", "llama-3.1-70b"]


def test_files_of_one_name_are_told_apart_by_their_paths(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "out.jsonl").write_text(json.dumps({"prompt": Q1, "response": folder}))
    paths = [str(tmp_path / folder / "out.jsonl") for folder in ("a", "b")]
    (row,) = ResponseJoin(*paths)
    assert [response.model for response in row.responses] == paths


def test_an_empty_response_is_left_to_the_job(join):
    assert pairs(join([{"prompt": Q1, "response": " "}], [{"prompt": Q1, "response": "2"}]))[0][2:] == (
        "",
        "2",
    )


def test_what_can_not_be_joined_at_all_is_refused(join, tmp_path):
    with pytest.raises(ConfigError, match="pairs need two different ones"):
        ResponseJoin("a.jsonl", "a.jsonl")
    with pytest.raises(SourceError, match="did you mean 'response'"):
        list(join([{"id": "a", "respnse": "1"}], [{"id": "a", "response": "1"}]))
    with pytest.raises(SourceError, match="no rows"):
        list(join([{"id": "a", "response": "1"}], []))


def test_columns_that_nothing_uses_are_named_and_joining_again_gives_the_same(join):
    joined = join([{"id": "a", "prompt": Q1, "response": "1", "mood": 1}], [{"id": "a", "response": "1"}])
    assert list(joined) == list(joined)
    assert joined.ignored_columns == ("mood",)


def test_the_reasons_are_documented():
    assert {"no_partner", "different_prompts"} <= set(COMPARISON_REASONS)
    assert "--responses A B" in (REPOSITORY / "docs" / "input-formats.md").read_text(encoding="utf-8")
