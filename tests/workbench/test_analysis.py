"""What an analysis says of the principles of a run, and of runs that there is nothing to say of."""

import json
import math
import random
import re
from collections import Counter
from dataclasses import dataclass

import pytest

from constitutional import ScriptedEngine
from constitutional.assignment import draw_principles
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.estimates import Estimate, draw_shares
from constitutional.workbench.analysis import analyse
from constitutional.workbench.attention import KINDS
from constitutional.workbench.principle_stats import Draws
from constitutional.workbench.remarks import remarks_on_draws
from tests.helpers import REPOSITORY, constitution, run
from tests.workbench.chains import RESPONSE, chain_of, round_of, rules, write_run

HALF = "one two three four five six x x x x"  # four of ten words are others
PAGE = REPOSITORY / "docs" / "analysis.md"
NEW = "alpha beta gamma delta epsilon"


def of(analysis, id):
    (found,) = [stats for stats in analysis.principles if stats.id == id]
    return found


def kinds(analysis, id=None):
    return [remark.kind for remark in analysis.remarks if id is None or id in remark.principles]


def numbers(value):
    """Every number in a JSON document."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


def test_what_is_counted_is_what_the_chains_say(tmp_path):
    chains = [
        chain_of("1", round_of("a", HALF), round_of("b", NEW)),
        chain_of("2", round_of("a", RESPONSE, checks=["unchanged"]), round_of("a", NEW)),
        chain_of("3", round_of("b", "", critique="No changes needed.", checks=["empty"]), status="failed"),
    ]
    analysis = analyse(write_run(tmp_path / "run", chains, rules(a=3, b=1)))
    assert (analysis.analysed, analysis.rounds, analysis.found_by) == (3, 5, "phrases")
    a, b = of(analysis, "a"), of(analysis, "b")
    assert (a.draws.rounds, a.draws.chains, a.draws.share.value, a.draws.expected) == (3, 2, 0.6, 0.75)
    assert (b.draws.rounds, b.draws.chains, b.draws.expected) == (2, 2, 0.25)
    assert (a.critiques.found.value, b.critiques.found.value) == (1, 0.5)
    assert (a.revisions.count, a.revisions.checks, a.revisions.failed.value) == (3, {"unchanged": 1}, 1 / 3)
    assert a.revisions.changed.value == pytest.approx((0.4 + 0 + 1) / 3)
    assert a.revisions.changed_first.value == pytest.approx((0.4 + 0) / 2)
    assert a.revisions.changed_later.value == 1
    assert a.revisions.changed_good.value == pytest.approx((0.4 + 1) / 2)
    assert a.revisions.length.value == pytest.approx(math.exp(math.log(0.5) / 3))
    assert b.revisions.changed.n == 1, "an empty revision changes nothing that could be measured"
    assert b.revisions.checks == {"empty": 1}


def test_a_round_is_compared_with_the_last_good_revision(tmp_path):
    rounds = [round_of("a", HALF), round_of("a", NEW, checks=["truncated"]), round_of("a", HALF + " more")]
    analysis = analyse(write_run(tmp_path / "run", [chain_of("1", *rounds)]))
    assert analysis.by_round[2].revisions.changed.value == pytest.approx(1 / 11)


def test_a_revision_that_fails_several_checks_is_counted_by_each_and_as_one(tmp_path):
    rounds = [round_of("a", checks=["truncated", "critique"]), round_of("a", checks=["truncated"])]
    found = of(analyse(write_run(tmp_path / "run", [chain_of("1", *rounds)])), "a").revisions
    assert found.checks == {"truncated": 2, "critique": 1}
    assert found.causes == {"truncated": 1, "several": 1}
    assert found.failed.value == 1


def test_where_clean_critiques_end_chains_the_marker_tells_what_was_found(tmp_path):
    """Also where the critique's words would say otherwise."""
    chains = [
        chain_of("1", round_of("a", None, critique="It insults them. No changes needed.")),
        chain_of("2", round_of("a", HALF, critique="The response is harmless.")),
        chain_of("3", round_of("a", HALF)),
    ]
    for name, made_with in (("told", rules(a=1)), ("seen", None)):
        more = {"stop_when_clean": True} if made_with else {}
        analysis = analyse(write_run(tmp_path / name, chains, made_with, **more))
        assert analysis.found_by == "marker"
        assert of(analysis, "a").critiques.found.value == pytest.approx(2 / 3)
        assert of(analysis, "a").revisions.count == 2


def test_a_critique_that_was_cut_off_has_found_something(tmp_path):
    rounds = [round_of("a", HALF, critique="The response is harmless.", cut=True)]
    found = of(analyse(write_run(tmp_path / "run", [chain_of("1", *rounds)])), "a").critiques
    assert (found.found.value, found.truncated) == (1, 1)


def test_without_critiques_nothing_is_said_of_them(tmp_path):
    chains = [chain_of(str(n), round_of("a b", HALF, critique=None)) for n in range(3)]
    analysis = analyse(write_run(tmp_path / "run", chains, rules(a=1, b=1), critique=False))
    assert analysis.found_by is None and analysis.likenesses == ()
    document = analysis.to_json()
    assert document["critique_pairs"] == []
    assert all("critiques" not in stats for stats in [document["overall"], *document["principles"]])
    assert "asked for directly" in analysis.notes[-1]


def test_principles_of_one_round_share_its_credit_and_the_notes_say_so(tmp_path):
    chains = [chain_of(str(n), round_of("a b", HALF)) for n in range(4)]
    analysis = analyse(write_run(tmp_path / "run", chains, rules(a=1, b=1, c=1), principles_per_round=2))
    a, b, c = (of(analysis, id) for id in "abc")
    assert a.revisions == b.revisions and a.draws.rounds == 4
    assert a.draws.expected == pytest.approx(2 / 3)
    assert c.draws.rounds == 0 and c.revisions is None
    assert any("2 principles together" in note for note in analysis.notes)


def test_rounds_of_one_chain_are_one_piece_of_evidence(tmp_path):
    """Eight rounds in two chains give a wider interval than eight in eight."""
    failing, fine = round_of("a", checks=["unchanged"]), round_of("a", HALF)
    few = [chain_of("1", *[failing] * 4), chain_of("2", *[fine] * 4)]
    many = [chain_of(str(n), failing if n % 2 else fine) for n in range(8)]
    wide, narrow = (
        of(analyse(write_run(tmp_path / name, chains)), "a").revisions.failed
        for name, chains in (("few", few), ("many", many))
    )
    assert (wide.value, wide.n, wide.chains) == (narrow.value, narrow.n, 2)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_one_chain_with_one_principle_is_analysed_without_intervals(tmp_path):
    analysis = analyse(write_run(tmp_path / "run", [chain_of("1", round_of("a", HALF))], rules(a=1)))
    found = of(analysis, "a")
    assert found.revisions.failed.low is None and found.revisions.changed.low is None
    assert found.critiques.elsewhere is None
    assert all(math.isfinite(number) for number in numbers(analysis.to_json()))


def test_the_analysis_is_json_without_anything_that_is_no_number(tmp_path):
    chains = [chain_of(str(n), round_of("a", HALF), round_of("b", "", checks=["empty"])) for n in range(5)]
    document = analyse(write_run(tmp_path / "run", chains, rules(a=1, b=1, c=2))).to_json()
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert [stats["id"] for stats in document["principles"]] == ["c", "b", "a"], "the gravest first"


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    code, _ = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    write_run(tmp_path / "runs" / "first", [chain_of("1", round_of("a", HALF), round_of("b", NEW))])
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.split() == ["a", "1", "0.0", "b", "1", "0.0"]
    assert (tmp_path / "figures" / "principles.svg").exists()


# ------------------------------------------------------------------ runs that are not whole, or no runs of this stage


def test_a_run_that_goes_on_is_analysed_as_far_as_it_is(tmp_path):
    path = write_run(tmp_path / "run", [chain_of("1", round_of("a", HALF))], rules(a=1, b=1), to_do=3)
    analysis = analyse(path)
    assert analysis.analysed == 1
    assert "not finished: 3 of 4 chains" in analysis.notes[0]
    assert of(analysis, "b").draws.expected == 0.5


def refused(path, *more):
    with pytest.raises(ConfigError) as error:
        analyse(path, *more)
    return str(error.value)


def test_what_is_no_run_is_refused(tmp_path):
    assert "is not a run directory: there is no such folder" in refused(tmp_path / "none")
    assert "has no ledger.sqlite" in refused(tmp_path)


def test_a_run_in_which_nothing_is_finished_yet_is_refused(tmp_path):
    path = write_run(tmp_path / "run", [], rules(a=1), to_do=7)
    assert "nothing to analyse yet; of 7 chains 0 are finished" in refused(path)


def test_a_run_without_rows_is_refused(tmp_path):
    assert "has no rows yet" in refused(write_run(tmp_path / "run", []))


def test_a_run_of_bad_rows_alone_is_refused(tmp_path):
    path = write_run(tmp_path / "run", [chain_of("1", response="", status="failed")], skipped=2)
    assert "none of its 3 chains has a round of revision (2 skipped, 1 failed)" in refused(path)


def test_a_run_of_another_kind_is_refused_by_name(tmp_path):
    path = write_run(tmp_path / "run", [chain_of("1", round_of("a"))], kind="comparison")
    assert "holds no chains but rows of the kind 'comparison'" in refused(path)


def test_the_stage_of_a_manifest_is_looked_at(tmp_path):
    path = write_run(tmp_path / "run", [chain_of("1", round_of("a"))])
    (path / "manifest.json").write_text(json.dumps({"stage": "label", "data": {}}), encoding="utf-8")
    assert "is a run of the stage 'label'" in refused(path)


@pytest.mark.parametrize("broken", [{"rounds": [{}]}, {"rounds": ["x"], "response": "y"}, {"rounds": 3}])
def test_rows_that_are_no_chains_are_named(tmp_path, broken):
    import sqlite3

    path = write_run(tmp_path / "run", [chain_of("first", round_of("a"))])
    ledger = sqlite3.connect(path / "ledger.sqlite")
    ledger.execute("UPDATE rows SET result = ?", [json.dumps(broken)])
    ledger.commit()
    ledger.close()
    assert "the row 'first' is not a chain as `revise` makes them" in refused(path)


# ------------------------------------------------------------------ weights


def test_a_run_without_a_record_of_its_weights_says_what_to_do(tmp_path):
    path = write_run(tmp_path / "run", [chain_of("1", round_of("a"))])
    analysis = analyse(path)
    assert of(analysis, "a").draws.expected is None
    assert any("name the constitution with --constitution" in note for note in analysis.notes)
    assert of(analyse(path, rules(a=1, b=3)), "a").draws.expected == 0.25


def test_a_constitution_that_has_nothing_to_draw_is_refused(tmp_path):
    from constitutional import Constitution, Principle

    path = write_run(tmp_path / "run", [chain_of("1", round_of("a"))])
    with pytest.raises(ConstitutionError):
        analyse(path, Constitution("labels", [Principle("a", preference="Which is better?")]))


def test_an_older_run_takes_the_weights_of_its_file_until_that_changes(tmp_path):
    from constitutional import load_constitution

    file = tmp_path / "rules.yaml"
    text = "id: rules\nprinciples:\n- {id: a, critique: C, revision: R, weight: 3}\n- {id: b, critique: C, revision: R}\n"
    file.write_text(text, encoding="utf-8")
    path = write_run(tmp_path / "run", [chain_of("1", round_of("a"))])
    hash = load_constitution(file).hash
    recorded = {"constitution": {"id": "rules", "version": 1, "hash": hash, "path": str(file)}, "data": {}}
    (path / "manifest.json").write_text(json.dumps(recorded), encoding="utf-8")
    assert of(analyse(path), "a").draws.expected == 0.75
    file.write_text(text.replace("weight: 3", "weight: 1"), encoding="utf-8")
    assert any("has changed since" in note for note in analyse(path).notes)
    file.unlink()
    assert any("can't be read any more" in note for note in analyse(path).notes)


def test_a_real_run_has_its_weights_with_it(tmp_path, prompts_file):
    run(prompts_file(40), tmp_path / "run", rules=constitution(4), engine=ScriptedEngine())
    analysis = analyse(tmp_path / "run")
    assert analysis.rounds == 80
    assert [stats.draws.expected for stats in analysis.principles] == [0.25] * 4
    assert sum(stats.draws.rounds for stats in analysis.principles) == 80
    assert "off-weight" not in kinds(analysis)


# ------------------------------------------------------------------ what to look at

# Forty chains of two rounds: enough to judge each of four principles.
IDS = ("plain", "fine", "other", "last")


def forty(of_principle):
    """Chains in which each principle is drawn 20 times; `of_principle(id, n)` gives the round's keywords."""
    chance = random.Random(0)
    for n in range(40):
        drawn = chance.sample(IDS, 2)
        yield chain_of(str(n), *(round_of(id, **of_principle(id, n * 10 + k)) for k, id in enumerate(drawn)))


def unlike_critique(id, n):
    """A critique that finds something, and shares no word with others."""
    return " ".join(f"{id}{n * 31 % 97}word{k}" for k in range(6))


def always_finding(id, n):
    """The same, but that every critique finds something."""
    return unlike(id, n, critique=unlike_critique(id, n))


def unlike(id, n, **more):
    """A round in which nothing calls for a remark; now and then its critique finds nothing."""
    said = "No issues." if n % 50 == 0 else unlike_critique(id, n)
    return {"critique": said, "revision": " ".join((*RESPONSE.split()[:6], said[:5], f"new{n}")), **more}


def remarked(tmp_path, of_principle, weights=None):
    return analyse(
        write_run(tmp_path / "run", forty(of_principle), rules(**(weights or dict.fromkeys(IDS, 1))))
    )


def test_nothing_is_remarked_where_nothing_stands_out(tmp_path):
    analysis = remarked(tmp_path, unlike)
    assert analysis.remarks == () and analysis.found_measured


def test_that_no_phrase_told_of_a_critique_that_found_nothing_measures_nothing(tmp_path):
    from constitutional.report.principles import draw_overview

    analysis = remarked(tmp_path, always_finding)
    assert kinds(analysis) == ["always-finds"] and "is not measured" in analysis.remarks[0].text
    assert not analysis.found_measured and analysis.to_json()["found_measured"] is False
    titles = [axes.get_title() for axes in draw_overview(analysis).axes]
    assert not any("found something" in title for title in titles)


def test_critiques_that_always_find_something_where_they_may_find_nothing_are_named(tmp_path):
    weights, run = rules(**dict.fromkeys(IDS, 1)), tmp_path / "run"
    analysis = analyse(write_run(run, forty(always_finding), weights, stop_when_clean=True))
    assert kinds(analysis) == ["always-finds"]
    assert "always finds something: all 80" in analysis.remarks[0].text
    assert analysis.found_measured


def test_a_principle_whose_revisions_fail_more_than_others_is_named_and_comes_first(tmp_path):
    analysis = remarked(
        tmp_path, lambda id, n: unlike(id, n, checks=["critique"] if id == "last" and n % 9 else [])
    )
    assert kinds(analysis, "last") == ["fails"]
    assert analysis.principles[0].id == "last" and analysis.principles[0].remarks == ("fails",)
    assert "mostly `critique`" in analysis.remarks[0].text


def test_a_failure_of_the_whole_run_is_no_principles_fault(tmp_path):
    analysis = remarked(tmp_path, lambda id, n: unlike(id, n, checks=["truncated"] if n % 2 else []))
    assert kinds(analysis) == ["run-fails"]
    assert "raise --max-tokens" in analysis.remarks[0].text


def test_the_same_critique_whatever_the_response_is_boilerplate(tmp_path):
    analysis = remarked(
        tmp_path,
        lambda id, n: unlike(id, n, **({"critique": "This could hurt someone."} if id == "fine" else {})),
    )
    assert kinds(analysis, "fine") == ["boilerplate"]
    assert of(analysis, "fine").critiques.elsewhere == 1


def test_two_principles_that_say_the_same_of_the_same_chain_are_named(tmp_path):
    def same(id, n):
        return unlike(id, n, **({"critique": unlike_critique("both", n // 10)} if id in IDS[:2] else {}))

    analysis = remarked(tmp_path, same)
    assert kinds(analysis) == ["near-identical"]
    assert analysis.remarks[0].principles == ("fine", "plain")


IDENTICAL = "The reply insults the neighbour and should be calm instead of cruel."


def similar(tmp_path, *chains):
    """Kinds of the remarks on a run of these chains, each a list of the critiques that `one` and `two` made in turn."""
    made = [
        chain_of(
            str(n), *(round_of(("one", "two")[k % 2], critique=text) for k, text in enumerate(critiques))
        )
        for n, critiques in enumerate(chains)
    ]
    return kinds(analyse(write_run(tmp_path / "run", made)))


def test_many_pairs_of_few_chains_make_no_principles_near_identical(tmp_path):
    assert "near-identical" not in similar(tmp_path, *[[IDENTICAL] * 8] * 4)


def test_likeness_is_remarked_where_all_of_its_interval_is_high(tmp_path):
    same, unlike = [IDENTICAL] * 2, ["Quite dull wording throughout.", "Doses were named for no reason."]
    assert "near-identical" in similar(tmp_path / "all", *[same] * 20)
    assert "near-identical" not in similar(tmp_path / "some", *[same] * 18, *[unlike] * 2)  # 0.8 to 1, about
    assert "near-identical" in similar(tmp_path / "most", *[same] * 80, *[unlike])


def test_principles_with_few_rounds_are_not_near_identical(tmp_path):
    found = similar(tmp_path, *[[IDENTICAL] * 2] * 9)
    assert "few-rounds" in found and "near-identical" not in found


def test_critiques_that_hardly_ever_find_something_are_named(tmp_path):
    analysis = remarked(
        tmp_path,
        lambda id, n: unlike(id, n, **({"critique": f"Word{n}. No issues."} if id == "other" else {})),
    )
    assert "finds-little" in kinds(analysis, "other")


@pytest.mark.parametrize(
    ("kind", "revision"),
    [
        ("changes-little", RESPONSE),
        ("shortens", "one two three"),
        ("lengthens", RESPONSE + " and so on" * 12),
    ],
)
def test_revisions_that_change_too_little_or_too_much_are_named(tmp_path, kind, revision):
    chains = [
        chain_of(f"{id}{n}", round_of(id, f"{revision} {n}" if id == "plain" else unlike(id, n)["revision"]))
        for id in IDS
        for n in range(20)
    ]
    analysis = analyse(write_run(tmp_path / "run", chains))
    assert kind in kinds(analysis, "plain")
    assert kind not in kinds(analysis, "fine")


def test_draws_that_the_weights_do_not_explain_are_named(tmp_path):
    analysis = remarked(tmp_path, unlike, {"plain": 30, "fine": 1, "other": 1, "last": 1})
    assert "off-weight" in kinds(analysis, "plain")
    (said,) = [
        remark.text
        for remark in analysis.remarks
        if remark.principles == ("plain",) and remark.kind == "off-weight"
    ]
    assert "where its weight expects 72.7, " in said  # 80 draws · 30/33


def test_principles_never_drawn_and_unknown_ones_are_named(tmp_path):
    analysis = remarked(tmp_path, unlike, {"plain": 1, "fine": 1, "other": 1, "rare_one": 0.001})
    assert kinds(analysis, "rare-one") == ["never-drawn"]
    assert kinds(analysis, "last") == ["not-in-constitution"]
    assert of(analysis, "rare-one").critiques is None


def test_a_principle_that_is_hardly_ever_drawn_is_in_the_constitution_all_the_same(tmp_path):
    weights = dict.fromkeys(IDS, 1) | {"last": 1e-320}
    analysis = analyse(write_run(tmp_path / "run", forty(unlike), rules(**weights)))
    assert kinds(analysis, "last") == ["off-weight"]


def test_a_principle_with_few_rounds_is_not_judged(tmp_path):
    chains = [*forty(unlike)]
    chains += [chain_of(f"x{n}", round_of("rare", "no", "No.", ["critique"])) for n in range(5)]
    weights = dict.fromkeys((*IDS, "rare"), 1.0) | {"rare": 0.3}
    analysis = analyse(write_run(tmp_path / "run", chains, rules(**weights)))
    assert kinds(analysis, "rare") == ["few-rounds"]


def test_remarks_come_gravest_first_and_are_of_known_kinds(tmp_path):
    analysis = remarked(
        tmp_path,
        lambda id, n: unlike(id, n, checks=["truncated"], critique="Same." if id == "fine" else "Other."),
    )
    found = [KINDS.index(kind) for kind in kinds(analysis)]
    assert found == sorted(found) and len(found) >= 2


@dataclass
class Drawn:
    """A principle of which no more is known than how often it was drawn."""

    id: str
    draws: Draws


def off_weight(constitution, rows, *, seed, count=1, told=None):
    """Ids of the principles said to be drawn off the weights told (the constitution's), after so many rows drew some."""
    drawn = Counter(
        principle.id
        for row in range(rows)
        for principle in draw_principles(
            constitution.principles, seed=seed, stage="label", prompt_id=str(row), round=0, count=count
        )
    )
    weights = [principle.weight for principle in (told or constitution).principles]
    principles = [
        Drawn(p.id, Draws(Estimate(drawn[p.id] / rows, None, None, rows, rows), drawn[p.id], rows, expected))
        for p, expected in zip(constitution.principles, draw_shares(weights, count), strict=True)
    ]
    found = remarks_on_draws(principles, drawn, "comparisons", "more comparisons")
    return {id for remark in found if remark.kind == "off-weight" for id in remark.principles}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("rows", [6, 12, 20])
def test_draws_by_weight_are_called_off_their_weight_in_one_run_of_a_hundred_at_most(rows, count):
    sixteen = rules(**{f"p{n}": 1 for n in range(16)})
    false_alarms = sum(bool(off_weight(sixteen, rows, seed=seed, count=count)) for seed in range(200))
    assert false_alarms <= 5  # 2 expected at most; more than 5 has a chance of 2 %


def test_draws_by_other_weights_than_are_told_are_found():
    names = [f"p{n}" for n in range(16)]
    told, others = rules(**dict.fromkeys(names, 1)), rules(**dict.fromkeys(names, 1) | {"p3": 4})
    assert all("p3" in off_weight(others, 200, seed=seed, told=told) for seed in range(20))
