"""`label_comparisons` from a file to published data, with scripted judges."""

import json
import math
from dataclasses import replace

import pytest

from constitutional import Constitution, JobOptions, ScriptedEngine
from constitutional.errors import (
    ChoiceUnsupported,
    ConfigError,
    EngineDied,
    EngineTimeout,
    OptionNotShown,
    RequestRefused,
)
from constitutional.jobs.job import Silence
from constitutional.jobs.label import label_comparisons, label_comparisons_async
from constitutional.stages.label import Labeler, LabelSettings
from constitutional.templates import load_prompt_set
from tests.helpers import PROMPT_SET, data_files, read
from tests.judges import Judge, lean, rules, shown, uniform


def moody(first, second, question, messages):
    return uniform(first, question)


def write(folder, rows, name="comparisons.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count, **more):
    return [
        {
            "id": f"c{n}",
            "prompt": f"Question {n}?",
            "responses": [f"One answer, {n}.", f"Another answer, {n}."],
            **more,
        }
        for n in range(count)
    ]


def run(comparisons, out, *, constitution=None, judge=None, settings=None, **more):
    more.setdefault("prompt_set", PROMPT_SET)
    settings = settings if isinstance(settings, LabelSettings) else LabelSettings(**(settings or {}))
    return label_comparisons(
        comparisons, constitution or rules(), out, engine=judge or Judge(moody), settings=settings, **more
    )


def reworded(constitution, id):
    changed = [
        replace(p, preference="Which of the two keeps another rule?") if p.id == id else p
        for p in constitution.principles
    ]
    return Constitution(constitution.id, changed)


def used(out):
    """The principles of each label, by row."""
    return {row["id"]: {vote["principle"] for vote in row["votes"]} for row in read(out, "labels")}


# ---------------------------------------------------------------------- what comes out


def test_every_comparison_gets_a_label_with_its_votes_and_a_preference(tmp_path):
    report = run(write(tmp_path, rows(8)), tmp_path / "run", settings={"principles": 3})
    labels = read(tmp_path / "run", "labels")
    assert [row["id"] for row in labels] == [f"c{n}" for n in range(8)]
    for row in labels:
        assert row["status"] == "ok" and row["units"] == 3 and len(row["votes"]) == 6
        assert row["probability"] == pytest.approx(sum(vote["p"] for vote in row["votes"]) / 6)
        assert row["standard_error"] > 0 and row["human"] is None
    counts = report.manifest["counts"]
    assert counts["rows"] == {"total": 8, "ok": 8, "skipped": 0, "failed": 0, "reasons": {}}
    assert counts["votes"]["cast"] == counts["votes"]["counted"] == 48
    assert counts["labels"]["mean_probability"] == pytest.approx(
        sum(r["probability"] for r in labels) / 8, abs=1e-6
    )
    decided = [counts["labels"][name] for name in ("first_better", "second_better", "ties")]
    assert sum(decided) == 8 and decided[0] == sum(row["probability"] > 0.5 for row in labels)


def test_preferences_say_which_response_is_better_and_how_surely(tmp_path):
    run(write(tmp_path, rows(8)), tmp_path / "run")
    labels = {row["id"]: row["probability"] for row in read(tmp_path / "run", "labels")}
    comparisons = {row["id"]: row for row in read(tmp_path / "run", "comparisons")}
    preferences = read(tmp_path / "run", "preferences")
    assert len(preferences) == 8
    for row in preferences:
        first, second = comparisons[row["id"]]["responses"]
        p = labels[row["id"]]
        better, worse = (first, second) if p > 0.5 else (second, first)
        assert row["chosen"] == [{"role": "assistant", "content": better}]
        assert row["rejected"] == [{"role": "assistant", "content": worse}]
        assert row["chosen_probability"] == max(p, 1 - p)
        assert (row["source"], row["weight"]) == ("test-rules", 1.0)
        assert row["prompt"] == [{"role": "user", "content": f"Question {row['id'][1:]}?"}]


def test_the_run_loads_with_plain_datasets_and_preferences_come_first(tmp_path):
    from datasets import load_dataset

    run(write(tmp_path, rows(5)), tmp_path / "run")
    preferences = load_dataset(str(tmp_path / "run"), split="train", cache_dir=str(tmp_path / "cache"))
    assert {"prompt", "chosen", "rejected", "chosen_probability"} <= set(preferences.column_names)
    assert "label" not in preferences.column_names  # TRL's KTO conversion would overwrite it
    assert preferences[0]["chosen"][0]["role"] == "assistant"
    labels = load_dataset(str(tmp_path / "run"), "labels", split="train", cache_dir=str(tmp_path / "cache"))
    assert labels[0]["votes"][0]["principle"].startswith("rule-")


def test_each_input_ends_once_and_the_counts_add_up(tmp_path):
    given = [
        *rows(4),
        {"id": "same", "prompt": "Q", "responses": ["x", "x"]},
        {"id": "empty", "prompt": "Q", "responses": ["x", ""]},
        {"id": "one", "prompt": "Q", "responses": ["x"]},
        {"id": "refused", "prompt": "Q", "responses": ["Never.", "Ever."]},
        {"id": "c0", "prompt": "again", "responses": ["a", "b"]},
    ]

    def opinion(first, second, question, messages):
        if first in ("Never.", "Ever."):
            raise RequestRefused("no")
        return 0.7

    report = run(write(tmp_path, given), tmp_path / "run", judge=Judge(opinion))
    counts = report.manifest["counts"]["rows"]
    assert (counts["total"], counts["ok"], counts["skipped"], counts["failed"]) == (9, 4, 4, 1)
    assert counts["reasons"]["refused"] == 1 and counts["reasons"]["duplicate_id"] == 1
    assert counts["reasons"]["identical_responses"] == counts["reasons"]["empty_response"] == 1
    assert sum(counts["reasons"].values()) == 5
    labels = {row["id"]: row for row in read(tmp_path / "run", "labels")}
    assert len(labels) == 9 and labels["refused"]["probability"] is None
    assert [vote["reason"] for vote in labels["refused"]["votes"]] == ["refused", "refused"]
    assert report.manifest["counts"]["votes"]["not_counted"] == {"refused": 2}
    assert {row["id"] for row in read(tmp_path / "run", "preferences")} == {"c0", "c1", "c2", "c3"}


def test_ties_flags_position_and_unreadable_answers_are_counted(tmp_path):
    judge = Judge(lambda first, second, question, messages: 0.8, mass=0.2)  # for whatever is shown first
    counts = run(write(tmp_path, rows(5)), tmp_path / "run", judge=judge).manifest["counts"]
    assert counts["labels"]["ties"] == 5 and counts["labels"]["mean_probability"] == 0.5
    assert counts["votes"]["flagged"] == 10
    assert counts["position"] == {"shown_first": pytest.approx(0.8), "orders_disagree": 1.0}

    def torn(first, second, question, messages):  # one order prefers neither
        return 0.5 if first.startswith("One") else 0.8

    counts = run(write(tmp_path, rows(5)), tmp_path / "torn", judge=Judge(torn)).manifest["counts"]
    assert counts["position"]["orders_disagree"] == 0.5

    silent = Judge(moody)
    silent._answer = lambda messages, sampling: "Who knows"
    settings = {"votes": "sampled"}
    report = run(write(tmp_path, rows(5)), tmp_path / "other", judge=silent, settings=settings)
    assert report.failed == 5
    assert report.manifest["counts"]["rows"]["reasons"] == {"unreadable_answer": 5}
    assert report.manifest["counts"]["votes"]["not_counted"] == {"unreadable_answer": 10}
    assert report.manifest["counts"]["labels"]["mean_probability"] is None


def test_what_people_say_and_the_weight_of_a_pair_come_along(tmp_path):
    given = [
        {"id": "a", "prompt": "Q?", "responses": ["x", "y"], "probability": 0.25},
        {"id": "b", "prompt": "Q?", "chosen": "x", "rejected": "y"},
        *rows(1),
    ]
    run(write(tmp_path, given), tmp_path / "run")
    assert [row["human"] for row in read(tmp_path / "run", "labels")] == [0.25, 1.0, None]
    assert [row["probability"] for row in read(tmp_path / "run", "comparisons")] == [0.25, 1.0, None]


def test_a_label_run_can_be_labelled_again(tmp_path):
    given = [{**row, "probability": 0.75} for row in rows(6)]
    run(write(tmp_path, given), tmp_path / "first")
    judge = Judge(moody)
    run(tmp_path / "first", tmp_path / "second", judge=judge)
    assert read(tmp_path / "second", "labels") == read(tmp_path / "first", "labels")
    assert {row["human"] for row in read(tmp_path / "second", "labels")} == {0.75}


def test_a_response_of_a_run_that_reads_like_a_transcript_stays_as_the_model_wrote_it(tmp_path):
    turns = "Human: Question?\n\nAssistant: Fine."
    written = [turns, "Human: Question?", f"{turns}\n\nHuman: And then?", "No."]
    pairs = [
        {"id": f"c{n}", "prompt": "Question?", "responses": [[{"role": "assistant", "content": text}], "Hm."]}
        for n, text in enumerate(written)
    ]
    run(write(tmp_path, pairs), tmp_path / "first", judge=ScriptedEngine())
    held = [row["responses"] for row in read(tmp_path / "first", "comparisons")]
    assert held == [[text, "Hm."] for text in written]
    again = run(tmp_path / "first", tmp_path / "second", judge=ScriptedEngine())
    assert again.manifest["counts"]["rows"]["ok"] == len(written)
    assert [row["responses"] for row in read(tmp_path / "second", "comparisons")] == held


def test_a_run_is_not_its_own_input(tmp_path):
    out = tmp_path / "run"
    run(write(tmp_path, rows(3)), out)
    before = data_files(out)
    (file,) = (out / "data" / "comparisons").glob("*.parquet")
    for source in (out, file):
        with pytest.raises(ConfigError, match="is the source 'comparisons' itself"):
            run(source, out, limit=1)
    assert data_files(out) == before


def test_swapped_comparisons_get_the_complement_at_the_end_of_the_whole_way(tmp_path):
    swapped = [{**row, "responses": row["responses"][::-1]} for row in rows(10)]
    settings = {"principles": 4, "chain_of_thought": True, "samples": 2, "temperature": 1.0}

    def leaning(first, second, question, messages):
        return 0.35 + 0.3 * lean(messages)

    for name, given in (("as-is", rows(10)), ("swapped", swapped)):
        run(write(tmp_path, given, f"{name}.jsonl"), tmp_path / name, judge=Judge(leaning), settings=settings)
    ours, theirs = (read(tmp_path / name, "labels") for name in ("as-is", "swapped"))
    assert [row["probability"] for row in theirs] == [1 - row["probability"] for row in ours]
    assert [row["standard_error"] for row in theirs] == [row["standard_error"] for row in ours]
    chosen = [read(tmp_path / name, "preferences") for name in ("as-is", "swapped")]
    assert chosen[0] == chosen[1]


# ---------------------------------------------------------------------- the same command again


def test_the_same_command_again_asks_for_nothing_and_changes_nothing(tmp_path):
    comparisons, out = write(tmp_path, rows(10)), tmp_path / "run"
    run(comparisons, out, settings={"principles": 2})
    before = data_files(out), (out / "manifest.json").read_text()
    judge = Judge(moody)
    report = run(comparisons, out, judge=judge, settings={"principles": 2})
    assert (report.plan.kept, report.plan.to_do, judge.choices) == (10, 0, [])
    assert (data_files(out), (out / "manifest.json").read_text()) == before


def test_rewording_a_principle_redoes_only_the_votes_that_used_it(tmp_path):
    comparisons, out, settings = write(tmp_path, rows(60)), tmp_path / "run", {"principles": 3}
    run(comparisons, out, settings=settings)
    before = {row["id"]: row for row in read(out, "labels")}
    drew = {id for id, principles in used(out).items() if "rule-7" in principles}
    assert 0 < len(drew) < 30

    new = reworded(rules(), "rule-7")
    options = JobOptions(dry_run=True)
    plan = run(comparisons, out, constitution=new, settings=settings, options=options)
    assert (plan.plan.kept, plan.plan.stale) == (60 - len(drew), len(drew))
    assert plan.estimate.missing == 2 * len(drew)

    judge = Judge(moody)
    run(comparisons, out, constitution=new, judge=judge, settings=settings)
    assert {shown(messages)[2] for messages in judge.choices} == {"Which of the two keeps another rule?"}
    assert len(judge.choices) == 2 * len(drew)
    after = {row["id"]: row for row in read(out, "labels")}
    assert {id for id in before if before[id] != after[id]} == drew


def test_the_tokens_of_a_new_run_are_guessed_from_its_requests(tmp_path):
    given = {"settings": {"chain_of_thought": True, "max_tokens": 50}, "options": JobOptions(dry_run=True)}
    few = run(write(tmp_path, rows(20)), tmp_path / "few", **given).estimate
    many = run(write(tmp_path, rows(900)), tmp_path / "many", **given).estimate  # of which some are looked at
    assert (few.missing, few.completion_tokens, few.seconds) == (80, 20 * 2 * 50, None)
    assert many.completion_tokens == 900 * 2 * 50
    assert 0.95 < many.prompt_tokens / few.prompt_tokens / 45 < 1.05


def test_with_all_principles_rewording_one_asks_two_votes_a_row(tmp_path):
    comparisons, out, settings = write(tmp_path, rows(6)), tmp_path / "run", {"principles": "all"}
    run(comparisons, out, settings=settings)
    judge = Judge(moody)
    report = run(comparisons, out, constitution=reworded(rules(), "rule-7"), judge=judge, settings=settings)
    assert report.plan.stale == 6 and len(judge.choices) == 2 * 6
    back = Judge(moody)
    run(comparisons, out, judge=back, settings=settings)
    assert back.choices == []


@pytest.mark.parametrize(
    "change",
    [
        {"clamp": 0.3},
        {"order_average": "logit"},
        {"low_mass": "exclude"},
        {"principles": 2},
        {"both_orders": False},
    ],
)
def test_another_way_of_averaging_the_same_votes_asks_for_nothing(tmp_path, change):
    comparisons, out = write(tmp_path, rows(8)), tmp_path / "run"
    run(comparisons, out, settings={"principles": 4})
    judge = Judge(moody)
    report = run(comparisons, out, judge=judge, settings={"principles": 4, **change})
    assert report.plan.to_do == 8 and judge.choices == []


def test_more_samples_go_on_from_those_there_are(tmp_path):
    comparisons, out = write(tmp_path, rows(5)), tmp_path / "run"
    settings = {"chain_of_thought": True, "temperature": 1.0}
    run(comparisons, out, settings={**settings, "samples": 2})
    before = {row["id"]: {vote["rationale"] for vote in row["votes"]} for row in read(out, "labels")}
    judge = Judge(moody)
    run(comparisons, out, judge=judge, settings={**settings, "samples": 5})
    assert len(judge.requests) == len(judge.choices) == 5 * 2 * 3
    assert all(
        before[row["id"]] < {vote["rationale"] for vote in row["votes"]} for row in read(out, "labels")
    )


@pytest.mark.parametrize("change", [{"seed": 1}, {"chain_of_thought": True}, {"votes": "sampled"}])
def test_a_change_that_redoes_everything_is_refused_until_rebuild(tmp_path, change):
    comparisons, out = write(tmp_path, rows(3)), tmp_path / "run"
    run(comparisons, out)
    name = next(iter(change))
    with pytest.raises(ConfigError, match=rf"{name} was .*--rebuild"):
        run(comparisons, out, settings=change)
    assert run(comparisons, out, settings=change, options=JobOptions(rebuild=True)).plan.to_do == 3


def test_a_temperature_that_nothing_is_sampled_at_is_no_change(tmp_path):
    comparisons, out = write(tmp_path, rows(3)), tmp_path / "run"
    run(comparisons, out)
    assert run(comparisons, out, settings={"temperature": 0.7, "max_tokens": 9}).plan.kept == 3


def test_a_label_of_people_that_has_changed_is_published_without_asking(tmp_path):
    out = tmp_path / "run"
    run(write(tmp_path, rows(3, probability=0.1)), out)
    judge = Judge(moody)
    run(write(tmp_path, rows(3, probability=0.9)), out, judge=judge)
    assert {row["human"] for row in read(out, "labels")} == {0.9} and judge.choices == []


# ---------------------------------------------------------------------- what can go wrong


def test_a_judge_without_log_probabilities_is_refused_and_the_way_out_named(tmp_path):
    def opinion(first, second, question, messages):
        raise ChoiceUnsupported("the server gives none")

    comparisons = write(tmp_path, rows(3))
    with pytest.raises(ConfigError, match=r"the server gives none.*--votes sampled"):
        run(comparisons, tmp_path / "run", judge=Judge(opinion))
    settings = {"votes": "sampled", "samples": 4, "temperature": 1.0}
    assert run(comparisons, tmp_path / "other", settings=settings).manifest["counts"]["rows"]["ok"] == 3


class Sure(Judge):
    """Behind a server that does not show an option where the judge is asked one of these questions."""

    def __init__(self, *questions):
        super().__init__(moody)
        self.questions = questions

    async def choose(self, messages, options, terminator=None):
        if any(f"Question {number}?" in messages[-2].content for number in self.questions):
            self.choices.append(tuple(messages))
            raise OptionNotShown("'B' is not among the 20 likeliest tokens")
        return await super().choose(messages, options, terminator)


@pytest.mark.parametrize("odd", [(11,), range(9), (0, 3, *range(20, 30))])
def test_comparisons_that_a_server_shows_no_options_for_fail_alone(tmp_path, odd):
    path = write(tmp_path, rows(30))
    report = run(path, tmp_path / "run", judge=Sure(*odd))
    counts = report.manifest["counts"]
    assert counts["rows"]["reasons"] == {"option_not_shown": len(odd)}
    assert counts["labels"]["count"] == 30 - len(odd)
    assert counts["votes"]["not_counted"] == {"option_not_shown": 2 * len(odd)}
    failed = [row["id"] for row in read(tmp_path / "run", "labels") if row["status"] == "failed"]
    assert failed == [f"c{n}" for n in sorted(odd)]
    again = Sure(*range(30))
    report = run(path, tmp_path / "run", judge=again, options=JobOptions(retry_failed=True))
    assert len(again.choices) == 2 * len(odd) and report.failed == len(odd)  # many, but others were answered


def test_a_run_of_which_no_row_can_be_answered_is_given_up_and_the_way_out_is_free(tmp_path):
    path = write(tmp_path, rows(100))
    judge = Sure(*range(100))
    with pytest.raises(ConfigError, match=r"none of the first 10 rows .*option_not_shown.*--votes sampled"):
        run(path, tmp_path / "run", judge=judge)
    assert len(judge.choices) < 2 * 40 and not (tmp_path / "run" / "manifest.json").exists()
    counted = run(path, tmp_path / "run", judge=judge, settings={"votes": "sampled"})  # without rebuild
    assert counted.manifest["counts"]["rows"]["ok"] == 100


def test_rows_that_timed_out_are_tried_again_and_ask_only_what_is_missing(tmp_path):
    comparisons, out = write(tmp_path, rows(4)), tmp_path / "run"

    def failing(first, second, question, messages):
        if ", 2." in first and first.startswith("Another"):
            raise EngineTimeout("no answer in 1 s")
        return 0.7

    report = run(comparisons, out, judge=Judge(failing))
    assert report.manifest["counts"]["rows"]["reasons"] == {"timeout": 1}
    judge = Judge(lambda *_: 0.7)
    again = run(comparisons, out, judge=judge)
    assert (again.plan.kept, again.plan.retried, again.failed, len(judge.choices)) == (3, 1, 0, 1)


def test_a_comparison_that_does_not_fit_is_skipped(tmp_path):
    given = [*rows(2), {"id": "long", "prompt": "word " * 500, "responses": ["a", "b"]}]
    report = run(write(tmp_path, given), tmp_path / "run", judge=Judge(moody, context_length=400))
    assert report.manifest["counts"]["rows"]["reasons"] == {"too_long": 1}
    assert report.manifest["counts"]["rows"]["skipped"] == 1


def test_an_engine_that_dies_once_with_many_requests_of_a_row_in_flight_kills_no_row(tmp_path):
    class Mortal(Judge):
        """Dies at its 20th request, and with it all that are in flight; lives on when it is started again."""

        life, lost = 0, 0

        async def start(self):
            self.life += 1

        async def choose(self, messages, options, terminator=None):
            born = self.life
            if born == 1 and len(self.choices) >= 20:
                self.dead = True
            answer = await super().choose(messages, options, terminator)
            if born == 1 and getattr(self, "dead", False):
                self.lost += 1
                raise EngineDied("gone")
            return answer

    judge = Mortal(moody, latency=0.01)
    report = run(write(tmp_path, rows(3)), tmp_path / "run", judge=judge, settings={"principles": "all"})
    assert judge.life == 2 and judge.lost > 3
    assert report.manifest["counts"]["rows"]["ok"] == 3


def test_a_setting_that_can_t_be_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="principles is 99"):
        run(write(tmp_path, rows(3)), tmp_path / "run", settings={"principles": 99})
    assert not (tmp_path / "run").exists()


def test_inside_a_running_event_loop_the_async_function_is_named(tmp_path):
    import asyncio

    comparisons = write(tmp_path, rows(1))

    async def notebook():
        with pytest.raises(ConfigError, match="await label_comparisons_async"):
            run(comparisons, tmp_path / "run")
        return await label_comparisons_async(
            comparisons, rules(), tmp_path / "run", engine=Judge(moody), prompt_set=PROMPT_SET
        )

    assert asyncio.run(notebook()).failed == 0


# ---------------------------------------------------------------------- order and concurrency


def test_one_or_64_in_flight_and_shuffled_input_give_the_same_labels(tmp_path):
    settings = {"principles": 3, "chain_of_thought": True, "samples": 2, "temperature": 1.0}
    one, many = Judge(moody, slots=1), Judge(moody, slots=64, latency=0.001)
    comparisons = write(tmp_path, rows(12))
    run(comparisons, tmp_path / "one", judge=one, settings=settings)
    run(comparisons, tmp_path / "many", judge=many, settings=settings)
    assert one.most_in_flight == 1 and many.most_in_flight > 20
    assert data_files(tmp_path / "one") == data_files(tmp_path / "many")
    run(write(tmp_path, rows(12)[::-1], "r.jsonl"), tmp_path / "turned", settings=settings)
    assert read(tmp_path / "turned", "labels") == read(tmp_path / "one", "labels")[::-1]


def test_rows_are_finished_one_after_the_other_not_all_at_the_end(tmp_path):
    class Following(Silence):
        pipeline = None

        def running(self, pipeline):
            self.pipeline = pipeline

    following, finished = Following(), []

    def opinion(first, second, question, messages):
        finished.append(following.pipeline.stats.finished)
        return 0.5

    judge = Judge(opinion, slots=4, latency=0.001)
    run(
        write(tmp_path, rows(20)),
        tmp_path / "run",
        judge=judge,
        settings={"principles": "all"},
        watcher=following,
    )
    assert len(finished) == 20 * 32
    assert finished.index(1) < 3 * 32  # four rows are open at once
    assert finished[320] >= 7


# ---------------------------------------------------------------------- what the manifest says


def test_the_manifest_holds_settings_constitution_and_hashes(tmp_path):
    settings = LabelSettings(principles="all", clamp=0.1)
    manifest = run(write(tmp_path, rows(2)), tmp_path / "run", settings=settings).manifest
    assert manifest["stage"] == "label"
    assert LabelSettings(**manifest["settings"]) == settings
    assert manifest["constitution"]["hash"] == rules().hash
    assert manifest["constitution"]["principles"] == [f"rule-{n}" for n in range(16)]
    labeler = Labeler(rules(), load_prompt_set(PROMPT_SET), settings)
    assert manifest["prompt_set"]["hash"] == labeler.prompts.fingerprint("judge")
    assert list(manifest["data"]) == ["preferences", "labels", "comparisons"]


def test_the_votes_of_a_published_label_give_its_numbers_again(tmp_path):
    """What `audit` does with other settings: the row alone is enough."""
    from constitutional.feedback import Vote

    settings = LabelSettings(principles=4, order_average="logit", clamp=0.2)
    run(write(tmp_path, rows(5)), tmp_path / "run", settings=settings)
    labeler = Labeler(rules(), load_prompt_set(PROMPT_SET), settings)
    for row in read(tmp_path / "run", "labels"):
        tally = labeler.aggregate([Vote(**vote) for vote in row["votes"]])
        assert (tally.probability, tally.standard_error, tally.units) == (
            row["probability"],
            row["standard_error"],
            row["units"],
        )
        assert not math.isnan(row["probability"])
