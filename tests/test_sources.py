import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.errors import ConfigError, PrerequisiteError, SourceError
from constitutional.records import Message
from constitutional.sources import REASONS, BadRow, read_prompts, transcript_turns
from constitutional.sources.files import ROW_LIMIT
from constitutional.sources.hub import hub_rows, is_hub_id
from constitutional.sources.ids import SeenIds
from constitutional.sources.json_array import array_elements

GOOD = {"id": "good", "prompt": "hello"}
SHARED = Path(__file__).parents[2] / "shared" / "data" / "hh-rlhf" / "harmless-base.jsonl.gz"


def jsonl(folder, *rows, name="prompts.jsonl"):
    """A file of rows: bytes as they are, everything else as JSON."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path = folder / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def read(path, **settings):
    return list(read_prompts(path, **settings))


def reason_of(folder, row):
    """The reason of a row between two good ones, which must not suffer from it."""
    first, bad, last = read(jsonl(folder, GOOD, row, {**GOOD, "id": "last"}))
    assert first.prompt and last.prompt
    assert bad.prompt is None
    assert bad.detail
    return bad.reason


def error_of(path, **settings):
    with pytest.raises(SourceError) as caught:
        read(path, **settings)
    return str(caught.value)


def turns(*contents):
    return [
        {"role": role, "content": content}
        for role, content in zip(["user", "assistant"] * len(contents), contents, strict=False)
    ]


# What a row may be


def test_a_text_is_one_user_turn(tmp_path):
    (row,) = read(jsonl(tmp_path, GOOD))
    assert (row.ordinal, row.id, row.reason) == (0, "good", None)
    assert row.prompt.messages == (Message("user", "hello"),)


def test_messages_are_taken_as_they_are(tmp_path):
    messages = [{"role": "system", "content": "be brief"}, *turns("a", "b", "c")]
    (row,) = read(jsonl(tmp_path, {"prompt": messages}))
    assert [m.to_row() for m in row.prompt.messages] == messages


def test_a_response_comes_along(tmp_path):
    assert read(jsonl(tmp_path, {**GOOD, "response": "hi"}))[0].prompt.response == "hi"


def test_null_is_no_value(tmp_path):
    (row,) = read(jsonl(tmp_path, {"id": None, "prompt": "a", "response": None, "chosen": None}))
    assert row.prompt.response is None


def test_an_integer_id_becomes_a_text(tmp_path):
    assert read(jsonl(tmp_path, {"id": 7, "prompt": "a"}))[0].id == "7"


def test_an_empty_system_turn_means_no_system_prompt(tmp_path):
    messages = [{"role": "system", "content": ""}, *turns("a")]
    assert read(jsonl(tmp_path, {"prompt": messages}))[0].prompt


BAD = {
    "invalid_json": [b'{"prompt": "a"', b"nonsense", b'{"prompt":' * 50_000, b'{"id": ' + b"9" * 5000 + b"}"],
    "not_an_object": [b"[1]", b'"text"', b"null", b"3"],
    "invalid_utf8": [b'{"prompt": "\xff"}', b'{"prompt": "\xed\xa0\x80"}'],
    "invalid_unicode": [
        b'{"prompt": "\\ud800"}',
        {"prompt": turns("\udfff")},
        {"prompt": "a", "id": "\ud800"},
    ],
    "nul_character": [{"prompt": "a\0b"}, {"prompt": "a", "response": "\0"}],
    "missing_prompt": [{}, {"promt": "a"}, {"prompt": None}],
    "empty_prompt": [{"prompt": ""}, {"prompt": " \n\t"}, {"prompt": []}, {"prompt": turns("a", "b", " ")}],
    "empty_turn": [{"prompt": turns("a", " ", "b")}],
    "empty_last_turn": [
        {"chosen": "\n\nHuman: a\n\nAssistant:", "rejected": "\n\nHuman: a\n\nAssistant: b"},
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: "},
    ],
    "ends_with_assistant": [{"prompt": turns("a", "b")}],
    "ends_with_system": [{"prompt": [{"role": "system", "content": "a"}]}],
    "unknown_role": [
        {"prompt": [{"role": "human", "content": "a"}]},
        {"prompt": [{"role": "", "content": ""}]},
    ],
    "wrong_type": [
        {"prompt": 3},
        {"prompt": {"role": "user", "content": "a"}},
        {"prompt": ["a"]},
        {"prompt": [{"role": "user"}]},
        {"prompt": [{"role": ["user"], "content": "a"}]},
        {"prompt": "a", "response": ["b"]},
        {"chosen": 3},
    ],
    "bad_transcript": [{"chosen": "no turns"}, {"chosen": "before\n\nHuman: a\n\nAssistant: b"}],
    "no_common_prompt": [
        {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: b"},
        {"chosen": "\n\nAssistant: b"},
    ],
    "empty_response": [{"prompt": "a", "response": " "}],
    "invalid_id": [
        {"id": True, "prompt": "a"},
        {"id": 1.5, "prompt": "a"},
        {"id": " ", "prompt": "a"},
        {"id": "x" * 1001, "prompt": "a"},
        {"id": 10**100, "prompt": "a"},
    ],
    "duplicate_id": [GOOD],
}


@pytest.mark.parametrize(("reason", "row"), [(reason, row) for reason, rows in BAD.items() for row in rows])
def test_a_bad_row_has_its_reason_and_spoils_no_other(tmp_path, reason, row):
    assert reason_of(tmp_path, row) == reason


def test_every_reason_is_tested_and_documented():
    other = {"invalid_csv", "oversized_row"}  # tested below
    assert set(BAD) | other == set(REASONS)
    page = (Path(__file__).parents[1] / "docs" / "input-formats.md").read_text("utf-8")
    assert [name for name, sentence in REASONS.items() if f"| `{name}` | {sentence} |" not in page] == []


def test_the_detail_says_where(tmp_path):
    bad = read(jsonl(tmp_path, GOOD, {"prompt": [*turns("a", "b"), {"role": "usr", "content": "c"}]}))[1]
    assert bad.detail == "prompts.jsonl:2: prompt.2.role: unknown role 'usr'; did you mean 'user'?"


def test_ten_megabytes_in_one_row_are_read(tmp_path):
    (row,) = read(jsonl(tmp_path, {"prompt": "x" * 10_000_000}))
    assert len(row.prompt.messages[0].content) == 10_000_000


@pytest.mark.parametrize("name", ["big.jsonl", "big.json", "big.txt"])
def test_a_row_over_the_limit_is_bad_and_the_next_one_is_read(tmp_path, name):
    huge, good = b'{"prompt": "' + b"x" * ROW_LIMIT + b'"}', b'{"prompt": "a"}'
    rows = {"big.json": b"[" + huge + b"," + good + b"]"}.get(name, huge + b"\n" + good)
    (tmp_path / name).write_bytes(rows)
    first, second = read(tmp_path / name)
    assert (first.reason, second.reason) == ("oversized_row", None)


# Transcripts


def test_a_turn_begins_only_after_a_blank_line():
    text = "\n\nHuman: I said: Human: hi\nHuman: there\n\nAssistant: Human: you mean?\n\nHuman: yes"
    assert transcript_turns(text) == (
        Message("user", "I said: Human: hi\nHuman: there"),
        Message("assistant", "Human: you mean?"),
        Message("user", "yes"),
    )


def test_a_text_that_is_no_transcript_is_refused():
    with pytest.raises(BadRow, match="bad_transcript"):
        transcript_turns("hello")


content = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1).filter(
    lambda text: text == text.strip() and "\n\n" not in text and text
)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), content), min_size=1))
def test_transcripts_are_split_into_the_turns_they_were_made_of(parts):
    speakers = {"user": "Human", "assistant": "Assistant"}
    text = "".join(f"\n\n{speakers[role]}: {content}" for role, content in parts)
    assert [(turn.role, turn.content) for turn in transcript_turns(text)] == parts


def transcript(*contents):
    names = ["Human", "Assistant"] * len(contents)
    return "".join(f"\n\n{name}: {text}" for name, text in zip(names, contents, strict=False))


@pytest.mark.parametrize(
    ("chosen", "rejected", "expected"),
    [
        (transcript("a", "b", "c", "x"), transcript("a", "b", "c", "y"), ["a", "b", "c"]),
        (transcript("a", "b", "c", "x"), transcript("a", "z"), ["a"]),
        (transcript("a", "b"), transcript("a", "b"), ["a"]),
        (transcript("a", "b", "c", "x"), None, ["a", "b", "c"]),
        (None, transcript("a", "b"), ["a"]),
        (transcript("a", "b", "c"), transcript("a", "b", "c", "y"), ["a", "b", "c"]),
    ],
)
def test_the_prompt_of_a_pair_is_what_both_begin_with(tmp_path, chosen, rejected, expected):
    (row,) = read(jsonl(tmp_path, {"chosen": chosen, "rejected": rejected}))
    assert [m.content for m in row.prompt.messages] == expected
    assert row.prompt.messages[-1].role == "user"


def test_neighbouring_turns_of_one_speaker_become_one(tmp_path):
    text = "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c\n\nHuman: d\n\nAssistant: e"
    (row,) = read(jsonl(tmp_path, {"chosen": text}))
    assert [m.content for m in row.prompt.messages] == ["a", "b\n\nc", "d"]


def test_pairs_of_message_lists_work_too(tmp_path):
    (row,) = read(jsonl(tmp_path, {"chosen": turns("a", "b"), "rejected": turns("a", "c")}))
    assert [m.content for m in row.prompt.messages] == ["a"]


@pytest.mark.skipif(not SHARED.exists(), reason="needs hh-rlhf beside the repository")
def test_hh_rlhf_is_read_to_the_last_row():
    rows = read(SHARED)
    assert len(rows) == len({row.id for row in rows}) == 1600
    assert [row.reason for row in rows if row.reason] == ["empty_last_turn"] * 4
    assert all(row.prompt.messages[-1].role == "user" for row in rows if row.prompt)
    assert all(a.role != b.role for row in rows if row.prompt for a, b in zip(
        row.prompt.messages, row.prompt.messages[1:], strict=False))  # fmt: skip


# Ids


def test_rows_without_ids_are_named_by_content_and_occurrence(tmp_path):
    rows = read(jsonl(tmp_path, {"prompt": "a"}, {"prompt": "b"}, {"prompt": turns("a")}, {"prompt": "a"}))
    first = rows[0].id
    assert len(first) == 16
    assert [row.id for row in rows] == [first, rows[1].id, f"{first}-2", f"{first}-3"]


def test_shuffling_a_file_moves_no_id(tmp_path):
    rows = [{"prompt": f"question {n % 30}"} for n in range(100)] + [b"{broken", b"{broken", b"[]"]
    shuffled = rows.copy()
    random.Random(1).shuffle(shuffled)

    def ids(order, name):
        return {
            (row.id, row.prompt and row.prompt.messages) for row in read(jsonl(tmp_path, *order, name=name))
        }

    assert ids(rows, "a.jsonl") == ids(shuffled, "b.jsonl")
    assert len(ids(rows, "a.jsonl")) == 103


def test_a_response_is_part_of_the_content(tmp_path):
    a, b = read(jsonl(tmp_path, {"prompt": "a"}, {"prompt": "a", "response": "b"}))
    assert a.id[:16] != b.id[:16]


def test_every_id_is_unique_even_where_they_were_made_to_clash(tmp_path):
    clash = "good (duplicate 2)"
    rows = read(jsonl(tmp_path, GOOD, {"id": clash, "prompt": "a"}, GOOD, GOOD, {"id": clash, "prompt": "b"}))
    assert [row.reason for row in rows] == [None, None, *["duplicate_id"] * 3]
    assert len({row.id for row in rows}) == 5


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "a-2", "a (duplicate 2)", "b-2"]))))
def test_claimed_ids_never_repeat(claims):
    seen = SeenIds()
    names = [seen.claim_given(name)[0] if given else seen.claim_content(name) for given, name in claims]
    assert len(set(names)) == len(names)


def test_many_ids_are_told_apart():
    seen = SeenIds()
    assert all(seen.claim_given(str(n))[1] for n in range(5_000))
    assert not any(seen.claim_given(str(n))[1] for n in range(5_000))


# Files


FORMATS = {
    "a.jsonl": b'{"prompt": "a"}\n\n{"prompt": "b"}',
    "a.ndjson": b'{"prompt": "a"}\r\n{"prompt": "b"}\r\n',
    "a.json": b'[{"prompt": "a"}, {"prompt": "b"}]',
    "lines.json": b'{"prompt": "a"}\n{"prompt": "b"}\n',
    "a.csv": b"id,prompt\n,a\n\n,b\n",
    "a.txt": b"a\n\n  \nb\r\n",
}


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path, name, zipped, bom):
    data = bom + FORMATS[name]
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(data) if zipped else data)
    rows = read(path)
    assert [row.prompt.messages[0].content for row in rows] == ["a", "b"]
    assert [row.ordinal for row in rows] == [0, 1]


def test_parquet_gives_rows_and_names_what_it_ignores(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"id": [1, 2], "prompt": [turns("a"), turns("b", "c")], "score": [0.5, 1.0]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    source = read_prompts(tmp_path / "a.parquet")
    rows = list(source)
    assert [(row.id, row.reason) for row in rows] == [("1", None), ("2", "ends_with_assistant")]
    assert rows[1].detail.startswith("a.parquet row 2: prompt")
    assert source.ignored_columns == ("score",)


def test_a_parquet_text_that_is_not_utf8_is_one_bad_row(tmp_path):
    import pyarrow
    import pyarrow.parquet

    texts = pyarrow.array([b"a", b"\xff", b"b"], pyarrow.binary()).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"prompt": texts}), tmp_path / "a.parquet")
    assert [row.reason for row in read(tmp_path / "a.parquet")] == [None, "invalid_utf8", None]


def test_a_folder_saved_by_datasets_is_read(tmp_path):
    import datasets

    data = datasets.Dataset.from_dict({"prompt": ["a", "b"], "other": [1, 2]})
    datasets.DatasetDict({"train": data, "test": data.select([1])}).save_to_disk(str(tmp_path / "saved"))
    source = read_prompts(tmp_path / "saved")
    assert [row.prompt.messages[0].content for row in source] == ["a", "b"]
    assert source.ignored_columns == ("other",)
    assert len(read(tmp_path / "saved", split="test")) == 1
    assert "it has train, test" in error_of(tmp_path / "saved", split="validation")


def test_csv_quotes_span_lines_and_bad_rows_are_contained(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        b'prompt,response,x\n"a\nb, ""c""",hi,1\nlone,2\n\xff,,3\n"a"b,,4\nnul\0,,5\nlast,,6\n'
    )
    source = read_prompts(tmp_path / "a.csv")
    rows = list(source)
    reasons = [None, "invalid_csv", "invalid_utf8", "invalid_csv", "nul_character", None]
    assert [row.reason for row in rows] == reasons
    assert rows[0].prompt.messages[0].content == 'a\nb, "c"'
    assert rows[0].prompt.response == "hi"
    assert rows[1].detail == "a.csv:4: the row has 2 fields, the header 3"
    assert rows[5].prompt.response is None
    assert source.ignored_columns == ("x",)


def test_csv_reads_ten_megabytes_in_one_cell(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"prompt\n" + b"x" * 10_000_000 + b"\n")
    assert len(read(tmp_path / "a.csv")[0].prompt.messages[0].content) == 10_000_000


def test_a_broken_element_of_an_array_spoils_no_other(tmp_path):
    (tmp_path / "a.json").write_bytes(
        b'[\n{"prompt": "a"},\n{"prompt": oops},\n[{}],{"prompt": "}]\\"["}\n]\n'
    )
    rows = read(tmp_path / "a.json")
    assert [row.reason for row in rows] == [None, "invalid_json", "not_an_object", None]
    assert rows[1].detail.startswith("a.json:3:")
    assert rows[3].prompt.messages[0].content == '}]"['


@pytest.mark.parametrize("end", [b",", b', {"prompt": "b', b"] more", b"]]"])
def test_an_array_that_does_not_end_as_it_should_shows_it(tmp_path, end):
    (tmp_path / "a.json").write_bytes(b'[{"prompt": "a"}' + end)
    assert [row.reason for row in read(tmp_path / "a.json")] == [None, "invalid_json"]


json_values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=10,
)


class Dribble:
    """A file that is read a few bytes at a time."""

    def __init__(self, data, size):
        self.parts = [data[at : at + size] for at in range(0, len(data), size)]

    def read(self, _):
        return self.parts.pop(0) if self.parts else b""


@given(st.lists(json_values), st.integers(1, 50), st.sampled_from([None, 1]))
def test_an_array_is_split_into_its_elements_wherever_it_is_cut(values, size, indent):
    data = json.dumps(values, indent=indent).encode()
    parts = [element for _, element in array_elements(Dribble(data, size), 10**6)]
    assert [json.loads(part) for part in parts] == values


def test_limit_counts_all_rows(tmp_path):
    path = jsonl(tmp_path, GOOD, b"broken", {"prompt": "c"})
    assert [row.reason for row in read(path, limit=2)] == [None, "invalid_json"]
    with pytest.raises(ConfigError, match="at least one"):
        read_prompts(path, limit=0)


def test_a_source_can_be_read_again(tmp_path):
    source = read_prompts(jsonl(tmp_path, GOOD, {"prompt": "b"}))
    assert list(source) == list(source)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.txt.gz"])
def test_rows_come_before_the_file_is_read_to_its_end(tmp_path, name):
    rows = b'{"prompt": "a"},\n' if name == "a.json.gz" else b'{"prompt": "a"}\n'
    start = b"[" if name == "a.json.gz" else b""
    (tmp_path / name).write_bytes(gzip.compress(start + rows * 100_000)[:-20])
    damaged = iter(read_prompts(tmp_path / name))
    assert next(damaged).ordinal == 0
    with pytest.raises(SourceError, match="damaged after"):
        list(damaged)


def test_unknown_columns_are_ignored_and_named(tmp_path):
    source = read_prompts(jsonl(tmp_path, {**GOOD, "extra": 1}, {"prompt": "b", "more": 2}))
    assert all(row.prompt for row in source)
    assert source.ignored_columns == ("extra", "more")


# Sources that are none


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_an_empty_file_has_no_rows(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert "has no rows" in error_of(tmp_path / name)


def test_an_empty_array_and_a_lone_header_have_no_rows(tmp_path):
    (tmp_path / "a.json").write_text(" [ ] \n")
    (tmp_path / "a.csv").write_text("prompt\n")
    assert "has no rows" in error_of(tmp_path / "a.json")
    assert "has no rows" in error_of(tmp_path / "a.csv")


def test_a_misspelt_column_is_named_with_the_right_one(tmp_path):
    message = error_of(jsonl(tmp_path, {"promt": "a", "x": 1}, {"promt": "b"}))
    assert "'promt', 'x'" in message
    assert "did you mean 'prompt'?" in message


def test_one_prompt_among_the_first_hundred_rows_makes_a_source(tmp_path):
    rows = read(jsonl(tmp_path, *[{"text": "a"}] * 99, GOOD))
    assert [row.reason for row in rows] == ["missing_prompt"] * 99 + [None]
    assert "none of the first 100 rows" in error_of(jsonl(tmp_path, *[{"text": "a"}] * 100, GOOD))


def test_a_file_of_text_that_is_called_jsonl_is_told_so(tmp_path):
    message = error_of(jsonl(tmp_path, b"hello", b"there"))
    assert "no row can be read" in message
    assert "prompts.jsonl:1" in message


def test_a_missing_file_names_the_nearest(tmp_path):
    jsonl(tmp_path, GOOD)
    assert "did you mean 'prompts.jsonl'?" in error_of(tmp_path / "promts.jsonl")
    elsewhere = error_of(tmp_path / "nowhere" / "a.jsonl")
    assert "there is no such file or run; give a .jsonl" in elsewhere and "a run directory" in elsewhere


def test_a_missing_run_names_the_nearest_and_no_file_that_is_unlike_it(tmp_path):
    jsonl(tmp_path, GOOD)
    (tmp_path / "redteam").mkdir()
    (tmp_path / "redteam" / "manifest.json").write_text('{"data": {}}')
    assert "did you mean 'redteam'?" in error_of(tmp_path / "redtaem")
    assert "prompts.jsonl" not in error_of(tmp_path / "labels")


def test_a_run_that_has_published_nothing_yet_says_so(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.sqlite").touch()
    assert "published nothing yet: run its command again" in error_of(tmp_path / "run")


def test_a_csv_of_which_no_row_has_the_fields_of_the_header_is_the_wrong_file(tmp_path):
    rows = [{"id": str(n), "prompt": ", ".join("hello" * n)} for n in range(1, 4)]
    path = jsonl(tmp_path, *rows, name="prompts.csv")
    assert "no row can be read as one; the first: prompts.csv:2" in error_of(path)


def test_a_folder_says_what_it_holds(tmp_path):
    jsonl(tmp_path, GOOD)
    assert "it holds prompts.jsonl" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.yaml", b"prompt: a", "unknown kind of file '.yaml'"),
        ("a", b"prompt", "unknown kind of file 'a'"),
        ("a.jsonl", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "binary file"),
        ("a.txt", bytes(1000), "binary file"),
        ("a.csv", "prompt\na\n".encode("utf-16"), "UTF-16"),
        ("a.parquet", b"PAR1 nothing of the kind", "not a Parquet file"),
        ("a.jsonl.gz", b'{"prompt": "a"}', "damaged"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 9000)[:-20], "damaged"),
    ],
)
def test_what_is_no_source_is_refused(tmp_path, name, data, expected):
    (tmp_path / name).write_bytes(data)
    assert expected in error_of(tmp_path / name)


# The hub


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a/b", True),
        ("a-b/c.d_e:conf", True),
        ("a", False),
        ("/a/b", False),
        ("../a", False),
        ("a/b/c", False),
    ],
)
def test_hub_ids_are_told_from_paths(source, expected):
    assert is_hub_id(source) is expected


class Stream(list):
    column_names = ("prompt", "other")

    def select_columns(self, names):
        return [{name: row[name] for name in names} for row in self]


def test_a_data_set_of_the_hub_is_streamed():
    asked, columns = [], {}

    def load(*args, **settings):
        asked.append((args, settings))
        return Stream([{"prompt": "a", "other": 1}])

    rows = list(hub_rows("owner/name:en", "test", columns, load))
    assert [row.value for row in rows] == [{"prompt": "a"}]
    assert asked == [(("owner/name", "en"), {"split": "test", "streaming": True})]
    assert list(columns) == ["prompt", "other"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ConnectionError("down"), PrerequisiteError),
        (FileNotFoundError("no"), SourceError),
        (ValueError("Bad split: tset. Available splits: ['train']"), SourceError),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(raised, expected):
    def load(*_, **__):
        raise raised

    with pytest.raises(expected):
        list(hub_rows("owner/name", "train", {}, load))


def test_offline_says_so(tmp_path):
    code = "from constitutional.sources import read_prompts; list(read_prompts('owner/no-such-name'))"
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert "PrerequisiteError" in done.stderr
    assert "can't be reached (offline?)" in done.stderr
