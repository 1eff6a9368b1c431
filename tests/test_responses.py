"""Responses to be scored: from files, and from the chains and SFT data of a run."""

import pytest

from constitutional.errors import ConfigError, SourceError
from constitutional.sources.reasons import REASONS, RESPONSE_REASONS
from constitutional.sources.responses import read_responses
from tests.helpers import CountingEngine, read, run


def found(source, **more):
    return list(read_responses(source, **more))


def test_a_response_stands_beside_its_prompt_or_is_trls_completion(prompts_file):
    rows = found(
        prompts_file(
            [
                {"id": "a", "prompt": "Hi?", "response": "Hello."},
                {"id": 7, "prompt": [{"role": "user", "content": "Hi?"}], "completion": "Hello there."},
                {"prompt": "Hi?", "completion": [{"role": "assistant", "content": "Good day."}]},
            ]
        )
    )
    assert [row.item.response for row in rows] == ["Hello.", "Hello there.", "Good day."]
    assert [row.id for row in rows[:2]] == ["a", "7"] and len(rows[2].id) == 16
    assert all(row.source_id == row.id and row.round is None for row in rows)
    assert all(row.item.id == row.id and row.item.messages[-1].content == "Hi?" for row in rows)


def test_a_bad_row_has_a_reason_and_a_place_and_spoils_no_other(prompts_file):
    rows = found(
        prompts_file(
            [
                {"id": "good", "prompt": "Hi?", "response": "Hello."},
                {"id": "none", "prompt": "Hi?"},
                {"id": "empty", "prompt": "Hi?", "response": " "},
                {"id": "two", "prompt": "Hi?", "completion": [{"role": "assistant", "content": "a"}] * 2},
                {"id": "user", "prompt": "Hi?", "completion": [{"role": "user", "content": "a"}]},
                {"id": "number", "prompt": "Hi?", "response": 4},
                {"id": "good", "prompt": "Hi?", "response": "again"},
                {"response": "to what?"},
                "not a row",
                {"id": "last", "prompt": "Hi?", "response": "Bye."},
            ]
        )
    )
    assert [row.reason for row in rows] == [
        None,
        "missing_response",
        "empty_response",
        "wrong_type",
        "wrong_type",
        "wrong_type",
        "duplicate_id",
        "missing_prompt",
        "not_an_object",
        None,
    ]
    assert all(row.reason in {**REASONS, **RESPONSE_REASONS} for row in rows if row.item is None)
    assert len({row.id for row in rows}) == len(rows)
    assert rows[1].detail.startswith("prompts.jsonl:2")


def test_every_row_of_a_chain_is_scored_the_response_and_each_good_revision(prompts_file, tmp_path):
    def answer(messages, sampling):
        if messages[-1].content.startswith("Revision request") and any(
            "fails" in m.content for m in messages
        ):
            return ""
        return f"Some text {sampling.seed}"

    prompts = prompts_file(
        [{"id": "a", "prompt": "Hi?"}, {"id": "b", "prompt": "This fails."}, {"id": "c", "prompt": " "}]
    )
    run(prompts, tmp_path / "run", engine=CountingEngine(answer))
    chains = {chain["id"]: chain for chain in read(tmp_path / "run", "chains")}
    rows = found(tmp_path / "run")
    assert [(row.id, row.source_id, row.round, row.reason) for row in rows] == [
        ("a#0", "a", 0, None),
        ("a#1", "a", 1, None),
        ("a#2", "a", 2, None),
        ("b#0", "b", 0, None),
        ("c", "c", None, "empty_prompt"),
    ]
    texts = [
        chains["a"]["response"],
        *(r["revision"] for r in chains["a"]["rounds"]),
        chains["b"]["response"],
    ]
    assert [row.item.response for row in rows if row.item] == texts


def test_sft_data_are_read_when_asked_and_completions_of_one_prompt_told_apart(prompts_file, tmp_path):
    helpful = prompts_file([{"id": "h", "prompt": "How do I boil an egg?"}], "helpful.jsonl")
    run(prompts_file(1), tmp_path / "run", helpful=helpful)
    rows = found(tmp_path / "run", data_set="sft")
    assert [(row.id, row.source_id, row.round) for row in rows] == [
        ("p0000#1", "p0000", 1),
        ("p0000#2", "p0000", 2),
        ("h#0", "h", 0),
        ("h#0-2", "h", 0),
    ]
    assert [row.item.response for row in rows] == [
        row["completion"][0]["content"] for row in read(tmp_path / "run", "sft")
    ]


def test_a_limit_is_of_rows_and_a_chain_is_one(prompts_file, tmp_path):
    run(prompts_file(3), tmp_path / "run")
    assert {row.source_id for row in found(tmp_path / "run", limit=2)} == {"p0000", "p0001"}


def test_a_source_without_responses_is_refused(prompts_file, tmp_path):
    with pytest.raises(SourceError, match=r"none of the first 3 rows has a 'response'.*rename"):
        found(prompts_file(3))
    with pytest.raises(SourceError, match="did you mean 'response'"):
        found(prompts_file([{"prompt": "a", "reponse": "b"}]))
    with pytest.raises(ConfigError, match=r"which .* is not"):
        found(prompts_file(3), data_set="sft")
    with pytest.raises(ConfigError, match="did you mean 'chains'"):
        found(prompts_file(3), data_set="chain")


def test_a_run_without_responses_says_what_it_holds(tmp_path):
    (tmp_path / "manifest.json").write_text('{"data": {"prompts": {}, "rejected": {}}}', encoding="utf-8")
    with pytest.raises(SourceError, match="this run holds prompts, rejected, and no 'chains' or 'sft'"):
        found(tmp_path)
