"""What an edit costs: what is predicted is what the next run then does."""

import asyncio
import json
import shutil
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutional import Constitution, DataSettings, JobOptions, ReviseSettings
from constitutional.engines.base import EngineFacts
from constitutional.errors import ConfigError, ConstitutionError, EngineTimeout, RequestRefused, TemplateError
from constitutional.jobs.sl_cai_recipe import Recipe
from constitutional.ledger import Ledger
from constitutional.workbench.stale import cost_of_edit, made_with
from tests.helpers import PROMPT_SET, CountingEngine, constitution, drawn, principle, run


def predict(out, rules, **more):
    return asyncio.run(cost_of_edit(out, rules, **more))


def edited(rules, *changes, drop=(), add=()):
    """The constitution with (id, fields) changed, some principles dropped and some added."""
    fields = dict(changes)
    kept = [replace(p, **fields.get(p.id, {})) for p in rules.principles if p.id not in drop]
    return Constitution(id=rules.id, principles=[*kept, *add])


def redo(prompts, out, rules, **more):
    """Predict, run, and check that the run did what was predicted.

    Returns:
        (what was predicted, how many generations were made, what the run reports)
    """
    cost = predict(out, rules)
    dry = run(prompts, out, rules=rules, options=JobOptions(dry_run=True), **more)
    assert (cost.plan, cost.whole) == (dry.plan, dry.estimate)
    engine = CountingEngine(context_length=more.pop("context_length", None))
    report = run(prompts, out, rules=rules, engine=engine, **more)
    assert report.stats.finished == cost.plan.to_do
    return cost, len(engine.requests), report


RULES = constitution(8)
EDITS = {
    "reword a critique": edited(RULES, ("rule-2", {"critique": "Other words."})),
    "reword a revision": edited(RULES, ("rule-2", {"revision": "Other words."})),
    "reweight": edited(RULES, ("rule-2", {"weight": 4.0})),
    "add": edited(RULES, add=[principle(99)]),
    "remove": edited(RULES, drop=["rule-5"]),
    "rename": edited(RULES, ("rule-3", {"id": "other-name"})),
    "several": edited(
        RULES,
        ("rule-1", {"critique": "Other words.", "weight": 0.5}),
        ("rule-2", {"preference": "Which is better?"}),
        drop=["rule-7"],
        add=[principle(98), principle(99, weight=2)],
    ),
}
SETTINGS = {
    "the usual": {"rounds": 2},
    "two principles a round": {"rounds": 2, "principles_per_round": 2},
    "no critiques": {"rounds": 3, "critique": False},
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("made", SETTINGS)
def test_the_rows_that_the_next_run_redoes_are_those_predicted(prompts_file, tmp_path, edit, made):
    prompts, out, chain = prompts_file(60), tmp_path / "run", ReviseSettings(**SETTINGS[made])
    run(prompts, out, rules=RULES, settings=chain)
    cost, requests, report = redo(prompts, out, EDITS[edit], settings=chain)
    wording_that_is_not_asked = made == "no critiques" and edit == "reword a critique"
    assert cost.plan.stale == report.plan.stale == cost.plan.to_do == 60 - cost.plan.kept
    assert wording_that_is_not_asked or 0 < cost.plan.stale < 60
    assert requests == cost.redo.missing == cost.whole.missing
    assert max(cost.stale_by_principle.values(), default=0) <= cost.plan.stale
    assert sum(cost.stale_by_principle.values()) >= cost.plan.stale and cost.stale_anyway == 0


def test_the_rows_that_drew_a_reworded_principle_are_stale_and_no_others(prompts_file, tmp_path):
    prompts, out = prompts_file(100), tmp_path / "run"
    run(prompts, out, rules=RULES)
    drew = {id for id, rounds in drawn(out).items() if ("rule-2",) in rounds}
    first = {id for id, rounds in drawn(out).items() if rounds[0] == ("rule-2",)}
    cost = predict(out, EDITS["reword a critique"])
    assert cost.plan.stale == len(drew) > 0
    assert cost.stale_by_principle == {"rule-2": len(drew)}
    assert cost.redo.missing == 4 * len(first) + 2 * (len(drew) - len(first))
    assert cost.redo.prompt_tokens > 0 and cost.redo.completion_tokens > 0 and cost.redo.seconds > 0


def test_rows_are_counted_for_each_principle_that_moved_them_and_for_no_other(prompts_file, tmp_path):
    prompts, out = prompts_file(100), tmp_path / "run"
    run(prompts, out, rules=RULES)
    before = drawn(out)
    rules = edited(
        RULES, ("rule-2", {"critique": "Other words."}), ("rule-6", {"source": "us"}), add=[principle(99)]
    )
    cost, _, _ = redo(prompts, out, rules)
    after = drawn(out)
    reworded = {id for id in before if ("rule-2",) in before[id] or ("rule-2",) in after[id]}
    added = {id for id in after if ("rule-99",) in after[id]}
    assert cost.stale_by_principle == {"rule-2": len(reworded), "rule-99": len(added)}
    assert cost.plan.stale == len(reworded | added)


def test_a_renamed_principle_counts_under_its_new_name(prompts_file, tmp_path):
    prompts, out = prompts_file(60), tmp_path / "run"
    run(prompts, out, rules=RULES)
    cost = predict(out, EDITS["rename"])
    assert list(cost.stale_by_principle) == ["other-name"]
    assert cost.stale_by_principle["other-name"] == cost.plan.stale


@pytest.mark.parametrize("fields", [{"preference": "Which is better?"}, {"source": "us"}, {"tags": ("a",)}])
def test_a_field_that_is_not_rendered_makes_nothing_stale(prompts_file, tmp_path, fields):
    prompts, out = prompts_file(20), tmp_path / "run"
    run(prompts, out, rules=RULES)
    rules = edited(RULES, *((p.id, fields) for p in RULES.principles))
    cost, requests, _ = redo(prompts, out, rules)
    assert (cost.plan.stale, cost.plan.kept, requests, cost.redo.missing) == (0, 20, 0, 0)


def test_another_order_version_or_description_makes_nothing_stale(prompts_file, tmp_path):
    prompts, out = prompts_file(20), tmp_path / "run"
    run(prompts, out, rules=RULES)
    rules = Constitution(id="other", principles=RULES.principles[::-1], version=9, description="Turned.")
    assert redo(prompts, out, rules)[0].plan.stale == 0


def test_helpful_rows_are_never_stale(prompts_file, tmp_path):
    prompts, out = prompts_file(20), tmp_path / "run"
    helpful = prompts_file([{"id": f"h{n}", "prompt": f"Help with {n}"} for n in range(7)], "helpful.jsonl")
    run(prompts, out, rules=RULES, helpful=helpful)
    cost, requests, _ = redo(
        prompts, out, edited(RULES, drop=["rule-1"], add=[principle(99)]), helpful=helpful
    )
    assert 0 < cost.plan.stale <= 20 and cost.plan.kept >= 7
    assert requests == cost.redo.missing
    everything = Constitution(id="all-new", principles=[principle(n) for n in range(50, 58)])
    assert predict(out, everything).plan.kept == 7


def test_a_given_response_is_none_of_the_generations_to_make(prompts_file, tmp_path):
    rows = [
        {
            "id": f"p{n}",
            "prompt": f"Question {n}?",
            **({"response": f" The given one {n}. "} if n % 2 else {}),
        }
        for n in range(40)
    ]
    prompts, out = prompts_file(rows), tmp_path / "run"
    run(prompts, out, rules=RULES)
    everything = Constitution(id="all-new", principles=[principle(n) for n in range(50, 58)])
    cost, requests, _ = redo(prompts, out, everything)
    assert cost.plan.stale == 40
    assert requests == cost.redo.missing == 40 * 4 and cost.redo.remembered == 20


def test_rows_to_do_anyway_are_told_from_stale_ones(prompts_file, tmp_path):
    prompts, out = prompts_file(40), tmp_path / "run"
    run(prompts, out, rules=RULES)
    with sqlite3.connect(out / "ledger.sqlite") as ledger:  # as after a stop
        ledger.execute("UPDATE rows SET status = NULL, result = NULL WHERE ordinal >= 30")
    cost, requests, _ = redo(prompts, out, EDITS["several"])
    assert 0 < cost.plan.stale < 30 and cost.unfinished == 10
    assert cost.plan.to_do == cost.plan.stale + 10
    assert cost.redo.missing < cost.whole.missing == requests


def failing(messages, sampling):
    number = messages[0].content if messages else ""
    if any("number 3:" in m.content for m in messages):
        raise EngineTimeout(f"no answer about {number}")
    if any("number 4:" in m.content for m in messages):
        raise RequestRefused("never")
    return f"Text {sampling.seed}"


def test_failed_and_skipped_rows_are_stale_like_others_and_transient_ones_are_tried_again(
    prompts_file, tmp_path
):
    prompts, out = prompts_file(8), tmp_path / "run"
    run(prompts, out, rules=RULES, engine=CountingEngine(failing))
    unedited = predict(out, RULES)
    assert (unedited.plan.kept, unedited.plan.retried, unedited.plan.to_do) == (7, 1, 1)
    everything = Constitution(id="all-new", principles=[principle(n) for n in range(50, 58)])
    cost, _, report = redo(prompts, out, everything)
    assert (cost.plan.stale, cost.plan.retried, cost.plan.kept) == (8, 0, 0)
    assert report.failed == 0


def test_bad_inputs_are_never_stale(prompts_file, tmp_path):
    rows = [{"id": "a", "prompt": " "}, {"id": "b", "prompt": "fine"}, {"id": "b", "prompt": "twice"}]
    prompts, out = prompts_file(rows), tmp_path / "run"
    run(prompts, out, rules=RULES)
    everything = Constitution(id="all-new", principles=[principle(n) for n in range(50, 58)])
    cost, _, _ = redo(prompts, out, everything)
    assert (cost.plan.bad, cost.plan.stale) == (2, 1)


def test_rows_whose_oldest_turns_were_dropped_are_planned_with_all_their_turns(prompts_file, tmp_path):
    turns = [{"role": role, "content": f"{role} " * 200} for _ in range(5) for role in ("user", "assistant")]
    rows = [
        {"id": f"p{n}", "prompt": [*turns, {"role": "user", "content": f"And now {n}?"}]} for n in range(8)
    ]
    chain = ReviseSettings(rounds=1, examples=0, overlong="drop-oldest", max_tokens=50)
    prompts, out = prompts_file(rows), tmp_path / "run"
    run(prompts, out, rules=RULES, settings=chain, engine=CountingEngine(context_length=1000))
    assert predict(out, RULES).plan.kept == 8
    rules = edited(RULES, drop=["rule-1", "rule-2", "rule-3"])
    cost = predict(out, rules)
    report = run(prompts, out, rules=rules, settings=chain, engine=CountingEngine(context_length=1000))
    assert 0 < cost.plan.stale == report.stats.finished and cost.plan == report.plan


def test_where_chains_may_stop_early_the_generations_are_an_upper_bound(prompts_file, tmp_path):
    def answer(messages, sampling):
        asked = messages[-1].content.startswith("Critique request")
        return "No changes needed." if asked and sampling.seed % 2 else f"It is rude {sampling.seed}."

    prompts, out = prompts_file(40), tmp_path / "run"
    chain = ReviseSettings(rounds=3, stop_when_clean=True)
    run(prompts, out, rules=RULES, settings=chain, engine=CountingEngine(answer))
    cost = predict(out, EDITS["several"])
    engine = CountingEngine(answer)
    report = run(prompts, out, rules=EDITS["several"], settings=chain, engine=engine)
    assert cost.plan == report.plan and report.stats.finished == cost.plan.stale > 0
    assert 0 < len(engine.requests) < cost.redo.missing


def test_going_back_to_an_earlier_wording_redoes_rows_and_generates_nothing(prompts_file, tmp_path):
    prompts, out = prompts_file(40), tmp_path / "run"
    run(prompts, out, rules=RULES)
    run(prompts, out, rules=EDITS["reword a critique"])
    cost, requests, _ = redo(prompts, out, RULES)
    assert cost.plan.stale > 0 and cost.redo.missing == requests == 0
    assert cost.redo.remembered == 5 * cost.plan.stale


def test_a_row_that_a_template_fails_on_needs_no_generations_but_those_before(prompts_file, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(PROMPT_SET, folder)
    (folder / "revise.jinja").write_text(
        (folder / "revise.jinja").read_text() + '{% turn "user" %}{{ prompt[2].content }}{% endturn %}'
    )
    long = [{"role": r, "content": f"{r} turn"} for r in ("user", "assistant", "user")]
    prompts, out = (
        prompts_file([{"id": "one", "prompt": "single"}, {"id": "three", "prompt": long}]),
        tmp_path / "run",
    )
    run(prompts, out, rules=RULES, prompt_set=folder)
    everything = edited(RULES, *((p.id, {"revision": "Other words."}) for p in RULES.principles))
    cost, requests, _ = redo(prompts, out, everything, prompt_set=folder)
    assert cost.plan.stale == 2 and requests == cost.redo.missing


# ---------------------------------------------------------------------- any edit

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "critique": st.sampled_from(["Other words.", "Still others."]),
        "revision": st.sampled_from(["Other words.", "Still others."]),
        "preference": st.just("Which is better?"),
        "weight": st.sampled_from([0.2, 1.0, 5.0]),
        "id": st.sampled_from(["new-name", "newer-name"]),
    },
)
SMALL = constitution(5)
CHANGES = st.tuples(
    st.dictionaries(st.sampled_from([p.id for p in SMALL.principles]), FIELDS, max_size=3),
    st.sets(st.sampled_from([p.id for p in SMALL.principles]), max_size=2),
    st.sets(st.integers(90, 93), max_size=2),
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(CHANGES, min_size=1, max_size=3), st.integers(1, 2), st.booleans())
def test_after_any_edits_the_next_run_does_what_was_predicted(changes, count, critique):
    with tempfile.TemporaryDirectory() as folder:
        prompts, out = Path(folder) / "prompts.jsonl", Path(folder) / "run"
        prompts.write_text(
            "".join(json.dumps({"id": f"p{n}", "prompt": f"Question {n}?"}) + "\n" for n in range(12))
        )
        chain = ReviseSettings(rounds=2, principles_per_round=count, critique=critique)
        run(prompts, out, rules=SMALL, settings=chain)
        for fields, drop, add in changes:
            try:
                rules = edited(SMALL, *fields.items(), drop=drop, add=map(principle, add))
            except ConstitutionError:  # two of the same new name
                continue
            before = drawn(out)
            cost, requests, report = redo(prompts, out, rules, settings=chain)
            assert cost.redo == cost.whole and requests == cost.redo.missing
            assert (
                cost.plan.stale
                == report.stats.finished
                >= sum(before[id] != d for id, d in drawn(out).items())
            )
            assert cost.stale_anyway == 0 and (sum(cost.stale_by_principle.values()) >= cost.plan.stale)


# ---------------------------------------------------------------------- what the run was made with


def test_a_run_knows_what_it_was_made_with_even_if_that_was_never_published(prompts_file, tmp_path):
    class Stops(CountingEngine):
        async def start(self):
            raise RuntimeError("does not start")

    prompts, out = prompts_file(30), tmp_path / "run"
    run(prompts, out, rules=RULES)
    assert made_with(out) == RULES
    with pytest.raises(RuntimeError):
        run(prompts, out, rules=EDITS["add"], engine=Stops())
    assert made_with(out).hash == EDITS["add"].hash
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["constitution"]["hash"] == RULES.hash
    cost = predict(out, EDITS["add"])
    assert cost.plan.stale == 0 and cost.unfinished > 0
    back = predict(out, RULES)
    assert (back.plan.stale, back.plan.to_do) == (0, cost.plan.to_do)
    assert back.whole.missing == 0


def test_a_dry_run_leaves_what_the_run_was_made_with(prompts_file, tmp_path):
    prompts, out = prompts_file(5), tmp_path / "run"
    run(prompts, out, rules=RULES)
    run(prompts, out, rules=EDITS["add"], options=JobOptions(dry_run=True))
    assert made_with(out).hash == RULES.hash


def test_the_recipe_comes_back_as_it_was():
    rules = Constitution(
        id="all-fields",
        principles=[principle(1, preference="Which 🙂?", weight=1 / 3, tags=("b", "a"), source="Grüße")],
        version=3,
        description="Everything.",
        path=Path("/somewhere/rules.yaml"),
    )
    recipe = Recipe(
        rules,
        Path("/somewhere/set"),
        "hash",
        ReviseSettings(rounds=3, examples=1, temperature=1 / 3),
        DataSettings(keep_failing=("truncated",), helpful_samples=3),
        EngineFacts({"engine": "scripted", "fingerprint": "f"}, 4096),
    )
    assert Recipe.from_row(json.loads(json.dumps(recipe.to_row()))) == recipe


def without_recipe(out):
    """The run as an earlier version would have left it."""
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM meta WHERE name = 'recipe'")
        ledger.execute("UPDATE rows SET input = NULL WHERE status = 'ok'")


def test_a_run_of_an_earlier_version_is_told_how_to_become_one_of_this(prompts_file, tmp_path):
    prompts, out = prompts_file(20), tmp_path / "run"
    run(prompts, out, rules=RULES)
    without_recipe(out)
    with pytest.raises(ConfigError, match="an earlier version of constitutional made it"):
        predict(out, RULES)
    engine = CountingEngine()
    assert run(prompts, out, rules=RULES, engine=engine).plan.kept == 20 and not engine.requests
    assert redo(prompts, out, EDITS["add"])[0].plan.stale > 0


def test_a_row_that_an_earlier_version_finished_since_is_an_error_that_says_what_to_do(
    prompts_file, tmp_path
):
    prompts, out = prompts_file(3), tmp_path / "run"
    run(prompts, out, rules=RULES)
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE rows SET input = NULL WHERE id = 'p0001'")
    with pytest.raises(ConfigError, match=r"does not hold the input of 'p0001'.* again"):
        predict(out, RULES)


def test_a_folder_that_is_no_run_or_has_no_rows_yet_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="is not a run directory: there is no such folder"):
        predict(tmp_path / "none", RULES)
    with pytest.raises(ConfigError, match="is not a run directory: it has no ledger"):
        made_with(tmp_path)
    (tmp_path / "ledger.sqlite").touch()
    with pytest.raises(ConfigError, match="has no rows yet"):
        made_with(tmp_path)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"stage": "label"}, "a run of the stage 'label'.* its `constitutional label` command .*--dry-run"),
        ({"stage": "compare"}, "a run of the stage 'compare'; this needs one of 'revise'$"),
        (
            {"stage": "revise", "constitution": {"id": "a", "principles": [{"id": "b", "critique": 3}]}},
            "can't be read",
        ),
        ({"stage": "revise"}, "can't be read"),
        ([1], "a run of the stage None"),
        ("revise", "a run of the stage None"),
        ({"stage": "revise", "constitution": []}, "can't be read"),
        ({"stage": "revise", "constitution": {"id": "a", "principles": [{"id": "b"}]}}, "can't be read"),
    ],
)
def test_what_a_run_was_made_with_is_checked_when_it_is_read(tmp_path, recipe, says):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.write_meta("recipe", recipe)
    ledger.close()
    with pytest.raises(ConfigError, match=says):
        made_with(tmp_path)


@pytest.mark.parametrize("junk", [None, 1, "x", ["x"], {"x": 1}])
def test_a_recipe_that_is_damaged_anywhere_is_an_error_and_no_traceback(tmp_path, junk):
    facts = EngineFacts({"engine": "scripted"}, 4096)
    whole = Recipe(RULES, PROMPT_SET, "hash", ReviseSettings(), DataSettings(), facts).to_row()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for part in ("constitution", "prompt_set", "settings", "data", "engine"):
        ledger.write_meta("recipe", {**whole, part: junk})
        with pytest.raises(ConfigError, match="can't be read"):
            made_with(tmp_path)
    ledger.close()


def test_a_setting_of_a_newer_version_is_an_error_and_no_traceback(prompts_file, tmp_path):
    out = tmp_path / "run"
    run(prompts_file(2), out, rules=RULES)
    ledger = Ledger(out / "ledger.sqlite")
    recipe = ledger.read_meta("recipe")
    recipe["settings"]["from_the_future"] = 1
    ledger.write_meta("recipe", recipe)
    ledger.close()
    with pytest.raises(ConfigError, match="Another version of constitutional"):
        made_with(out)


# ---------------------------------------------------------------------- what else may have changed


def test_a_prompt_set_that_changed_since_is_named_as_the_reason(prompts_file, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(PROMPT_SET, folder)
    prompts, out = prompts_file(20), tmp_path / "run"
    helpful = prompts_file([{"id": "h", "prompt": "Help"}], "helpful.jsonl")
    run(prompts, out, rules=RULES, prompt_set=folder, helpful=helpful)
    assert not predict(out, RULES).prompt_set_changed
    text = (folder / "critique.jinja").read_text(encoding="utf-8")
    (folder / "critique.jinja").write_text(text.replace("Critique request:", "Criticise:"), encoding="utf-8")
    cost, _, _ = redo(prompts, out, EDITS["add"], prompt_set=folder, helpful=helpful)
    assert cost.prompt_set_changed and cost.stale_anyway == cost.plan.stale == 20
    assert cost.plan.kept == 1 and cost.stale_by_principle == {}


def test_another_prompt_set_can_be_named(prompts_file, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(PROMPT_SET, folder)
    out = tmp_path / "run"
    run(prompts_file(5), out, rules=RULES, prompt_set=folder)
    shutil.rmtree(folder)
    with pytest.raises(TemplateError, match=r"is not there any more; name the one .*--prompt-set"):
        predict(out, RULES)
    same = predict(out, RULES, prompt_set=PROMPT_SET)
    assert not same.prompt_set_changed and same.plan.kept == 5
    other = predict(out, RULES, prompt_set="default")
    assert other.prompt_set_changed and other.stale_anyway == 5


def test_a_version_that_makes_rows_in_another_way_is_told_from_an_edit(prompts_file, tmp_path, monkeypatch):
    out = tmp_path / "run"
    run(prompts_file(10), out, rules=RULES)
    monkeypatch.setattr("constitutional.stages.revise._VERSION", 99)
    cost = predict(out, EDITS["add"])
    assert cost.stale_anyway == cost.plan.stale == 10 and not cost.prompt_set_changed


def test_a_constitution_that_the_next_run_would_refuse_is_refused(prompts_file, tmp_path):
    out = tmp_path / "run"
    run(prompts_file(3), out, rules=RULES, settings=ReviseSettings(rounds=1, principles_per_round=3))
    with pytest.raises(ConfigError, match="has only 2 principles"):
        predict(out, Constitution(id="few", principles=RULES.principles[:2]))
    question = principle(1, critique=None, revision=None, preference="Which is better?")
    with pytest.raises(ConstitutionError, match="no principle has `critique:`"):
        predict(out, Constitution(id="none", principles=[question]))


# ---------------------------------------------------------------------- readers only read


def test_nothing_is_written(prompts_file, tmp_path):
    out = tmp_path / "run"
    run(prompts_file(20), out, rules=RULES)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert predict(out, EDITS["several"]).plan.stale > 0
    assert {path: path.read_bytes() for path in before} == before
    assert predict(out, RULES).plan.stale == 0


def test_a_first_run_that_was_killed_has_a_rate_to_estimate_by(prompts_file, tmp_path):
    out = tmp_path / "run"
    run(prompts_file(20), out, rules=RULES)
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM meta WHERE name = 'rate'")
    assert predict(out, EDITS["add"]).redo.prompt_tokens > 0
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        ledger.execute("DELETE FROM meta WHERE name = 'totals'")
    guessed = predict(out, EDITS["add"]).redo
    assert guessed.prompt_tokens > 0 and guessed.seconds is None


def test_a_run_that_is_planned_anew_while_it_is_read_is_an_error(prompts_file, tmp_path, monkeypatch):
    prompts, out = prompts_file(5), tmp_path / "run"
    run(prompts, out, rules=RULES)
    plan = Ledger.plan

    def meanwhile(self, rows, **more):
        found = plan(self, rows, **more)
        with sqlite3.connect(out / "ledger.sqlite") as ledger:
            ledger.execute(
                "UPDATE meta SET value = json_set(value, '$.stage', 'other') WHERE name = 'recipe'"
            )
        return found

    monkeypatch.setattr(Ledger, "plan", meanwhile)
    with pytest.raises(ConfigError, match="was planned anew while it was read"):
        predict(out, RULES)
