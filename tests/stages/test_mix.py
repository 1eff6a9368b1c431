"""What is drawn, how much of it, and which side of the split it is on: all by hashes, none by chance."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.errors import ConfigError
from constitutional.feedback import Comparison, Preference
from constitutional.records import Message, conversation
from constitutional.stages.mix import (
    Facts,
    MixSettings,
    amounts,
    conversation_hashes,
    mix,
    normalised,
    refuse_unmeant,
)


def pair(id, prompt=None, *, p=1.0, weight=1.0, first="Yes, of course.", second="No."):
    comparison = Comparison(id, conversation(prompt or f"Question {id}?"), (first, second))
    return Preference.from_probability(comparison, p, "x", weight)


def facts(name, rows, settings=None):
    """The facts of a source: of so many plain rows, or of given (id, pairs)."""
    settings = settings or MixSettings()
    if isinstance(rows, int):
        rows = plain(rows)
    found = Facts(name)
    for id, pairs in rows:
        found.add(id, pairs, soft=False, settings=settings)
    return found


def ids(part, rows):
    """The ids of the plain rows that were drawn."""
    return {id for (id, _), taken in zip(rows, part.taken, strict=True) if taken}


def plain(count):
    return [(f"{n}", [pair(f"{n}", first=f"Yes, {n} times.")]) for n in range(count)]


def test_without_amounts_everything_is_taken():
    parts = mix([facts("a", 7), facts("b", 3)], MixSettings())
    assert [part.rows for part in parts] == [7, 3] and all(part.asked is None for part in parts)


def test_a_count_is_drawn_to_the_row_and_other_sources_give_all():
    a, b = mix([facts("a", 50), facts("b", 3)], MixSettings(counts={"a": 20}))
    assert (a.rows, b.rows) == (20, 3)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_a_larger_draw_contains_the_smaller_one(one, other, seed):
    rows = plain(40)
    small, large = (
        ids(mix([facts("a", rows, settings)], settings)[0], rows)
        for settings in (MixSettings(seed=seed, counts={"a": count}) for count in sorted((one, other)))
    )
    assert small <= large and len(large) == max(one, other)


def test_a_larger_total_contains_the_smaller_one_source_by_source():
    rows = plain(60)
    drawn = {}
    for total in (20, 50):
        settings = MixSettings(proportions={"a": 0.4}, total=total)
        drawn[total] = [ids(part, rows) for part in mix([facts("a", rows), facts("b", rows)], settings)]
    assert [len(found) for found in drawn[20]] == [8, 12] and [len(found) for found in drawn[50]] == [20, 30]
    assert all(small <= large for small, large in zip(drawn[20], drawn[50], strict=True))


def test_a_draw_does_not_depend_on_the_order_of_rows_nor_on_other_sources_or_rows():
    rows = plain(40)
    settings = MixSettings(counts={"a": 10})
    expected = ids(mix([facts("a", rows)], settings)[0], rows)
    turned = rows[::-1]
    assert ids(mix([facts("b", 5), facts("a", turned)], settings)[1], turned) == expected
    fewer = [row for row in rows if row[0] in expected or int(row[0]) % 2]
    assert ids(mix([facts("a", fewer)], settings)[0], fewer) == expected


def test_seeds_and_names_draw_independently():
    rows = plain(1000)
    draws = []
    for name, seed in (("a", 0), ("a", 1), ("b", 0)):
        settings = MixSettings(seed=seed, counts={name: 500})
        draws.append(ids(mix([facts(name, rows, settings)], settings)[0], rows))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        # hypergeometric: mean 250, standard deviation 7.9
        assert 250 - 5 * 7.9 < len(draws[one] & draws[other]) < 250 + 5 * 7.9


def test_the_pairs_of_a_ranking_are_drawn_together_and_count_as_one_row():
    rankings = [
        (f"{n}", [pair(f"{n}#{k}", f"Question {n}?", weight=1 / 6) for k in range(6)]) for n in range(20)
    ]
    (part,) = mix([facts("a", rankings)], MixSettings(counts={"a": 7}))
    assert part.rows == 42 and part.weight == pytest.approx(7)
    whole = part.taken.reshape(20, 6)
    assert (whole.all(axis=1) | ~whole.any(axis=1)).all()


def test_never_more_is_drawn_than_was_asked_for():
    heavy = [(f"{n}", [pair(f"{n}", weight=2.0)]) for n in range(10)]
    (part,) = mix([facts("a", heavy)], MixSettings(counts={"a": 5}))
    assert (part.rows, part.weight) == (2, 4.0)


@given(
    st.lists(st.integers(1, 300), min_size=2, max_size=4),
    st.lists(st.integers(1, 9), min_size=4, max_size=4),
)
def test_the_scarcest_source_limits_a_mix_of_proportions(sizes, parts):
    names = [f"s{n}" for n in range(len(sizes))]
    whole = sum(parts[: len(sizes)])
    proportions = {name: part / whole for name, part in zip(names, parts, strict=False)}
    available = dict(zip(names, map(float, sizes), strict=True))
    asked = amounts(available, MixSettings(proportions=proportions))
    size = min(available[name] / proportions[name] for name in names)
    assert math.isclose(sum(asked.values()), size, rel_tol=1e-9)
    for name in names:
        assert math.isclose(asked[name], proportions[name] * size, rel_tol=1e-9)
        assert asked[name] <= available[name] * (1 + 1e-9)
    assert any(math.isclose(asked[name], available[name], rel_tol=1e-9) for name in names)


def test_one_source_may_be_left_out_of_the_proportions_and_has_the_rest():
    a, b = mix([facts("a", 30), facts("b", 1000)], MixSettings(proportions={"a": 0.3}))
    assert (a.rows, b.rows) == (30, 70)


def test_an_empty_source_leaves_its_share_to_the_others():
    a, b, c = mix(
        [facts("a", 40), facts("b", 40), Facts("c")],
        MixSettings(proportions={"a": 0.5, "b": 0.25, "c": 0.25}),
    )
    assert (a.rows, b.rows, c.rows) == (40, 20, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proportions": {"helpfull": 0.5}}, "unknown source 'helpfull'; did you mean 'helpful'"),
        ({"counts": {"x": 5}}, "the count names the unknown source 'x'; valid: harmless, helpful"),
        ({"proportions": {"helpful": 0.5, "harmless": 0.4}}, "have to sum to 1; they sum to 0.9"),
        ({"proportions": {"helpful": 1.0}}, "leave nothing for harmless"),
        ({"proportions": {"helpful": 0.0, "harmless": 1.0}}, "above 0 and at most 1"),
        ({"proportions": {"helpful": float("nan")}}, "above 0 and at most 1"),
        ({"proportions": {"helpful": 1.5}}, "above 0 and at most 1"),
        ({"counts": {"helpful": 0}}, "a count is at least 1"),
        ({"counts": {"helpful": 10**400}}, "count helpful: a count is at most 1,000,000,000,000"),
        ({"counts": {"helpful": 5}, "proportions": {"helpful": 0.5}}, "can't be had together"),
        ({"total": 5}, "total needs proportions"),
    ],
)
def test_what_can_not_be_meant_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        refuse_unmeant(["helpful", "harmless"], MixSettings(**settings))


def test_what_no_sources_could_make_right_is_refused_when_the_settings_are_made():
    with pytest.raises(ConfigError, match=r"proportion helpful=1\.5: a proportion is above 0 and at most 1"):
        MixSettings(proportions={"helpful": 1.5})


def test_a_total_that_is_no_floating_point_number_is_refused():
    with pytest.raises(ConfigError, match="less than or equal to"):
        MixSettings(proportions={"helpful": 0.5}, total=10**400)


def test_several_sources_left_out_of_the_proportions_are_named():
    with pytest.raises(ConfigError, match="missing for b, c: one alone"):
        refuse_unmeant(["a", "b", "c"], MixSettings(proportions={"a": 0.5}))


def test_the_same_prompt_of_two_sources_is_on_one_side_whatever_its_case_spaces_and_system_turn():
    system = Message("system", "Be brief.")
    variants = [
        "Is  TEA good?\n",
        "is tea good?",
        (system, Message("user", "Is tea good? ")),
        "Ｉs tea good?",
    ]
    for number in range(200):
        sources = [facts(f"s{k}", [("x", [pair("x", _numbered(v, number))])]) for k, v in enumerate(variants)]
        assert len({bool(part.test[0]) for part in mix(sources, MixSettings(test=0.5))}) == 1


def _numbered(prompt, number):
    if isinstance(prompt, str):
        return f"{prompt} {number}"
    return (*prompt[:-1], Message("user", f"{prompt[-1].content} {number}"))


def test_conversations_that_go_on_from_one_another_are_on_one_side_unless_told_otherwise():
    def rows(n):
        opening = Message("user", f"Tell me about {n}.")
        later = (opening, Message("assistant", "Sure."), Message("user", "And then?"))
        return [
            (f"{n}", [pair(f"{n}", (opening,), first=f"{n}")]),
            (f"{n}+", [pair(f"{n}+", later, first=f"{n}+")]),
        ]

    every = [row for n in range(200) for row in rows(n)]
    for split_by, together in (("opening", True), ("prompt", False)):
        settings = MixSettings(test=0.5, split_by=split_by)
        (part,) = mix([facts("a", every, settings)], settings)
        assert (part.test[::2] == part.test[1::2]).all() == together


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=25), st.randoms())
def test_pairs_that_share_a_prompt_or_both_responses_are_on_one_side_in_any_order(links, random):
    """`links` are pairs of (prompt, responses); those that are tied through others too stay together."""

    def sides(links):
        rows = [(f"{n}", [pair("x", f"Q{q}?", first=f"{r}")]) for n, (q, r) in enumerate(links)]
        halves = [facts("a", rows[::2]), facts("b", rows[1::2])]
        a, b = mix(halves, MixSettings(test=0.5))
        test = [None] * len(links)
        test[::2], test[1::2] = a.test.tolist(), b.test.tolist()
        return dict(zip(links, test, strict=True))

    found = sides(links)
    for one in found:
        for other in found:
            if one[0] == other[0] or one[1] == other[1]:
                assert found[one] == found[other]
    assert sides(random.sample(links, len(links))) == found


def test_rows_that_are_added_move_only_those_that_they_tie_to_others():
    rows = [(f"{n}", [pair(f"{n}", f"Q{n}?", first=f"{n}")]) for n in range(400)]
    knot = [(f"+{n}", [pair(f"+{n}", f"Q{n}?", first=f"{n + 1}")]) for n in range(0, 400, 40)]
    settings = MixSettings(test=0.5)
    (alone,), (tied,) = mix([facts("a", rows)], settings), mix([facts("a", rows + knot)], settings)
    changed = {n for n in range(400) if alone.test[n] != tied.test[n]}
    assert 0 < len(changed) <= 10 and all(n % 40 < 2 for n in changed)


def test_where_leakage_is_allowed_responses_keep_nothing_on_one_side():
    rows = [(f"{n}", [pair(f"{n}", f"Q{n}?", first="Yes.")]) for n in range(400)]
    shares = {
        allow: mix([facts("a", rows)], MixSettings(test=0.5, allow=allow))[0].test.mean()
        for allow in ((), ("leakage",))
    }
    assert shares[()] in (0, 1) and 0.3 < shares["leakage",] < 0.7


def test_the_split_has_about_the_share_asked_for_and_a_larger_test_contains_the_smaller():
    rows = facts("a", 4000)
    tests = {share: mix([rows], MixSettings(test=share))[0].test for share in (0.0, 0.1, 0.3)}
    assert not tests[0.0].any() and not (tests[0.1] & ~tests[0.3]).any()
    for share in (0.1, 0.3):
        assert abs(tests[share].mean() - share) < 5 * math.sqrt(share * (1 - share) / 4000)


def test_the_split_does_not_depend_on_what_is_drawn():
    rows = facts("a", 200)
    (some,), (every,) = mix([rows], MixSettings(counts={"a": 50})), mix([rows], MixSettings())
    assert (some.test == every.test).all()


@given(st.text(), st.text())
def test_the_hash_of_a_conversation_tells_turns_apart(one, other):
    joined, apart = (
        conversation(one + other),
        (Message("user", one), Message("assistant", ""), Message("user", other)),
    )
    assert conversation_hashes(joined)[1] != conversation_hashes(apart)[1]
    assert (
        normalised(one) == normalised(f" {one.upper().lower()} ")
        or "ß" in one.casefold()
        or not one.isascii()
    )


def test_facts_of_a_pair_take_few_bytes_however_long_its_texts():
    long = facts("a", [(f"{n}", [pair(f"{n}", "word " * 5000)]) for n in range(50)])
    columns = [
        value
        for value in (getattr(long, name) for name in long.__dataclass_fields__)
        if hasattr(value, "typecode")
    ]
    assert sum(column.itemsize for column in columns) <= 80 and all(len(column) == 50 for column in columns)
