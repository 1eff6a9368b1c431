"""The ledger: what a plan keeps, what it does again, and that nothing gets lost between."""

import sqlite3
import sys
from dataclasses import astuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutional.errors import ConfigError, DamagedError
from constitutional.ledger import PAGE, Ledger, PlanCounts, PlannedRow
from constitutional.records import Outcome
from tests.helpers import count_generations


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def row(id, key="key", *, kind="chain", outcome=None):
    return PlannedRow(kind, id, key, {"prompt": f"prompt of {id}"}, outcome)


def plan(ledger, *rows, **more):
    counts = ledger.plan(rows, **more)
    ledger.apply_plan()
    return counts


def ids_to_do(ledger):
    return [id for _, id, _ in ledger.to_do()]


def statuses(ledger):
    return {stored.id: stored.status for stored in ledger.rows()}


OK = Outcome("ok", result={"text": "fine"})


def test_a_new_row_is_to_do_and_a_finished_one_is_kept(ledger):
    assert plan(ledger, row("a"), row("b")) == PlanCounts(to_do=2)
    ledger.finish("chain", "a", OK)
    assert plan(ledger, row("a"), row("b")) == PlanCounts(kept=1, to_do=1)
    assert ids_to_do(ledger) == ["b"]
    assert ledger.row("a").result == {"text": "fine"}
    assert ledger.row("a").input == {"prompt": "prompt of a"}


def test_a_row_under_another_key_is_stale_and_starts_over(ledger):
    plan(ledger, row("a"), row("b"))
    for id in "ab":
        ledger.finish("chain", id, OK)
    assert plan(ledger, row("a", "new"), row("b")) == PlanCounts(kept=1, to_do=1, stale=1)
    stored = ledger.row("a")
    assert (stored.status, stored.result, stored.input) == (None, None, {"prompt": "prompt of a"})


def test_a_row_that_was_never_finished_is_not_stale(ledger):
    plan(ledger, row("a"))
    assert plan(ledger, row("a", "new")) == PlanCounts(to_do=1)


def test_a_row_that_left_the_input_is_dropped(ledger):
    plan(ledger, row("a"), row("b"))
    ledger.finish("chain", "a", OK)
    assert plan(ledger, row("b")) == PlanCounts(to_do=1, dropped=1, lost={"chain": 1})
    assert ledger.row("a") is None
    assert plan(ledger, row("c")) == PlanCounts(to_do=1, dropped=1)  # nothing was finished


def test_a_finished_row_whose_input_is_bad_now_is_lost(ledger):
    plan(ledger, row("a"), row("b"))
    ledger.finish("chain", "a", OK)
    bad = Outcome("skipped", "empty_prompt")
    found = plan(ledger, row("a", 2, outcome=bad), row("b", outcome=bad))
    assert (found.bad, found.lost) == (2, {"chain": 1})


def test_rows_follow_the_order_of_the_input(ledger):
    plan(ledger, *map(row, "abc"))
    ledger.finish("chain", "b", OK)
    plan(ledger, *map(row, "cba"))
    assert [(stored.id, stored.ordinal) for stored in ledger.rows()] == [("c", 0), ("b", 1), ("a", 2)]
    assert ids_to_do(ledger) == ["c", "a"]
    assert ledger.row_at(1).id == "b" and ledger.row_at(3) is None
    assert ledger.id_at(1) == "b" and ledger.id_at(3) is None


def test_a_place_counts_the_ids_before_and_not_their_rows(ledger):
    kinds = [PlannedRow(kind, id, f"{kind} {id}", {}) for id in ("b", "a", "c") for kind in ("x", "y")]
    plan(ledger, *kinds)
    assert ledger.places(["a", "c", "none"]) == {"a": 1, "c": 2}
    assert [ledger.id_at(place) for place in ledger.places("abc").values()] == list(ledger.places("abc"))
    assert ledger.known(["c", "none", "it's", "a"]) == {"a", "c"}


def test_a_bad_input_has_its_outcome_at_once(ledger):
    bad = Outcome("skipped", "empty_prompt", detail="line 3")
    assert plan(ledger, row("a"), row("b", outcome=bad)) == PlanCounts(to_do=1, bad=1)
    stored = ledger.row("b")
    assert (stored.status, stored.reason, stored.detail) == ("skipped", "empty_prompt", "line 3")
    assert ids_to_do(ledger) == ["a"]


@pytest.mark.parametrize(
    ("outcome", "again", "asked"),
    [
        (Outcome("failed", "timeout", transient=True), True, True),
        (Outcome("failed", "refused"), False, True),
        (Outcome("skipped", "too_long"), False, True),
        (OK, False, False),
    ],
)
def test_transient_failures_are_planned_again_and_others_when_asked(ledger, outcome, again, asked):
    for retry_failed, wanted in ((False, again), (True, asked)):
        plan(ledger, row("a", f"key {retry_failed}"))
        ledger.finish("chain", "a", outcome)
        counts = plan(ledger, row("a", f"key {retry_failed}"), retry_failed=retry_failed)
        assert counts == (PlanCounts(to_do=1, retried=1) if wanted else PlanCounts(kept=1))
        assert ids_to_do(ledger) == ["a"] * wanted


def test_a_plan_changes_nothing_until_it_is_applied(ledger):
    plan(ledger, row("a"))
    ledger.finish("chain", "a", OK)
    ledger.plan([row("a", "new"), row("b")])
    assert statuses(ledger) == {"a": "ok"}
    assert [id for _, id, _ in ledger.planned()] == ["a", "b"]
    ledger.plan([row("a")])
    ledger.apply_plan()
    assert statuses(ledger) == {"a": "ok"}


def test_one_id_may_stand_for_a_row_of_each_kind(ledger):
    plan(ledger, row("a"), row("a", kind="helpful"))
    ledger.finish("helpful", "a", OK)
    assert ledger.counts() == {("chain", None, None): 1, ("helpful", "ok", None): 1}
    assert [stored.kind for stored in ledger.rows()] == ["chain", "helpful"]
    assert [stored.kind for stored in ledger.rows("helpful")] == ["helpful"]


def test_rows_are_read_a_page_at_a_time_and_all_of_them(ledger):
    count = 2 * PAGE + 17
    plan(ledger, *(row(f"r{n:04}", kind="helpful" if n % 3 == 0 else "chain") for n in range(count)))
    assert len(ids_to_do(ledger)) == ledger.count_to_do() == count
    for n in range(0, count, 2):
        ledger.finish("helpful" if n % 3 == 0 else "chain", f"r{n:04}", OK)
    assert [stored.ordinal for stored in ledger.rows()] == list(range(count))
    assert [stored.ordinal for stored in ledger.rows(status="ok")] == list(range(0, count, 2))
    assert [stored.ordinal for stored in ledger.rows("helpful", "ok")] == list(range(0, count, 6))
    ledger.plan(row(f"r{n:04}", "new", kind="helpful" if n % 3 == 0 else "chain") for n in range(count))
    assert len(list(ledger.planned())) == count


def test_rows_may_finish_while_they_are_read(ledger):
    count = 2 * PAGE
    plan(ledger, *(row(f"r{n:04}") for n in range(count)))
    seen = []
    for kind, id, _ in ledger.to_do():
        seen.append(id)
        ledger.finish(kind, id, OK)
    assert len(seen) == len(set(seen)) == count and ledger.count_to_do() == 0


@pytest.mark.parametrize("text", ["Grüße 你好 🙂", "a'b\"; DROP TABLE rows; --", "\x1b[0m\u202e", "%_", " "])
def test_any_text_comes_back_as_it_was(ledger, text):
    outcome = Outcome("failed", text, detail=text, result={text: [text, None, 1.5]})
    plan(ledger, PlannedRow(text, text, text, {text: text}))
    ledger.finish(text, text, outcome)
    stored = ledger.row(text)
    assert astuple(stored) == (text, text, 0, "failed", text, text, {text: text}, {text: [text, None, 1.5]})
    ledger.answered(text, text, [(text, [text])])
    assert ledger.recall(text) == [text]


def test_what_was_stored_is_there_after_the_file_was_closed_and_opened(ledger):
    plan(ledger, row("a"), row("b"))
    ledger.finish("chain", "a", OK)
    ledger.answered("chain", "b", [("k1", ["text", "stop"]), ("k2", ["other"])])
    ledger.write_meta("binding", {"seed": 0})
    ledger.close()
    ledger.close()
    again = Ledger(ledger.path)
    assert statuses(again) == {"a": "ok", "b": None}
    assert (again.recall("k1"), again.recall("none")) == (["text", "stop"], None)
    assert (again.read_meta("binding"), again.read_meta("none")) == ({"seed": 0}, None)
    assert count_generations(again) == 2
    again.close()


@pytest.mark.parametrize(
    "value",
    ["", "[", '["text', "nothing", '"text"', "{}", "null", "[" * 100_000, b'["\xff"]', b"\x00", "NaN\x00"],
    ids=repr,
)
def test_a_broken_value_is_not_remembered(ledger, value):
    with ledger.transaction():
        ledger.db.execute("INSERT INTO generations VALUES ('k', CAST(? AS TEXT))", (value,))
    assert ledger.recall("k") is None
    ledger.answered("chain", "a", [("k", ["ä", "stop"])])
    assert ledger.recall("k") == ["ä", "stop"]


def test_what_made_a_plan_is_stored_when_it_is_applied_and_not_before(ledger):
    ledger.plan([row("a")])
    assert ledger.read_meta("recipe") is None
    ledger.apply_plan({"rules": 1})
    assert ledger.read_meta("recipe") == {"rules": 1}
    ledger.plan([row("b"), row("b")][:1])
    with pytest.raises(TypeError):
        ledger.apply_plan({"rules": object()})
    assert ledger.read_meta("recipe") == {"rules": 1} and statuses(ledger) == {"a": None}


def test_stale_rows_come_with_the_key_that_they_were_finished_under(ledger):
    plan(ledger, *map(row, "abcd"))
    for id in "abc":
        ledger.finish("chain", id, OK)
    assert ledger.plan([row("a"), row("b", "new"), row("c", "new"), row("d", "new"), row("e")]).stale == 2
    assert [(stale.id, stale.key, stale.input) for stale in ledger.stale()] == [
        (id, "key", {"prompt": f"prompt of {id}"}) for id in "bc"
    ]
    assert [id for _, id, _ in ledger.planned()] == ["b", "c", "d", "e"]
    assert [id for _, id, _ in ledger.planned(stale=False)] == ["d", "e"]


def test_the_inputs_come_back_as_they_were_planned(ledger):
    rows = [
        row("a"),
        row("b", "bad:empty_prompt:line 3", outcome=Outcome("skipped", "empty_prompt", detail="line 3")),
        row("c", kind="helpful"),
        row("d"),
    ]
    plan(ledger, *rows)
    ledger.finish("chain", "a", OK)
    ledger.finish("chain", "d", Outcome("skipped", "too_long"))
    assert list(ledger.inputs()) == rows
    count = 2 * PAGE + 5
    plan(ledger, *(row(f"r{n:04}") for n in range(count)))
    assert [found.id for found in ledger.inputs()] == [f"r{n:04}" for n in range(count)]


def test_inputs_that_an_earlier_version_dropped_are_added_by_the_next_plan(ledger):
    plan(ledger, row("a"), row("b"))
    ledger.finish("chain", "a", OK)
    ledger.db.execute("UPDATE rows SET input = NULL WHERE id = 'a'")
    assert [found.input for found in ledger.inputs()] == [{}, {"prompt": "prompt of b"}]
    assert plan(ledger, row("a"), row("b")) == PlanCounts(kept=1, to_do=1)
    assert ledger.row("a").input == {"prompt": "prompt of a"} and ledger.row("a").result == {"text": "fine"}


def test_generations_outlive_the_rows_they_were_made_for(ledger):
    plan(ledger, row("a"))
    ledger.answered("chain", "a", [("k", ["text"])])
    plan(ledger, row("b"))
    assert ledger.recall("k") == ["text"]


def test_rows_in_flight_at_a_death_are_counted_until_they_are_forgiven(ledger):
    plan(ledger, *map(row, "abc"))
    for id in "abc":
        ledger.sent("chain", id)
    ledger.answered("chain", "b", [("k", ["text"])])
    assert ledger.count_deaths() == {("chain", "a"): 1, ("chain", "c"): 1}
    ledger.sent("chain", "a")
    ledger.sent("chain", "a")
    assert ledger.count_deaths() == {("chain", "a"): 2, ("chain", "c"): 1}
    ledger.forgive("chain", "a")
    assert ledger.count_deaths() == {("chain", "c"): 1}


def test_a_row_with_more_in_flight_stays_in_flight(ledger):
    ledger.sent("chain", "a")
    ledger.answered("chain", "a", [("k", ["text"])], more_in_flight=True)
    assert ledger.count_deaths() == {("chain", "a"): 1}


# ---------------------------------------------------------------------- the file


def test_a_reader_sees_what_is_finished_beside_a_writer_and_can_not_write(ledger):
    plan(ledger, row("a"))
    reader = Ledger(ledger.path, read_only=True)
    assert statuses(reader) == {"a": None}
    ledger.finish("chain", "a", OK)
    assert statuses(reader) == {"a": "ok"}
    assert reader.plan([row("a"), row("b")]) == PlanCounts(kept=1, to_do=1)
    with pytest.raises(ConfigError, match="readonly"):
        reader.write_meta("a", 1)
    reader.close()


@pytest.mark.parametrize("name", ["# 100% ?", "ü", "a b"])
def test_a_reader_finds_a_file_of_any_name(tmp_path, name):
    (tmp_path / name).mkdir()
    made = Ledger(tmp_path / name / "ledger.sqlite")
    plan(made, row("a"))
    reader = Ledger(tmp_path / name / "ledger.sqlite", read_only=True)
    assert statuses(reader) == {"a": None}
    reader.close()
    made.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path, read_only):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(
        DamagedError, match=r"damaged or not a ledger .*; restore it from a copy, or run anew"
    ):
        Ledger(path, read_only=read_only)
    assert path.read_bytes() == b"no database " * 1000


def test_a_damaged_ledger_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "ledger.sqlite"
    made = Ledger(path)
    plan(made, *(row(f"r{n}") for n in range(2000)))
    made.close()
    content = bytearray(path.read_bytes())
    content[4096 * 4 :] = bytes([0x55]) * (len(content) - 4096 * 4)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ledger\.sqlite"):
        list(Ledger(path, read_only=True).rows())


@pytest.mark.parametrize("read_only", [False, True])
def test_a_ledger_of_a_newer_version_is_refused(ledger, read_only):
    ledger.close()
    with sqlite3.connect(ledger.path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(ConfigError, match="newer version"):
        Ledger(ledger.path, read_only=read_only)


def test_a_ledger_that_was_killed_before_it_made_its_tables_reads_as_empty(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.touch()
    reader = Ledger(path, read_only=True)
    assert list(reader.rows()) == [] and reader.counts() == {} and reader.read_meta("binding") is None
    reader.close()
    assert path.read_bytes() == b""


def test_a_place_without_a_folder_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="--out"):
        Ledger(tmp_path / "none" / "ledger.sqlite")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks an open file")
def test_two_rows_of_one_kind_and_id_are_refused_and_change_nothing(ledger):
    plan(ledger, row("a"))
    with pytest.raises(ConfigError):
        ledger.plan([row("b"), row("b")])
    assert statuses(ledger) == {"a": None}


# ---------------------------------------------------------------------- any sequence of plans

IDS = st.sampled_from("abcdefgh")
INPUTS = st.lists(
    st.tuples(st.sampled_from(["chain", "helpful"]), IDS, st.sampled_from(["k1", "k2"]), st.booleans()),
    unique_by=lambda row: row[:2],
    max_size=12,
)
ENDS = st.sampled_from(
    [
        OK,
        Outcome("failed", "refused"),
        Outcome("failed", "timeout", transient=True),
        Outcome("skipped", "too_long"),
    ]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(INPUTS, st.lists(ENDS, max_size=12), st.booleans()), min_size=1, max_size=4))
def test_after_any_sequence_of_plans_the_counts_add_up_and_every_input_is_there_once(rounds):
    ledger = Ledger(":memory:")
    before = 0
    try:
        for inputs, ends, retry_failed in rounds:
            bad = Outcome("skipped", "empty_prompt")
            rows = [
                PlannedRow(kind, id, key, {}, bad if is_bad else None) for kind, id, key, is_bad in inputs
            ]
            counts = ledger.plan(rows, retry_failed=retry_failed)
            assert counts.kept + counts.to_do + counts.bad == len(rows)
            assert counts.stale + counts.retried <= counts.to_do
            planned = [(kind, id) for kind, id, _ in ledger.planned()]
            ledger.apply_plan()
            assert [(stored.kind, stored.id) for stored in ledger.rows()] == [(r.kind, r.id) for r in rows]
            to_do = [(kind, id) for kind, id, _ in ledger.to_do()]
            assert to_do == planned and len(to_do) == counts.to_do == ledger.count_to_do()
            assert sum(ledger.counts().values()) == len(rows)
            assert counts.dropped <= before and len(rows) + counts.dropped >= before
            for (kind, id), end in zip(to_do, ends, strict=False):
                ledger.finish(kind, id, end)
            assert ledger.count_to_do() == max(0, len(to_do) - len(ends))
            before = len(rows)
    finally:
        ledger.close()
