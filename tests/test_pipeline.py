"""The pipeline around a stage of two lines: scheduling, engines that die, stops."""

import asyncio
import sqlite3

import pytest

from constitutional import Message, Sampling, ScriptedEngine
from constitutional.errors import ConfigError, EngineDied, EngineTimeout, EngineUnavailable, TemplateError
from constitutional.ledger import Ledger, PlannedRow
from constitutional.pipeline import Pipeline, Work, count_remembered
from constitutional.records import Outcome
from constitutional.scheduler import PARKED
from tests.helpers import count_generations

STEPS = 3


async def three_steps(id, input, engine):
    """Three requests, each about the answer before it."""
    text = input["prompt"]
    for step in range(STEPS):
        (got,) = await engine.generate([Message("user", f"{id}: {text}")], Sampling(seed=step))
        text = got.text
    return Outcome("ok", result={"text": text})


WORK = {"row": Work(three_steps, STEPS)}


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def fill(ledger, count):
    ledger.plan(PlannedRow("row", f"r{n:03}", f"key {n}", {"prompt": f"prompt {n}"}) for n in range(count))
    ledger.apply_plan()


def run(ledger, engine, **more):
    return asyncio.run(Pipeline(ledger, engine, WORK, **more).run())


class MortalEngine(ScriptedEngine):
    """Dies when it is asked something poisonous, and takes every request in flight along."""

    def __init__(self, poison, **more):
        super().__init__(latency=0.002, **more)
        self.poison, self.starts, self.asked = poison, 0, []
        self.dead = asyncio.Event()

    async def start(self):
        self.starts += 1
        self.dead = asyncio.Event()

    async def generate(self, messages, sampling, n=1):
        self.asked.append(messages[-1].content)
        dead = self.dead
        if dead.is_set():
            raise EngineDied("already dead")
        if self.poison(messages[-1].content):
            await asyncio.sleep(0.001)
            dead.set()
        answer = asyncio.ensure_future(super().generate(messages, sampling, n))
        death = asyncio.ensure_future(dead.wait())
        await asyncio.wait([answer, death], return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if dead.is_set():
            answer.cancel()
            raise EngineDied("killed")
        return await answer


def test_a_row_that_kills_the_engine_is_found_and_failed_and_the_rest_completes(ledger):
    fill(ledger, 40)
    engine = MortalEngine(lambda text: text.startswith("r017"), slots=8)
    stats = run(ledger, engine)
    assert stats.rows == {"ok": 39, "skipped": 0, "failed": 1}
    assert stats.reasons == {"killed_engine": 1}
    assert ledger.row("r017").status == "failed"
    assert sum(text.startswith("r017") for text in engine.asked) == 3
    assert stats.restarts == engine.starts == 3


def test_after_a_death_only_what_was_in_flight_is_asked_again(ledger):
    fill(ledger, 40)
    once = iter([True])
    engine = MortalEngine(lambda text: text.startswith("r020") and next(once, False), slots=8)
    stats = run(ledger, engine)
    assert stats.rows["ok"] == 40 and stats.restarts == 1
    assert 40 * STEPS < len(engine.asked) <= 40 * STEPS + 8
    assert stats.generated == 40 * STEPS


def test_two_poison_rows_are_both_found(ledger):
    fill(ledger, 30)
    stats = run(ledger, MortalEngine(lambda text: text.startswith(("r003", "r004")), slots=8))
    assert stats.reasons == {"killed_engine": 2} and stats.rows["ok"] == 28


def test_an_engine_that_dies_at_everything_ends_the_run_and_leaves_the_rows_to_do(ledger):
    fill(ledger, 100)
    with pytest.raises(EngineDied, match="same command goes on"):
        run(ledger, MortalEngine(lambda text: True, slots=4))
    assert ledger.count_to_do() >= 90


def test_an_engine_that_does_not_come_up_again_ends_the_run(ledger):
    class Broken(MortalEngine):
        async def start(self):
            raise EngineDied("no memory")

        async def close(self):
            pass

    fill(ledger, 10)
    with pytest.raises(EngineDied, match="did not come up again after 3 tries: no memory"):
        run(ledger, Broken(lambda text: True, slots=2))


def test_rows_in_flight_at_three_deaths_of_the_process_have_failed_where_the_engine_lives_in_it(ledger):
    fill(ledger, 3)
    for _ in range(3):
        ledger.sent("row", "r001")
        ledger.count_deaths()
    engine = ScriptedEngine()
    engine.dies_with_us = True
    stats = run(ledger, engine)
    assert stats.reasons == {"killed_engine": 1} and stats.rows["ok"] == 2


def test_deaths_of_the_process_are_forgiven_once_the_row_is_answered(ledger):
    fill(ledger, 3)
    for _ in range(2):
        ledger.sent("row", "r001")
        ledger.count_deaths()
    engine = ScriptedEngine()
    engine.dies_with_us = True
    assert run(ledger, engine).rows["ok"] == 3
    assert ledger.count_deaths() == {}


def test_a_server_that_stops_answering_ends_the_run_before_every_row_has_failed(ledger):
    def down(messages, sampling):
        raise EngineTimeout("no answer in 120 s")

    fill(ledger, 200)
    with pytest.raises(EngineUnavailable, match="no answer in 120 s"):
        run(ledger, ScriptedEngine(down, slots=4))
    assert ledger.count_to_do() >= 180


def settings_of(count, run):
    """Work of several kinds, which all do the same with an input."""
    return {f"setting {n}": Work(run, 1, ways_out={"hidden": "Count answers."}) for n in range(count)}


def fill_settings(ledger, inputs, work):
    ledger.plan(PlannedRow(kind, f"r{n:03}", f"key {n}", {}) for n in range(inputs) for kind in work)
    ledger.apply_plan()


@pytest.mark.parametrize("slots", [1, 4])
def test_one_input_that_is_never_answered_does_not_end_a_run_of_many_settings(ledger, slots):
    def moody(messages, sampling):
        if messages[-1].content == "r007":
            raise EngineTimeout("no answer in 120 s")
        return "fine"

    async def ask(id, input, engine):
        await engine.generate([Message("user", id)], Sampling())
        return Outcome("ok")

    work = settings_of(30, ask)
    fill_settings(ledger, 15, work)
    stats = asyncio.run(Pipeline(ledger, ScriptedEngine(moody, latency=0.001, slots=slots), work).run())
    assert stats.rows == {"ok": 30 * 14, "skipped": 0, "failed": 30}


def test_inputs_that_share_one_failing_request_do_not_end_the_run(ledger):
    def moody(messages, sampling):
        if messages[-1].content == "the same":
            raise EngineTimeout("no answer in 120 s")
        return "fine"

    async def ask(id, input, engine):
        await engine.generate([Message("user", "the same" if id < "r030" else id)], Sampling())
        return Outcome("ok")

    fill(ledger, 40)
    engine = ScriptedEngine(moody, latency=0.002, slots=2)
    stats = asyncio.run(Pipeline(ledger, engine, {"row": Work(ask, 1)}).run())
    assert stats.rows == {"ok": 10, "skipped": 0, "failed": 30}


def test_the_first_input_of_many_settings_may_have_no_answer_but_not_the_first_ten(ledger):
    async def hidden(id, input, engine):
        return Outcome("failed", "hidden") if id < last else Outcome("ok")

    work = settings_of(11, hidden)
    fill_settings(ledger, 12, work)
    last = "r010"
    with pytest.raises(ConfigError, match=r"none of the first 100 rows .*Count answers"):
        asyncio.run(Pipeline(ledger, ScriptedEngine(), work).run())
    assert not any(status == "failed" for _, status, _ in ledger.counts())
    last = "r001"
    assert asyncio.run(Pipeline(ledger, ScriptedEngine(), work).run()).rows["failed"] == 11


def test_a_template_that_fails_on_one_input_does_not_end_a_run_of_many_settings(ledger):
    async def render(id, input, engine):
        if id == "r000":
            raise TemplateError("too deep")
        return Outcome("ok")

    work = settings_of(11, render)
    fill_settings(ledger, 3, work)
    assert asyncio.run(Pipeline(ledger, ScriptedEngine(), work).run()).reasons == {"template_error": 11}


def test_a_stop_waits_for_what_is_in_flight_and_keeps_it(ledger):
    class Gated(ScriptedEngine):
        """Answers twenty requests at once, and the others when the gate opens."""

        asked, gate = 0, asyncio.Event()

        async def generate(self, messages, sampling, n=1):
            self.asked += 1
            if self.asked > 20:
                await self.gate.wait()
            return await super().generate(messages, sampling, n)

    fill(ledger, 50)
    engine = Gated(slots=8)
    pipeline = Pipeline(ledger, engine, WORK)

    async def stopped():
        task = asyncio.ensure_future(pipeline.run())
        while engine.asked < 28:
            await asyncio.sleep(0.001)
        assert (pipeline.in_flight, pipeline.stats.generated) == (8, 20)
        pipeline.stop()
        await asyncio.sleep(0.01)
        assert not task.done()
        engine.gate.set()
        await task

    asyncio.run(stopped())
    assert pipeline.stopped and engine.asked == 28
    assert pipeline.stats.generated == count_generations(ledger) == 28


def test_an_abort_drops_what_is_in_flight(ledger):
    fill(ledger, 50)
    pipeline = Pipeline(ledger, ScriptedEngine(latency=60, slots=8), WORK)

    async def aborted():
        task = asyncio.ensure_future(pipeline.run())
        await asyncio.sleep(0.05)
        pipeline.abort()
        await asyncio.wait_for(task, 5)

    asyncio.run(aborted())
    assert pipeline.stopped and count_generations(ledger) == 0


def test_a_bug_in_a_stage_is_not_a_row_outcome(ledger):
    async def buggy(id, input, engine):
        raise KeyError("a bug")

    fill(ledger, 5)
    with pytest.raises(KeyError, match="a bug"):
        asyncio.run(Pipeline(ledger, ScriptedEngine(), {"row": Work(buggy, 1)}).run())
    assert ledger.count_to_do() == 5


def test_a_full_disk_stops_the_run_with_advice_and_more_space_lets_it_go_on(ledger, tmp_path):
    fill(ledger, 300)
    pages = ledger.db.execute("PRAGMA page_count").fetchone()[0]
    ledger.db.execute(f"PRAGMA max_page_count = {pages + 12}")
    with pytest.raises(ConfigError, match=r"full\. Free some space and run the same command again"):
        run(ledger, ScriptedEngine())
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite")
    kept = count_generations(again)
    stats = run(again, ScriptedEngine())
    assert kept > 0 and stats.recalled == kept - STEPS * (300 - stats.finished) > 0
    assert again.count_to_do() == 0
    again.close()


def test_depth_first_opens_about_as_many_chains_as_there_are_slots(ledger):
    open_rows, most = set(), 0

    async def watched(id, input, engine):
        nonlocal most
        open_rows.add(id)
        if pipeline._scheduler.unstarted > 2 * 4:
            most = max(most, len(open_rows))
        outcome = await three_steps(id, input, engine)
        open_rows.remove(id)
        return outcome

    fill(ledger, 100)
    pipeline = Pipeline(ledger, ScriptedEngine(latency=0.001, slots=4), {"row": Work(watched, STEPS)})
    asyncio.run(pipeline.run())
    assert most <= 5


def test_the_first_rows_end_long_before_the_last_ones_start(ledger):
    started, ended = [], []

    async def watched(id, input, engine):
        started.append(id)
        outcome = await three_steps(id, input, engine)
        ended.append((id, len(started)))
        return outcome

    fill(ledger, 60)
    asyncio.run(Pipeline(ledger, ScriptedEngine(latency=0.001, slots=4), {"row": Work(watched, STEPS)}).run())
    assert ended[0][1] <= 8


def test_several_draws_of_one_step_share_the_slots_and_fail_together(ledger):
    async def draws(id, input, engine):
        got = await engine.generate([Message("user", id)], Sampling(), 5)
        return Outcome("ok", result={"texts": [g.text for g in got]})

    fill(ledger, 6)
    work = {"row": Work(draws, 1, 5)}
    stats = asyncio.run(Pipeline(ledger, ScriptedEngine(latency=0.001, slots=3), work).run())
    assert stats.rows["ok"] == 6 and stats.generated == 30
    assert len(set(ledger.row("r001").result["texts"])) == 5


def test_a_replay_counts_what_is_remembered_and_what_is_missing(ledger):
    fill(ledger, 10)
    run(ledger, ScriptedEngine())
    changed = [PlannedRow("row", f"r{n:03}", f"new key {n}", {"prompt": f"prompt {n}"}) for n in range(12)]
    assert ledger.plan(changed).to_do == 12
    assert asyncio.run(count_remembered(ledger, ScriptedEngine(), WORK)) == (36, 30)


def test_readers_are_welcome_while_a_writer_works(ledger, tmp_path):
    fill(ledger, 5)
    with sqlite3.connect(f"{(tmp_path / 'ledger.sqlite').as_uri()}?mode=ro", uri=True) as other:
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (5,)
        run(ledger, ScriptedEngine())
        assert other.execute("SELECT count(*) FROM rows WHERE status = 'ok'").fetchone() == (5,)


def test_a_row_that_can_t_be_started_ends_the_run_instead_of_hanging_it(ledger):
    fill(ledger, 5)

    async def bounded():
        await asyncio.wait_for(
            Pipeline(ledger, ScriptedEngine(), {"other": Work(three_steps, STEPS)}).run(), 10
        )

    with pytest.raises(KeyError, match="row"):
        asyncio.run(bounded())


def test_a_row_tried_again_by_hand_is_no_suspect_any_more(ledger):
    fill(ledger, 2)
    for _ in range(3):
        ledger.sent("row", "r001")
        ledger.count_deaths()
    engine = ScriptedEngine()
    engine.dies_with_us = True
    assert run(ledger, engine).reasons == {"killed_engine": 1}
    rows = [PlannedRow("row", f"r{n:03}", f"key {n}", {"prompt": f"prompt {n}"}) for n in range(2)]
    ledger.plan(rows, retry_failed=True)
    ledger.apply_plan()
    assert run(ledger, engine).rows == {"ok": 1, "skipped": 0, "failed": 0}


def test_reading_rows_by_kind_uses_an_index(ledger):
    fill(ledger, 5)
    for where in ("kind = 'row' AND ordinal > 1", "ordinal > 1"):
        query = f"EXPLAIN QUERY PLAN SELECT * FROM rows WHERE {where} ORDER BY ordinal LIMIT 9"
        plan = " ".join(row[3] for row in ledger.db.execute(query))
        assert "SEARCH" in plan and "TEMP B-TREE" not in plan


# ---------------------------------------------------------------------- the same request of several rows


class Asked(ScriptedEngine):
    """Keeps what it was asked."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.asked = []

    async def generate(self, messages, sampling, n=1):
        self.asked.append(messages[-1].content)
        return await super().generate(messages, sampling, n)


def same_questions(count):
    """Work that asks `count` questions at once, the same for every row."""

    async def ask(id, input, engine):
        got = await asyncio.gather(
            *(engine.generate([Message("user", f"question {n}")], Sampling()) for n in range(count))
        )
        return Outcome("ok", result={"texts": [one[0].text for one in got]})

    return {"row": Work(ask, count)}


@pytest.mark.parametrize("slots", [1, 2, 16])
def test_what_several_rows_ask_at_the_same_time_is_asked_once(ledger, slots):
    fill(ledger, 12)
    engine = Asked(latency=0.002)
    stats = asyncio.run(Pipeline(ledger, engine, same_questions(3), slots=slots).run())
    assert sorted(engine.asked) == ["question 0", "question 1", "question 2"]
    assert (stats.rows["ok"], stats.generated, stats.recalled) == (12, 3, 33)
    assert len({str(stored.result["texts"]) for stored in ledger.rows()}) == 1


@pytest.mark.parametrize("slots", [1, 3])
def test_rows_that_wait_for_the_answer_of_another_are_bounded_too(ledger, slots):
    fill(ledger, 300)
    most = 0

    class Slow(ScriptedEngine):
        async def generate(self, messages, sampling, n=1):
            nonlocal most
            for _ in range(5000):  # turns of the event loop, in which ever more rows could be started
                await asyncio.sleep(0)
            most = max(most, len(asyncio.all_tasks()))
            return await super().generate(messages, sampling, n)

    stats = asyncio.run(Pipeline(ledger, Slow(), same_questions(1), slots=slots).run())
    assert (stats.rows["ok"], stats.generated) == (300, 1)
    assert most < 2 * (PARKED + 3) * slots + 10  # a row has two tasks


def test_a_shared_request_that_fails_fails_for_all_who_wait_and_is_not_remembered(ledger):
    fill(ledger, 5)

    def answer(messages, sampling):
        raise EngineTimeout("too late")

    engine = Asked(answer, latency=0.002)
    stats = asyncio.run(Pipeline(ledger, engine, same_questions(1)).run())
    assert (engine.asked, stats.rows["failed"]) == (["question 0"], 5)
    assert count_generations(ledger) == 0


def test_who_waits_for_a_row_that_is_given_up_asks_itself(ledger):
    fill(ledger, 2)

    async def ask(id, input, engine):
        request = engine.generate([Message("user", "the same")], Sampling())
        if id == "r000":  # asks first, and has no patience
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(request, 0.05)
            return Outcome("ok")
        await asyncio.sleep(0.002)
        (got,) = await request
        return Outcome("ok", result={"text": got.text})

    engine = Asked(latency=0.1)
    asyncio.run(Pipeline(ledger, engine, {"row": Work(ask, 1)}).run())
    assert engine.asked == ["the same"] * 2
    assert [bool(stored.result) for stored in ledger.rows()] == [False, True]
