"""The job of scoring, with the scripted engine: what comes out, what is kept, and what an edit redoes."""

import asyncio
import re
import statistics

import pytest

from constitutional import Constitution, JobOptions, Principle, ScriptedEngine
from constitutional.errors import ChoiceUnsupported, ConfigError, EngineTimeout, OptionNotShown
from constitutional.jobs.score import score_responses
from constitutional.stages.score import ScoreSettings
from tests.helpers import PROMPT_SET, CountingEngine, data_files, read
from tests.helpers import run as revise


def rules(count=3, **reworded):
    questions = {f"rule-{n}": f"Which response keeps rule {n}?" for n in range(count)} | reworded
    return Constitution("rules", [Principle(name, preference=text) for name, text in questions.items()])


class Judge(ScriptedEngine):
    """Scores, counts what it is asked, and counts what it is sent to write."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.asked = []

    async def choose(self, messages, options, terminator=None):
        self.asked.append(messages)
        return await super().choose(messages, options, terminator)


def score(responses, out, *, constitution=None, engine=None, retry=False, rebuild=False, **settings):
    return score_responses(
        responses,
        constitution or rules(),
        out,
        engine=engine or ScriptedEngine(),
        prompt_set=PROMPT_SET,
        settings=ScoreSettings(**settings),
        options=JobOptions(retry_failed=retry, rebuild=rebuild),
    )


@pytest.fixture
def responses_file(prompts_file):
    return lambda count: prompts_file(
        [{"id": f"r{n}", "prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(count)]
    )


def test_every_input_ends_as_exactly_one_of_ok_skipped_and_failed(prompts_file, tmp_path):
    rows = [
        {"id": "good", "prompt": "Hi?", "response": "Hello."},
        {"id": "none", "prompt": "Hi?"},
        {"id": "long", "prompt": "Hi?", "response": "word " * 500},
        {"id": "odd", "prompt": "Hi?", "response": "make it odd"},
    ]

    def answer(messages, sampling):
        return "I would rather not." if "make it odd" in messages[-1].content else "Score: 4"

    report = score(
        prompts_file(rows),
        tmp_path / "run",
        engine=CountingEngine(answer, context_length=400),
        written=True,
        max_tokens=20,
    )
    counts = report.manifest["counts"]
    assert counts["rows"]["reasons"] == {"missing_response": 1, "too_long": 1, "unreadable_score": 1}
    assert [counts["rows"][s] for s in ("total", "ok", "skipped", "failed")] == [4, 1, 2, 1]
    assert counts["votes"] == {"counted": 3, "flagged": 0, "unreadable_score": 3}
    (row,) = read(tmp_path / "run", "scores")
    assert (row["id"], row["score"], row["rating"]) == ("good", 0.5, 4.0)


def test_a_score_stands_with_its_response_and_all_its_votes(responses_file, tmp_path):
    report = score(responses_file(5), tmp_path / "run")
    rows = read(tmp_path / "run", "scores")
    assert [row["id"] for row in rows] == [f"r{n}" for n in range(5)]
    for number, row in enumerate(rows):
        assert row["prompt"] == [{"role": "user", "content": f"Question {number}?"}]
        assert row["response"] == f"Answer {number}."
        ratings = [vote["rating"] for vote in row["votes"]]
        assert [vote["principle"] for vote in row["votes"]] == ["rule-0", "rule-1", "rule-2"]
        assert row["rating"] == pytest.approx(statistics.mean(ratings))
        assert row["score"] == pytest.approx((row["rating"] - 1) * 2 / 9 - 1)
        assert row["standard_error"] == pytest.approx(statistics.stdev(ratings) / 3**0.5 * 2 / 9)
    scores = [row["score"] for row in rows]
    found = report.manifest["counts"]["scores"]
    assert found["count"] == 5 and found["mean"] == pytest.approx(statistics.mean(scores), abs=1e-6)
    assert found["standard_error"] == pytest.approx(statistics.stdev(scores) / 5**0.5, abs=1e-6)


def test_chains_are_scored_round_by_round(prompts_file, tmp_path):
    revise(prompts_file(6), tmp_path / "chains")
    report = score(tmp_path / "chains", tmp_path / "run")
    rows = read(tmp_path / "run", "scores")
    assert [(row["source_id"], row["round"]) for row in rows] == [
        (f"p{n:04}", k) for n in range(6) for k in range(3)
    ]
    by_round = report.manifest["counts"]["scores_by_round"]
    assert [(found["round"], found["count"]) for found in by_round] == [(0, 6), (1, 6), (2, 6)]
    for found in by_round:
        scores = [row["score"] for row in rows if row["round"] == found["round"]]
        assert found["mean"] == pytest.approx(statistics.mean(scores), abs=1e-6)
        assert found["standard_error"] == pytest.approx(statistics.stdev(scores) / 6**0.5, abs=1e-6)


def test_the_rounds_of_a_chain_are_no_independent_scores(prompts_file, tmp_path):
    """Of chains whose rounds all score alike, the mean is as uncertain as that of a round."""
    revise(prompts_file(5), tmp_path / "chains", rounds=4)

    def answer(messages, sampling):
        number = int(re.search(r"Question number (\d+)", messages[-1].content)[1])
        return f"Score: {1 + number % 5}"

    whole = score(tmp_path / "chains", tmp_path / "run", engine=ScriptedEngine(answer), written=True)
    counts, rows = whole.manifest["counts"], read(tmp_path / "run", "scores")
    assert counts["scores"]["count"] == len(rows) == 5 * 5
    chains = [row["score"] for row in rows if row["round"] == 0]
    assert len(set(chains)) > 1 and [row["score"] for row in rows] == [s for s in chains for _ in range(5)]
    assert counts["scores"]["standard_error"] == pytest.approx(statistics.stdev(chains) / 5**0.5, abs=1e-6)


def test_the_rounds_of_a_chain_are_scored_by_the_same_principles(prompts_file, tmp_path):
    revise(prompts_file(8), tmp_path / "chains")
    score(tmp_path / "chains", tmp_path / "run", principles=1)
    drew = {}
    for row in read(tmp_path / "run", "scores"):
        drew.setdefault(row["source_id"], set()).update(vote["principle"] for vote in row["votes"])
    assert all(len(names) == 1 for names in drew.values()) and len(set.union(*drew.values())) > 1


def test_the_same_call_again_asks_nothing_and_leaves_the_data(responses_file, tmp_path):
    path = responses_file(5)
    score(path, tmp_path / "run")
    before = data_files(tmp_path / "run")
    engine = Judge()
    report = score(path, tmp_path / "run", engine=engine)
    assert (report.plan.kept, report.plan.to_do, engine.asked) == (5, 0, [])
    assert data_files(tmp_path / "run") == before


def test_rewording_a_principle_asks_only_about_it_and_one_that_no_row_drew_nothing(responses_file, tmp_path):
    path = responses_file(5)
    score(path, tmp_path / "run")
    engine = Judge()
    reworded = rules(**{"rule-1": "Which response is shorter?"})
    report = score(path, tmp_path / "run", constitution=reworded, engine=engine)
    assert report.plan.stale == 5 and len(engine.asked) == 5
    assert all("Which response is shorter?" in messages[-2].content for messages in engine.asked)

    score(path, tmp_path / "drawn", principles=1)
    drew = {row["id"]: row["votes"][0]["principle"] for row in read(tmp_path / "drawn", "scores")}
    engine = Judge()
    score(path, tmp_path / "drawn", constitution=reworded, engine=engine, principles=1)
    assert len(engine.asked) == sum(name == "rule-1" for name in drew.values())


def test_more_samples_ask_only_for_the_new_ones(responses_file, tmp_path):
    def answer(messages, sampling):
        return f"Score: {1 + sampling.seed % 5}"

    path, settings = responses_file(2), {"written": True, "temperature": 1.0}
    score(path, tmp_path / "run", engine=CountingEngine(answer), samples=2, **settings)
    engine = CountingEngine(answer)
    score(path, tmp_path / "run", engine=engine, samples=5, **settings)
    assert len(engine.requests) == 2 * 3 * 3
    assert all(len(row["votes"]) == 15 for row in read(tmp_path / "run", "scores"))


@pytest.mark.parametrize("change", [{"high": 5}, {"written": True}, {"seed": 1}])
def test_a_change_that_redoes_everything_needs_to_be_said(responses_file, tmp_path, change):
    path = responses_file(2)
    score(path, tmp_path / "run")
    with pytest.raises(ConfigError, match=f"{next(iter(change))} was .* --rebuild"):
        score(path, tmp_path / "run", **change)
    score(path, tmp_path / "run", rebuild=True, engine=ScriptedEngine(lambda m, s: "Score: 2"), **change)


def test_a_change_of_what_counts_asks_nothing(responses_file, tmp_path):
    path = responses_file(3)
    score(path, tmp_path / "run")
    engine = Judge()
    report = score(path, tmp_path / "run", engine=engine, min_mass=0.999, low_mass="exclude")
    assert engine.asked == [] and report.manifest["counts"]["rows"]["reasons"] == {"low_mass": 3}
    assert report.manifest["counts"]["votes"] == {"flagged": 9, "low_mass": 9}
    assert read(tmp_path / "run", "scores") == []


def test_an_engine_without_probabilities_is_refused_with_what_to_do(responses_file, tmp_path):
    class Mute(ScriptedEngine):
        async def choose(self, messages, options, terminator=None):
            raise ChoiceUnsupported("this server gives no log-probabilities")

    with pytest.raises(ConfigError, match=r"gives no log-probabilities.*--written"):
        score(responses_file(3), tmp_path / "run", engine=Mute())


def test_a_response_whose_ratings_a_server_does_not_show_fails_alone(responses_file, tmp_path):
    class Sure(Judge):
        async def choose(self, messages, options, terminator=None):
            if "Answer 11." in messages[-2].content:
                raise OptionNotShown("'7' is not among the 20 likeliest tokens")
            return await super().choose(messages, options, terminator)

    counts = score(responses_file(20), tmp_path / "run", engine=Sure()).manifest["counts"]
    assert (counts["rows"]["ok"], counts["rows"]["reasons"]) == (19, {"option_not_shown": 1})
    assert counts["votes"] == {"counted": 57, "flagged": 0, "option_not_shown": 3}


def test_where_no_response_can_be_rated_so_the_run_is_given_up_with_what_to_do(responses_file, tmp_path):
    class Mute(CountingEngine):
        async def choose(self, messages, options, terminator=None):
            raise OptionNotShown("'10' is not among the 20 likeliest tokens")

    engine = Mute(lambda messages, sampling: "Score: 4")
    with pytest.raises(ConfigError, match=r"none of the first 10 rows .*--written"):
        score(responses_file(50), tmp_path / "run", engine=engine)
    assert score(responses_file(50), tmp_path / "run", engine=engine, written=True).failed == 0
    assert score(responses_file(5), tmp_path / "few", engine=engine).failed == 5


def test_a_dry_run_counts_what_is_remembered(responses_file, tmp_path):
    path = responses_file(4)
    score(path, tmp_path / "run", constitution=rules(16))
    reworded = rules(16, **{"rule-3": "Which response is shorter?"})
    report = score_responses(
        path,
        reworded,
        tmp_path / "run",
        engine=ScriptedEngine(),
        prompt_set=PROMPT_SET,
        options=JobOptions(dry_run=True),
    )
    assert (report.plan.stale, report.estimate.generations, report.estimate.missing) == (4, 4 * 16, 4)


def test_a_time_out_is_tried_again_by_the_next_call(responses_file, tmp_path):
    late = {"r1"}

    class Slow(Judge):
        async def choose(self, messages, options, terminator=None):
            if late and "Answer 1." in messages[-2].content:
                raise EngineTimeout("no answer")
            return await super().choose(messages, options, terminator)

    path = responses_file(3)
    assert score(path, tmp_path / "run", engine=Slow()).failed == 1
    assert len(read(tmp_path / "run", "scores")) == 2
    late.clear()
    engine = Slow()
    assert score(path, tmp_path / "run", engine=engine).failed == 0
    assert len(engine.asked) == 3
    score(path, tmp_path / "whole")
    assert data_files(tmp_path / "run") == data_files(tmp_path / "whole")


def test_the_scores_load_with_datasets(responses_file, tmp_path, monkeypatch):
    import datasets

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    score(responses_file(3), tmp_path / "run")
    loaded = datasets.load_dataset(
        str(tmp_path / "run"), "scores", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["score"] == [row["score"] for row in read(tmp_path / "run", "scores")]


def test_the_manifest_says_what_the_scores_were_made_with(responses_file, tmp_path):
    manifest = score(responses_file(1), tmp_path / "run", principles=2).manifest
    assert manifest["stage"] == "score"
    assert manifest["settings"]["principles"] == 2
    assert manifest["constitution"]["principles"] == ["rule-0", "rule-1", "rule-2"]
    assert manifest["sources"]["responses"].endswith("prompts.jsonl")
    assert manifest["prompt_set"]["path"] == str(PROMPT_SET.absolute())
    assert "2 drawn principles" in manifest["summary"] and "from 1 to 10" in manifest["summary"]


def test_where_a_loop_runs_the_other_function_is_named(responses_file, tmp_path):
    async def notebook():
        score(responses_file(1), tmp_path / "run")

    with pytest.raises(ConfigError, match="await score_responses_async"):
        asyncio.run(notebook())
