"""Trying principles: the requests are a run's own, and what one candidate does to the response is no other's business."""

import asyncio
import io
import json

import pytest
from rich.console import Console

from constitutional import (
    Constitution,
    Generation,
    Principle,
    Prompt,
    ReviseSettings,
    ScriptedEngine,
    load_prompt_set,
)
from constitutional.cli.constitution.trial_view import TrialView
from constitutional.errors import ConfigError, ConstitutionError, EngineTimeout, InputError, RequestRefused
from constitutional.records import conversation
from constitutional.sources import read_prompts
from constitutional.stages.revise import Reviser
from constitutional.workbench.trial import Candidate, try_principles
from constitutional.workbench.trial_spec import TrialSpec, choose_candidates, prompt_from, prompt_of_row
from constitutional.workbench.watch import Tried
from tests.helpers import PROMPT_SET, CountingEngine, constitution, principle

PROMPTS = load_prompt_set(PROMPT_SET)
PROMPT = prompt_from("How do I get back at my neighbour?")
RULES = constitution(5)


def candidates(*ids, rules=RULES, **more):
    return choose_candidates({"rules": rules}, PROMPT, principles=ids, **more)


def tried(chosen, engine=None, prompt=PROMPT, **settings):
    engine = engine or CountingEngine()
    return asyncio.run(
        try_principles(prompt, chosen, engine, prompts=PROMPTS, settings=ReviseSettings(**settings))
    )


def ids(chosen):
    return [(candidate.name, candidate.principle.id, candidate.group) for candidate in chosen]


# ---------------------------------------------------------------------- the same as a run


@pytest.mark.parametrize(
    "settings",
    [{}, {"seed": 7, "temperature": 0.5, "max_tokens": 9}, {"critique": False}, {"examples": 0}],
    ids=str,
)
def test_the_drawn_principle_is_tried_with_the_very_requests_of_a_runs_first_round(settings):
    runs, trials = CountingEngine(), CountingEngine()
    reviser = Reviser(RULES, PROMPTS, ReviseSettings(rounds=1, **settings))
    chain = asyncio.run(reviser.chain(PROMPT, runs))
    trial = tried(candidates(seed=settings.get("seed", 0)), trials, **settings)
    assert trials.requests == runs.requests
    assert trial.response == chain.response
    assert [attempt.round for attempt in trial.attempts] == list(chain.rounds)
    assert trial.attempts[0].candidate.drawn


def test_a_prompt_has_the_id_that_it_has_in_a_file_of_prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("Hello there\n", encoding="utf-8")
    (row,) = read_prompts(path)
    assert prompt_from("Hello there") == row.prompt
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"prompt": "Hello there", "response": "Hi."}) + "\n", encoding="utf-8")
    (row,) = read_prompts(path)
    assert prompt_from("Hello there", "Hi.") == row.prompt


def test_all_candidates_are_tried_on_one_response():
    engine = CountingEngine()
    trial = tried(candidates(every=True), engine)
    assert len(engine.requests) == 1 + 2 * 5
    assert [attempt.round.principles for attempt in trial.attempts] == [(f"rule-{n}",) for n in range(5)]
    assert len({attempt.round.revision.text for attempt in trial.attempts}) == 5


def test_a_response_that_comes_with_the_prompt_is_not_generated():
    engine = CountingEngine()
    trial = tried(candidates("rule-1"), engine, prompt_from("Hi", " Go away. "))
    assert trial.response.text == "Go away."
    assert len(engine.requests) == 2
    assert all("Go away." in [m.content for m in messages] for messages, _ in engine.requests)


def test_a_critique_that_finds_nothing_ends_an_attempt_where_that_is_asked_for():
    engine = CountingEngine(lambda messages, sampling: "All is well. No changes needed.")
    (attempt,) = tried(candidates("rule-1"), engine, stop_when_clean=True).attempts
    assert attempt.round.revision is None and attempt.to_row()["clean"]
    assert len(engine.requests) == 2


def test_a_revision_says_which_checks_it_fails():
    engine = ScriptedEngine(lambda messages, sampling: Generation("The same text again and again.", "length"))
    (attempt,) = tried(candidates("rule-1"), engine).attempts
    assert attempt.round.checks == ("truncated", "unchanged")
    assert attempt.to_row()["checks"] == ["truncated", "unchanged"]


def test_an_empty_response_leaves_nothing_to_try():
    trial = tried(candidates(every=True), ScriptedEngine(lambda messages, sampling: " \n"))
    assert trial.attempts == () and trial.response.text == ""


# ---------------------------------------------------------------------- failures


def test_a_candidate_that_the_engine_refuses_does_not_disturb_the_others():
    def answer(messages, sampling):
        if "rule 1." in messages[-1].content:
            raise RequestRefused("not this one")
        return "Some answer or other."

    first, second, third = tried(candidates("rule-0", "rule-1", "rule-2"), ScriptedEngine(answer)).attempts
    assert first.round and third.round
    assert (second.round, second.reason, second.detail) == (None, "refused", "not this one")
    assert second.to_row()["principles"] == ["rule-1"]


def test_a_principle_that_does_not_fit_the_context_is_an_attempt_that_says_so():
    long = principle(9, critique="Say what is wrong with the response. " * 100)
    rules = Constitution("rules", [principle(1), long])
    engine = ScriptedEngine(context_length=400)
    short, over = tried(candidates(every=True, rules=rules), engine, max_tokens=20).attempts
    assert short.round and over.round is None and over.reason == "too_long"


def test_a_prompt_that_does_not_fit_the_context_is_bad_input():
    with pytest.raises(ConfigError, match=r"the prompt is too long: 5,\d+ tokens .* shorten it"):
        tried(candidates("rule-1"), ScriptedEngine(context_length=100), prompt_from("word " * 5000))


def test_turns_that_were_dropped_are_counted():
    roles = ("user", "assistant", "user")
    prompt = Prompt("id", conversation({"role": role, "content": "word " * 30} for role in roles))
    settings = {"overlong": "drop-oldest", "max_tokens": 20, "examples": 0}
    trial = tried(candidates("rule-1"), ScriptedEngine(context_length=150), prompt, **settings)
    assert trial.attempts[0].round and trial.dropped_turns + trial.attempts[0].dropped_turns == 2


def test_what_was_made_harmless_for_the_response_is_counted_once():
    """Each of the five requests has one marker: that of the response, and two for either candidate."""

    def answer(messages, sampling):
        return Generation(f"Answer to {len(messages[-1].content)} characters.", escaped=1)

    engine = CountingEngine(answer)
    trial = tried(candidates("rule-1", "rule-2"), engine)
    assert (trial.escaped, [attempt.escaped for attempt in trial.attempts]) == (1, [2, 2])
    assert trial.to_row()["escaped"] == 1
    out = io.StringIO()
    TrialView(Console(file=out)).show(Tried(trial, 5, 0, 0.1))
    assert f"{len(engine.requests)} turn markers" in out.getvalue() and len(engine.requests) == 5


def test_an_engine_that_does_not_answer_concerns_all():
    def answer(messages, sampling):
        if "Critique request" in messages[-1].content:
            raise EngineTimeout("no answer in time")
        return "Some answer."

    with pytest.raises(EngineTimeout):
        tried(candidates(every=True), ScriptedEngine(answer))


def test_nothing_to_try_is_refused():
    with pytest.raises(ConfigError, match="at least one principle"):
        tried(())


# ---------------------------------------------------------------------- what is tried


def test_of_one_constitution_the_drawn_principle_is_tried_the_chosen_ones_or_all():
    assert len(candidates()) == 1
    assert ids(candidates("rule-3")) == [("rules", "rule-3", 0)]
    assert ids(candidates("rule-3", "rule-1", "rule-3")) == [("rules", "rule-3", 0), ("rules", "rule-1", 0)]
    assert ids(candidates("rule-1", "rule-2", "rule-3"))[2] == ("rules", "rule-3", 2)
    assert len({group for _, _, group in ids(candidates(every=True))}) == 5


def test_another_seed_draws_another_principle():
    assert len({candidates(seed=seed)[0].principle.id for seed in range(30)}) == 5


def test_of_two_constitutions_the_same_principle_is_compared():
    other = Constitution("other", [principle(2, revision="Start anew."), principle(3), principle(7)])
    both = {"a": RULES, "b": other}
    assert ids(choose_candidates(both, PROMPT, principles=["rule-2", "rule-7"])) == [
        ("a", "rule-2", 0),
        ("b", "rule-2", 0),
        ("b", "rule-7", 1),
    ]
    assert [(c.name, c.group) for c in choose_candidates(both, PROMPT)] == [("a", 0), ("b", 0)]
    every = ids(choose_candidates(both, PROMPT, every=True))
    assert [name for name, id, _ in every if id == "rule-2"] == ["a", "b"]
    assert [(name, id) for name, id, _ in every][-1] == ("b", "rule-7")


def test_an_unknown_principle_is_answered_with_the_nearest():
    with pytest.raises(ConstitutionError, match=r"no principle 'rul-3'; did you mean 'rule-3'\?"):
        candidates("rul-3")
    with pytest.raises(ConstitutionError, match=r"neither a nor b has a principle 'rul-3'; did you mean"):
        choose_candidates({"a": RULES, "b": RULES}, PROMPT, principles=["rul-3"])


def test_a_principle_that_only_compares_responses_can_not_be_tried():
    rules = Constitution("rules", [Principle("ours", preference="Which is better?"), principle(1)])
    with pytest.raises(ConstitutionError, match="'ours' of rules has only a preference question"):
        candidates("ours", rules=rules)
    assert ids(candidates(every=True, rules=rules)) == [("rules", "rule-1", 0)]
    with pytest.raises(ConstitutionError, match="no principle has `critique:`"):
        candidates(rules=Constitution("rules", [Principle("ours", preference="Which is better?")]))


@pytest.mark.parametrize(
    ("text", "response", "says"),
    [
        ("", None, "the prompt is empty"),
        (" \n\t", None, "the prompt is empty"),
        ("a\0b", None, "the prompt is no text: NUL"),
        ("half \ud83d", None, "the prompt is no text: half of a surrogate"),
        ("Hi", " ", "the response is empty"),
        ("Hi", "\udc80", "the response is no text"),
    ],
)
def test_a_prompt_or_response_that_is_none_is_refused(text, response, says):
    with pytest.raises(ConfigError, match=says):
        prompt_from(text, response)


def test_a_prompt_is_taken_from_a_file_by_id_or_by_place(prompts_file):
    path = prompts_file([{"id": "2", "prompt": "first"}, {"id": "b", "prompt": "second"}, {"prompt": " "}])
    assert prompt_of_row(path).messages[0].content == "first"
    assert prompt_of_row(path, "b").messages[0].content == "second"
    assert prompt_of_row(path, "2").messages[0].content == "first"  # an id goes before a place
    assert prompt_of_row(path, "1").id == "2"
    for row, says in (("3", "row 3 of .* is no prompt"), ("4", "a place from 1 to 3"), ("c", "no row 'c'")):
        with pytest.raises(ConfigError, match=says):
            prompt_of_row(path, row)
    with pytest.raises(InputError, match="no such file"):
        prompt_of_row(path.with_name("other.jsonl"))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"constitutions": ()}, "one constitution, or two"),
        ({"constitutions": ("a", "b", "c")}, "one constitution, or two"),
        ({"constitutions": ("a", "a")}, "given twice"),
        ({"constitutions": ("a",), "principles": ("x",), "every": True}, "not both"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(spec, says):
    with pytest.raises(ConfigError, match=says):
        TrialSpec(prompt=PROMPT, **spec)


def test_two_names_of_one_file_are_not_compared(tmp_path):
    path, link = tmp_path / "a.yaml", tmp_path / "b.yaml"
    path.write_text("id: a\nprinciples: [{id: x, critique: C, revision: R}]\n", encoding="utf-8")
    link.symlink_to(path)
    with pytest.raises(ConfigError, match="are the same file"):
        TrialSpec((str(path), str(link)), PROMPT).load()


def test_a_candidate_can_be_made_by_hand():
    rule = Principle("mine", critique="What is wrong?", revision="Rewrite it.")
    made = Candidate("draft", Constitution("draft", [rule]), rule)
    row = tried([made]).to_row()
    assert json.loads(json.dumps(row)) == row
    assert row["attempts"][0]["principle"] == {
        "id": "mine",
        "critique": "What is wrong?",
        "revision": "Rewrite it.",
        "drawn": False,
    }
