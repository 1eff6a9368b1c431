"""What differs between two constitutions."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional import Constitution, Principle
from constitutional.workbench.diff import FieldChange, diff_constitutions
from tests.helpers import principle


def rules(*principles, **meta):
    return Constitution(**{"id": "rules", "principles": principles, **meta})


ONE, TWO, THREE = (principle(number) for number in (1, 2, 3))


def diff(before, after):
    return diff_constitutions(rules(*before), rules(*after))


def kinds(found):
    return [(change.kind, *change.ids) for change in found.principles]


def counted(found):
    return {name: count for name, count in found.counts().items() if count}


def test_a_constitution_does_not_differ_from_itself():
    found = diff([ONE, TWO], [ONE, TWO])
    assert not found and found.principles == found.meta == found.moved == ()
    assert counted(found) == {"unchanged": 2}


def test_principles_are_added_and_removed():
    found = diff([ONE, TWO], [TWO, THREE])
    assert kinds(found) == [("added", "rule-3"), ("removed", "rule-1")]
    assert counted(found) == {"added": 1, "removed": 1, "unchanged": 1}
    added, removed = found.principles
    assert FieldChange("critique", None, THREE.critique) in added.fields
    assert FieldChange("critique", ONE.critique, None) in removed.fields
    assert not added.reworded and not removed.reweighted


@pytest.mark.parametrize("field", ["critique", "revision", "preference"])
def test_a_reworded_text_is_named_with_both_wordings(field):
    before = replace(ONE, preference="Which is better?")
    found = diff([before, TWO], [replace(before, **{field: "Other words."}), TWO])
    (change,) = found.principles
    assert (change.kind, change.id, change.reworded) == ("changed", "rule-1", (field,))
    assert change.fields == (FieldChange(field, getattr(before, field), "Other words."),)
    assert counted(found) == {"reworded": 1, "unchanged": 1}


def test_a_text_may_come_or_go():
    asked = replace(ONE, preference="Which is better?")
    assert diff([ONE], [asked]).principles[0].fields == (FieldChange("preference", None, "Which is better?"),)
    assert diff([asked], [ONE]).principles[0].fields == (FieldChange("preference", "Which is better?", None),)


def test_weight_tags_and_source_are_told_apart():
    found = diff(
        [replace(ONE, tags=("a", "b")), TWO, THREE],
        [replace(ONE, tags=("b", "c")), replace(TWO, weight=3), replace(THREE, source="users")],
    )
    assert [change.fields for change in found.principles] == [
        (FieldChange("tags", ("a", "b"), ("b", "c")),),
        (FieldChange("weight", 1.0, 3.0),),
        (FieldChange("source", None, "users"),),
    ]
    assert counted(found) == {"reweighted": 1, "relabelled": 2}


def test_the_order_of_tags_means_nothing():
    assert not diff([replace(ONE, tags=("a", "b"))], [replace(ONE, tags=("b", "a"))])


def test_id_version_and_description_are_compared():
    found = diff_constitutions(rules(ONE), rules(ONE, id="others", version=2, description="New."))
    assert [change.field for change in found.meta] == ["id", "version", "description"]
    assert found and found.principles == ()


def test_a_principle_with_the_same_texts_and_another_id_is_renamed():
    found = diff([ONE, TWO], [replace(ONE, id="first", weight=2.0), TWO])
    assert kinds(found) == [("renamed", "rule-1", "first")]
    assert found.principles[0].fields == (FieldChange("weight", 1.0, 2.0),)
    assert counted(found) == {"renamed": 1, "reweighted": 1, "unchanged": 1}


def test_of_two_with_the_same_texts_each_has_one_new_id():
    twin = replace(ONE, id="twin")
    found = diff([ONE, twin], [replace(ONE, id="a"), replace(ONE, id="b"), replace(ONE, id="c")])
    assert kinds(found) == [("renamed", "rule-1", "a"), ("renamed", "twin", "b"), ("added", "c")]


def test_a_copy_under_a_second_id_is_added_and_not_a_rename():
    assert kinds(diff([ONE], [ONE, replace(ONE, id="copy")])) == [("added", "copy")]


def test_a_principle_at_another_place_has_moved_and_no_other_with_it():
    found = diff([ONE, TWO, THREE], [THREE, ONE, TWO])
    assert found and found.principles == () and found.moved == ("rule-3",)
    assert counted(found) == {"moved": 1, "unchanged": 3}


def test_as_few_as_can_be_have_moved():
    rest = [replace(ONE, id=id) for id in "abcd"]
    found = diff([ONE, *rest, TWO], [TWO, rest[0], ONE, *rest[1:]])  # rule-1 or a moves with it
    assert len(found.moved) == 2 and "rule-2" in found.moved
    a, b, e, c = (replace(principle(n), id=id) for n, id in enumerate("abec"))
    assert len(diff([a, b, e, c], [c, b, a, e]).moved) == len(diff([c, b, a, e], [a, b, e, c]).moved) == 2


def test_what_comes_and_goes_moves_nothing():
    assert diff([ONE, TWO, THREE], [principle(9), ONE, replace(THREE, id="new-name")]).moved == ()


def test_plain_json_has_everything():
    found = diff_constitutions(
        rules(ONE, replace(TWO, tags=("a",))),
        rules(replace(TWO, weight=2), replace(ONE, id="new"), version=2),
    )
    row = json.loads(json.dumps(found.to_row()))
    assert row["before"]["version"] == 1 and row["after"]["hash"] == found.after.hash
    assert row["meta"] == [{"field": "version", "before": 1, "after": 2}]
    assert row["principles"] == [
        {
            "change": "changed",
            "id": "rule-2",
            "before_id": "rule-2",
            "fields": [
                {"field": "weight", "before": 1.0, "after": 2.0},
                {"field": "tags", "before": ["a"], "after": None},
            ],
        },
        {"change": "renamed", "id": "new", "before_id": "rule-1", "fields": []},
    ]
    assert len(row["moved"]) == 1 and row["counts"]["renamed"] == 1


# ---------------------------------------------------------------------- any two constitutions

TEXTS = st.sampled_from(["Say what is wrong.", "Say it kindly.", "Grüße, 你好, 🙂?"])


@st.composite
def principles(draw):
    pair = draw(st.booleans())
    return Principle(
        id=draw(st.sampled_from("abcdef")),
        critique=draw(TEXTS) if pair else None,
        revision=draw(TEXTS) if pair else None,
        preference=draw(st.none() | TEXTS) if pair else draw(TEXTS),
        weight=draw(st.sampled_from([0.5, 1, 2])),
        tags=draw(st.lists(st.sampled_from("xyz"), max_size=2)),
        source=draw(st.none() | st.sampled_from(["here", "there"])),
    )


CONSTITUTIONS = st.builds(
    Constitution,
    id=st.sampled_from(["one", "two"]),
    principles=st.lists(principles(), min_size=1, max_size=5, unique_by=lambda p: p.id),
    version=st.sampled_from([1, 2]),
    description=st.sampled_from(["", "Some rules."]),
)


@given(CONSTITUTIONS, CONSTITUTIONS)
def test_nothing_but_the_order_differs_exactly_where_the_hash_is_the_same(before, after):
    found = diff_constitutions(before, after)
    assert (not found.meta and not found.principles) == (before.hash == after.hash)


@given(CONSTITUTIONS, CONSTITUTIONS)
def test_every_principle_is_accounted_for_once(before, after):
    found = diff_constitutions(before, after)
    gone = [change.before.id for change in found.principles if change.before]
    new = [change.after.id for change in found.principles if change.after]
    assert len(set(gone)) == len(gone) and len(set(new)) == len(new)
    same = {p.id for p in before.principles} - set(gone)
    assert same == {p.id for p in after.principles} - set(new)
    assert len(same) == found.counts()["unchanged"]
    assert set(found.moved) <= {p.id for p in after.principles}


@given(CONSTITUTIONS, CONSTITUTIONS)
def test_the_other_way_round_what_was_added_is_removed(before, after):
    there, back = diff_constitutions(before, after), diff_constitutions(after, before)
    opposite = {"added": "removed", "removed": "added", "renamed": "renamed", "changed": "changed"}
    assert sorted(opposite[change.kind] for change in there.principles) == sorted(
        change.kind for change in back.principles
    )
    assert len(there.moved) == len(back.moved)
    json.dumps(there.to_row())
