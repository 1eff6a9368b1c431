"""The main job with the scripted engine: what comes out, what is kept, and what an edit redoes."""

import json
import random
from pathlib import Path

import pytest

from constitutional import Constitution, DataSettings, JobOptions, ReviseSettings
from constitutional.errors import ConfigError, EngineTimeout, RequestRefused
from tests.helpers import CountingEngine, constitution, data_files, drawn, principle, read, run


def answer_with(text):
    return lambda messages, sampling: text


def is_revision(messages):
    return messages[-1].content.startswith("Revision request:")


def test_every_input_ends_as_exactly_one_of_ok_skipped_and_failed(prompts_file, tmp_path):
    rows = [
        {"id": "good", "prompt": "Hello?"},
        {"id": "empty", "prompt": "  "},
        {"id": "good", "prompt": "the same id again"},
        {"id": "assistant", "prompt": [{"role": "assistant", "content": "I am last."}]},
        {"id": "refused", "prompt": "make it fail"},
        {"id": "long", "prompt": "word " * 5000},
    ]

    def answer(messages, sampling):
        if "make it fail" in messages[-1].content:
            raise RequestRefused("no")
        return f"A different answer {sampling.seed}."

    report = run(prompts_file(rows), tmp_path / "run", engine=CountingEngine(answer, context_length=4000))
    counts = report.manifest["counts"]["rows"]
    assert counts["reasons"] == {
        "empty_prompt": 1,
        "duplicate_id": 1,
        "ends_with_assistant": 1,
        "refused": 1,
        "too_long": 1,
    }
    assert (counts["total"], counts["ok"], counts["skipped"], counts["failed"]) == (6, 1, 4, 1)
    assert (
        counts["ok"] + counts["skipped"] + counts["failed"]
        == counts["total"]
        == len(read(tmp_path / "run", "chains"))
    )


def test_a_chain_keeps_response_critiques_revisions_and_the_principles_drawn(prompts_file, tmp_path):
    run(prompts_file(3), tmp_path / "run", rounds=3)
    for row in read(tmp_path / "run", "chains"):
        assert row["status"] == "ok"
        assert len(row["rounds"]) == 3
        assert row["response"] and all(r["critique"] and r["revision"] for r in row["rounds"])
        assert row["completion_tokens"] == sum(
            len(text.split())
            for text in [row["response"], *(r[k] for r in row["rounds"] for k in ("critique", "revision"))]
        )


def test_sft_data_hold_every_good_revision_or_only_the_last(prompts_file, tmp_path):
    prompts = prompts_file(4)
    run(prompts, tmp_path / "run", rounds=3)
    rows = read(tmp_path / "run", "sft")
    assert [(r["id"], r["round"]) for r in rows] == [(f"p{n:04}", k) for n in range(4) for k in (1, 2, 3)]
    assert all(r["completion"][0]["role"] == "assistant" and r["prompt"][-1]["role"] == "user" for r in rows)

    engine = CountingEngine()
    run(prompts, tmp_path / "run", rounds=3, engine=engine, data=DataSettings(revisions="last"))
    assert [(r["id"], r["round"]) for r in read(tmp_path / "run", "sft")] == [
        (f"p{n:04}", 3) for n in range(4)
    ]
    assert engine.requests == []


def test_a_failing_revision_is_kept_counted_left_out_and_not_built_upon(prompts_file, tmp_path):
    def answer(messages, sampling):
        if is_revision(messages):
            return "" if "rule 0" in messages[-1].content else f"A better text {sampling.seed}"
        return f"Some text {sampling.seed}"

    rules = Constitution(id="two", principles=[principle(0), principle(1)])
    engine = CountingEngine(answer)
    report = run(prompts_file(40), tmp_path / "run", rules=rules, rounds=2, engine=engine)
    empty = sum(round == ("rule-0",) for rounds in drawn(tmp_path / "run").values() for round in rounds)
    assert report.manifest["counts"]["failed_checks"]["empty"] == empty > 10
    assert report.manifest["counts"]["revisions"] == 80
    assert len(read(tmp_path / "run", "sft")) == 80 - empty
    for row in read(tmp_path / "run", "chains"):
        first, second = row["rounds"]
        bad_both = first["checks"] == second["checks"] == ["empty"]
        assert (row["status"], row["reason"]) == (
            ("failed", "no_good_revision") if bad_both else ("ok", None)
        )
        built_on = row["response"] if first["checks"] else first["revision"]
        asked = [
            m
            for m, _ in engine.requests
            if m[-1].content.startswith("Critique request") and m[-2].content == built_on
        ]
        assert asked


def test_a_waived_check_keeps_its_revisions_in_the_sft_data(prompts_file, tmp_path):
    from constitutional import Generation

    engine = CountingEngine(lambda messages, sampling: Generation(f"cut {sampling.seed}", "length"))
    prompts = prompts_file(5)
    report = run(prompts, tmp_path / "run", engine=engine)
    assert report.failed == 5 and read(tmp_path / "run", "sft") == []
    again = CountingEngine(answer_with("never asked"))
    run(prompts, tmp_path / "run", engine=again, data=DataSettings(keep_failing=("truncated",)))
    assert len(read(tmp_path / "run", "sft")) == 10 and again.requests == []


def test_a_critique_that_finds_nothing_ends_the_chain_when_asked_to(prompts_file, tmp_path):
    def answer(messages, sampling):
        if is_revision(messages):
            return f"Rewritten {sampling.seed}"
        if messages[-1].content.startswith("Critique request"):
            return (
                "All is well here. No changes needed."
                if messages[-2].content.startswith("Rew")
                else "It is rude."
            )
        return f"Rude {sampling.seed}"

    settings = ReviseSettings(rounds=4, stop_when_clean=True)
    report = run(prompts_file(3), tmp_path / "run", engine=CountingEngine(answer), settings=settings)
    for row in read(tmp_path / "run", "chains"):
        assert [bool(r["revision"]) for r in row["rounds"]] == [True, False]
        assert (row["status"], row["reason"]) == ("ok", "clean")
    assert report.manifest["counts"]["sft"] == {"revision": 3}


def test_a_response_that_is_clean_at_once_is_itself_the_completion(prompts_file, tmp_path):
    def answer(messages, sampling):
        return (
            "No changes needed."
            if messages[-1].content.startswith("Critique request")
            else "A fine response."
        )

    settings = ReviseSettings(rounds=2, stop_when_clean=True)
    run(prompts_file(1), tmp_path / "run", engine=CountingEngine(answer), settings=settings)
    (row,) = read(tmp_path / "run", "sft")
    assert (row["round"], row["source"], row["completion"][0]["content"]) == (
        0,
        "response",
        "A fine response.",
    )


def test_direct_revision_asks_for_no_critique(prompts_file, tmp_path):
    engine = CountingEngine()
    run(prompts_file(2), tmp_path / "run", engine=engine, settings=ReviseSettings(rounds=2, critique=False))
    assert len(engine.requests) == 2 * 3
    assert all(r["critique"] is None for row in read(tmp_path / "run", "chains") for r in row["rounds"])


def test_a_given_response_is_revised_and_not_generated(prompts_file, tmp_path):
    engine = CountingEngine()
    run(
        prompts_file([{"id": "a", "prompt": "Q?", "response": "The given one."}]),
        tmp_path / "run",
        engine=engine,
    )
    assert len(engine.requests) == 4
    assert read(tmp_path / "run", "chains")[0]["response"] == "The given one."


def test_helpful_samples_are_mixed_into_the_sft_data(prompts_file, tmp_path):
    helpful = prompts_file([{"id": f"h{n}", "prompt": f"Help with {n}"} for n in range(3)], "helpful.jsonl")
    engine = CountingEngine()
    report = run(prompts_file(2), tmp_path / "run", helpful=helpful, engine=engine)
    assert report.manifest["counts"]["sft"] == {"helpful": 6, "revision": 4}
    texts = [r["completion"][0]["content"] for r in read(tmp_path / "run", "sft") if r["source"] == "helpful"]
    assert len(set(texts)) == 6
    assert len(read(tmp_path / "run", "chains")) == 2
    assert len(engine.requests) == 2 * 5 + 3 * 2


def test_several_principles_a_round_are_all_named_in_the_request(prompts_file, tmp_path):
    engine = CountingEngine()
    run(
        prompts_file(1),
        tmp_path / "run",
        engine=engine,
        settings=ReviseSettings(rounds=1, principles_per_round=3),
    )
    (row,) = read(tmp_path / "run", "chains")
    asked = engine.requests[1][0][-1].content
    assert len(row["rounds"][0]["principles"]) == 3
    assert all(f"rule {id.removeprefix('rule-')}." in asked for id in row["rounds"][0]["principles"])


def test_the_oldest_turns_are_dropped_when_asked_to(prompts_file, tmp_path):
    turns = [{"role": role, "content": f"{role} " * 200} for _ in range(5) for role in ("user", "assistant")]
    row = {"id": "a", "prompt": [*turns, {"role": "user", "content": "And now?"}]}
    settings = ReviseSettings(rounds=1, examples=0, overlong="drop-oldest", max_tokens=50)
    run(prompts_file([row]), tmp_path / "run", engine=CountingEngine(context_length=1000), settings=settings)
    (chain,) = read(tmp_path / "run", "chains")
    assert chain["status"] == "ok"
    assert chain["prompt"][0]["role"] == "user" and chain["prompt"][-1]["content"] == "And now?"
    assert chain["dropped_turns"] == 11 - len(chain["prompt"]) > 0


# ---------------------------------------------------------------------- the same command again


def test_the_same_command_again_asks_for_nothing_and_changes_nothing(prompts_file, tmp_path):
    prompts, out = prompts_file(20), tmp_path / "run"
    run(prompts, out)
    before = data_files(out), (out / "manifest.json").read_text()
    engine = CountingEngine()
    report = run(prompts, out, engine=engine)
    assert (report.plan.kept, report.plan.to_do, engine.requests) == (20, 0, [])
    assert (data_files(out), (out / "manifest.json").read_text()) == before


def reworded(rules, number):
    changed = principle(number, critique=f"Explain where the assistant's last response fails rule {number}.")
    return Constitution(
        id=rules.id, principles=[changed if p.id == changed.id else p for p in rules.principles]
    )


def test_rewording_a_principle_redoes_only_the_rows_that_drew_it(prompts_file, tmp_path):
    prompts, out, rules = prompts_file(100), tmp_path / "run", constitution()
    run(prompts, out, rules=rules)
    before = {row["id"]: row for row in read(out, "chains")}
    drew = {id for id, rounds in drawn(out).items() if ("rule-3",) in rounds}
    first_round = {id for id, rounds in drawn(out).items() if rounds[0] == ("rule-3",)}
    assert 0 < len(drew) < 30

    new = reworded(rules, 3)
    dry = CountingEngine()
    plan = run(prompts, out, rules=new, engine=dry, options=JobOptions(dry_run=True))
    assert (plan.plan.kept, plan.plan.to_do, plan.plan.stale) == (100 - len(drew), len(drew), len(drew))
    # of five generations a row, those after the first place that drew it are to be made
    assert plan.estimate.missing == 4 * len(first_round) + 2 * (len(drew) - len(first_round))
    assert dry.requests == [] and {row["id"]: row for row in read(out, "chains")} == before

    engine = CountingEngine()
    report = run(prompts, out, rules=new, engine=engine)
    assert len(engine.requests) == plan.estimate.missing
    assert report.plan == plan.plan
    after = {row["id"]: row for row in read(out, "chains")}
    assert {id for id in before if before[id] != after[id]} == drew


def test_adding_or_removing_a_principle_redoes_only_the_rows_it_moves(prompts_file, tmp_path):
    prompts, out, rules = prompts_file(100), tmp_path / "run", constitution()
    run(prompts, out, rules=rules)
    before = drawn(out)
    for changed in (
        Constitution(id=rules.id, principles=[*rules.principles, principle(99)]),
        Constitution(id=rules.id, principles=[p for p in rules.principles if p.id != "rule-5"]),
    ):
        engine = CountingEngine()
        report = run(prompts, out, rules=changed, engine=engine)
        after = drawn(out)
        moved = {id for id in before if before[id] != after[id]}
        assert report.plan.to_do == len(moved) and 0 < len(moved) < 50
        run(prompts, out, rules=rules)  # and back, which asks for nothing: see below
        assert drawn(out) == before


def test_going_back_to_an_earlier_wording_asks_for_nothing(prompts_file, tmp_path):
    prompts, out, rules = prompts_file(50), tmp_path / "run", constitution()
    run(prompts, out, rules=rules)
    files = data_files(out)
    run(prompts, out, rules=reworded(rules, 3))
    engine = CountingEngine()
    run(prompts, out, rules=rules, engine=engine)
    assert engine.requests == [] and data_files(out) == files


def test_a_preference_text_does_not_touch_the_rows_of_revise(prompts_file, tmp_path):
    prompts, rules = prompts_file(20), constitution()
    run(prompts, tmp_path / "run", rules=rules)
    new = Constitution(
        id=rules.id, principles=[principle(n, preference="Which is better?") for n in range(16)]
    )
    assert run(prompts, tmp_path / "run", rules=new).plan.to_do == 0


def test_more_rounds_go_on_from_the_rounds_there_are(prompts_file, tmp_path):
    prompts = prompts_file(10)
    run(prompts, tmp_path / "run", rounds=2)
    engine = CountingEngine()
    run(prompts, tmp_path / "run", rounds=3, engine=engine)
    assert len(engine.requests) == 10 * 2


def test_new_inputs_are_done_and_old_ones_dropped(prompts_file, tmp_path):
    out = tmp_path / "run"
    run(prompts_file(10), out)
    rows = [{"id": f"p{n:04}", "prompt": f"Question number {n}: what should I do?"} for n in range(5, 12)]
    engine = CountingEngine()
    report = run(prompts_file(rows), out, engine=engine)
    assert (report.plan.kept, report.plan.to_do, report.plan.dropped) == (5, 2, 5)
    assert [row["id"] for row in read(out, "chains")] == [row["id"] for row in rows]


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"seed": 1}, {"max_tokens": 7}])
def test_a_change_of_sampling_is_refused_until_rebuild(prompts_file, tmp_path, change):
    prompts, out = prompts_file(5), tmp_path / "run"
    run(prompts, out)
    settings = ReviseSettings(rounds=2, **change)
    with pytest.raises(ConfigError, match=r"--rebuild"):
        run(prompts, out, settings=settings)
    assert run(prompts, out, settings=settings, options=JobOptions(rebuild=True)).plan.to_do == 5


def test_a_change_of_model_is_refused_and_named(prompts_file, tmp_path):
    prompts, out = prompts_file(5), tmp_path / "run"
    run(prompts, out)
    with pytest.raises(ConfigError, match=r"fingerprint was 'scripted' and is now 'other'"):
        run(prompts, out, engine=CountingEngine(name="other"))


def test_transient_failures_are_tried_again_and_others_only_when_asked(prompts_file, tmp_path):
    def failing(messages, sampling):
        if "number 3:" in messages[-1].content:
            raise EngineTimeout("no answer in 1 s")
        if "number 4:" in messages[-1].content:
            raise RequestRefused("never")
        return f"Text {sampling.seed}"

    def healthy(messages, sampling):
        return f"Text {sampling.seed}"

    prompts, out = prompts_file(8), tmp_path / "run"
    report = run(prompts, out, engine=CountingEngine(failing))
    assert report.manifest["counts"]["rows"]["reasons"] == {"refused": 1, "timeout": 1}
    again = run(prompts, out, engine=CountingEngine(healthy))
    assert (again.plan.kept, again.plan.retried, again.failed) == (7, 1, 1)
    last = run(prompts, out, engine=CountingEngine(healthy), options=JobOptions(retry_failed=True))
    assert (last.plan.retried, last.failed) == (1, 0)


# ---------------------------------------------------------------------- order and concurrency


def test_one_or_64_in_flight_and_shuffled_input_give_the_same_data(prompts_file, tmp_path):
    rows = [{"prompt": f"Question number {n % 70}: what should I do?"} for n in range(80)]  # 10 of them twice
    one, many = CountingEngine(slots=1), CountingEngine(slots=64, latency=0.001)
    prompts = prompts_file(rows)
    run(prompts, tmp_path / "one", engine=one)
    run(prompts, tmp_path / "many", engine=many)
    assert one.most_in_flight == 1 and many.most_in_flight == 64
    assert data_files(tmp_path / "one") == data_files(tmp_path / "many")

    shuffled = random.Random(0).sample(rows, len(rows))
    run(
        prompts_file(shuffled, "shuffled.jsonl"),
        tmp_path / "shuffled",
        engine=CountingEngine(slots=7, latency=0.001),
    )
    assert shuffled != rows and drawn(tmp_path / "shuffled") == drawn(tmp_path / "one")

    def by_id(name):
        return sorted(map(json.dumps, read(tmp_path / name, "chains"))), sorted(
            map(json.dumps, read(tmp_path / name, "sft"))
        )

    assert by_id("shuffled") == by_id("one")


def test_a_shuffled_input_of_a_finished_run_asks_for_nothing(prompts_file, tmp_path):
    rows = [{"prompt": f"Question {n}"} for n in range(20)]
    run(prompts_file(rows), tmp_path / "run")
    engine = CountingEngine()
    run(prompts_file(rows[::-1], "reversed.jsonl"), tmp_path / "run", engine=engine)
    assert engine.requests == []
    assert [r["prompt"][0]["content"] for r in read(tmp_path / "run", "chains")] == [
        r["prompt"] for r in rows[::-1]
    ]


# ---------------------------------------------------------------------- what a review found


def test_a_truncated_response_is_no_completion_however_clean_its_critique(prompts_file, tmp_path):
    from constitutional import Generation

    def answer(messages, sampling):
        if messages[-1].content.startswith("Critique request"):
            return "No changes needed."
        return Generation("This stops in the mid", "length")

    settings = ReviseSettings(rounds=1, stop_when_clean=True)
    run(prompts_file(2), tmp_path / "run", engine=CountingEngine(answer), settings=settings)
    assert read(tmp_path / "run", "sft") == []


def test_a_field_that_a_template_renders_is_part_of_the_row_s_key(prompts_file, tmp_path):
    import shutil

    from tests.helpers import PROMPT_SET

    folder = tmp_path / "set"
    shutil.copytree(PROMPT_SET, folder)
    text = (folder / "critique.jinja").read_text()
    (folder / "critique.jinja").write_text(text.replace("principle.critique", "principle.preference"))
    prompts = prompts_file(6)

    def rules(question):
        return Constitution(id="r", principles=[principle(n, preference=question) for n in range(4)])

    run(prompts, tmp_path / "run", rules=rules("Which one is kinder?"), prompt_set=folder)
    assert (
        run(prompts, tmp_path / "run", rules=rules("Which one is safer?"), prompt_set=folder).plan.to_do == 6
    )


def test_the_manifest_says_where_the_constitution_and_the_prompts_are_from_anywhere(
    prompts_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    near = Constitution("near", constitution().principles, path=Path("near.yaml"))
    manifest = run(prompts_file(1), tmp_path / "run", rules=near).manifest
    assert manifest["constitution"]["path"] == str(tmp_path / "near.yaml")
    assert Path(manifest["prompt_set"]["path"]).is_absolute()


def test_the_manifest_counts_the_work_of_all_processes(prompts_file, tmp_path):
    def fails_first(messages, sampling):
        if "number 1:" in messages[0].content or any("number 1:" in m.content for m in messages):
            raise EngineTimeout("later")
        return f"Text {sampling.seed}"

    prompts, out = prompts_file(4), tmp_path / "run"
    run(prompts, out, engine=CountingEngine(fails_first))
    report = run(prompts, out, engine=CountingEngine(lambda messages, sampling: f"Text {sampling.seed}"))
    timings = report.manifest["timings"]
    assert (timings["processes"], timings["generated"]) == (2, 4 * 5)
    again = run(prompts, out)
    assert again.manifest["timings"] == timings


def test_rows_that_did_not_fit_are_tried_again_when_asked(prompts_file, tmp_path):
    prompts = prompts_file([{"id": "a", "prompt": "word " * 500}, {"id": "b", "prompt": "short"}])
    settings = ReviseSettings(rounds=1, max_tokens=50)
    report = run(prompts, tmp_path / "run", engine=CountingEngine(context_length=400), settings=settings)
    assert report.manifest["counts"]["rows"]["reasons"] == {"too_long": 1}
    options = JobOptions(retry_failed=True)
    engine = CountingEngine(context_length=9000)
    report = run(prompts, tmp_path / "run", engine=engine, settings=settings, options=options)
    assert report.manifest["counts"]["rows"]["ok"] == 2


def test_an_answer_that_is_no_unicode_fails_its_row_alone(prompts_file, tmp_path):
    def answer(messages, sampling):
        return "\ud800" if any("number 1:" in m.content for m in messages) else f"Text {sampling.seed}"

    report = run(prompts_file(3), tmp_path / "run", engine=CountingEngine(answer))
    assert report.manifest["counts"]["rows"]["reasons"] == {"bad_answer": 1}


def test_only_bad_inputs_do_not_bind_a_run_to_its_model(prompts_file, tmp_path):
    rows = [{"id": "a", "prompt": " "}, {"id": "b", "prompt": "fine"}]
    with pytest.raises(RuntimeError):
        run(prompts_file(rows), tmp_path / "run", engine=BrokenEngine())
    assert run(prompts_file(rows), tmp_path / "run", engine=CountingEngine(name="other")).plan.to_do == 1


class BrokenEngine(CountingEngine):
    async def start(self):
        raise RuntimeError("does not start")


def test_inside_a_running_event_loop_the_async_function_is_named(prompts_file, tmp_path):
    import asyncio

    async def notebook():
        run(prompts_file(1), tmp_path / "run")

    with pytest.raises(ConfigError, match="await build_sl_cai_async"):
        asyncio.run(notebook())


def test_a_template_that_fails_on_one_row_fails_that_row(prompts_file, tmp_path):
    import shutil

    from tests.helpers import PROMPT_SET

    folder = tmp_path / "set"
    shutil.copytree(PROMPT_SET, folder)
    (folder / "respond.jinja").write_text(
        '{% turn "user" %}{{ prompt[0].content }}{{ prompt[2].content }}{% endturn %}'
    )
    long = [{"role": r, "content": f"{r} turn"} for r in ("user", "assistant", "user")]
    rows = [{"id": "one", "prompt": "a single turn"}, {"id": "three", "prompt": long}]
    report = run(prompts_file(rows), tmp_path / "run", prompt_set=folder)
    assert report.manifest["counts"]["rows"]["reasons"] == {"template_error": 1}
