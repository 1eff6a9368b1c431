"""Watching: one trial for each change of content, however an editor saves, and nothing asked that was answered before."""

import asyncio
import os
import shutil
from contextlib import aclosing

import pytest

from constitutional import ReviseSettings
from constitutional.errors import ConstitutionError, EngineDied, EngineError, EngineUnavailable, TemplateError
from constitutional.workbench import watch
from constitutional.workbench.memory import RememberingEngine, open_memory
from constitutional.workbench.trial_spec import TrialSpec, prompt_from
from constitutional.workbench.watch import Tried, Trying, Unusable, watch_trials, watched_paths
from tests.helpers import PROMPT_SET, CountingEngine

PROMPT = prompt_from("What should I do?")


def rules(path, extends=(), **principles):
    """Write a constitution: of each principle the critique and the revision."""
    lines = [f"id: {path.stem}"]
    lines += [f"extends: [{', '.join(extends)}]"] if extends else []
    lines += ["principles:"] if principles else []
    for id, (critique, revision) in principles.items():
        lines += [f"  - id: {id}", f"    critique: {critique}", f"    revision: {revision}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path):
    """A constitution of two principles."""
    (tmp_path / "mine").mkdir()
    return rules(tmp_path / "mine" / "rules.yaml", kind=("Be kind?", "Be kind."), short=("Short?", "Short."))


def spec(*names, **more):
    more = {"principles": ("kind",), "prompt_set": str(PROMPT_SET)} | more
    return TrialSpec(tuple(map(str, names)), PROMPT, settings=ReviseSettings(), **more)


def following(spec, script, inner=None):
    """Run `script(after)` beside a watch; `await after(kind)` gives the next event of that kind."""
    inner = inner or CountingEngine()

    async def main():
        engine = RememberingEngine(inner, open_memory(None))
        try:
            async with aclosing(watch_trials(spec, engine)) as events:

                async def after(kind):
                    while True:
                        event = await asyncio.wait_for(anext(events), 20)
                        if isinstance(event, kind):
                            return event

                await script(after)
        finally:
            await engine.close()

    asyncio.run(main())
    return inner


def counts(tried):
    return tried.made, tried.remembered


async def nothing_happens(after, seconds=1.5):
    """No event comes; the watch can't go on after this."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(after(Trying), seconds)


# ---------------------------------------------------------------------- what is asked again


def test_after_an_edit_only_what_it_touches_is_generated_again(file):
    async def script(after):
        first = await after(Trying)
        assert first.changed == () and file in first.watched
        assert counts(await after(Tried)) == (3, 0)
        rules(file, kind=("Be kind?", "Be kinder."), short=("Short?", "Short."))
        assert (await after(Trying)).changed == (file,)
        assert counts(await after(Tried)) == (1, 2)  # the revision
        rules(file, kind=("Is it kind?", "Be kinder."), short=("Short?", "Short."))
        assert counts(await after(Tried)) == (2, 1)  # the critique, and the revision that follows it
        rules(file, kind=("Is it kind?", "Be kinder."), short=("Shorter?", "Shorter."))
        assert counts(await after(Tried)) == (0, 3)  # another principle
        rules(file, kind=("Be kind?", "Be kind."), short=("Short?", "Short."))
        assert counts(await after(Tried)) == (0, 3)  # as it was at first

    assert len(following(spec(file), script).requests) == 6


def test_an_edit_of_a_file_that_is_extended_counts(file, tmp_path):
    top = rules(tmp_path / "top.yaml", extends=["mine/rules.yaml"], own=("Own?", "Own."))

    async def script(after):
        assert {top, file} <= set((await after(Trying)).watched)
        await after(Tried)
        rules(file, kind=("Be kind?", "Be kinder."))
        assert counts(await after(Tried)) == (1, 2)

    following(spec(top), script)


def test_an_edit_of_a_template_or_an_example_counts(file, tmp_path):
    folder = shutil.copytree(PROMPT_SET, tmp_path / "set")

    async def script(after):
        await after(Tried)
        template = folder / "revise.jinja"
        template.write_text(template.read_text() + "{# a comment #}")
        assert counts(await after(Tried)) == (0, 3)
        template.write_text(template.read_text().replace("Revision request:", "Rewrite:"))
        assert counts(await after(Tried)) == (1, 2)
        (folder / "notes.md").write_text("no part of the set")
        (folder / "set.yaml").unlink()
        assert isinstance((await after(Unusable)).error, TemplateError)

    following(spec(file, prompt_set=str(folder)), script)


def test_two_constitutions_are_both_watched(file, tmp_path):
    other = rules(tmp_path / "other.yaml", kind=("Be kind?", "Smile."))

    async def script(after):
        assert counts(await after(Tried)) == (4, 1)  # one response, one critique, two revisions
        rules(other, kind=("Be kind?", "Smile more."))
        assert counts(await after(Tried)) == (1, 4)

    following(spec(file, other), script)


# ---------------------------------------------------------------------- how editors save


def by_rename(file, text):
    aside = file.with_name(".rules.yaml.swp")
    aside.write_text(text)
    aside.replace(file)


def by_backup(file, text):
    file.rename(file.with_name("rules.yaml~"))
    file.write_text(text)


def in_two_goes(file, text):
    with file.open("w") as out:
        out.write(text[: len(text) // 2])
        out.flush()
        os.fsync(out.fileno())
        out.write(text[len(text) // 2 :])


def deleted_first(file, text):
    file.unlink()
    file.write_text(text)


SAVES = [by_rename, by_backup, in_two_goes, deleted_first]


@pytest.mark.parametrize("save", SAVES)
def test_each_way_to_save_is_one_trial(file, save):
    text = file.read_text()

    async def script(after):
        await after(Tried)
        for word in ("kinder", "kindest"):
            save(file, text.replace("Be kind.", f"Be {word}."))
            tried = await after(Tried)
            assert counts(tried) == (1, 2)
            assert tried.trial.attempts[0].candidate.principle.revision == f"Be {word}."
        await nothing_happens(after, 0.7)

    following(spec(file), script)


def test_a_file_behind_a_link_is_watched_where_it_is(file, tmp_path):
    link = tmp_path / "link.yaml"
    link.symlink_to(file)

    async def script(after):
        await after(Tried)
        by_rename(file, file.read_text().replace("Be kind.", "Be kinder."))
        assert counts(await after(Tried)) == (1, 2)
        link.unlink()
        link.symlink_to(rules(tmp_path / "elsewhere.yaml", kind=("Be kind?", "Be kindest.")))
        assert counts(await after(Tried)) == (1, 2)

    following(spec(link), script)


def test_a_save_that_changes_nothing_runs_nothing(file):
    async def script(after):
        await after(Tried)
        file.write_text(file.read_text())
        by_rename(file, file.read_text())
        file.touch()
        (file.parent / "other.yaml").write_text("id: other")
        await nothing_happens(after)

    assert len(following(spec(file), script).requests) == 3


def test_a_file_that_is_written_slowly_is_not_read_halfway(file):
    text = file.read_text().replace("Be kind.", "Be kinder.")

    async def script(after):
        await after(Tried)

        async def slowly():
            file.write_text("")
            await asyncio.sleep(watch.PATIENCE_S / 2)
            file.write_text(text)

        saving = asyncio.create_task(slowly())
        assert not isinstance(await after(Tried | Unusable), Unusable)
        await saving

    following(spec(file), script)


# ---------------------------------------------------------------------- files that can't be used


def test_a_file_that_can_not_be_used_is_told_once_and_waited_for(file):
    good = file.read_text()

    async def script(after):
        await after(Tried)
        file.write_text(good.replace("revision: Be kind.", "revison: Be kind."))
        problem = (await after(Unusable)).error
        assert "did you mean 'revision'?" in str(problem) and f"{file}:5:" in str(problem)
        file.write_text(good.replace("- id: kind", "- id: gentle"))
        assert "has no principle 'kind'" in str((await after(Unusable)).error)
        file.write_text(good.replace("Be kind.", "Be kinder."))
        assert counts(await after(Tried)) == (1, 2)

    following(spec(file), script)


def test_a_file_that_can_not_be_used_at_first_is_waited_for(file):
    good = file.read_text()
    file.write_text("id: [")

    async def script(after):
        assert isinstance((await after(Tried | Unusable)).error, ConstitutionError)
        file.write_text(good)
        assert counts(await after(Tried)) == (3, 0)

    following(spec(file), script)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a: \x00", b"- 1", b"a: &a [*a]", b"x" * 5_000_001])
def test_whatever_a_file_becomes_it_is_a_message(file, content):
    good = file.read_bytes()

    async def script(after):
        await after(Tried)
        file.write_bytes(content)
        assert str(file) in str((await after(Unusable)).error)
        file.write_bytes(good)
        assert counts(await after(Tried)) == (0, 3)

    following(spec(file), script)


def test_a_file_that_vanishes_is_told_and_waited_for(file):
    good = file.read_text()

    async def script(after):
        await after(Tried)
        file.unlink()
        assert "there is no such file" in str((await after(Unusable)).error)
        file.write_text(good)
        assert counts(await after(Tried)) == (0, 3)
        shutil.rmtree(file.parent)
        assert "there is no such file" in str((await after(Unusable)).error)
        file.parent.mkdir()
        file.write_text(good.replace("Be kind.", "Be kinder."))
        assert counts(await after(Tried)) == (1, 2)
        file.unlink()
        file.mkdir()
        assert "folder, not a file" in str((await after(Unusable)).error)
        file.rmdir()
        os.mkfifo(file)
        assert "not a regular file" in str((await after(Unusable)).error)

    following(spec(file), script)


def test_a_base_that_is_not_there_yet_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    top = rules(tmp_path / "top.yaml", extends=["base", "beside.yaml"])

    async def script(after):
        assert "no constitution 'base'" in str((await after(Unusable)).error)
        (tmp_path / "constitutions").mkdir()
        rules(tmp_path / "constitutions" / "base.yaml", kind=("Be kind?", "Be kind."))
        assert "beside.yaml" in str((await after(Unusable)).error)
        rules(tmp_path / "beside.yaml", short=("Short?", "Short."))
        assert counts(await after(Tried)) == (3, 0)

    following(spec(top), script)


@pytest.mark.parametrize("base", ["x" * 5000, f"./{'x' * 5000}.yaml", f"{'x' * 300}/base.yaml"])
def test_a_base_that_no_file_can_be_called_is_told_and_mended(file, base):
    async def script(after):
        await after(Tried)
        content = file.read_text()
        file.write_text(content.replace("principles:", f"extends:\n  - {base}\nprinciples:"))
        assert "xxx" in str((await after(Unusable)).error)
        file.write_text(content)
        assert counts(await after(Tried)) == (0, 3)

    following(spec(file), script)


def test_a_name_that_vanishes_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "constitutions").mkdir()
    file = rules(tmp_path / "constitutions" / "mine.yaml", kind=("Be kind?", "Be kind."))

    async def script(after):
        await after(Tried)
        content = file.read_text()
        file.unlink()
        assert "no constitution 'mine'" in str((await after(Unusable)).error)
        file.write_text(content)
        assert counts(await after(Tried)) == (0, 3)

    following(spec("mine"), script)


def test_files_that_extend_each_other_are_each_watched_once(tmp_path):
    (tmp_path / "a").mkdir()
    one = rules(
        tmp_path / "a" / "one.yaml",
        extends=["../a/two.yaml", "/etc/hostname.yaml", "../../../etc/hostname.yaml"],
    )
    two = rules(tmp_path / "a" / "two.yaml", extends=["../a/one.yaml"])
    files, folders = watched_paths(spec(one))
    assert {path.resolve() for path in files} == {one, two}
    assert folders == {PROMPT_SET}


# ---------------------------------------------------------------------- saves while something is generated


class Held(CountingEngine):
    """An engine that answers what has `wait` in its last message only when it is told to."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()
        self.cancelled = 0

    async def generate(self, messages, sampling, n=1):
        if "wait" in messages[-1].content:
            self.requests.append((tuple(messages), sampling))
            self.reached.set()
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().generate(messages, sampling, n)


def test_a_save_while_a_trial_runs_ends_it_and_the_newest_is_tried(file):
    engine = Held()
    rules(file, kind=("wait for this", "Be kind."))

    async def script(after):
        await after(Trying)
        begun = asyncio.create_task(after(Trying))
        await engine.reached.wait()
        rules(file, kind=("Be kind?", "Be kind."))
        assert (await begun).interrupted
        tried = await after(Tried)
        assert counts(tried) == (2, 1)
        assert tried.trial.attempts[0].candidate.principle.critique == "Be kind?"
        await asyncio.sleep(1)
        assert engine.cancelled == 1

    following(spec(file), script, engine)


def test_what_is_in_flight_when_a_file_is_saved_is_not_asked_again(file):
    engine = Held()
    rules(file, kind=("wait for this", "Be kind."))

    async def script(after):
        await after(Trying)
        begun = asyncio.create_task(after(Trying))
        await engine.reached.wait()
        rules(file, kind=("wait for this", "Be kinder."))
        await begun
        done = asyncio.create_task(after(Tried))
        await asyncio.sleep(1)
        engine.gate.set()
        assert counts(await done) == (2, 1)
        assert engine.cancelled == 0

    following(spec(file), script, engine)


# ---------------------------------------------------------------------- engines that fail


def test_a_server_that_is_away_is_told_and_the_next_save_tries_again(file):
    there = []

    def answer(messages, sampling):
        if not there:
            raise EngineUnavailable("the server does not answer")
        return "Here I am."

    async def script(after):
        assert "does not answer" in str((await after(Unusable)).error)
        there.append(True)
        file.write_text(file.read_text() + "# once more\n")
        assert counts(await after(Tried)) == (3, 0)

    following(spec(file), script, CountingEngine(answer))


def test_an_engine_that_does_not_come_up_ends_the_watch(file):
    class Broken(CountingEngine):
        async def start(self):
            raise EngineDied("no memory")

    async def script(after):
        await after(Tried)

    with pytest.raises(EngineError, match="no memory"):
        following(spec(file), script, Broken())


def test_where_the_system_can_not_watch_the_files_are_looked_at_each_second(file, monkeypatch):
    import watchfiles

    def none_left(*args, **more):
        raise OSError("no space left on device")

    monkeypatch.setattr(watchfiles, "awatch", none_left)

    async def script(after):
        await after(Tried)
        rules(file, kind=("Be kind?", "Be kinder."))
        assert counts(await after(Tried)) == (1, 2)

    following(spec(file), script)
