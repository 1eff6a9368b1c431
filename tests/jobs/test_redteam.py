"""The job of writing red-team prompts: how many requests it takes, what they end in, and that timing changes nothing."""

import asyncio
import json

import pytest

from constitutional import JobOptions, ScriptedEngine
from constitutional.errors import ConfigError, EngineTimeout, Interrupted, SourceError
from constitutional.jobs.redteam import AcceptSettings, write_redteam_prompts
from constitutional.jobs.redteam_filter import normal_form
from constitutional.jobs.redteam_seeds import read_seeds
from constitutional.sources import read_prompts
from constitutional.stages.redteam import RedteamSettings
from tests.helpers import PROMPT_SET, CountingEngine, data_files, read
from tests.helpers import run as revise

PEOPLE = ("boss", "neighbour", "sister", "teacher", "landlord", "doctor", "coach", "uncle")
DEEDS = ("lie to", "annoy", "spy on", "blame", "trick", "mock", "rob", "ignore", "copy from", "scare")
PLACES = ("at work", "in the garden", "on the train", "during dinner", "by telephone", "in a dream")


def prompt_of(number):
    """Different prompts that are no near copies of each other."""
    person, deed, place = PEOPLE[number % 8], DEEDS[number % 10], PLACES[number % 6]
    return f"What is the best way to {deed} my {person} {place}, number {number * 7919 % 100003}?"


def answer(messages, sampling):
    """Three prompts for each request, of which the last is too short, and one in five answers is no list."""
    start = sampling.seed % 99_991
    if start % 5 == 0:
        return "\n\nI would rather talk about the weather."
    return f" {prompt_of(start)}\n9. {prompt_of(start + 1)}\n10. Steal it"


@pytest.fixture
def seeds(prompts_file):
    return prompts_file(
        [
            {"id": f"s{n}", "prompt": f"Tell me something rude about person {n} of my family."}
            for n in range(12)
        ],
        "seeds.jsonl",
    )


def write(seeds, out, *, count=20, engine=None, options=None, topics=None, limits=None, **settings):
    accept = AcceptSettings(count=count, **{"similarity": 0.95, **(limits or {})})
    return write_redteam_prompts(
        seeds,
        out,
        engine=engine or CountingEngine(answer),
        prompt_set=PROMPT_SET,
        topics=topics,
        settings=RedteamSettings(**{"prompts_per_request": 3, **settings}),
        accept=accept,
        options=options,
    )


def texts(out):
    return [row["prompt"][0]["content"] for row in read(out, "prompts")]


def test_as_many_as_wanted_are_accepted_in_the_order_of_their_requests(seeds, tmp_path):
    engine = CountingEngine(answer)
    report = write(seeds, tmp_path / "run", engine=engine)
    rows, rejected = read(tmp_path / "run", "prompts"), read(tmp_path / "run", "rejected")
    counts = report.manifest["counts"]
    assert len(rows) == counts["accepted"] == counts["wanted"] == 20
    assert [row["request"] for row in rows] == sorted(row["request"] for row in rows)
    assert {row["reason"] for row in rejected} == {"too_short"} == set(counts["rejected"])
    assert counts["rejected"]["too_short"] == len(rejected)
    assert counts["candidates"] == len(rows) + len(rejected)
    assert counts["yield"] == pytest.approx(20 / counts["candidates"], abs=1e-4)
    assert (
        counts["requests"] + counts["requests_not_needed"] == counts["rows"]["total"] == len(engine.requests)
    )
    assert counts["rows"]["reasons"] == {"no_list": counts["rows"]["failed"]}
    assert 10 <= counts["rows"]["total"] <= 20  # two a request that answers, and no long overshoot


def test_a_prompt_says_which_seeds_it_was_written_from(seeds, tmp_path):
    topics = tmp_path / "topics.txt"
    topics.write_text("money\nschool\n\nmoney\n", encoding="utf-8")
    engine = CountingEngine(answer)
    report = write(seeds, tmp_path / "run", engine=engine, topics=topics, seeds_per_request=4)
    shown = {messages[-1].content: messages[0].content for messages, _ in engine.requests}
    for row in read(tmp_path / "run", "prompts"):
        lines = [
            f"{n}. Tell me something rude about person {id[1:]} of my family."
            for n, id in enumerate(row["seeds"], 1)
        ]
        asked = shown["\n".join([*lines, "5."])]
        assert asked == f"Write 7 messages about {row['topic']}."
    assert report.manifest["counts"]["seeds"] == {"used": 12, "left_out": {}, "topics": 2}


def test_the_prompts_are_read_by_revise_as_they_are(seeds, tmp_path):
    write(seeds, tmp_path / "run")
    rows = read(tmp_path / "run", "prompts")
    found = list(read_prompts(tmp_path / "run"))
    assert [(row.id, row.prompt.messages[0].content) for row in found] == [
        (row["id"], row["prompt"][0]["content"]) for row in rows
    ]
    revise(tmp_path / "run", tmp_path / "chains", limit=3)
    assert [row["id"] for row in read(tmp_path / "chains", "chains")] == [row["id"] for row in rows[:3]]


def test_an_id_is_that_of_any_prompt_of_the_same_text(seeds, tmp_path, prompts_file):
    write(seeds, tmp_path / "run", count=5)
    plain = prompts_file([{"prompt": text} for text in texts(tmp_path / "run")], "plain.jsonl")
    assert [row.id for row in read_prompts(plain)] == [row["id"] for row in read(tmp_path / "run", "prompts")]


def test_what_comes_back_first_changes_nothing(seeds, tmp_path):
    class Shuffled(CountingEngine):
        async def generate(self, messages, sampling, n=1):
            await asyncio.sleep(sampling.seed % 17 / 1000)
            return await super().generate(messages, sampling, n)

    write(seeds, tmp_path / "a", engine=CountingEngine(answer, slots=1))
    write(seeds, tmp_path / "b", engine=Shuffled(answer, slots=64))
    assert data_files(tmp_path / "a") == data_files(tmp_path / "b")


def test_the_same_call_again_asks_nothing_and_more_prompts_ask_only_for_what_is_missing(seeds, tmp_path):
    write(seeds, tmp_path / "run")
    before = data_files(tmp_path / "run")
    engine = CountingEngine(answer)
    report = write(seeds, tmp_path / "run", engine=engine)
    assert engine.requests == [] and report.plan.to_do == 0 and data_files(tmp_path / "run") == before

    first = texts(tmp_path / "run")
    held = report.manifest["counts"]["rows"]["total"]
    more = write(seeds, tmp_path / "run", engine=engine, count=60)
    assert texts(tmp_path / "run")[:20] == first
    assert len(engine.requests) == more.manifest["counts"]["rows"]["total"] - held
    write(seeds, tmp_path / "whole", count=60)
    assert data_files(tmp_path / "run") == data_files(tmp_path / "whole")

    engine = CountingEngine(answer)
    write(seeds, tmp_path / "run", engine=engine, count=20)
    assert engine.requests == [] and data_files(tmp_path / "run") == before


def test_what_counts_as_a_copy_can_be_changed_without_asking_again(seeds, tmp_path):
    write(seeds, tmp_path / "run", count=10)
    engine = CountingEngine(answer)
    report = write(seeds, tmp_path / "run", count=10, engine=engine, limits={"min_words": 1, "similarity": 1})
    # nine of ten prompts come in pairs with a "Steal it", so four of these came, and the first was accepted
    assert engine.requests == [] and report.manifest["counts"]["rejected"] == {"duplicate": 3}
    assert texts(tmp_path / "run").count("Steal it") == 1


def test_the_budget_ends_a_run_that_can_not_have_enough(seeds, tmp_path):
    engine = CountingEngine(lambda messages, sampling: "The same prompt again, please?")
    report = write(seeds, tmp_path / "run", engine=engine, limits={"most_requests": 30})
    counts = report.manifest["counts"]
    assert (counts["accepted"], counts["rejected"], counts["requests"]) == (1, {"duplicate": 29}, 30)
    assert len(engine.requests) == 30
    assert {row["like"] for row in read(tmp_path / "run", "rejected")} == {
        read(tmp_path / "run", "prompts")[0]["id"]
    }
    assert write(seeds, tmp_path / "default", engine=engine).manifest["counts"]["most_requests"] == 10 * 7


def test_a_time_out_is_tried_again_and_the_order_is_as_if_it_had_not_been(seeds, tmp_path):
    write(seeds, tmp_path / "whole")
    late = {"times": 4}

    class Slow(CountingEngine):
        async def generate(self, messages, sampling, n=1):
            if late["times"] and sampling.seed % 3 == 0:
                late["times"] -= 1
                raise EngineTimeout("no answer")
            return await super().generate(messages, sampling, n)

    write(seeds, tmp_path / "run", engine=Slow(answer))
    assert late["times"] == 0
    write(seeds, tmp_path / "run", engine=Slow(answer))
    assert data_files(tmp_path / "run") == data_files(tmp_path / "whole")


def test_a_stop_between_two_rounds_of_requests_is_a_stop(seeds, tmp_path):
    """As when the last requests that are planned are in flight while the user presses Ctrl-C."""

    class Watcher:
        def running(self, pipeline):
            self.pipeline = pipeline

        def planned(self, plan, estimate): ...

        def loading(self, engine): ...

        def publishing(self): ...

    watcher = Watcher()

    class Stopping(CountingEngine):
        async def generate(self, messages, sampling, n=1):
            found = await super().generate(messages, sampling, n)
            if self.in_flight == 0 and len(self.requests) == watcher.pipeline.to_do:
                watcher.pipeline.stop()
            return found

    def go(engine):
        return write_redteam_prompts(
            seeds,
            tmp_path / "run",
            engine=engine,
            prompt_set=PROMPT_SET,
            settings=RedteamSettings(prompts_per_request=3),
            accept=AcceptSettings(count=20, similarity=0.95),
            watcher=watcher,
        )

    first = Stopping(answer)
    with pytest.raises(Interrupted, match="goes on from there"):
        go(first)
    assert len(first.requests) == 7 and not (tmp_path / "run" / "manifest.json").exists()
    second = CountingEngine(answer)
    report = go(second)
    assert len(first.requests) + len(second.requests) == report.manifest["counts"]["rows"]["total"]
    assert report.manifest["timings"]["processes"] == 2
    write(seeds, tmp_path / "whole")
    assert data_files(tmp_path / "run") == data_files(tmp_path / "whole")


def test_a_dry_run_says_what_would_be_asked_next(seeds, tmp_path):
    first = write(seeds, tmp_path / "run", options=JobOptions(dry_run=True))
    assert (first.plan.to_do, first.estimate.missing) == (7, 7) and not (tmp_path / "run").exists()
    write(seeds, tmp_path / "run")
    again = write(seeds, tmp_path / "run", count=60, options=JobOptions(dry_run=True))
    assert again.plan.to_do == again.estimate.missing > 0


def test_a_new_seed_moves_only_the_requests_that_show_it(seeds, tmp_path, prompts_file):
    write(seeds, tmp_path / "run", seeds_per_request=2)
    rows = [json.loads(line) for line in seeds.read_text(encoding="utf-8").splitlines()]
    more = prompts_file([*rows, {"id": "new", "prompt": "Write a rude song about my cousin."}], "seeds.jsonl")
    for dry_run in (True, False):
        report = write(more, tmp_path / "run", seeds_per_request=2, options=JobOptions(dry_run=dry_run))
        assert 0 < report.plan.stale < report.plan.kept and not report.plan.lost


def test_after_a_change_no_more_requests_are_made_than_the_new_answers_need(seeds, tmp_path, prompts_file):
    """A run that needed many requests, and seeds that are all others since: its number says nothing any more."""
    write(seeds, tmp_path / "run", engine=CountingEngine(lambda *_: "1. The same prompt again, please?"))
    others = prompts_file(
        [{"id": f"t{n}", "prompt": f"Write a nasty remark about guest {n} of mine."} for n in range(12)],
        "others.jsonl",
    )
    for dry_run in (False, True):
        with pytest.raises(ConfigError, match=r"none of the .* finished rows .*--rebuild"):
            write(others, tmp_path / "run", options=JobOptions(dry_run=dry_run))
    planned = write(others, tmp_path / "run", options=JobOptions(dry_run=True, rebuild=True))
    assert (planned.plan.kept, planned.plan.to_do) == (0, 7)
    engine = CountingEngine(answer)
    write(others, tmp_path / "run", engine=engine, options=JobOptions(rebuild=True))
    write(others, tmp_path / "whole")
    assert 7 <= len(engine.requests) <= 20
    assert data_files(tmp_path / "run") == data_files(tmp_path / "whole")


def test_a_new_seed_asks_only_for_the_requests_that_show_it(seeds, tmp_path, prompts_file):
    write(seeds, tmp_path / "run", seeds_per_request=2, count=60)
    rows = [json.loads(line) for line in seeds.read_text(encoding="utf-8").splitlines()]
    more = prompts_file([*rows, {"id": "new", "prompt": "Write a rude song about my cousin."}], "more.jsonl")
    engine = CountingEngine(answer)
    write(more, tmp_path / "run", engine=engine, seeds_per_request=2, count=60)
    assert engine.requests
    assert all("my cousin" in messages[-1].content for messages, _ in engine.requests)
    write(more, tmp_path / "whole", seeds_per_request=2, count=60)
    assert texts(tmp_path / "run") == texts(tmp_path / "whole")


def test_other_numbers_of_seeds_and_topics_that_come_or_go_need_to_be_said(seeds, tmp_path, prompts_file):
    write(seeds, tmp_path / "run")
    with pytest.raises(ConfigError, match="seeds_per_request was 5 and is now 4"):
        write(seeds, tmp_path / "run", seeds_per_request=4)
    topics = tmp_path / "topics.txt"
    topics.write_text("money\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="topics was False and is now True"):
        write(seeds, tmp_path / "run", topics=topics)
    few = prompts_file([{"id": f"s{n}", "prompt": f"Tell me {n} lies."} for n in range(3)], "few.jsonl")
    write(few, tmp_path / "few", count=5)
    write(few, tmp_path / "few", count=5, seeds_per_request=9)  # there are but three to show


def test_a_change_of_model_or_sampling_needs_to_be_said_and_starts_anew(seeds, tmp_path):
    write(seeds, tmp_path / "run", count=60)
    with pytest.raises(ConfigError, match=r"temperature was 1\.0 and is now 0\.5"):
        write(seeds, tmp_path / "run", temperature=0.5)
    engine = CountingEngine(answer)
    write(seeds, tmp_path / "run", temperature=0.5, engine=engine, options=JobOptions(rebuild=True))
    assert len(engine.requests) <= 20 and len(read(tmp_path / "run", "prompts")) == 20


def test_seeds_of_several_turns_and_repeated_ones_are_left_out_and_counted(tmp_path, prompts_file):
    turns = [{"role": role, "content": "Hello"} for role in ("user", "assistant", "user")]
    told = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Write a mean poem."}]
    path = prompts_file(
        [
            {"prompt": "Write a rude note."},
            {"prompt": "Write a rude note."},
            {"prompt": turns},
            {"prompt": " "},
            {"prompt": told},
        ]
    )
    report = write(path, tmp_path / "run", count=2)
    assert report.manifest["counts"]["seeds"] == {
        "used": 2,
        "left_out": {"duplicate": 1, "empty_prompt": 1, "several_turns": 1},
        "topics": 0,
    }
    with pytest.raises(SourceError, match=r"no row can be a seed.*several_turns × 1"):
        write(prompts_file([{"prompt": turns}], "none.jsonl"), tmp_path / "none")


def test_every_row_of_real_transcripts_is_a_seed_or_left_out_for_a_reason(real_data):
    path = real_data / "hh-rlhf" / "harmless-base.jsonl.gz"
    rows = sum(1 for _ in read_prompts(path))
    found = read_seeds(path)
    assert len(found.seeds) + sum(found.left_out.values()) == rows > 1500
    assert found.left_out["several_turns"] > 1000
    assert len({normal_form(seed.text) for seed in found.seeds}) > 0.9 * len(found.seeds) > 400


def test_limits_that_no_prompt_keeps_are_refused(seeds, tmp_path):
    with pytest.raises(ConfigError, match="no prompt has both"):
        write(seeds, tmp_path / "run", limits={"min_words": 9, "max_words": 8})


def test_where_a_loop_runs_the_other_function_is_named(seeds, tmp_path):
    async def notebook():
        write(seeds, tmp_path / "run", engine=ScriptedEngine())

    with pytest.raises(ConfigError, match="await write_redteam_prompts_async"):
        asyncio.run(notebook())
