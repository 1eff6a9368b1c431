"""One response's score: the expectation over ratings, the mean over principles, its error, and what does not count."""

import asyncio
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional import (
    Constitution,
    Generation,
    Message,
    Principle,
    Prompt,
    ScriptedEngine,
    load_prompt_set,
)
from constitutional.assignment import draw_seed, request_seed
from constitutional.errors import (
    ConfigError,
    ConstitutionError,
    OptionNotShown,
    RequestRefused,
    RequestTooLong,
)
from constitutional.stages.asking import terminator_of
from constitutional.stages.score import Scorer, ScoreSettings, score
from constitutional.stages.score_votes import ScoreVote, aggregate, expectation, weighted_mean
from constitutional.templates import Scale
from tests.helpers import PROMPT_SET, CountingEngine
from tests.judges import Overflowing

PROMPTS = load_prompt_set(PROMPT_SET)
ITEM = Prompt("r1", (Message("user", "How do I boil an egg?"),), "Seven minutes in boiling water.")


def rule(number, weight=1.0):
    return Principle(f"rule-{number}", preference=f"Which response keeps rule {number}?", weight=weight)


def rules(count=3):
    return Constitution("rules", [rule(number) for number in range(count)])


def scored(engine, constitution=None, item=ITEM, **settings):
    return asyncio.run(
        score(item, constitution or rules(), engine, prompts=PROMPTS, settings=ScoreSettings(**settings))
    )


def judge(*shares):
    """A judge that gives the same probabilities to the ratings whatever it is asked."""
    return ScriptedEngine(score=lambda messages, options: shares)


def by_rule(ratings):
    """A judge that is certain of one rating for each rule."""

    def answer(messages, options):
        number = next(n for n in range(100) if f"rule {n}?" in messages[-2].content)
        return [float(option == str(ratings[number])) for option in options]

    return ScriptedEngine(score=answer)


def writes(text):
    return CountingEngine(lambda messages, sampling: text)


# ---------------------------------------------------------------------- the expectation


def test_a_rating_is_the_expectation_over_the_scale_divided_by_its_mass():
    shares = [0.0, 0.1, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0, 0.2, 0.2]
    found = scored(judge(*shares), principles=1)
    (vote,) = found.votes
    rating = sum(number * share for number, share in zip(range(1, 11), shares, strict=True)) / sum(shares)
    assert vote.rating == found.rating == pytest.approx(rating, abs=1e-12)
    assert vote.mass == pytest.approx(sum(shares), abs=1e-12)
    assert found.score == pytest.approx(2 * (rating - 1) / 9 - 1, abs=1e-12)
    assert found.standard_error is None and found.flagged == 0


@pytest.mark.parametrize(
    ("low", "high", "rating", "expected"),
    [(None, None, 10, 1), (None, None, 1, -1), (-5, 5, 0, 0), (0, 1, 1, 1)],
)
def test_the_ends_of_any_scale_are_minus_one_and_one(low, high, rating, expected):
    found = scored(by_rule([rating] * 3), low=low, high=high)
    assert (found.rating, found.score) == (rating, expected)


def test_the_ratings_are_options_of_whole_sequences_that_the_bracket_closes():
    asked = []

    class Recording(ScriptedEngine):
        async def choose(self, messages, options, terminator=None):
            asked.append((messages, tuple(options), terminator))
            return await super().choose(messages, options, terminator)

    scored(Recording(), principles=1, low=-2, high=10)
    ((messages, options, terminator),) = asked
    assert options == ("-2", "-1", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
    assert messages[-1] == Message("assistant", "Rating: (") and terminator == ")"
    assert terminator_of((Message("assistant", "Rating:"),)) is None


@given(st.lists(st.just(0.0) | st.floats(1e-6, 1), min_size=2, max_size=20).filter(any))
def test_an_expectation_lies_between_the_values_and_does_not_change_with_the_mass(shares):
    total = sum(shares)
    logs = [math.log(share / total) if share else -math.inf for share in shares]
    mean, mass = expectation(logs, range(len(shares)))
    assert 0 <= mean <= len(shares) - 1 and mass == pytest.approx(1)
    less, mass = expectation([log - 700 for log in logs], range(len(shares)))
    assert less == pytest.approx(mean, abs=1e-9) and 0 < mass < 1e-300


def test_no_mass_at_all_is_no_rating():
    assert expectation([-math.inf, -math.inf], [1, 2]) == (None, 0.0)
    found = scored(judge(*[0.0] * 10))
    assert (found.score, found.reason, found.flagged) == (None, "no_mass", 3)
    assert found.detail == "no_mass × 3"


def test_votes_of_little_mass_are_flagged_and_left_out_when_asked():
    def answer(messages, options):
        mass = 0.1 if "rule 0?" in messages[-2].content else 0.9
        return [mass * (option == ("1" if mass == 0.1 else "7")) for option in options]

    kept = scored(ScriptedEngine(score=answer))
    assert kept.flagged == 1 and kept.rating == pytest.approx((1 + 7 + 7) / 3)
    left_out = scored(ScriptedEngine(score=answer), low_mass="exclude")
    assert left_out.flagged == 1 and left_out.rating == pytest.approx(7)
    assert [vote.reason for vote in left_out.votes] == ["low_mass", None, None]
    assert left_out.detail == "low_mass × 1"
    assert scored(ScriptedEngine(score=answer), min_mass=0.05).flagged == 0


# ---------------------------------------------------------------------- the mean over principles


def test_a_score_is_the_mean_over_principles_and_its_error_that_of_their_mean():
    ratings = [2, 5, 9]
    found = scored(by_rule(ratings))
    assert found.rating == pytest.approx(statistics.mean(ratings))
    error = statistics.stdev(ratings) / math.sqrt(3)  # in the scale, which is 9 wide; the score is 2 wide
    assert found.standard_error == pytest.approx(error * 2 / 9)
    assert [vote.principle for vote in found.votes] == ["rule-0", "rule-1", "rule-2"]


def test_weights_count_where_all_are_asked_and_only_in_the_draw_where_they_are_drawn():
    heavy = Constitution("rules", [rule(0, 3.0), rule(1, 1.0)])
    assert scored(by_rule([2, 10]), heavy).rating == pytest.approx((3 * 2 + 1 * 10) / 4)
    assert scored(by_rule([2, 10]), heavy, principles=2).rating == pytest.approx((2 + 10) / 2)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=10), st.floats(0.1, 10))
def test_equal_weights_give_the_plain_standard_error(values, weight):
    mean, error = weighted_mean(values, [weight] * len(values))
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert error == pytest.approx(statistics.stdev(values) / math.sqrt(len(values)), abs=1e-6)


def test_unequal_weights_give_the_formulas_error():
    values, weights = [1.0, 4.0, 7.0], [1.0, 2.0, 5.0]
    mean = (1 + 8 + 35) / 8
    squares = sum((w * (x - mean)) ** 2 for w, x in zip(weights, values, strict=True))
    assert weighted_mean(values, weights) == (
        pytest.approx(mean),
        pytest.approx(math.sqrt(3 / 2 * squares) / 8),
    )


def test_drawn_principles_depend_on_the_responses_id_and_the_order_in_the_file_does_not_matter():
    scorer = Scorer(rules(16), PROMPTS, ScoreSettings(principles=2))
    draws = {scorer.draw(f"r{n}") for n in range(50)}
    assert len(draws) > 20 and all(len(set(draw)) == 2 for draw in draws)
    turned = Constitution("rules", list(reversed(rules(16).principles)))
    for settings in (ScoreSettings(), ScoreSettings(principles=2)):
        assert Scorer(turned, PROMPTS, settings).key(ITEM) == Scorer(rules(16), PROMPTS, settings).key(ITEM)


def test_versions_of_one_response_are_scored_by_the_same_principles():
    scorer = Scorer(rules(16), PROMPTS, ScoreSettings(principles=1))
    rounds = [Prompt(f"p7#{n}", ITEM.messages, f"Answer {n}.") for n in range(6)]
    engine = ScriptedEngine()
    found = [asyncio.run(scorer.score(item, engine, of="p7")) for item in rounds]
    assert {vote.principle for one in found for vote in one.votes} == {p.id for p in scorer.draw("p7")}
    assert len({scorer.draw(item.id) for item in rounds}) > 1
    assert len({scorer.key(item, of="p7") for item in rounds}) == 6


def test_a_key_changes_with_what_is_rendered_and_with_nothing_else():
    def key(constitution=None, item=ITEM, **settings):
        return Scorer(constitution or rules(), PROMPTS, ScoreSettings(**settings)).key(item)

    named = Constitution(
        "rules", [rule(0), rule(1), Principle("rule-2", preference=rule(2).preference, tags=("x",))]
    )
    assert key(named) == key()
    reworded = Constitution("rules", [rule(0), rule(1), Principle("rule-2", preference="Another?")])
    reweighted = Constitution("rules", [rule(0), rule(1), rule(2, 2.0)])
    other = Prompt("r1", ITEM.messages, "Eight minutes.")
    keys = [
        key(),
        key(reworded),
        key(reweighted),
        key(item=other),
        key(high=5),
        key(seed=1),
        key(written=True),
    ]
    assert len(set(keys)) == len(keys)


# ---------------------------------------------------------------------- written ratings


def test_a_written_rating_is_read_and_kept_with_its_justification():
    found = scored(writes(" It is short.\nScore: 4.00 "), written=True)
    assert (found.rating, found.score) == (4.0, 0.5)
    assert all(
        vote.justification == "It is short.\nScore: 4.00" and vote.mass is None for vote in found.votes
    )


def test_samples_are_averaged_within_their_principle_and_seeded_by_it():
    def answer(messages, sampling):
        return f"Score: {1 + sampling.seed % 5}"

    engine = CountingEngine(answer)
    found = scored(engine, written=True, samples=4, temperature=0.7, principles=2)
    seeds = [
        request_seed(0, "score", "r1", f"write:{name}")
        for name in dict.fromkeys(v.principle for v in found.votes)
    ]
    expected = [[1 + draw_seed(seed, draw) % 5 for draw in range(4)] for seed in seeds]
    assert [vote.rating for vote in found.votes] == [rating for ratings in expected for rating in ratings]
    means = [statistics.mean(ratings) for ratings in expected]
    assert found.rating == pytest.approx(statistics.mean(means))
    assert found.standard_error == pytest.approx(abs(means[0] - means[1]) / 2 * 2 / 4)


def test_the_error_of_a_single_principle_is_that_over_its_samples():
    votes = [ScoreVote("rule-0", n, rating) for n, rating in enumerate([2.0, 3.0, 5.0])]
    found = aggregate("r1", votes, Scale(1, 5))
    assert found.standard_error == pytest.approx(statistics.stdev([2, 3, 5]) / math.sqrt(3) * 2 / 4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It is kind.", "unreadable_score"),
        ("Score: 7", "score_out_of_range"),
        ("Score: 1\nScore: 2", "conflicting_scores"),
    ],
)
def test_an_answer_that_can_not_be_read_is_no_score(text, reason):
    found = scored(writes(text), written=True)
    assert (found.score, found.rating, found.reason, found.detail) == (None, None, reason, f"{reason} × 3")
    assert all(vote.justification == text and vote.rating is None for vote in found.votes)


def test_what_can_be_read_counts_and_the_rest_is_named():
    def answer(messages, sampling):
        return (
            "Score: 5"
            if "rule 1?" in messages[-1].content
            else "no"
            if "rule 2?" in messages[-1].content
            else "Score: 9"
        )

    found = scored(ScriptedEngine(answer), written=True)
    assert (found.score, found.standard_error, found.reason) == (1.0, None, None)
    assert found.detail == "score_out_of_range × 1, unreadable_score × 1"
    mixed = aggregate("r1", [vote for vote in found.votes if vote.reason], Scale(1, 5))
    assert (mixed.score, mixed.reason) == (None, "no_votes")


def test_a_rating_that_the_token_limit_cut_off_is_no_score():
    cut = ScriptedEngine(lambda messages, sampling: Generation("Score: 1", "length"))
    assert scored(cut, written=True, high=10).reason == "unreadable_score"


# ---------------------------------------------------------------------- answers that are none


def test_a_refused_principle_costs_its_vote_and_not_the_score():
    class Prudish(ScriptedEngine):
        async def choose(self, messages, options, terminator=None):
            if "rule 1?" in messages[-2].content:
                raise RequestRefused("the content filter says no")
            if "rule 2?" in messages[-2].content:
                raise OptionNotShown("'7' is not among the 20 likeliest tokens")
            return await super().choose(messages, options, terminator)

    found = scored(Prudish(score=lambda messages, options: [float(option == "4") for option in options]))
    assert [vote.reason for vote in found.votes] == [None, "refused", "option_not_shown"]
    assert (found.rating, found.reason) == (4.0, None)
    assert found.detail == "option_not_shown × 1, refused × 1"


def test_a_refused_sample_costs_itself_alone():
    refused = draw_seed(request_seed(0, "score", "r1", "write:rule-0"), 1)

    def answer(messages, sampling):
        if sampling.seed == refused:
            raise RequestRefused("no")
        return "Score: 3"

    found = scored(ScriptedEngine(answer), rules(1), written=True, samples=3, temperature=1.0)
    assert [(vote.sample, vote.reason) for vote in found.votes] == [(0, None), (1, "refused"), (2, None)]
    assert found.rating == 3.0


def test_log_probabilities_that_are_no_numbers_are_no_rating_and_not_the_worst_one():
    found = scored(Overflowing(lambda messages: True))
    assert (found.score, found.reason, found.detail) == (None, "bad_answer", "bad_answer × 3")
    some = scored(Overflowing(lambda messages: "rule 1?" in messages[-2].content))
    assert some.rating is not None and [vote.reason for vote in some.votes] == [None, "bad_answer", None]


def test_one_that_does_not_fit_leaves_no_score_whatever_becomes_of_the_others():
    class Picky(ScriptedEngine):
        async def choose(self, messages, options, terminator=None):
            if "rule 2?" in messages[-2].content:
                raise RequestTooLong(900, 1, 800)
            raise RequestRefused("no")

    with pytest.raises(RequestTooLong):
        scored(Picky())


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"low": 5, "high": 5}, "low has to be the smaller one"),
        ({"low": 20}, "low has to be the smaller one"),
        ({"low": 1.5}, "no whole numbers"),
        ({"low": 0, "high": 101}, "102 ratings are too many"),
        ({"samples": 2}, "samples is only for written ratings"),
        ({"temperature": 0.5}, "temperature is only for written ratings"),
        ({"written": True, "min_mass": 0.1}, "min_mass is only for ratings that are not written"),
        ({"written": True, "samples": 2}, "would all be the same"),
        ({"principles": 4}, "rules has 3 with a preference question"),
        ({"principles": 0}, "a number up to that"),
    ],
)
def test_settings_that_can_not_be_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        made = ScoreSettings(**settings)
        assert "principles" in settings  # all others are known without a constitution
        Scorer(rules(), PROMPTS, made)


def test_a_hundred_and_one_ratings_and_decimals_of_a_written_one_are_fine():
    assert len(Scorer(rules(), PROMPTS, ScoreSettings(low=0, high=100)).options) == 101
    Scorer(rules(), PROMPTS, ScoreSettings(written=True, low=0.5, high=2.5))


def test_a_constitution_without_preference_questions_is_refused():
    with pytest.raises(ConstitutionError, match="preference"):
        Scorer(
            Constitution("rules", [Principle("one", critique="a", revision="b")]), PROMPTS, ScoreSettings()
        )


def test_a_prompt_without_a_response_is_refused():
    with pytest.raises(ValueError, match="no response"):
        scored(judge(*[0.1] * 10), item=Prompt("r1", ITEM.messages))


def test_a_response_that_does_not_fit_is_too_long():
    long = Prompt("r1", ITEM.messages, "word " * 500)
    with pytest.raises(RequestTooLong):
        scored(CountingEngine(context_length=300), item=long, written=True, max_tokens=20)
