"""The remembering engine: started when it is needed, asked nothing twice, and exact about what it was asked."""

import asyncio
import sqlite3

import pytest

from constitutional import Message, Sampling, ScriptedEngine
from constitutional.errors import EngineDied, EngineError, RequestRefused
from constitutional.workbench import memory
from constitutional.workbench.memory import RememberingEngine, open_memory
from tests.helpers import CountingEngine, count_generations

SAMPLING = Sampling(max_tokens=9)


def say(text):
    return [Message("user", text)]


class Starting(CountingEngine):
    """Counts how often it was started and closed, and can hold its answers back."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.starts = self.closes = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self):
        await asyncio.sleep(0.01)
        self.starts += 1

    async def close(self):
        self.closes += 1

    async def generate(self, messages, sampling, n=1):
        assert self.starts
        generated = await super().generate(messages, sampling, n)
        await self.gate.wait()
        return generated


def using(work, inner=None, path=None, **more):
    """Run `work(engine, inner)` with a remembering engine."""
    inner = inner or Starting()

    async def main():
        engine = RememberingEngine(inner, open_memory(path, **more))
        try:
            return await work(engine, inner)
        finally:
            await engine.close()

    return asyncio.run(main()), inner


def test_nothing_is_asked_twice_and_the_engine_starts_once():
    async def work(engine, inner):
        assert inner.starts == 0
        texts = await asyncio.gather(*(engine.generate(say(text), SAMPLING) for text in "aba"))
        texts += [await engine.generate(say("b"), SAMPLING)]
        assert texts[0] == texts[2] and texts[1] == texts[3] != texts[0]
        return engine.made, engine.remembered

    counts, inner = using(work)
    assert counts == (2, 2)
    assert (len(inner.requests), inner.starts, inner.closes) == (2, 1, 1)


def test_another_seed_is_another_generation():
    async def work(engine, inner):
        await engine.generate(say("a"), SAMPLING)
        await engine.generate(say("a"), SAMPLING.with_seed(1))
        return engine.made, engine.remembered

    assert using(work)[0] == (2, 0)


def test_what_is_remembered_in_a_file_needs_no_engine(tmp_path):
    async def work(engine, inner):
        generated = await engine.generate(say("a"), SAMPLING)
        return generated[0].text, engine.made, engine.remembered

    first, one = using(work, path=tmp_path / "new" / "tries.sqlite")
    second, two = using(work, path=tmp_path / "new" / "tries.sqlite")
    assert (one.starts, two.starts) == (1, 0)
    assert first == (second[0], 1, 0) and second[1:] == (0, 1)


def test_fresh_generates_anew_and_replaces_what_was_remembered(tmp_path):
    path = tmp_path / "tries.sqlite"

    async def work(engine, inner):
        await engine.generate(say("a"), SAMPLING)
        return (await engine.generate(say("a"), SAMPLING))[0].text, engine.made, engine.remembered

    assert using(work, Starting(lambda *_: "old"), path)[0] == ("old", 1, 1)
    assert using(work, Starting(lambda *_: "new"), path, fresh=True)[0] == ("new", 1, 1)
    assert using(work, Starting(lambda *_: "newest"), path)[0] == ("new", 0, 2)


def test_a_request_that_is_given_up_is_joined_by_the_next_that_asks_the_same():
    async def work(engine, inner):
        inner.gate.clear()
        first = asyncio.create_task(engine.generate(say("a"), SAMPLING))
        while not inner.requests:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.create_task(engine.generate(say("a"), SAMPLING))
        await asyncio.sleep(memory.GRACE_S * 1.5)
        inner.gate.set()
        await second
        return engine.made, engine.remembered

    counts, inner = using(work)
    assert counts == (1, 0) and len(inner.requests) == 1


def test_a_request_that_nobody_wants_any_more_is_cancelled(monkeypatch):
    monkeypatch.setattr(memory, "GRACE_S", 0.01)

    async def work(engine, inner):
        inner.gate.clear()
        first = asyncio.create_task(engine.generate(say("a"), SAMPLING))
        while not inner.in_flight and not inner.requests:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.sleep(0.1)
        inner.gate.set()
        generated = await engine.generate(say("a"), SAMPLING)
        assert generated[0].text
        return engine.made, engine.remembered

    counts, inner = using(work)
    assert counts == (1, 0) and len(inner.requests) == 2


def test_giving_up_while_the_engine_starts_does_not_stop_it():
    async def work(engine, inner):
        first = asyncio.create_task(engine.generate(say("a"), SAMPLING))
        await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await engine.generate(say("b"), SAMPLING)
        return inner.starts

    assert using(work)[0] == 1


def test_an_engine_that_dies_is_started_again_and_asked_again():
    deaths = iter([EngineDied("gone"), None])

    def answer(messages, sampling):
        if error := next(deaths):
            raise error
        return "Here I am."

    async def work(engine, inner):
        return (await engine.generate(say("a"), SAMPLING))[0].text, engine.made

    found, inner = using(work, Starting(answer))
    assert found == ("Here I am.", 1) and inner.starts == 2


def test_an_engine_that_never_comes_up_is_not_tried_again_and_again():
    class Broken(Starting):
        async def start(self):
            self.starts += 1
            raise EngineDied("no memory")

    async def work(engine, inner):
        with pytest.raises(EngineError, match="no memory") as raised:
            await engine.generate(say("a"), SAMPLING)
        assert not raised.value.transient
        return inner.starts

    assert using(work, Broken())[0] == 1


def test_a_refused_request_is_refused_for_all_who_wait_and_not_remembered():
    answers = iter([RequestRefused("no"), "yes"])

    def answer(messages, sampling):
        got = next(answers)
        if isinstance(got, Exception):
            raise got
        return got

    async def work(engine, inner):
        both = await asyncio.gather(
            *(engine.generate(say("a"), SAMPLING) for _ in range(2)), return_exceptions=True
        )
        assert [str(error) for error in both] == ["no", "no"]
        return (await engine.generate(say("a"), SAMPLING))[0].text, engine.made, engine.remembered

    assert using(work, Starting(answer))[0] == ("yes", 1, 0)


def test_choices_are_remembered_too():
    async def work(engine, inner):
        asked = [*say("a"), Message("assistant", "(")]
        first = await engine.choose(asked, ["A", "B"])
        assert await engine.choose(asked, ["A", "B"]) == first
        return engine.made, engine.remembered

    assert using(work)[0] == (1, 1)


def test_starting_is_shown_for_as_long_as_it_takes():
    shown = []

    class Sign:
        def __enter__(self):
            shown.append("up")

        def __exit__(self, *_):
            shown.append("down")

    async def main():
        engine = RememberingEngine(Starting(), open_memory(None), starting=Sign)
        await engine.prepare()
        assert shown == []
        await engine.generate(say("a"), SAMPLING)
        await engine.close()

    asyncio.run(main())
    assert shown == ["up", "down"]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"junk" * 100])
def test_a_damaged_memory_is_told_moved_aside_and_begun_anew(tmp_path, content):
    path = tmp_path / "tries.sqlite"
    path.write_bytes(content)
    said = []
    ledger = open_memory(path, say=said.append)
    ledger.answered("try", "1", [("key", ["text"])])
    assert ledger.recall("key") == ["text"]
    ledger.close()
    aside = tmp_path / "tries.sqlite.damaged"
    assert aside.read_bytes() == content and path.stat().st_mode & 0o777 == 0o600
    (sentence,) = said
    assert "damaged" in sentence and str(aside) in sentence and "--out" not in sentence
    again = open_memory(path, say=said.append)
    assert again.recall("key") == ["text"] and len(said) == 1
    again.close()


def damaged(path, entries=400):
    """A memory whose pages are overwritten behind its first ones, so that it opens and then can't be read."""
    ledger = open_memory(path)
    ledger.answered("try", "1", [(f"key-{n}", ["text" * 50]) for n in range(entries)])
    ledger.close()
    content = bytearray(path.read_bytes())
    content[4096 * 12 :] = bytes([0x55]) * (len(content) - 4096 * 12)
    path.write_bytes(content)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_memory_that_is_found_damaged_later_is_begun_anew_too(tmp_path, fresh):
    path, said = tmp_path / "tries.sqlite", []
    damaged(path)
    ledger = open_memory(path, fresh=fresh, say=said.append)
    for n in range(400):
        assert ledger.recall(f"key-{n}") in (None, ["text" * 50])
        ledger.answered("try", str(n), [(f"key-{n}", ["new"])])
    assert len(said) == 1 and (tmp_path / "tries.sqlite.damaged").exists()
    ledger.close()
    again = open_memory(path, say=said.append)
    assert again.recall("key-399") == ["new"] and len(said) == 1
    again.close()


def test_a_damaged_memory_does_not_disturb_a_trial(tmp_path):
    path, said = tmp_path / "tries.sqlite", []
    damaged(path)

    async def work(engine, inner):
        return [(await engine.generate(say(str(n)), SAMPLING))[0].text for n in range(20)]

    texts, _ = using(work, path=path, say=said.append)
    assert len(set(texts)) == 20 and len(said) == 1
    assert using(work, path=path)[0] == texts


def test_a_damaged_memory_that_can_not_be_moved_is_done_without(tmp_path):
    path, said = tmp_path / "tries.sqlite", []
    path.write_bytes(b"no database")
    (tmp_path / "tries.sqlite.damaged").mkdir()
    ledger = open_memory(path, say=said.append)
    ledger.answered("try", "1", [("key", ["text"])])
    assert ledger.recall("key") == ["text"] and path.read_bytes() == b"no database"
    assert "will not be remembered" in said[0] and "--out" not in said[0]
    ledger.close()


def test_a_memory_in_a_folder_that_is_none_is_done_without(tmp_path):
    (tmp_path / "file").write_text("x")
    said = []
    ledger = open_memory(tmp_path / "file" / "tries.sqlite", say=said.append)
    assert "will not be remembered" in said[0] and count_generations(ledger) == 0
    ledger.close()


def test_a_memory_that_has_grown_too_large_is_emptied(tmp_path, monkeypatch):
    path = tmp_path / "tries.sqlite"
    ledger = open_memory(path)
    ledger.answered("try", "1", [(f"key-{n}", ["text" * 1000]) for n in range(100)])
    ledger.close()
    before = path.stat().st_size
    monkeypatch.setattr(memory, "MOST_BYTES", before // 2)
    ledger = open_memory(path)
    assert count_generations(ledger) == 0
    ledger.close()
    assert path.stat().st_size < before // 2


def test_two_processes_may_remember_in_one_file(tmp_path):
    path = tmp_path / "tries.sqlite"
    one, two = open_memory(path), open_memory(path)
    one.answered("try", "1", [("a", ["one"])])
    two.answered("try", "2", [("b", ["two"])])
    assert (one.recall("b"), two.recall("a")) == (["two"], ["one"])
    one.close()
    two.close()
    with sqlite3.connect(path) as read:
        assert read.execute("SELECT count(*) FROM generations").fetchone() == (2,)


def test_nothing_in_memory_makes_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    ledger = open_memory(None, say=said.append)
    ledger.answered("try", "1", [("a", ["one"])])
    ledger.close()
    assert said == [] and list(tmp_path.iterdir()) == []


def test_it_keeps_to_the_slots_of_the_engine():
    async def work(engine, inner):
        await asyncio.gather(*(engine.generate(say(str(n)), SAMPLING) for n in range(30)))

    inner = Starting(slots=3, latency=0.001)
    using(work, inner)
    assert inner.most_in_flight == 3


def test_it_is_an_engine():
    from constitutional import Engine

    assert isinstance(RememberingEngine(ScriptedEngine(), open_memory(None)), Engine)
