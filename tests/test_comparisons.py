"""Comparisons as files have them: every row once, as a comparison or with the reason why it is none."""

import json
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.errors import SourceError
from constitutional.feedback import Comparison, Preference
from constitutional.records import Message
from constitutional.sources import COMPARISON_REASONS, REASONS, BadRow, read_comparisons, read_prompts
from constitutional.sources.comparison_rows import row_comparison
from constitutional.sources.judgements import share_of_votes
from tests.helpers import REPOSITORY

PAIR = {"prompt": "Tea or coffee?", "responses": ["Tea.", "Coffee."]}
ASKED = (Message("user", "Tea or coffee?"),)
SPEAKERS = {"user": "Human", "assistant": "Assistant"}
OPTIONS = (
    "\n\nConsider the following talk between a human and an assistant:\n\nHuman: Tea?\n\nAssistant: Why?\n\n"
    "Human: I am tired.\n\n\nWhich one is kinder? Options:\n (A) [[[{}]]]\n (B) [[[{}]]]\n\nThe answer is:"
)


def file_of(folder, *rows, name="pairs.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def one(tmp_path):
    """A function that reads one row between two good ones, which must not suffer from it."""

    def read(row):
        rows = list(
            read_comparisons(file_of(tmp_path, {**PAIR, "id": "before"}, row, {**PAIR, "id": "after"}))
        )
        assert [r.ordinal for r in rows] == [0, 1, 2]
        assert rows[0].comparison and rows[2].comparison
        return rows[1]

    return read


def error_of(source, **settings):
    with pytest.raises(SourceError) as caught:
        list(read_comparisons(source, **settings))
    return str(caught.value)


# What a row may be


@pytest.mark.parametrize("names", [("chosen", "rejected"), ("response1", "response2"), ("responses",)])
@pytest.mark.parametrize("asked", ["text", "system", "talk", "neighbours"])
@pytest.mark.parametrize("repeats", ["no", "messages", "transcript"])
def test_any_response_may_repeat_the_prompt(one, names, asked, repeats):
    user, answer = Message("user", "Tea?"), Message("assistant", "Why?")
    prompt = {
        "text": (user,),
        "system": (Message("system", "Be brief."), user),
        "talk": (user, answer, Message("user", "I: tired.")),
        "neighbours": (user, user),
    }[asked]

    def response(text):
        turns = (*prompt, Message("assistant", text))
        if repeats == "messages":
            return [turn.to_row() for turn in turns]
        spoken = "".join(f"\n\n{SPEAKERS[m.role]}: {m.content}" for m in turns if m.role != "system")
        return spoken if repeats == "transcript" else text

    given = [response("Tea."), response("Coffee.")]
    row = {"responses": given} if names == ("responses",) else dict(zip(names, given, strict=True))
    found = one({"prompt": [turn.to_row() for turn in prompt], **row})
    assert (found.comparison.prompt, found.comparison.responses) == (prompt, ("Tea.", "Coffee."))


def test_a_response_that_is_a_transcript_of_something_else_is_a_text(one):
    other = "Human: Coffee?\n\nAssistant: Tea."
    assert one({**PAIR, "responses": [other, "Human: enough."]}).comparison.responses == (
        other,
        "Human: enough.",
    )


def test_our_own_rows_are_taken_as_they_are(one):
    row = one({**PAIR, "id": "a"})
    assert row.comparison == Comparison("a", ASKED, ("Tea.", "Coffee."))
    assert (row.human, row.votes, row.weight, row.reason) == (None, None, 1.0, None)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Tea or coffee?", "chosen": "Tea.", "rejected": "Coffee."},
        {"prompt": "Tea or coffee?", "chosen": " Tea.\n", "rejected": "Coffee."},
        {
            "prompt": [{"role": "user", "content": "Tea or coffee?"}],
            "chosen": [{"role": "assistant", "content": "Tea."}],
            "rejected": [{"role": "assistant", "content": "Coffee."}],
        },
        {  # the conversation repeated in both, as some data sets of the hub have it
            "prompt": "Tea or coffee?",
            "chosen": [
                {"role": "user", "content": "Tea or coffee?"},
                {"role": "assistant", "content": "Tea."},
            ],
            "rejected": [
                {"role": "user", "content": "Tea or coffee?"},
                {"role": "assistant", "content": "Coffee."},
            ],
        },
        {
            "chosen": "\n\nHuman: Tea or coffee?\n\nAssistant: Tea.",
            "rejected": "\n\nHuman: Tea or coffee?\n\nAssistant: Coffee.",
        },
        {
            "prompt": "\n\nHuman: Tea or coffee?\n\nAssistant:",
            "corrects": [" Tea."],
            "incorrects": [" Coffee."],
        },
        {"instruction": "Tea or coffee?", "input": "", "chosen": "Tea.", "rejected": "Coffee."},
        {  # as transcripts, with a prompt beside them
            "prompt": "Tea or coffee?",
            "chosen": "\n\nHuman: Tea or coffee?\n\nAssistant: Tea.",
            "rejected": "Human: Tea or coffee?\n\nAssistant: Coffee.",
        },
        {
            "prompt": "\n\nHuman: Tea or coffee?\n\nAssistant:",
            "chosen": "\n\nHuman: Tea or coffee?\n\nAssistant: Tea.",
            "rejected": "\n\nHuman: Tea or coffee?\n\nAssistant: Coffee.",
        },
    ],
)
def test_a_chosen_response_comes_first_and_is_better_for_certain(one, row):
    found = one(row)
    assert (found.comparison.prompt, found.comparison.responses) == (ASKED, ("Tea.", "Coffee."))
    assert found.human == 1.0


def test_a_transcript_is_split_at_the_last_common_turn_and_answers_of_two_turns_become_one(one):
    shared = "\n\nHuman: Hi.\n\nAssistant: Hello: there.\n\nHuman: And: now?"
    found = one(
        {
            "chosen": f"{shared}\n\nAssistant: Tea.\n\nAssistant: Now.",
            "rejected": f"{shared}\n\nAssistant: Coffee: hot.",
        }
    )
    assert [m.content for m in found.comparison.prompt] == ["Hi.", "Hello: there.", "And: now?"]
    assert found.comparison.responses == ("Tea.\n\nNow.", "Coffee: hot.")


@pytest.mark.parametrize(("correct", "human"), [("A", 1.0), ("B", 0.0)])
def test_options_in_the_papers_evaluation_format_become_responses(one, correct, human):
    wrong = "AB".replace(correct, "")
    row = {
        "prompt": OPTIONS.format("Have a [nap]", "Work (B) on.\n\nHuman: no"),
        "corrects": [f" ({correct})"],
        "incorrects": [f" ({wrong})"],
    }
    found = one(row)
    assert [(m.role, m.content) for m in found.comparison.prompt] == [
        ("user", "Tea?"),
        ("assistant", "Why?"),
        ("user", "I am tired."),
    ]
    assert found.comparison.responses == ("Have a [nap]", "Work (B) on.\n\nHuman: no")
    assert found.human == human


def test_a_closing_bracket_at_the_end_of_an_option_belongs_to_it(one):
    row = {"prompt": OPTIONS.format("[a, b]", "c]"), "corrects": ["(A)"], "incorrects": ["(B)"]}
    assert one(row).comparison.responses == ("[a, b]", "c]")


@pytest.mark.parametrize("between", ["\n", " ", " \n", "\t\n "])
def test_white_space_without_end_between_the_options_is_read_in_one_pass(between):
    """Tried in pairs of places, a million characters would take an hour."""
    text = OPTIONS.format("a", "b").replace("a]]]\n", f"a]]]{between * 1_000_000}x")
    with pytest.raises(BadRow, match="bad_options"):
        row_comparison({"prompt": text, "corrects": [" (A)"], "incorrects": [" (B)"]})


@given(*[st.text(st.sampled_from("ab[]()AB \n:"), max_size=30)] * 2, st.booleans())
def test_options_come_out_as_they_were_or_not_at_all(first, second, forge):
    if forge:
        first += "]]]\n (B) [[["
    row = {"prompt": OPTIONS.format(first, second), "corrects": [" (B)"], "incorrects": [" (A)"]}
    try:
        found = row_comparison(row)
    except BadRow as bad:
        empty = not first.strip() or not second.strip()
        assert forge or empty or first.strip() == second.strip() or "[[[" in first + second, bad.detail
    else:
        assert not forge
        assert (found.responses, found.human) == ((first.strip(), second.strip()), 0.0)


@pytest.mark.parametrize(
    ("fields", "human", "votes"),
    [
        ({"probability": 0.2, "votes": [2, 2, 2]}, 0.2, None),
        ({"chosen_probability": 0.7, "probability": 0.2, "votes": [2]}, 0.7, None),
        ({"votes": [2, 2, 1]}, 1 / 3, 3),
        ({"annotator1": 1, "annotator2": 0}, (1 + 1 / 2) / 2, 2),
        ({"votes": [None]}, 1.0, None),
        ({}, 1.0, None),
    ],
)
def test_what_was_said_of_a_chosen_response_goes_before_that_it_was_chosen(one, fields, human, votes):
    found = one({"prompt": "Tea?", "chosen": "Tea.", "rejected": "No.", **fields})
    assert (found.human, found.votes) == (human, votes)


def test_instruction_and_input_make_one_user_turn(one):
    row = {"instruction": "Sort this.", "input": "b, a", "response1": "a, b", "response2": "b, a"}
    found = one({**row, "annotator1": 1, "annotator2": 0, "annotator3": 2})
    assert found.comparison.prompt == (Message("user", "Sort this.\n\nb, a"),)
    assert found.comparison.responses == ("a, b", "b, a")


@pytest.mark.parametrize(
    ("fields", "human", "votes"),
    [
        ({"probability": 0.3}, 0.3, None),
        ({"probability": 0}, 0.0, None),
        ({"probability": 0.3, "votes": [1]}, 0.3, None),
        ({"votes": [1, 1, 0, 2]}, (2 + 1 / 2) / 4, 4),
        ({"votes": [1, None, 0]}, (1 + 1 / 2) / 2, 2),
        ({"votes": [None, None]}, None, 0),
        ({"votes": []}, None, 0),
        ({"annotator1": 2, "annotator2": 2, "annotator3": 0}, (1 / 2) / 3, 3),
        ({"annotator1": None, "annotator10": 1, "annotator2": 1}, 1.0, 2),
        ({}, None, None),
    ],
)
def test_what_people_said_comes_along(one, fields, human, votes):
    found = one({**PAIR, **fields})
    assert (found.human, found.votes) == (human, votes)


@given(st.lists(st.sampled_from([0, 1, 2, None])))
def test_votes_are_wins_and_half_the_ties_over_all_that_were_cast(votes):
    cast = [vote for vote in votes if vote is not None]
    share, count = share_of_votes(votes)
    assert count == len(cast)
    assert share == ((cast.count(1) + cast.count(0) / 2) / len(cast) if cast else None)
    swapped, _ = share_of_votes([{1: 2, 2: 1}.get(vote, vote) for vote in votes])
    assert share is None or swapped == pytest.approx(1 - share)


def test_our_preferences_keep_their_probability_and_weight(one):
    comparison = Comparison("x", ASKED, ("Tea.", "Coffee."))
    found = one(Preference.from_probability(comparison, 0.25, "test", weight=0.5).to_row())
    assert found.comparison.responses == ("Coffee.", "Tea.")  # the chosen one first
    assert (found.human, found.weight) == (0.75, 0.5)


def test_csv_has_numbers_as_texts_and_empty_cells_for_none(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(
        "id,prompt,response1,response2,annotator1,annotator2,weight\na,Hi,x,y,1,,2\n,Hi,x,z,,,\n",
        encoding="utf-8",
    )
    rows = list(read_comparisons(path))
    assert [(r.human, r.votes, r.weight) for r in rows] == [(1.0, 1, 2.0), (None, 0, 1.0)]


# Bad rows


TURN = {"role": "user", "content": "?"}
BAD = {
    "missing_responses": [
        {"prompt": "a"},
        {"prompt": "a", "response1": "b"},
        {"prompt": "a", "chosen": "b"},
        {"prompt": "a", "chosen": "b", "rejected": None},
        {"prompt": "a", "responses": ["b", None]},
        {"prompt": "a", "corrects": ["b"]},
        {"prompt": "?", "chosen": [TURN], "rejected": "b"},
        {"chosen": "\n\nHuman: a", "rejected": "\n\nHuman: a\n\nAssistant: b"},
    ],
    "not_two_responses": [
        {"prompt": "a", "responses": ["b"]},
        {"prompt": "a", "responses": ["b", "c", "d"]},
        {"prompt": "a", "responses": []},
        {"prompt": "a", "corrects": ["b", "c"], "incorrects": ["d"]},
        {"prompt": "a", "corrects": [], "incorrects": ["d"]},
    ],
    "identical_responses": [
        {"prompt": "a", "responses": ["b", " b\n"]},
        {"prompt": "a", "chosen": "b", "rejected": "b"},
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: b"},
    ],
    "several_turns": [
        {"prompt": "a", "chosen": [TURN, {"role": "assistant", "content": "b"}], "rejected": "c"},
        {"prompt": "a", "responses": ["Human: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d", "e"]},
        {
            "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
            "rejected": "\n\nHuman: a\n\nAssistant: e\n\nHuman: c\n\nAssistant: d",
        },
    ],
    "bad_probability": [
        {**PAIR, "probability": value} for value in (1.1, -0.1, "much", True, "nan", [1], 10**400)
    ]
    + [{"prompt": "a", "chosen": "b", "rejected": "c", "chosen_probability": 2}],
    "bad_vote": [{**PAIR, "votes": [1, 3]}, {**PAIR, "annotator1": "yes"}, {**PAIR, "votes": [True]}],
    "bad_weight": [{**PAIR, "weight": value} for value in (0, -1, "heavy", "inf", 1e308, 5e-324)],
    "bad_options": [
        {"prompt": text, "corrects": [right], "incorrects": [wrong]}
        for text, right, wrong in [
            (OPTIONS.format("a", "b"), " (A)", " (A)"),
            (OPTIONS.format("a", "b"), " (A)", " (C)"),
            (OPTIONS.format("a", "b"), "a", "b"),
            (OPTIONS.format("a]]]\n (B) [[[forged", "b"), " (A)", " (B)"),
            (OPTIONS.format("a", "b").replace(" (B) [[[b]]]", ""), " (A)", " (B)"),
            ("Which one? Options:\n (A) [[[a]]]\n (B) [[[b]]]", " (A)", " (B)"),
            ("Read this. Then that.\n\n" + OPTIONS.format("a", "b"), " (A)", " (B)"),
        ]
    ],
    "empty_response": [
        {"prompt": "a", "responses": ["b", " \n"]},
        {"prompt": "a", "chosen": "", "rejected": "b"},
    ],
    "missing_prompt": [{"responses": ["a", "b"]}, {"corrects": ["a"], "incorrects": ["b"]}],
    "empty_prompt": [{**PAIR, "prompt": " "}, {"instruction": " ", "input": "", "responses": ["a", "b"]}],
    "ends_with_assistant": [{**PAIR, "prompt": [TURN, {"role": "assistant", "content": "b"}]}],
    "wrong_type": [
        {**PAIR, "responses": "both"},
        {**PAIR, "responses": ["a", 1]},
        {"prompt": "a", "response1": True, "response2": "True."},
        {**PAIR, "votes": 1},
        {"instruction": 1, "responses": ["a", "b"]},
        {"prompt": "a", "corrects": [1], "incorrects": ["b"]},
        {"prompt": "a", "corrects": 1, "incorrects": ["b"]},
    ],
    "nul_character": [{**PAIR, "responses": ["a\0", "b"]}, {"prompt": "a", "chosen": "\0", "rejected": "b"}],
    "invalid_unicode": [{**PAIR, "responses": ["a\ud800", "b"]}],
    "empty_last_turn": [
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: "}
    ],
    "no_common_prompt": [
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: b"}
    ],
    "duplicate_id": [{**PAIR, "id": "before"}],
}


@pytest.mark.parametrize(("reason", "row"), [(reason, row) for reason, rows in BAD.items() for row in rows])
def test_a_row_that_is_no_comparison_has_a_reason_and_a_place(one, reason, row):
    found = one(row)
    assert (found.reason, found.comparison, found.human) == (reason, None, None)
    assert found.detail.startswith("pairs.jsonl:2")


def test_every_reason_is_tested_and_documented():
    joined = {"no_partner", "different_prompts"}  # tests/test_joining.py
    assert set(BAD) - set(REASONS) == set(COMPARISON_REASONS) - joined
    page = (REPOSITORY / "docs" / "input-formats.md").read_text(encoding="utf-8")
    assert [
        name for name, sentence in COMPARISON_REASONS.items() if f"| `{name}` | {sentence} |" not in page
    ] == []


# Ids


def test_an_id_depends_on_the_content_alone_and_not_on_the_order_of_the_responses(tmp_path):
    rows = [{"prompt": f"Q{n}", "responses": [f"a{n}", f"b{n}"]} for n in range(20)]
    ids = {r.comparison.prompt: r.id for r in read_comparisons(file_of(tmp_path, *rows))}
    swapped = [{**row, "responses": row["responses"][::-1]} for row in rows]
    random.Random(0).shuffle(swapped)
    assert {r.comparison.prompt: r.id for r in read_comparisons(file_of(tmp_path, *swapped))} == ids
    assert len(set(ids.values())) == 20


def test_other_content_is_another_id_and_the_same_content_again_is_numbered(tmp_path):
    rows = [PAIR, {**PAIR, "responses": ["Coffee.", "Tea."]}, {**PAIR, "prompt": "Tea or coffee"}]
    first, again, other = [r.id for r in read_comparisons(file_of(tmp_path, *rows))]
    assert again == f"{first}-2" and not other.startswith(first)


def test_a_prompt_can_not_be_moved_into_a_response_without_changing_the_id(tmp_path):
    rows = [{"prompt": "ab", "responses": ["c", "d"]}, {"prompt": "a", "responses": ["bc", "d"]}]
    first, second = [r.id for r in read_comparisons(file_of(tmp_path, *rows))]
    assert first != second


# Sources


def test_a_file_without_responses_is_refused_with_a_hint(tmp_path):
    prompts = error_of(file_of(tmp_path, {"id": "a", "prompt": "Hi"}))
    assert "columns: 'id', 'prompt'" in prompts and "`constitutional compare` makes comparisons" in prompts
    assert "did you mean 'responses'?" in error_of(file_of(tmp_path, {"prompt": "Hi", "response": "b"}))
    assert "no rows" in error_of(file_of(tmp_path))


def test_columns_that_nothing_uses_are_named(tmp_path):
    source = read_comparisons(file_of(tmp_path, {**PAIR, "annotator1": 1, "annotator_note": "x", "mood": 3}))
    list(source)
    assert source.ignored_columns == ("annotator_note", "mood")


def test_parquet_reads_no_column_that_nothing_uses(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{**PAIR, "annotator1": 2, "mood": 3}, {**PAIR, "annotator1": None, "mood": 4}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    source = read_comparisons(tmp_path / "pairs.parquet")
    assert [(r.human, r.votes) for r in source] == [(0.0, 1), (None, 0)]
    assert source.ignored_columns == ("mood",)


def test_a_limit_counts_bad_rows_too(tmp_path):
    path = file_of(tmp_path, PAIR, {**PAIR, "responses": []}, PAIR)
    assert [r.reason for r in read_comparisons(path, limit=2)] == [None, "not_two_responses"]


def test_a_run_of_another_kind_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"data": {"sft": {"path": "data/sft/x.parquet"}}}')
    assert "holds sft, and no 'comparisons', which `constitutional compare` makes" in error_of(tmp_path)


def test_a_run_is_read_by_its_manifest_and_a_split_by_its_name(tmp_path):
    pairs = {"path": file_of(tmp_path, PAIR, name="a.jsonl").name}
    tested = file_of(tmp_path, PAIR, PAIR, name="b.jsonl").name
    asked = file_of(tmp_path, {"prompt": "Hi"}, name="c.jsonl").name
    data = {"comparisons": {**pairs, "splits": {"test": {"path": tested}}}, "prompts": {"path": asked}}
    (tmp_path / "manifest.json").write_text(json.dumps({"data": data}))
    assert [len(list(read_comparisons(tmp_path, split=name))) for name in ("train", "test")] == [1, 2]
    assert "no split 'dev'; comparisons has train, test" in error_of(tmp_path, split="dev")
    assert [row.prompt.messages[0].content for row in read_prompts(tmp_path)] == ["Hi"]


@pytest.mark.parametrize("path", ["../pairs.parquet", "data/comparisons/gone.parquet"])
def test_a_manifest_can_not_send_the_reader_elsewhere(tmp_path, path):
    run = tmp_path / "run"
    run.mkdir()
    file_of(tmp_path, PAIR, name="pairs.parquet")
    (run / "manifest.json").write_text(json.dumps({"data": {"comparisons": {"path": path}}}))
    assert "which is not there" in error_of(run)


# Real data


def test_all_438_hhh_comparisons_of_the_paper_are_read(real_data):
    path = real_data / "cai-paper" / "evals" / "438HHHEvaluations.jsonl"
    raw = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = list(read_comparisons(path))
    assert len(rows) == len(raw) == 438 and {row.reason for row in rows} == {None}
    assert Counter(row.human for row in rows) == Counter(float("A" in r["corrects"][0]) for r in raw)
    for row, source in zip(rows, raw, strict=True):
        prompt, (first, second) = row.comparison.prompt, row.comparison.responses
        turns = [re.escape(f"{SPEAKERS[m.role]}:") + r"\s+" + re.escape(m.content) for m in prompt]
        assert re.search(r"\s+".join(turns), source["prompt"])
        assert "Options:" not in prompt[-1].content and "Please choose" not in prompt[-1].content
        assert all(text in source["prompt"] for text in (first, second))
        # nothing of the prompt is lost: what is left is the frame
        kept = sum(len("".join(text.split())) for text in (first, second, *(m.content for m in prompt)))
        assert 0 < len("".join(source["prompt"].split())) - kept < 220


def test_all_pairs_of_harmless_base_are_read(real_data):
    import gzip

    path = real_data / "hh-rlhf" / "harmless-base.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        raw = [json.loads(line) for line in file]
    rows = list(read_comparisons(path))
    reasons = Counter(row.reason for row in rows)
    assert len(rows) == len(raw)
    assert reasons == {
        None: len(raw) - reasons["empty_last_turn"],
        "empty_last_turn": reasons["empty_last_turn"],
    }
    assert reasons["empty_last_turn"] == sum(
        any(row[name].rstrip().endswith("\n\nAssistant:") for name in ("chosen", "rejected")) for row in raw
    )
    for row, source in zip(rows, raw, strict=True):
        if row.comparison:
            for text, name in zip(row.comparison.responses, ("chosen", "rejected"), strict=True):
                end = text.rpartition("\n\n")[2]
                assert source[name].strip().endswith(end)


def test_pandalms_votes_become_probabilities(real_data):
    raw = json.loads((real_data / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    rows = list(read_comparisons(real_data / "pandalm" / "testset-v1.json"))
    assert len(rows) == len(raw) == 700
    for row, source in zip(rows, raw, strict=True):
        texts = [source["response1"], source["response2"]]
        if not all(isinstance(text, str) for text in texts):
            assert row.reason == "wrong_type"
        elif not all(text.strip() for text in texts):
            assert row.reason == "empty_response"
        else:
            votes = [source[f"annotator{n}"] for n in (1, 2, 3)]
            assert row.human == pytest.approx((votes.count(1) + votes.count(0) / 2) / 3)
            assert row.votes == 3
