"""The labeler, with scripted judges of known probabilities and known biases."""

import asyncio
import itertools
import math
import statistics
from collections import Counter
from dataclasses import replace

import pytest

from constitutional import Constitution, Generation, Message, Principle, load_prompt_set
from constitutional.errors import (
    BadAnswer,
    ChoiceUnsupported,
    ConfigError,
    ConstitutionError,
    EngineTimeout,
    OptionNotShown,
    RequestRefused,
    RequestTooLong,
)
from constitutional.feedback import Comparison
from constitutional.records import Choice
from constitutional.stages.label import Labeler, LabelSettings, label
from constitutional.stages.votes import Unlabelled
from tests.helpers import PROMPT_SET
from tests.judges import (
    Judge,
    Overflowing,
    bradley_terry,
    comparison,
    lean,
    quality,
    rules,
    shown,
    sigmoid,
    uniform,
    wait,
)

PROMPTS = load_prompt_set(PROMPT_SET)


def labeler(constitution=None, **settings):
    return Labeler(constitution or rules(), PROMPTS, LabelSettings(**settings))


def labelled(comparison, judge, constitution=None, **settings):
    return wait(labeler(constitution, **settings).label(comparison, judge))


def rated(number, gap):
    """A comparison whose first response is better by `gap` in log-odds."""
    return comparison(
        number, f"Response {number} of quality {gap / 2:.6f}", f"Response {number} of quality {-gap / 2:.6f}"
    )


def votes_by_place(label):
    return sorted(label.votes, key=lambda vote: (vote.principle, vote.sample, vote.order))


# ---------------------------------------------------------------------- one vote


def test_a_vote_says_how_good_the_first_response_is_whatever_order_is_shown():
    judge = Judge(lambda first, second, question, messages: 0.75)  # always for what is shown as A
    got = labelled(comparison(), judge)
    assert [(v.order, v.p_raw) for v in got.votes] == [(0, pytest.approx(0.75)), (1, pytest.approx(0.25))]
    assert [v.mass for v in got.votes] == pytest.approx([0.9, 0.9])
    assert (got.probability, got.standard_error, got.units) == (0.5, None, 1)
    assert [shown(messages)[:2] for messages in judge.choices] == [
        ("The first answer.", "The second answer."),
        ("The second answer.", "The first answer."),
    ]


def test_the_module_s_function_labels_with_the_shipped_prompt_set():
    engine = Judge(lambda *_: 0.5)
    engine._score = lambda messages, options: [0.6, 0.3]
    got = wait(label(comparison(), rules(), engine))
    assert got.probability == 0.5 and [v.p_raw for v in got.votes] == pytest.approx([2 / 3, 1 / 3])


def test_the_principle_is_drawn_by_the_comparison_s_id_and_asked_in_both_orders():
    judge = Judge(bradley_terry)
    drawn = set()
    for number in range(40):
        one = labelled(rated(number, 0.0001 * (number + 1)), judge)
        (principle,) = {v.principle for v in one.votes}
        assert [principle] == [p.id for p in labeler().draw(one.id)]
        drawn.add(principle)
    assert len(drawn) > 10
    asked = Counter(shown(messages)[2] for messages in judge.choices)
    assert all(count % 2 == 0 for count in asked.values())


def test_principles_are_drawn_with_their_weights():
    heavy = Constitution(
        "r", [Principle("light", preference="L?"), Principle("heavy", preference="H?", weight=3.0)]
    )
    drawn = Counter(labeler(heavy).draw(f"c{n}")[0].id for n in range(2000))
    assert drawn["heavy"] / 2000 == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 2000))


# ---------------------------------------------------------------------- known probabilities


def test_the_labels_of_an_honest_judge_are_its_probabilities():
    for number, gap in enumerate((-3.0, -0.5, 0.2, 1.0, 4.0)):
        got = labelled(rated(number, gap), Judge(bradley_terry))
        assert got.probability == pytest.approx(sigmoid(gap), abs=1e-12)


def biased(shift):
    """A judge that is fond of the response shown as A: `shift` moves its probability of A."""
    return Judge(
        lambda first, second, question, messages: shift(bradley_terry(first, second, question, messages))
    )


def test_both_orders_cancel_a_bias_that_adds_to_probabilities():
    for number, gap in enumerate((-1.0, 0.0001, 0.3, 1.2)):
        case = rated(number, gap)
        both = labelled(case, biased(lambda p: p + 0.15))
        assert both.probability == pytest.approx(sigmoid(gap), abs=1e-12)
        one = labelled(case, biased(lambda p: p + 0.15), both_orders=False)
        assert abs(one.probability - sigmoid(gap)) == pytest.approx(0.15, abs=1e-12)


def test_the_mean_of_log_odds_cancels_a_bias_that_adds_to_log_odds():
    def shift(p):
        return sigmoid(math.log(p / (1 - p)) + 1.7)

    for number, gap in enumerate((-2.0, 0.0001, 0.6, 3.0)):
        case = rated(number, gap)
        assert labelled(case, biased(shift), order_average="logit").probability == pytest.approx(
            sigmoid(gap), abs=1e-12
        )
        if abs(gap) > 0.1:
            assert labelled(case, biased(shift)).probability != pytest.approx(sigmoid(gap), abs=1e-2)


def covered(truths, labels, width=1.96):
    """How many labels lie within so many standard errors of the truth."""
    return statistics.mean(
        abs(got.probability - truth) <= width * got.standard_error
        for truth, got in zip(truths, labels, strict=True)
    )


def test_counted_answers_recover_the_probabilities_within_their_standard_error():
    gaps = [2 * uniform("gap", n) - 1 for n in range(300)]
    judge = Judge(bradley_terry)
    settings = {"votes": "sampled", "samples": 30, "temperature": 1.0}
    labels = [labelled(rated(n, gap), judge, **settings) for n, gap in enumerate(gaps)]
    truths = [sigmoid(gap) for gap in gaps]
    assert all(v.p_raw in (0.0, 1.0) and v.mass is None for v in labels[0].votes)
    # with 29 degrees of freedom 2.05 standard errors cover 95 %, give or take three of that share's own
    assert abs(covered(truths, labels, width=2.05) - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 300) + 0.01
    errors = [got.probability - truth for truth, got in zip(truths, labels, strict=True)]
    assert abs(statistics.mean(errors)) < 4 * statistics.stdev(errors) / math.sqrt(300)


def test_drawn_principles_recover_the_constitution_s_mean_within_the_clustered_standard_error():
    constitution = rules(400)
    opinions = {p.preference: uniform("opinion", p.id) for p in constitution.principles}

    def opinion(first, second, question, messages):
        p = opinions[question]
        return p if quality(first) > quality(second) else 1 - p

    truth = statistics.mean(opinions.values())
    judge = Judge(opinion)
    labels = [labelled(rated(n, 0.1), judge, constitution, principles=10) for n in range(300)]
    assert all(got.units == 10 for got in labels)
    # with 9 degrees of freedom, 2.26 standard errors cover 95 %
    assert 0.91 < covered([truth] * 300, labels, width=2.26) < 0.985


def test_samples_of_one_principle_are_not_taken_for_independent_principles():
    constitution = rules(400)
    opinions = {p.preference: uniform("opinion", p.id) for p in constitution.principles}
    truth = statistics.mean(opinions.values())

    def opinion(first, second, question, messages):
        p = opinions[question]
        return p if quality(first) > quality(second) else 1 - p

    settings = {"principles": 5, "samples": 6, "votes": "sampled", "temperature": 1.0}
    labels = [labelled(rated(n, 0.1), Judge(opinion), constitution, **settings) for n in range(200)]
    # with 4 degrees of freedom, 2.78 standard errors cover 95 %; over 30 units as if independent it would be far fewer
    assert 0.90 < covered([truth] * 200, labels, width=2.78) < 0.99
    naive = []
    for got in labels:
        units = {}
        for v in got.votes:
            units.setdefault((v.principle, v.sample), []).append(v.p)
        spread = statistics.stdev([statistics.mean(pair) for pair in units.values()]) / math.sqrt(30)
        naive.append(abs(got.probability - truth) <= 2.05 * spread)
    assert statistics.mean(naive) < 0.85


def test_self_consistency_lowers_the_variance_by_the_number_of_samples():
    def opinion(first, second, question, messages):
        p = 0.3 + 0.4 * lean(messages)  # after each rationale another, ½ on average
        return p

    def variance(samples):
        settings = {"chain_of_thought": True, "samples": samples, "temperature": 1.0, "clamp": 0.0}
        return statistics.variance(
            labelled(rated(n, 0.1), Judge(opinion), **settings).probability for n in range(300)
        )

    one = variance(1)
    # a rationale's vote is uniform over a range of 0.4, and a unit is the mean of two
    assert one == pytest.approx(0.4**2 / 12 / 2, rel=0.25)
    for samples in (4, 8):
        # the ratio of two variances of 300 values each has a relative sd of some √(4/299)
        assert variance(samples) / one == pytest.approx(1 / samples, rel=3.5 * math.sqrt(4 / 299))


def test_an_ensemble_of_all_principles_is_their_weighted_mean():
    opinions = {"A?": 0.9, "B?": 0.4, "C?": 0.2}
    weights = {"A?": 1.0, "B?": 2.5, "C?": 4.0}
    constitution = Constitution(
        "r", [Principle(q[0].lower(), preference=q, weight=weights[q]) for q in opinions]
    )

    def opinion(first, second, question, messages):
        return opinions[question] if quality(first) > quality(second) else 1 - opinions[question]

    mean = sum(weights[q] * p for q, p in opinions.items()) / sum(weights.values())
    squares = sum((weights[q] * (p - mean)) ** 2 for q, p in opinions.items())
    for principles in ("all", 3):
        got = labelled(rated(0, 1.0), Judge(opinion), constitution, principles=principles)
        assert got.probability == pytest.approx(mean, abs=1e-12)
        assert got.standard_error == pytest.approx(math.sqrt(3 / 2 * squares) / sum(weights.values()))
        assert [v.principle for v in got.votes] == ["a", "a", "b", "b", "c", "c"]


def test_after_a_rationale_votes_are_clamped_to_40_to_60_percent_unless_told_otherwise():
    judge = Judge(
        lambda first, second, question, messages: 0.95 if quality(first) > quality(second) else 0.05
    )

    def votes(**settings):
        return labelled(rated(0, 1.0), judge, **settings)

    reasoned = votes(chain_of_thought=True)
    assert reasoned.probability == pytest.approx(0.6)
    assert [(v.p_raw, v.p) for v in reasoned.votes] == [(pytest.approx(0.95), pytest.approx(0.6))] * 2
    assert votes(chain_of_thought=True, clamp=0.0).probability == pytest.approx(0.95)
    assert votes(chain_of_thought=True, clamp=0.2).probability == pytest.approx(0.8)
    assert votes().probability == pytest.approx(0.95)
    assert votes(clamp=0.1).probability == pytest.approx(0.9)


# ---------------------------------------------------------------------- swapping

SETTINGS = [
    {},
    {"order_average": "logit", "principles": 5},
    {"principles": "all", "clamp": 0.3},
    {"chain_of_thought": True},
    {"chain_of_thought": True, "samples": 3, "temperature": 1.0, "principles": 4},
    {"chain_of_thought": True, "samples": 2, "temperature": 0.7, "votes": "sampled", "clamp": 0.0},
    {"votes": "sampled", "samples": 5, "temperature": 1.0, "principles": 3},
    {"both_orders": False, "principles": 6},
    {"both_orders": False, "chain_of_thought": True, "samples": 3, "temperature": 1.0},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_swapping_the_responses_gives_exactly_the_complement(settings):
    def moody(first, second, question, messages):
        return uniform([(m.role, m.content) for m in messages])  # of the whole request, bias and all

    weighted = Constitution(
        "r", [Principle(f"p-{n}", preference=f"Which is better by {n}?", weight=0.5 + n) for n in range(8)]
    )
    probabilities = set()
    for number in range(20):
        case = comparison(number, f"One thing, {number}.", f"Another, {number}.")
        got = labelled(case, Judge(moody), weighted, **settings)
        swapped = labelled(case.swap(), Judge(moody), weighted, **settings)
        assert swapped.probability == 1.0 - got.probability and got.probability == 1.0 - swapped.probability
        assert swapped.standard_error == got.standard_error
        assert votes_by_place(swapped) == votes_by_place(got.swap())
        probabilities.add(got.probability)
    assert len(probabilities) > 3


def test_swapping_asks_for_the_very_same_requests():
    settings = {"chain_of_thought": True, "samples": 2, "temperature": 1.0, "principles": 3}
    judges = []
    for case in (comparison(), comparison().swap()):
        judges.append(Judge(lambda *_: 0.4))
        labelled(case, judges[-1], **settings)
    one, other = judges
    assert set(one.requests) == set(other.requests) and set(one.choices) == set(other.choices)


def test_one_order_is_drawn_by_the_responses_so_that_a_file_s_first_response_is_not_favoured():
    fond_of_a = Judge(lambda *_: 0.9)
    orders = Counter()
    for number in range(400):
        case = comparison(number, f"Chosen {number}", f"Rejected {number}")
        (vote,) = labelled(case, fond_of_a, both_orders=False).votes
        orders[vote.order] += 1
    assert abs(orders[0] - 200) < 4 * math.sqrt(400) / 2


# ---------------------------------------------------------------------- rationales and counted answers


def test_a_rationale_is_asked_for_first_and_the_options_are_scored_after_it():
    judge = Judge(lambda first, second, question, messages: lean(messages))
    got = labelled(comparison(), judge, chain_of_thought=True, max_tokens=33, clamp=0.0)
    assert len(judge.requests) == len(judge.choices) == 2
    for messages, sampling in judge.requests:
        assert messages[-1] == Message("assistant", "Reasoning:")
        assert (sampling.temperature, sampling.max_tokens) == (0.0, 33)
        assert sampling.stop == ("The better one is (",)
    for vote, messages in zip(got.votes, judge.choices, strict=True):
        assert messages[-1].content == f"Reasoning: {vote.rationale}\nThe better one is ("
        told = lean(messages)
        assert vote.p_raw == pytest.approx(told if vote.order == 0 else 1 - told)
        assert vote.rationale_finish_reason == "stop"


def test_every_sample_has_a_rationale_of_its_own_and_more_samples_keep_those_there_are():
    few, many = Judge(lambda *_: 0.5), Judge(lambda *_: 0.5)
    settings = {"chain_of_thought": True, "temperature": 1.0}
    two = labelled(comparison(), few, samples=2, **settings)
    five = labelled(comparison(), many, samples=5, **settings)
    assert len({v.rationale for v in five.votes}) == 10
    assert {v.rationale for v in two.votes} < {v.rationale for v in five.votes}
    assert set(few.requests) < set(many.requests) and set(few.choices) < set(many.choices)


def test_a_cut_off_rationale_says_so():
    from constitutional import Generation

    judge = Judge(lambda *_: 0.5)
    judge._answer = lambda messages, sampling: Generation("I think that", "length")
    got = labelled(comparison(), judge, chain_of_thought=True)
    assert {v.rationale_finish_reason for v in got.votes} == {"length"}


def test_counted_answers_are_few_tokens_after_the_answer_s_prefix():
    judge = Judge(lambda *_: 0.5)
    got = labelled(comparison(), judge, votes="sampled", samples=3, temperature=0.8)
    assert len(judge.requests) == 6 and not judge.choices
    assert all(m[-1].content == "The better one is (" and s.max_tokens <= 16 for m, s in judge.requests)
    assert len({s.seed for _, s in judge.requests}) == 6
    assert got.units == 3


def test_one_counted_answer_follows_each_rationale():
    judge = Judge(lambda *_: 0.5)
    labelled(comparison(), judge, votes="sampled", chain_of_thought=True, samples=2, temperature=0.8)
    endings = Counter(messages[-1].content[-1] for messages, _ in judge.requests)
    assert endings == {":": 4, "(": 4} and not judge.choices


def test_an_answer_that_can_t_be_read_is_no_vote_and_takes_its_partner_with_it():
    judge = Judge(lambda *_: 0.5)

    def answer(messages, sampling):
        unsure = shown(messages)[0].startswith("The second") and sampling.seed % 2
        return "Hard to say" if unsure else "A)"

    judge._answer = answer
    got = labelled(comparison(), judge, votes="sampled", samples=8, temperature=1.0)
    reasons = Counter(v.reason for v in got.votes)
    assert 0 < reasons["unreadable_answer"] == reasons["partner_dropped"] < 8
    assert got.units == 8 - reasons["unreadable_answer"]
    assert all(v.p is None and v.p_raw is None for v in got.votes if v.reason == "unreadable_answer")


def test_only_unreadable_answers_make_no_label():
    judge = Judge(lambda *_: 0.5)
    judge._answer = lambda messages, sampling: "Hard to say"
    with pytest.raises(Unlabelled, match="none of the 2 votes counts: unreadable_answer × 2") as raised:
        labelled(comparison(), judge, votes="sampled")
    assert (raised.value.status, raised.value.reason, len(raised.value.votes)) == (
        "failed",
        "unreadable_answer",
        2,
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [("A)", None), ("A", "unreadable_answer"), ("The better one is (A", "unreadable_answer")],
)
def test_a_counted_answer_that_the_limit_cut_off_counts_only_if_its_option_is_closed(text, reason):
    judge = Judge(lambda *_: 0.5)
    judge._answer = lambda messages, sampling: Generation(text, "length")
    if reason:
        with pytest.raises(Unlabelled) as raised:
            labelled(comparison(), judge, votes="sampled")
        assert raised.value.reason == reason
    else:
        assert [v.p_raw for v in labelled(comparison(), judge, votes="sampled").votes] == [1.0, 0.0]


def test_a_judge_that_begins_its_sentence_again_is_read_and_one_that_names_an_option_in_passing_is_not():
    judge = Judge(lambda *_: 0.5)
    judge._answer = lambda messages, sampling: "The better one is (B)."
    assert [v.p_raw for v in labelled(comparison(), judge, votes="sampled").votes] == [0.0, 1.0]
    judge._answer = lambda messages, sampling: "I would not pick (B) here."
    with pytest.raises(Unlabelled, match="unreadable_answer × 2"):
        labelled(comparison(), judge, votes="sampled")


# ---------------------------------------------------------------------- what ends an option


@pytest.mark.parametrize(
    ("options", "ends"),
    [(("A", "B"), None), (("1", "2"), None), (("first", "second"), ")"), (("A", "B1"), ")")],
)
def test_options_of_several_letters_end_with_the_bracket_that_they_stand_in(options, ends):
    ended = []

    class Recording(Judge):
        async def choose(self, messages, options, terminator=None):
            ended.append(terminator)
            return Choice((-1.0, -1.0), -1.0)

    prompts = replace(PROMPTS, options=options)
    wait(Labeler(rules(), prompts, LabelSettings()).label(comparison(), Recording(lambda *_: 0.5)))
    assert ended == [ends, ends]


# ---------------------------------------------------------------------- what can go wrong


def test_log_probabilities_that_are_no_numbers_are_no_votes():
    def overflows(messages):
        return shown(messages)[2] == "Which keeps rule 1?" and shown(messages)[0].startswith("The second")

    got = labelled(comparison(), Overflowing(overflows), rules(3), principles="all")
    reasons = {(v.principle, v.order): v.reason for v in got.votes if v.reason}
    assert reasons == {("rule-1", 0): "partner_dropped", ("rule-1", 1): "bad_answer"}
    assert (got.probability, got.units) == (0.5, 2)
    with pytest.raises(Unlabelled) as raised:
        labelled(comparison(), Overflowing(lambda messages: True))
    assert (raised.value.status, raised.value.reason) == ("failed", "bad_answer")


def test_an_option_that_a_server_does_not_show_costs_a_vote_and_not_the_run():
    class Sure(Judge):
        async def choose(self, messages, options, terminator=None):
            if shown(messages)[2] == "Which keeps rule 0?":
                raise OptionNotShown("'B' is not among the 20 likeliest tokens")
            return await super().choose(messages, options, terminator)

    got = labelled(comparison(), Sure(bradley_first), rules(2), principles="all")
    assert {v.reason for v in got.votes if v.principle == "rule-0"} == {"option_not_shown"}
    assert got.units == 1 and got.probability == pytest.approx(0.7)
    with pytest.raises(Unlabelled) as raised:
        labelled(comparison(), Sure(bradley_first), rules(1))
    assert (raised.value.status, raised.value.reason) == ("failed", "option_not_shown")


def bradley_first(first, second, question, messages):
    return 0.7 if first.startswith("The first") else 0.3


def test_log_odds_of_counted_answers_are_refused_since_they_cancel_nothing():
    with pytest.raises(ConfigError, match="cancels no position bias"):
        labeler(votes="sampled", order_average="logit")
    with pytest.raises(ConfigError, match="cancels no position bias"):
        labeler(votes="sampled", order_average="logit", chain_of_thought=True)
    labeler(votes="sampled", order_average="logit", both_orders=False)  # where nothing is averaged


def test_samples_of_all_principles_do_not_make_the_error_over_principles_smaller():
    def opinion(first, second, question, messages):
        p = 0.9 if "rule 0" in question else 0.2
        return p if first.startswith("The first") else 1 - p

    settings = {"principles": "all", "chain_of_thought": True, "temperature": 1.0, "clamp": 0.0}
    error = statistics.stdev([0.9, 0.2]) / math.sqrt(2)
    for samples in (1, 5):
        got = labelled(comparison(), Judge(opinion), rules(2), samples=samples, **settings)
        assert got.standard_error == pytest.approx(error) and got.units == 2 * samples


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("Same.", " Same.\n", "identical_responses"),
        ("", "Something", "empty_response"),
        ("Something", " \n", "empty_response"),
        ("", "", "empty_response"),
    ],
)
def test_there_is_nothing_to_compare_in_equal_or_empty_responses(first, second, reason):
    judge = Judge(lambda *_: 0.5)
    with pytest.raises(Unlabelled) as raised:
        labelled(comparison(0, first, second), judge)
    assert (raised.value.status, raised.value.reason) == ("skipped", reason)
    assert not judge.choices


def test_a_judge_without_any_mass_on_the_options_makes_no_label():
    with pytest.raises(Unlabelled) as raised:
        labelled(comparison(), Judge(lambda *_: 0.5, mass=0.0))
    assert raised.value.reason == "no_mass"


def test_low_mass_is_recorded_and_left_out_only_when_asked():
    judge = Judge(lambda *_: 0.8, mass=0.1)
    assert [v.mass for v in labelled(comparison(), judge).votes] == pytest.approx([0.1, 0.1])
    assert labelled(comparison(), judge, min_mass=0.05, low_mass="exclude").units == 1
    with pytest.raises(Unlabelled, match="low_mass × 2") as raised:
        labelled(comparison(), judge, low_mass="exclude")
    assert raised.value.reason == "low_mass"


@pytest.mark.parametrize("error", [RequestRefused("no"), BadAnswer("what")])
def test_a_request_that_is_refused_for_good_costs_its_vote_and_the_partner(error):
    def opinion(first, second, question, messages):
        if "rule 3" in question and first.startswith("The first"):
            raise error
        return 0.7 if first.startswith("The first") else 0.3

    got = labelled(comparison(), Judge(opinion), principles="all")
    lost = {v.order: v.reason for v in got.votes if v.principle == "rule-3"}
    assert lost == {0: error.reason, 1: "partner_dropped"}
    assert got.units == 15 and got.probability == pytest.approx(0.7)


@pytest.mark.parametrize("error", [EngineTimeout("later"), ChoiceUnsupported("none here")])
def test_what_another_try_may_mend_and_what_no_row_can_is_passed_on(error):
    def opinion(first, second, question, messages):
        if first.startswith("The second"):
            raise error
        return 0.5

    with pytest.raises(type(error)):
        labelled(comparison(), Judge(opinion), principles=3)


def test_an_error_leaves_no_request_behind():
    def opinion(first, second, question, messages):
        if "rule 3" in question:
            raise EngineTimeout("later")
        return 0.5

    async def ask():
        before = asyncio.all_tasks()
        with pytest.raises(EngineTimeout):
            await labeler(principles="all").label(comparison(), Judge(opinion, latency=0.01))
        assert asyncio.all_tasks() == before

    wait(ask())


def long(turns):
    messages = [
        Message(role, f"{role} {n} " + "word " * 50) for n in range(turns) for role in ("user", "assistant")
    ]
    return Comparison(
        "long", (*messages, Message("user", "And now?")), ("The first answer.", "The second answer.")
    )


def test_a_comparison_that_does_not_fit_is_refused_or_loses_its_oldest_turns():
    judge = Judge(lambda *_: 0.5, context_length=400)
    with pytest.raises(RequestTooLong):
        labelled(long(4), judge)
    got = labelled(long(4), judge, overlong="drop-oldest", principles=4)
    assert 0 < got.dropped_turns < 8 and got.dropped_turns % 2 == 0
    kept = {messages[-2].content.count("word") for messages in judge.choices[-8:]}
    assert kept == {50 * (8 - got.dropped_turns)}


def test_all_votes_of_a_label_see_the_same_turns():
    """One principle's question is longer than the others', and only its requests do not fit."""
    rule = Constitution(
        "r",
        [Principle("short", preference="Which?"), Principle("wordy", preference="Which is better? " * 30)],
    )
    fits = Judge(lambda *_: 0.5, context_length=450)
    got = labelled(long(4), fits, rule, overlong="drop-oldest", principles="all")
    final = fits.choices[-4:]
    turns = {tuple(line for line in c[-2].content.splitlines() if "word" in line) for c in final}
    assert got.dropped_turns > 0 and len(turns) == 1
    alone = labelled(long(4), Judge(lambda *_: 0.5, context_length=450), rules(1), overlong="drop-oldest")
    assert alone.dropped_turns < got.dropped_turns


def test_what_can_t_fit_at_all_is_too_long_even_where_turns_may_be_dropped():
    judge = Judge(lambda *_: 0.5, context_length=30)
    with pytest.raises(RequestTooLong):
        labelled(long(1), judge, overlong="drop-oldest")


# ---------------------------------------------------------------------- settings and keys


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"principles": 17}, "principles is 17, but test-rules has only 16"),
        ({"samples": 2}, "nothing is sampled"),
        ({"samples": 2, "temperature": 1.0}, "nothing is sampled"),
        ({"samples": 2, "chain_of_thought": True}, "temperature 0"),
        ({"samples": 2, "votes": "sampled"}, "temperature 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        labeler(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"clamp": 0.5},
        {"clamp": -0.1},
        {"principles": 0},
        {"samples": 0},
        {"min_mass": 1.1},
        {"clam": 0.1},
        {"principles": "some"},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        LabelSettings(**settings)


def test_a_misspelt_setting_is_answered_with_the_nearest_one():
    with pytest.raises(ConfigError, match="no setting 'principals'; did you mean 'principles'"):
        LabelSettings(principals=4)


def test_a_refusal_of_samples_names_the_settings_and_the_flags_that_sample():
    with pytest.raises(
        ConfigError, match=r"chain_of_thought \(--chain-of-thought\), or votes='sampled' \(--votes"
    ):
        labeler(samples=3)


def test_a_constitution_without_preference_questions_can_t_label():
    rule = Constitution("r", [Principle("a", critique="C", revision="R")])
    with pytest.raises(ConstitutionError, match="preference"):
        labeler(rule)


def test_a_label_is_keyed_by_what_determines_it_and_by_nothing_else():
    rule = rules(4)
    case = comparison()
    drawn = labeler(rule).draw(case.id)[0]

    def reworded(principle, **fields):
        return Constitution(
            "r", [replace(p, **fields) if p.id == principle.id else p for p in rule.principles]
        )

    other = next(p for p in rule.principles if p.id != drawn.id)
    key = labeler(rule).key(case)
    assert labeler(rule).key(case) == key
    assert labeler(reworded(drawn, preference="Which one now?")).key(case) != key
    assert labeler(reworded(other, preference="Which one now?")).key(case) == key
    assert labeler(reworded(drawn, critique="C", revision="R", source="S")).key(case) == key
    for change in (
        {"clamp": 0.1},
        {"both_orders": False},
        {"order_average": "logit"},
        {"examples": 0},
        {"seed": 9},
    ):
        assert labeler(rule, **change).key(case) != key
    for change in (
        {"temperature": 0.5},
        {"max_tokens": 9},
        {"top_p": 0.5},
        {"min_mass": 0.1},
        {"clamp": 0.0},
    ):
        assert labeler(rule, **change).key(case) == key  # nothing is sampled, clamped or excluded
    assert labeler(rule).key(case.swap()) != key
    assert labeler(rule).key(replace(case, prompt=(Message("user", "Another?"),))) != key


def test_weights_are_part_of_the_key_only_where_they_count():
    light, heavy = rules(4), rules(4, weight=2.0)
    assert labeler(light).key(comparison()) == labeler(heavy).key(comparison())
    assert labeler(light, principles="all").key(comparison()) != labeler(heavy, principles="all").key(
        comparison()
    )


def test_the_order_of_a_constitution_s_principles_changes_nothing():
    rule = rules(6)
    turned = Constitution(rule.id, rule.principles[::-1])
    for settings in ({"principles": 3}, {"principles": "all"}):
        a, b = (labelled(comparison(), Judge(bradley), r, **settings) for r in (rule, turned))
        assert a == b
        assert labeler(rule, **settings).key(comparison()) == labeler(turned, **settings).key(comparison())


def bradley(first, second, question, messages):
    return uniform(first, question)


def test_the_number_of_requests_is_known_before():
    for principles, orders, cot, samples in itertools.product(
        (1, 3, "all"), (True, False), (True, False), (1, 2)
    ):
        settings = {
            "principles": principles,
            "both_orders": orders,
            "chain_of_thought": cot,
            "samples": samples,
        }
        settings |= {"votes": "sampled", "temperature": 1.0}
        judge = Judge(lambda *_: 0.5)
        made = labeler(rules(5), **settings)
        wait(made.label(comparison(), judge))
        assert len(judge.requests) == made.requests


def test_examples_are_limited_by_the_setting():
    for limit, expected in ((None, len(PROMPTS.preference_examples)), (0, 0), (1, 1)):
        judge = Judge(lambda *_: 0.5)
        labelled(comparison(), judge, examples=limit)
        assert len(judge.choices[0]) == 2 + 2 * expected
    assert len(PROMPTS.preference_examples) > 1


def test_requests_share_everything_up_to_the_principle():
    judge = Judge(lambda *_: 0.5)
    labelled(comparison(), judge, principles="all")
    starts = {(*messages[:-2], messages[-2].content.partition("Question:")[0]) for messages in judge.choices}
    assert len(judge.choices) == 32 and len(starts) == 2  # one for each order


class Uncertain(Judge):
    """A judge whose options lie so far apart that one of them has no probability at all."""

    async def choose(self, messages, options, terminator=None):
        return Choice((0.0, -math.inf), -math.inf, 10)


def test_a_judge_that_is_certain_of_whatever_is_shown_first_makes_a_tie():
    for average in ("mean", "logit"):
        assert labelled(comparison(), Uncertain(bradley), order_average=average).probability == 0.5
