"""Preferences are read from whatever says which response is better; every row comes out once, with pairs or a reason."""

import json
from collections import Counter
from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.errors import SourceError
from constitutional.rundir import DataSet, RunDirectory
from constitutional.sources.preferences import read_preferences, source_name
from constitutional.sources.reasons import PREFERENCE_REASONS

PAIR = {"prompt": "Tea or coffee?", "responses": ["Tea.", "Coffee."]}


def read(tmp_path, *rows, **more):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read_preferences(path, **more))


def one(tmp_path, row):
    """The only pair of the only row."""
    (found,) = read(tmp_path, row)
    assert found.reason is None, found.detail
    (pair,) = found.pairs
    return pair, found


@pytest.mark.parametrize(
    ("row", "chosen", "probability", "soft"),
    [
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No."}, "Tea.", 1.0, False),
        ({"chosen": "\n\nHuman: Tea?\n\nAssistant: Tea.", "rejected": "\n\nHuman: Tea?\n\nAssistant: No."}, "Tea.", 1.0, False),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "chosen_probability": 0.75}, "Tea.", 0.75, True),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "chosen_probability": 0.25}, "No.", 0.75, True),
        ({**PAIR, "probability": 0.125}, "Coffee.", 0.875, True),
        ({**PAIR, "votes": [1, 1, 2, 0]}, "Tea.", (2 + 0.5) / 4, True),
        ({**PAIR, "votes": [2]}, "Coffee.", 1.0, False),
        ({**PAIR, "votes": [2, None]}, "Coffee.", 1.0, False),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "probability": 0.2}, "No.", 0.8, True),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "chosen_probability": 0.9, "probability": 0.2}, "Tea.", 0.9, True),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "votes": [2, 2, 1]}, "No.", 2 / 3, True),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "annotator1": 1}, "Tea.", 1.0, False),
        ({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", "votes": [None]}, "Tea.", 1.0, False),
        ({"prompt": "Tea?", "corrects": ["Tea."], "incorrects": ["No."], "probability": 0.2}, "Tea.", 1.0, False),
        ({"instruction": "Sort.", "input": "b a", "response1": "a b", "response2": "b a", "annotator1": 1, "annotator2": 1, "annotator3": 0}, "a b", (2 + 0.5) / 3, True),
        ({**PAIR, "ranking": [2, 1]}, "Coffee.", 1.0, False),
        ({**PAIR, "ratings": [4, 2.5]}, "Tea.", 1.0, False),
    ],
)  # fmt: skip
def test_what_was_said_of_two_responses_makes_one_pair(tmp_path, row, chosen, probability, soft):
    pair, found = one(tmp_path, row)
    assert (pair.chosen, pair.weight, found.soft) == (chosen, 1.0, soft)
    assert pair.chosen_probability == pytest.approx(probability)
    assert (pair.id, pair.source) == (found.id, "rows")


@pytest.mark.parametrize(
    "said", [{"votes": [1, 2]}, {"votes": [0, 0, 0]}, {"ranking": [1, 1]}, {"ratings": [3, 3]}]
)
def test_a_tie_is_kept_at_one_half_whatever_the_order_of_the_responses(tmp_path, said):
    pair, _ = one(tmp_path, {**PAIR, **said})
    turned, _ = one(tmp_path, {**PAIR, **said, "responses": PAIR["responses"][::-1]})
    assert pair.chosen_probability == turned.chosen_probability == 0.5
    assert (pair.chosen, pair.id) == (turned.chosen, turned.id)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.booleans())
def test_a_ranking_makes_all_its_pairs_which_weigh_one_together(tmp_path_factory, values, rated):
    """Places and ratings run opposite ways; a pair says what they say of its two responses, ties at one half."""
    if not rated:  # the best place is 1
        values = [value - min(values) + 1 for value in values]
    responses = [f"Answer {number}." for number in range(len(values))]
    row = {"id": "r", "prompt": "Well?", "responses": responses, "ratings" if rated else "ranking": values}
    (found,) = read(tmp_path_factory.mktemp("ranked"), row)
    expected = {}
    for (one, value), (other, against) in combinations(zip(responses, values, strict=True), 2):
        winner = one if (value > against) == rated else other
        expected[frozenset((one, other))] = None if value == against else winner
    assert len(found.pairs) == len(expected) == len(values) * (len(values) - 1) // 2
    for pair in found.pairs:
        winner = expected.pop(frozenset((pair.chosen, pair.rejected)))
        assert (pair.chosen_probability, winner) == ((0.5, None) if winner is None else (1.0, pair.chosen))
        assert pair.weight == pytest.approx(1 / found_count(values))
    assert sum(pair.weight for pair in found.pairs) == pytest.approx(1)
    assert len({pair.id for pair in found.pairs}) == len(found.pairs)


def found_count(values):
    """k over 2."""
    return len(values) * (len(values) - 1) / 2


def test_a_ranking_s_pairs_are_named_by_the_places_of_their_responses(tmp_path):
    row = {"id": "r", "prompt": "Well?", "responses": ["a", "b", "c"], "ranking": [3, 1, 2]}
    (found,) = read(tmp_path, row)
    assert [(p.id, p.chosen, p.rejected) for p in found.pairs] == [
        ("r#0-1", "b", "a"), ("r#0-2", "c", "a"), ("r#1-2", "b", "c"),
    ]  # fmt: skip


def test_a_response_without_a_rating_is_left_out_and_the_rest_weighs_one(tmp_path):
    row = {"id": "r", "prompt": "Well?", "responses": ["a", "b", "c"], "ratings": [3, None, 1]}
    (found,) = read(tmp_path, row)
    assert [(p.id, p.chosen, p.weight) for p in found.pairs] == [("r#0-2", "a", 1.0)]


def test_the_same_response_twice_in_a_ranking_costs_that_pair_alone(tmp_path):
    row = {"prompt": "Well?", "responses": ["a", "b", " a "], "ranking": [1, 2, 3]}
    (found,) = read(tmp_path, row)
    assert [(p.chosen, p.rejected, p.weight) for p in found.pairs] == [("a", "b", 0.5), ("b", "a", 0.5)]
    assert found.identical == 1


def test_a_row_s_own_weight_multiplies_that_of_its_pairs(tmp_path):
    (found,) = read(
        tmp_path, {"prompt": "?", "responses": ["a", "b", "c"], "ranking": [1, 2, 3], "weight": 6}
    )
    assert [p.weight for p in found.pairs] == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (PAIR, "no_label"),
        ({**PAIR, "votes": []}, "no_label"),
        ({**PAIR, "votes": [None, None]}, "no_label"),
        ({**PAIR, "ratings": [5, None]}, "no_label"),
        ({**PAIR, "votes": [3]}, "bad_vote"),
        ({**PAIR, "ranking": [1]}, "bad_ranking"),
        ({**PAIR, "ranking": [0, 1]}, "bad_ranking"),
        ({**PAIR, "ranking": [1, None]}, "bad_ranking"),
        ({**PAIR, "ranking": [5, 7]}, "bad_ranking"),
        ({**PAIR, "ranking": [1, 1.5]}, "bad_ranking"),
        ({"prompt": "?", "responses": ["a"] * 257, "ranking": [1] * 257}, "bad_ranking"),
        ({"prompt": "?", "responses": ["a"] * 257, "ratings": [1] * 257}, "bad_ratings"),
        ({**PAIR, "ranking": "12"}, "bad_ranking"),
        ({**PAIR, "ranking": [1, "second"]}, "bad_ranking"),
        ({**PAIR, "ranking": [1, True]}, "bad_ranking"),
        ({**PAIR, "ratings": [1, 2, 3]}, "bad_ratings"),
        ({**PAIR, "ratings": [1, float("nan")]}, "bad_ratings"),
        ({**PAIR, "ratings": [1, 2], "weight": 0}, "bad_weight"),
        ({**PAIR, "ratings": [1, 2], "weight": 1e308}, "bad_weight"),
        ({**PAIR, "ratings": [1, 2], "weight": 5e-324}, "bad_weight"),
        ({"prompt": "?", "responses": ["a"], "ranking": [1]}, "missing_responses"),
        ({"prompt": "?", "ranking": [1, 2]}, "missing_responses"),
        ({"prompt": "?", "responses": ["a", " "], "ranking": [1, 2]}, "empty_response"),
        ({"prompt": "?", "responses": ["a", "a "], "ranking": [1, 2]}, "identical_responses"),
        ({"prompt": " ", "responses": ["a", "b"], "ranking": [1, 2]}, "empty_prompt"),
        ({"responses": ["a", "b"], "ranking": [1, 2]}, "missing_prompt"),
        ({"prompt": "?", "chosen": "same", "rejected": "same"}, "identical_responses"),
        ({"prompt": "?", "chosen": "a", "rejected": "b", "chosen_probability": 1.5}, "bad_probability"),
    ],
)
def test_a_row_that_makes_no_pair_says_why_and_spoils_no_other(tmp_path, row, reason):
    bad, good = read(tmp_path, row, {**PAIR, "ratings": [1, 2]})
    assert (bad.reason, bad.pairs, bool(bad.id)) == (reason, (), True)
    assert bad.detail.startswith("rows.jsonl:1: ")
    assert good.reason is None and len(good.pairs) == 1


def test_an_id_given_twice_is_taken_once(tmp_path):
    rows = read(tmp_path, {"id": 7, **PAIR, "votes": [1]}, {"id": 7, **PAIR, "votes": [2]})
    assert [(row.id, row.reason) for row in rows] == [("7", None), ("7 (duplicate 2)", "duplicate_id")]


@pytest.mark.parametrize("turned", [False, True])
def test_a_row_that_is_called_like_a_ranking_s_pair_shares_no_id_with_it(tmp_path, turned):
    ranking = {"id": "x", "prompt": "Well?", "responses": ["a", "b", "c"], "ranking": [1, 2, 3]}
    rows = [ranking, {"id": "x#0-1", **PAIR, "votes": [1]}]
    found = read(tmp_path, *(rows[::-1] if turned else rows))
    ids = [pair.id for row in found for pair in row.pairs]
    assert len(ids) >= 3 and len(set(ids)) == len(ids)


CHAT = [{"role": "user", "content": "Well?"}]


@pytest.mark.parametrize(
    "responses",
    [
        ["a", "b", "c"],
        [[*CHAT, {"role": "assistant", "content": text}] for text in "abc"],
        [f"\n\nHuman: Well?\n\nAssistant: {text}" for text in "abc"],
    ],
)
def test_ranked_responses_may_repeat_the_prompt(tmp_path, responses):
    (found,) = read(tmp_path, {"prompt": "Well?", "responses": responses, "ranking": [3, 1, 2]})
    assert [(p.chosen, p.rejected) for p in found.pairs] == [("b", "a"), ("c", "a"), ("b", "c")]


def test_ids_do_not_depend_on_the_order_of_rows_or_responses(tmp_path):
    rows = [
        {"prompt": f"Question {n}?", "responses": ["a", "b", "c"], "ranking": [1, 2, 3]} for n in range(5)
    ]
    turned = [{**row, "responses": ["c", "b", "a"], "ranking": [3, 2, 1]} for row in reversed(rows)]
    assert [row.id for row in read(tmp_path, *rows)] == [row.id for row in reversed(read(tmp_path, *turned))]


def test_parquet_has_its_ranking_too(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.Table.from_pylist([{"prompt": "?", "responses": ["a", "b"], "ranking": [2, 1], "x": 1}]), path
    )
    source = read_preferences(path)
    assert [pair.chosen for row in source for pair in row.pairs] == ["b"]
    assert source.ignored_columns == ("x",)


def test_a_run_is_read_by_its_manifest_and_one_without_preferences_is_refused(tmp_path):
    schema = pa.schema([("prompt", pa.string()), ("chosen", pa.string()), ("rejected", pa.string())])
    row = {"prompt": "?", "chosen": "a", "rejected": "b"}
    for name in ("preferences", "comparisons"):
        with RunDirectory(tmp_path / name) as run:
            run.publish({name: DataSet([row], schema, "x")}, {"title": "x", "summary": "x", "stage": "x"})
    assert [pair.chosen for found in read_preferences(tmp_path / "preferences") for pair in found.pairs] == [
        "a"
    ]
    with pytest.raises(
        SourceError, match="holds comparisons, and no 'preferences', which `constitutional label` makes"
    ):
        read_preferences(tmp_path / "comparisons")


def test_a_file_of_something_else_is_refused_with_the_nearest_column(tmp_path):
    with pytest.raises(SourceError, match="did you mean 'chosen'"):
        read(tmp_path, {"prompt": "?", "chosn": "a", "rejectd": "b"})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/human.jsonl.gz", "human"),
        ("a/llama-3.1-8b.jsonl", "llama-3.1-8b"),
        ("a/v1.2.JSON.GZ", "v1.2"),
        ("a/pairs.v2.parquet", "pairs.v2"),
        ("runs/labels", "labels"),
        ("runs/labels-0.7", "labels-0.7"),
        ("owner/data:config", "data-config"),
        ("owner/data-1.5", "data-1.5"),
    ],
)
def test_a_source_is_called_what_its_file_is_called_without_known_endings(path, name):
    assert source_name(path) == name


def test_a_folder_is_called_by_its_whole_name(tmp_path):
    (tmp_path / "run.json").mkdir()
    assert source_name(tmp_path / "run.json") == "run.json"


def test_every_reason_is_documented():
    from tests.helpers import REPOSITORY

    page = (REPOSITORY / "docs" / "mix.md").read_text(encoding="utf-8")
    assert all(f"| `{reason}` | {meaning} |" in page for reason, meaning in PREFERENCE_REASONS.items())


def test_pandalm_s_annotators_become_soft_labels(real_data):
    path = real_data / "pandalm" / "testset-v1.json"
    given, found = json.loads(path.read_text(encoding="utf-8")), list(read_preferences(path, name="panda"))
    assert len(found) == len(given)
    assert Counter(row.reason for row in found if row.reason) == {"empty_response": 14, "wrong_type": 6}
    for raw, row in zip(given, found, strict=True):
        for pair in row.pairs:
            votes = [raw[f"annotator{n}"] for n in (1, 2, 3)]
            first = (votes.count(1) + votes.count(0) / 2) / 3
            p_first = (
                pair.chosen_probability
                if pair.chosen == raw["response1"].strip()
                else 1 - pair.chosen_probability
            )
            assert p_first == pytest.approx(first) and row.soft


def test_harmless_pairs_are_read_as_they_are(real_data):
    rows = list(read_preferences(real_data / "hh-rlhf" / "harmless-base.jsonl.gz"))
    assert Counter(row.reason for row in rows) == {None: 1596, "empty_last_turn": 4}
    assert all(row.pairs[0].chosen_probability == 1 and not row.soft for row in rows if row.pairs)
