"""What an analysis says of the principles of a run of `label`: numbers derived by hand, and planted oddities."""

import json
import math
import random
import re
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutional import Constitution, Principle
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.jobs.label import label_comparisons
from constitutional.stages.label import LabelSettings
from constitutional.workbench.correlations import Moments
from constitutional.workbench.label_analysis import analyse_labels
from tests.helpers import PROMPT_SET, REPOSITORY
from tests.judges import Judge, uniform
from tests.workbench.labels import label_of, questions, votes_of, write_labels

PAGE = REPOSITORY / "docs" / "analysis.md"


def of(analysis, id):
    (found,) = [stats for stats in analysis.principles if stats.id == id]
    return found


def named(analysis):
    """The remarks on principles: kind and ids."""
    return {(remark.kind, remark.principles) for remark in analysis.remarks}


def kinds(analysis):
    return [remark.kind for remark in analysis.remarks]


THREE = {
    "1": {"a": (0.9, 0.7), "b": (0.6, 0.6)},
    "2": {"a": (0.2, 0.4), "b": (0.7, 0.7)},
    "3": {"a": (0.8, 0.3), "b": (0.4, 0.2)},
}
"""P(first) in both orders: a deviates from ½ by 0.3, -0.2, 0.05; b by 0.1, 0.2, -0.2."""


@pytest.fixture
def three(tmp_path):
    labels = [label_of(id, votes_of(**votes)) for id, votes in THREE.items()]
    human = {"1": 1.0, "2": 0.25, "3": 0.5}
    return analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), human=human))


def test_how_decisive_a_principle_is_is_the_mean_deviation_of_both_orders(three):
    a, b = of(three, "a").decisive, of(three, "b").decisive
    assert a.raw.value == pytest.approx((0.3 + 0.2 + 0.05) / 3)
    assert b.raw.value == pytest.approx((0.1 + 0.2 + 0.2) / 3)
    assert (a.raw.n, a.raw.chains, a.clamped) == (3, 3, None)
    # labels: 0.2, 0 and -0.075 from ½
    assert three.decisive.value == pytest.approx((0.2 + 0 + 0.075) / 3)


def test_position_bias_is_told_from_what_was_shown_first(three):
    position = of(three, "a").position
    shown_first = [0.9, 1 - 0.7, 0.2, 1 - 0.4, 0.8, 1 - 0.3]
    assert position.bias.value == pytest.approx(sum(shown_first) / 6 - 0.5)
    assert position.prefers_first.value == pytest.approx(4 / 6)
    assert position.orders_disagree.value == pytest.approx(1 / 3)
    assert position.bias.chains == 3, "both orders are one comparison"


def test_leaving_a_principle_out_flips_and_moves_labels(three):
    a, b = of(three, "a").influence, of(three, "b").influence
    assert (a.flips.value, b.flips.value) == (0, pytest.approx(1 / 3)), "a label of ½ is not flipped"
    assert a.moves.value == pytest.approx((abs(0.2 - 0.1) + abs(0 - 0.2) + abs(-0.075 + 0.2)) / 3)
    assert b.moves.value == pytest.approx((abs(0.2 - 0.3) + abs(0 + 0.2) + abs(-0.075 - 0.05)) / 3)
    r = (0.3 * 0.1 - 0.2 * 0.2 - 0.05 * 0.2) / math.sqrt((0.09 + 0.04 + 0.0025) * (0.01 + 0.04 + 0.04))
    assert a.correlation.value == pytest.approx(r) and b.correlation.value == pytest.approx(r)
    (pair,) = three.pairs
    assert (pair.first, pair.second, pair.agree.n) == ("a", "b", 3)
    assert (pair.agree.value, pair.correlation.value) == (pytest.approx(1 / 3), pytest.approx(r))


def test_people_who_prefer_neither_are_left_out_and_a_label_of_a_half_half_agrees(three):
    assert three.human == 2 and "1 of people's labels prefer neither" in three.notes[-1]
    assert (of(three, "a").people.value, of(three, "b").people.value) == (1.0, 0.5)
    assert three.people.value == pytest.approx((1 + 0.5) / 2)


def test_weights_count_where_all_principles_are_asked_and_not_where_they_are_drawn(tmp_path):
    """Label 1: a alone pulls it by 0.3, b and c against it by 0.2 each."""
    votes = votes_of(a=(0.8, 0.8), b=(0.3, 0.3), c=(0.3, 0.3))
    rules = questions(a=4, b=1, c=1)
    every = LabelSettings(principles="all")
    label = label_of("1", votes, every, {"a": 4.0, "b": 1.0, "c": 1.0})
    weighted = analyse_labels(write_labels(tmp_path / "all", [label], rules, every))
    whole = (4 * 0.3 - 0.2 - 0.2) / 6
    assert label.probability == pytest.approx(0.5 + whole)
    assert of(weighted, "a").influence.flips.value == 1
    assert of(weighted, "a").influence.moves.value == pytest.approx(whole + 0.2)
    assert of(weighted, "b").influence.moves.value == pytest.approx(abs(whole - (4 * 0.3 - 0.2) / 5))
    two = LabelSettings(principles=2)
    drawn = [vote for vote in votes if vote.principle != "c"]
    equal = analyse_labels(write_labels(tmp_path / "two", [label_of("1", drawn, two)], rules, two))
    assert of(equal, "a").influence.moves.value == pytest.approx(0.05 + 0.2)
    assert of(equal, "c").draws.rounds == 0 and of(equal, "c").votes is None


def test_how_often_principles_are_drawn_is_compared_with_their_weights(tmp_path):
    one = LabelSettings(principles=1)
    labels = [label_of(str(n), votes_of(**{"a" if n < 3 else "b": (0.7, 0.7)}), one) for n in range(4)]
    path = write_labels(tmp_path / "run", labels, questions(a=1, b=3), one)
    analysis = analyse_labels(path)
    a, b = of(analysis, "a").draws, of(analysis, "b").draws
    assert (a.rounds, a.share.value, a.expected) == (3, 0.75, 0.25) and b.expected == 0.75
    other = analyse_labels(path, questions(a=1, b=1, c=2))
    assert [of(other, id).draws.expected for id in "abc"] == [0.25, 0.25, 0.5]


def test_votes_are_clamped_in_labels_but_not_in_how_decisive_they_are(tmp_path):
    settings = LabelSettings(principles="all", clamp=0.4)
    labels = [
        label_of(str(n), votes_of(a=(0.95, 0.85), b=(0.45, 0.4), c=(0.45, 0.4)), settings) for n in range(3)
    ]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1, c=1), settings))
    a = of(analysis, "a")
    assert (a.decisive.raw.value, a.decisive.clamped.value) == (pytest.approx(0.4), pytest.approx(0.1))
    assert a.position.bias.value == pytest.approx((0.95 - 0.5 + 0.15 - 0.5) / 2)
    assert a.influence.flips.value == 0, "clamped, a is 0.1 above ½, b and c together 0.15 below"
    assert any("clamped to 0.4–0.6" in note for note in analysis.notes)


def test_samples_are_averaged_before_anything_is_said_of_a_principle(tmp_path):
    settings = LabelSettings(principles="all", samples=2, chain_of_thought=True, clamp=0, temperature=1)
    labels = [label_of("1", votes_of(a=[(0.9, 0.7), (0.2, 0.2)], b=(0.4, 0.4)), settings)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), settings))
    assert of(analysis, "a").decisive.raw.value == pytest.approx(abs((0.3 - 0.3) / 2))
    assert of(analysis, "a").position.orders_disagree.n == 2


def test_log_odds_are_averaged_where_the_run_averages_them(tmp_path):
    settings = LabelSettings(principles="all", order_average="logit")
    labels = [label_of("1", votes_of(a=(0.9, 0.6)), settings)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1), settings))
    mean = (math.log(0.9 / 0.1) + math.log(0.6 / 0.4)) / 2
    assert of(analysis, "a").decisive.raw.value == pytest.approx(1 / (1 + math.exp(-mean)) - 0.5)


def test_votes_that_do_not_count_are_counted_and_say_nothing_else(tmp_path):
    settings = LabelSettings(principles="all", low_mass="exclude")
    good, low = votes_of(a=(0.9, 0.9)), votes_of(mass=0.1, a=(0.1, 0.1))
    unreadable = [replace(vote, p_raw=None, p=None, mass=None, reason="unreadable_answer") for vote in good]
    labels = [label_of(id, votes, settings) for id, votes in (("1", good), ("2", low), ("3", unreadable))]
    path = write_labels(tmp_path / "run", labels, questions(a=1), settings, skipped=2)
    analysis = analyse_labels(path)
    votes = of(analysis, "a").votes
    assert (votes.cast, votes.counted) == (6, 2)
    assert votes.not_counted == {"low_mass": 2, "unreadable_answer": 2}
    assert votes.lost.value == pytest.approx(4 / 6) and votes.flagged.value == pytest.approx(2 / 4)
    assert votes.mass.value == pytest.approx((0.9 * 2 + 0.1 * 2) / 4)
    assert of(analysis, "a").decisive.raw.value == pytest.approx(0.4)
    assert (analysis.analysed, analysis.labels) == (3, 1)
    assert analysis.comparisons == {"ok": 1, "failed": 2, "skipped": 2, "to_do": 0}


def test_counted_answers_have_no_mass(tmp_path):
    settings = LabelSettings(principles="all", votes="sampled")
    labels = [label_of("1", votes_of(mass=None, a=(1.0, 0.0), b=(1.0, 1.0)), settings)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), settings))
    assert of(analysis, "a").votes.mass is None and of(analysis, "a").votes.flagged is None
    assert of(analysis, "a").influence.correlation is None, "a never leaves ½"
    assert of(analysis, "a").influence.agree.value == 0.5


def test_an_order_that_prefers_neither_disagrees_by_half(tmp_path):
    labels = [label_of("1", votes_of(a=(0.5, 0.2))), label_of("2", votes_of(a=(0.9, 0.2)))]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1)))
    assert of(analysis, "a").position.orders_disagree.value == 0.75


def test_with_one_order_nothing_is_said_of_orders_that_disagree(tmp_path):
    settings = LabelSettings(principles="all", both_orders=False)
    votes = [vote for vote in votes_of(a=(0.8, 0.8)) if vote.order == 1]
    analysis = analyse_labels(
        write_labels(tmp_path / "run", [label_of("1", votes, settings)], questions(a=1), settings)
    )
    position = of(analysis, "a").position
    assert position.orders_disagree is None and position.bias.value == pytest.approx(-0.3)
    assert any("showed one order" in note for note in analysis.notes)


def test_a_run_of_one_principle_a_label_says_what_would_tell_more(tmp_path):
    one = LabelSettings(principles=1)
    labels = [label_of(str(n), votes_of(**{"ab"[n % 2]: (0.9, 0.8)}), one) for n in range(30)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), one))
    assert analysis.pairs == () and analysis.overall.influence is None
    assert kinds(analysis) == ["one-principle"] and "--principles all" in analysis.remarks[0].text
    document = analysis.to_json()
    assert document["pairs"] == [] and all("influence" not in stats for stats in document["principles"])
    assert all("agrees_with_people" not in stats for stats in document["principles"])


def test_that_each_label_asked_one_principle_is_said_however_few_the_labels(tmp_path):
    one = LabelSettings(principles=1)
    labels = [label_of(str(n), votes_of(**{"ab"[n]: (0.9, 0.8)}), one) for n in range(2)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1), one))
    assert kinds(analysis) == ["one-principle", "few-votes"]


def test_a_constitution_of_one_principle_is_not_told_to_ask_more(tmp_path):
    labels = [label_of(str(n), votes_of(a=(0.9, 0.8))) for n in range(30)]
    assert analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1))).remarks == ()


def test_principles_that_hardly_meet_are_counted(tmp_path):
    two = LabelSettings(principles=2)
    pairs = ["ab", "bc", "ac"]
    labels = [label_of(str(n), votes_of(**dict.fromkeys(pairs[n % 3], (0.9, 0.3))), two) for n in range(20)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1, c=1), two))
    (remark,) = [remark for remark in analysis.remarks if remark.kind == "few-together"]
    assert remark.text.startswith("3 of 3 pairs of principles voted together on fewer than 10 comparisons")


def test_a_run_that_goes_on_is_analysed_as_far_as_it_is(tmp_path):
    path = write_labels(tmp_path / "run", [label_of("1", votes_of(a=(0.9, 0.8)))], questions(a=1), to_do=3)
    analysis = analyse_labels(path)
    assert analysis.analysed == 1 and "3 of 4 comparisons are still to do" in analysis.notes[0]
    assert of(analysis, "a").decisive.raw.low is None
    assert kinds(analysis) == ["few-votes"]


def test_the_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    _, code = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    (tmp_path / "runs").mkdir()
    write_labels(tmp_path / "runs" / "labels", [label_of("1", votes_of(a=(0.75, 0.75)))], questions(a=1))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "a 0.25 ('few-votes',)\n"


# ------------------------------------------------------------------ the correlation through ½


def test_the_correlation_is_pearsons_of_the_data_and_their_swaps():
    from scipy.stats import pearsonr

    chance = random.Random(1)
    x = [chance.gauss(0.2, 1) for _ in range(40)]
    y = [0.5 * one + chance.gauss(0, 1) for one in x]
    moments = Moments()
    for pair in zip(x, y, strict=True):
        moments.add(*pair)
    both = [*x, *(-one for one in x)], [*y, *(-one for one in y)]
    found = moments.correlation()
    assert found.value == pytest.approx(pearsonr(*both).statistic)
    # each comparison moves r by u, and the error is taken to Fisher's scale
    xx, yy, xy = (sum(a * b for a, b in zip(*two, strict=True)) for two in ((x, x), (y, y), (x, y)))
    r = xy / math.sqrt(xx * yy)
    moved = [
        a * b / math.sqrt(xx * yy) - r / 2 * (a * a / xx + b * b / yy) for a, b in zip(x, y, strict=True)
    ]
    from scipy.stats import t

    error = math.sqrt(40 / 39 * sum(u * u for u in moved)) / (1 - r * r)
    ends = [math.tanh(math.atanh(r) + sign * t.ppf(0.975, 39) * error) for sign in (-1, 1)]
    assert [found.low, found.high] == pytest.approx(ends)


@pytest.mark.parametrize("true", [0.0, 0.6, 0.95])
def test_the_interval_of_the_correlation_covers_it_as_often_as_it_says(true):
    chance, covered, runs = random.Random(7), 0, 600
    for _ in range(runs):
        moments = Moments()
        for _ in range(60):
            x, z = chance.gauss(0, 1), chance.gauss(0, 1)
            moments.add(x, true * x + math.sqrt(1 - true * true) * z)
        found = moments.correlation()
        covered += found.low <= true <= found.high
    assert 0.91 <= covered / runs <= 0.98


def test_identical_opinions_correlate_fully_and_without_an_interval():
    moments = Moments()
    for x in (0.1, -0.2, 0.3):
        moments.add(x, x)
    assert (moments.correlation().value, moments.correlation().low) == (1.0, None)
    moments = Moments()
    moments.add(0.0, 0.2)
    assert moments.correlation() is None


# ------------------------------------------------------------------ planted principles

SHOWS_FIRST = "first-shown"
PLANTED = (
    "plain-1",
    "plain-2",
    "plain-3",
    "plain-4",
    "twin-1",
    "twin-2",
    "backwards",
    "shrug",
    "loud",
    SHOWS_FIRST,
)


def planted(without=()):
    return Constitution(
        "planted", [Principle(id, preference=f"Which one, by {id}?") for id in PLANTED if id not in without]
    )


def opinion(first, second, question, messages):
    """Deviations from ½ that depend on the comparison, times 1 or -1 for the response that is shown first."""
    id = question.removeprefix("Which one, by ").removesuffix("?")
    number, shown = first.split()[-1], first.split()[0]
    sign = 1 if shown == "One" else -1
    common = 2 * uniform("common", number) - 1

    def own(name):
        return 2 * uniform(name, number) - 1

    if id == SHOWS_FIRST:
        return 0.9
    deviation = {
        "backwards": -0.3 * common + 0.05 * own(id),
        "shrug": 0.005 * own(id),
        "loud": math.copysign(0.45, own(id)),
    }.get(id, 0.12 * common + 0.08 * own(id.replace("twin-2", "twin-1")))
    return 0.5 + sign * (deviation + (0.001 * own("difference") if id == "twin-2" else 0))


@pytest.fixture(scope="module")
def planted_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    rows = [
        {"id": f"c{n}", "prompt": f"Question {n}?", "responses": [f"One of {n}", f"Two of {n}"]}
        for n in range(250)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    label_comparisons(
        folder / "rows.jsonl",
        planted(),
        folder / "run",
        engine=Judge(opinion),
        prompt_set=PROMPT_SET,
        settings=LabelSettings(principles="all"),
    )
    return folder / "run"


def test_planted_principles_are_named_and_nothing_else_is(planted_run):
    analysis = analyse_labels(planted_run)
    assert named(analysis) == {
        ("reversed", ("backwards",)),
        ("position-bound", (SHOWS_FIRST,)),
        ("never-decides", ("shrug",)),
        ("drives", ("loud",)),
        ("redundant", ("twin-1", "twin-2")),
    }
    assert [stats.id for stats in analysis.principles][:3] == ["backwards", SHOWS_FIRST, "shrug"]
    texts = {remark.kind: remark.text for remark in analysis.remarks}
    assert "the response shown first is preferred in 100% of votes" in texts["position-bound"]
    assert "is its question reversed?" in texts["reversed"]


def test_what_a_scripted_judge_believes_is_what_is_measured(planted_run):
    analysis = analyse_labels(planted_run)
    shown_first = of(analysis, SHOWS_FIRST)
    assert shown_first.position.bias.value == pytest.approx(0.4) and shown_first.decisive.raw.value == 0
    assert shown_first.position.orders_disagree.value == 1
    assert of(analysis, "loud").decisive.raw.value == pytest.approx(0.45)
    assert of(analysis, "plain-1").position.bias.value == pytest.approx(0)
    assert of(analysis, "plain-1").votes.mass.value == pytest.approx(0.9)


def test_a_judge_with_one_opinion_is_named_instead_of_every_pair(tmp_path):
    chance = random.Random(3)
    labels = []
    for n in range(60):
        p = 0.5 + 0.3 * chance.uniform(-1, 1)
        labels.append(label_of(str(n), votes_of(**dict.fromkeys("abcd", (p, p)))))
    rules = questions(a=1, b=1, c=1, d=1)
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, rules))
    assert kinds(analysis) == ["same-whatever-asked"] and "6 of 6 pairs" in analysis.remarks[0].text


def test_two_principles_that_contradict_each_other_are_named_together(tmp_path):
    chance = random.Random(4)
    labels = []
    for n in range(40):
        p = 0.5 + 0.3 * chance.uniform(-1, 1)
        labels.append(label_of(str(n), votes_of(a=(p, p), b=(1 - p, 0.9 - p * 0.8))))
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1)))
    assert ("reversed", ("a", "b")) in named(analysis)


def test_principles_of_which_people_prefer_the_opposite_are_named(tmp_path):
    chance = random.Random(5)
    labels, human = [], {}
    for n in range(60):
        d = chance.choice([-1, 1]) * chance.uniform(0.1, 0.3)
        wrong, right = 0.5 - d, 0.5 + d * chance.uniform(0.5, 1)
        labels.append(label_of(str(n), votes_of(wrong=(wrong, wrong), right=(right, right))))
        human[str(n)] = 0.5 + math.copysign(0.5, d)
    analysis = analyse_labels(
        write_labels(tmp_path / "run", labels, questions(wrong=1, right=1), human=human)
    )
    assert ("against-people", ("wrong",)) in named(analysis)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("flagged", {"mass": 0.3}),
        ("votes-lost", {"p_raw": None, "p": None, "mass": None, "reason": "unreadable_answer"}),
        ("rationales-cut-off", {"rationale": "So", "rationale_finish_reason": "length"}),
    ],
)
def test_principles_whose_votes_are_of_little_use_are_named(tmp_path, kind, change):
    chance = random.Random(6)
    labels = []
    for n in range(60):
        p, q = (0.5 + chance.choice([-1, 1]) * chance.uniform(0.05, 0.4) for _ in "pq")
        votes = votes_of(good=(p, p), bad=(q, q))
        if n % 2:
            votes = [replace(vote, **change) if vote.principle == "bad" else vote for vote in votes]
        labels.append(label_of(str(n), votes))
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(good=1, bad=1)))
    assert named(analysis) == {(kind, ("bad",))}


def test_few_votes_are_not_judged(tmp_path):
    labels = [label_of(str(n), votes_of(a=(0.9, 0.1), b=(0.5, 0.5))) for n in range(9)]
    analysis = analyse_labels(write_labels(tmp_path / "run", labels, questions(a=1, b=1)))
    assert named(analysis) == {("few-votes", ("a", "b"))}


# ------------------------------------------------------------------ swapping, and memory

DYADIC = st.integers(0, 1024).map(lambda n: n / 1024)
COMPARISON = st.tuples(
    st.dictionaries(st.sampled_from("abc"), st.tuples(DYADIC, DYADIC), min_size=1),
    st.none() | DYADIC,
    st.booleans(),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comparisons=st.lists(COMPARISON, min_size=1, max_size=14), average=st.sampled_from(["mean", "logit"]))
def test_swapping_responses_changes_nothing(tmp_path_factory, comparisons, average):
    made_with = LabelSettings(principles="all", order_average=average)
    documents = []
    for swap in (False, True):
        labels, human = [], {}
        for n, (votes, people, swapped) in enumerate(comparisons):
            label = label_of(str(n), votes_of(**votes), made_with)
            labels.append(label.swap() if swap and swapped else label)
            human[str(n)] = 1 - people if people is not None and swap and swapped else people
        out = tmp_path_factory.mktemp("swap") / "run"
        write_labels(out, labels, questions(a=1, b=2, c=1), made_with, human=human)
        documents.append(analyse_labels(out).to_json())
        documents[-1]["run"].pop("path")
    assert documents[0] == documents[1]


def test_the_order_of_rows_changes_nothing(tmp_path):
    chance = random.Random(8)
    labels = [
        label_of(
            str(n), votes_of(**{id: (chance.random(), chance.random()) for id in chance.sample("abcd", 3)})
        )
        for n in range(700)
    ]
    rules = questions(a=1, b=1, c=1, d=1)
    documents = []
    for name, some in (("there", labels), ("back", labels[::-1])):
        documents.append(analyse_labels(write_labels(tmp_path / name, some, rules)).to_json())
        documents[-1]["run"].pop("path")
    assert documents[0] == documents[1]
    pairs = {tuple(pair["principles"]): pair["agree"]["n"] for pair in documents[0]["pairs"]}
    together = [{vote.principle for vote in label.votes} for label in labels]
    assert pairs == {pair: sum(set(pair) <= ids for ids in together) for pair in pairs} and len(pairs) == 6


def test_the_analysis_is_json_without_anything_that_is_no_number(three):
    document = three.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


# ------------------------------------------------------------------ runs that are none of this stage


def refused(path, *more):
    with pytest.raises(ConfigError) as error:
        analyse_labels(path, *more)
    return str(error.value)


def test_what_is_no_run_of_labels_is_refused(tmp_path):
    assert "there is no such folder" in refused(tmp_path / "none")
    assert "has no rows yet" in refused(write_labels(tmp_path / "empty", [], questions(a=1)))
    path = write_labels(tmp_path / "to-do", [], questions(a=1), to_do=7)
    assert "nothing to analyse yet; of 7 comparisons 0 are finished" in refused(path)
    path = write_labels(tmp_path / "bad", [], questions(a=1), skipped=2)
    assert "none of its 2 comparisons has votes (2 skipped, 0 failed)" in refused(path)
    path = write_labels(
        tmp_path / "score", [label_of("1", votes_of(a=(1, 1)))], questions(a=1), stage="score"
    )
    assert "is a run of the stage 'score', not of 'label'" in refused(path)


@pytest.mark.parametrize("votes", [3, [{}], ["x"], [{"principle": "a"}], {"a": 1}])
def test_rows_that_are_no_labels_are_named(tmp_path, votes):
    path = write_labels(tmp_path / "run", [label_of("first", votes_of(a=(0.9, 0.8)))], questions(a=1))
    ledger = sqlite3.connect(path / "ledger.sqlite")
    ledger.execute("UPDATE rows SET result = ?", [json.dumps({"votes": votes, "probability": 0.5})])
    ledger.commit()
    ledger.close()
    assert "the row 'first' is not a label as `label` makes them" in refused(path)


def test_a_recipe_that_makes_no_sense_is_refused(tmp_path):
    path = write_labels(tmp_path / "run", [label_of("1", votes_of(a=(0.9, 0.8)))], questions(a=1))
    ledger = sqlite3.connect(path / "ledger.sqlite")
    odd = '{"stage": "label", "constitution": {"id": "a", "principles": [{"id": "b", "preference": "?"}], "version": 1}, "settings": 3}'
    for recipe, hint in (
        ('{"stage": "label"}', "can't be read (KeyError"),
        (odd, "can't be read (ConfigError"),
        ("null", "does not hold what"),
    ):
        ledger.execute("UPDATE meta SET value = ? WHERE name = 'recipe'", [recipe])
        ledger.commit()
        assert hint in refused(path)
    ledger.close()


def test_a_constitution_without_questions_is_refused(tmp_path):
    path = write_labels(tmp_path / "run", [label_of("1", votes_of(a=(0.9, 0.8)))], questions(a=1))
    with pytest.raises(ConstitutionError):
        analyse_labels(path, Constitution("revises", [Principle("a", critique="C", revision="R")]))
