import math
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.constitution import Constitution, Principle, load_constitution
from constitutional.errors import ConstitutionError

TEXTS = {"critique": "Find faults.", "revision": "Mend them.", "preference": "Which is better?"}


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def base(write):
    return write(
        "base.yaml",
        """\
        id: base
        principles:
          - id: one
            critique: c1
            revision: r1
            preference: p1
            weight: 2
            tags: [a]
            source: s1
          - id: two
            preference: p2
        """,
    )


def refusal(path):
    with pytest.raises(ConstitutionError) as caught:
        load_constitution(path)
    return str(caught.value)


def test_a_file_becomes_a_constitution(base):
    loaded = load_constitution(base)
    assert loaded == Constitution(
        "base",
        [
            Principle("one", "c1", "r1", "p1", 2.0, ("a",), "s1"),
            Principle("two", preference="p2"),
        ],
        path=base,
    )
    assert [p.id for p in loaded.for_revise()] == ["one"]
    assert [p.id for p in loaded.for_label()] == ["one", "two"]
    assert loaded.principle("two").preference == "p2"


def test_texts_lose_their_outer_white_space(write):
    path = write("a.yaml", "id: a\nprinciples:\n  - id: x\n    preference: |\n\n      One\n      two\n\n")
    assert load_constitution(path).principles[0].preference == "One\ntwo"


def test_an_inherited_principle_is_overridden_field_by_field(base, write):
    path = write(
        "own.yaml",
        "id: own\nextends: [base.yaml]\nprinciples:\n"
        "- {id: one, weight: 5, revision: new}\n- {id: three, preference: q}\n",
    )
    one, two, three = load_constitution(path).principles
    assert one == Principle("one", "c1", "new", "p1", 5.0, ("a",), "s1")
    assert (two.id, three.id) == ("two", "three")


def test_an_override_may_complete_what_the_base_lacks(base, write):
    path = write(
        "own.yaml", "id: own\nextends: [base.yaml]\nprinciples: [{id: two, critique: c, revision: r}]\n"
    )
    assert load_constitution(path).principle("two") == Principle("two", "c", "r", "p2")


def test_a_dropped_principle_is_left_out_and_may_be_given_anew(base, write):
    path = write("own.yaml", "id: own\nextends: [base.yaml]\ndrop: [one]\n")
    assert [p.id for p in load_constitution(path).principles] == ["two"]
    path = write(
        "own.yaml", "id: own\nextends: [base.yaml]\ndrop: [one]\nprinciples: [{id: one, preference: n}]\n"
    )
    assert load_constitution(path).principle("one") == Principle("one", preference="n")


def test_two_bases_with_a_common_base_agree(base, write):
    write("left.yaml", "id: left\nextends: [base.yaml]\n")
    write("right.yaml", "id: right\nextends: [base.yaml]\n")
    path = write("own.yaml", "id: own\nextends: [left.yaml, right.yaml]\n")
    assert [p.id for p in load_constitution(path).principles] == ["one", "two"]


def test_bases_that_disagree_are_an_error_until_the_principle_is_dropped(base, write):
    write("left.yaml", "id: left\nextends: [base.yaml]\nprinciples: [{id: one, weight: 9}]\n")
    path = write("own.yaml", "id: own\nextends: [left.yaml, base.yaml]\n")
    assert "own.yaml:2:22: extends.1: the principle 'one' differs from the one at" in refusal(path)
    path = write("own.yaml", "id: own\nextends: [left.yaml, base.yaml]\ndrop: [one]\n")
    assert [p.id for p in load_constitution(path).principles] == ["two"]


def test_a_base_is_found_by_name_in_the_working_directory(base, write, monkeypatch, tmp_path):
    write("constitutions/shared.yaml", "id: shared\nprinciples: [{id: x, preference: p}]\n")
    path = write("deep/own.yaml", "id: own\nextends: [shared, ../base.yaml]\n")
    monkeypatch.chdir(tmp_path)
    assert [p.id for p in load_constitution(path).principles] == ["x", "one", "two"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory, with a file of another sort and a constitution outside of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("password: hunter2\nprinciples: [{id: hunter3, preference: p}]\n")
    (tmp_path / "work" / "team" / "constitutions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../../outside/secret.yaml", "lies outside of"),
        ("link.yaml", "lies outside of"),
        ("folder/secret.yaml", "lies outside of"),
        ("../../notes/secret.txt", "does not end in .yaml or .yml"),
    ],
)
def test_a_constitution_extends_no_files_elsewhere_and_shows_nothing_of_them(project, name, expected):
    folder = project / "work" / "team" / "constitutions"
    (project / "work" / "notes").mkdir()
    (project / "work" / "notes" / "secret.txt").write_text("password: hunter2\n")
    (folder / "link.yaml").symlink_to(project / "outside" / "secret.yaml")
    (folder / "folder").symlink_to(project / "outside")
    (folder / "own.yaml").write_text(f"id: own\nextends: [{name}]\n")
    message = refusal(folder / "own.yaml")
    assert expected in message
    assert message.startswith(f"{folder / 'own.yaml'}:2:11: extends.0: ")
    assert "hunter" not in message and "password" not in message


def test_a_base_may_lie_in_the_working_directory_beside_its_user_or_one_folder_above(project, monkeypatch):
    principle = "principles: [{{id: {}, preference: p}}]\n"
    files = {
        "work/shared/base.yaml": "id: base\nextends: [more/deep.yaml]\n",
        "work/shared/more/deep.yaml": "id: deep\n" + principle.format("deep"),
        "work/team/rules/near.yaml": "id: near\n" + principle.format("near"),
        "work/team/constitutions/own.yaml": "id: own\nextends: [../../shared/base.yaml, ../rules/near.yaml]\n",
        "work/team/constitutions/near.yaml": "id: two\nextends: [../rules/near.yaml]\n",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    loaded = load_constitution("team/constitutions/own.yaml")
    assert [p.id for p in loaded.principles] == ["deep", "near"]
    monkeypatch.chdir(project / "outside")
    assert load_constitution(project / "work/team/constitutions/near.yaml").principle("near")
    assert "lies outside of" in refusal(project / "work/team/constitutions/own.yaml")


@pytest.mark.parametrize(
    "content",
    [
        "password: hunter2\nuser: hunter3\n",
        "hunter2\n",
        "a: hunter2: b\n",
        "- hunter2\n",
        "!hunter2 x\n",
        "hunter2: 1\nhunter2: 2\n",
    ],
)
def test_nothing_is_shown_of_a_base_that_is_no_constitution(write, content):
    write("other.yaml", content)
    path = write("own.yaml", "id: own\nextends: [other.yaml]\nprinciples: [{id: x, preference: p}]\n")
    assert refusal(path) == (
        f"{path}:2:11: extends.0: {path.parent / 'other.yaml'} is no constitution: it has neither `principles` nor `extends`"
    )


def test_a_slip_of_yaml_in_a_base_that_is_one_is_told(write):
    write("bad.yaml", "id: bad\nprinciples:\n  - id: x\n    preference: a: b\n")
    assert "bad.yaml:4:18: not valid YAML" in refusal(write("own.yaml", "id: own\nextends: [bad.yaml]\n"))


def test_a_cycle_is_printed(write):
    write("a.yaml", "id: a\nextends: [b.yaml]\n")
    write("b.yaml", "id: b\nextends: [c.yaml]\n")
    path = write("c.yaml", "id: c\nextends: [a.yaml]\n")
    message = refusal(path)
    assert "a constitution can't extend itself: " in message
    chain = message.split("itself: ")[1].split("\n")[0].split(" → ")
    assert [Path(step).name for step in chain] == ["c.yaml", "a.yaml", "b.yaml", "c.yaml"]


def test_a_long_line_of_bases_is_refused(write):
    for number in range(30):
        path = write(f"c{number}.yaml", f"id: c{number}\nextends: [c{number + 1}.yaml]\n")
    assert "more than 20" in refusal(path.with_name("c0.yaml"))


P = "principles: [{id: x, preference: p}]\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (P, ":1:1: 'id' is missing"),
        ("id: Bad Name\n" + P, ":1:5: id: 'Bad Name' is not an id: lower-case letters"),
        ("id: Bad Name\n" + P, "write 'bad-name'"),
        ("id: a\n", "there are no principles"),
        ("id: a\nprinciples: []\n", ":2:1: principles: there are no principles"),
        ("id: a\nversion: 0\n" + P, ":2:10: version: must be at least 1"),
        ("id: a\nversion: '1'\n" + P, "version: must be a whole number"),
        ("id: a\nprincipels: []\n", "unknown key 'principels'; did you mean 'principles'?"),
        (
            "id: a\nprinciples: [{id: x, critque: c}]\n",
            ":2:22: principles.0.critque: unknown key 'critque'; did you mean",
        ),
        (
            "id: a\nprinciples: [{id: x}]\n",
            ":2:14: principles.0: 'x': critique is missing; add critique and revision",
        ),
        (
            "id: a\nprinciples: [{id: x, critique: c}]\n",
            "'x': revision is missing; a principle with a critique needs",
        ),
        (
            "id: a\nprinciples: [{id: x, revision: c}]\n",
            "'x': critique is missing; a principle with a revision needs",
        ),
        ("id: a\nprinciples: [{id: x, preference: ' '}]\n", "principles.0.preference: must not be empty"),
        (
            "id: a\nprinciples: [{id: x, preference: }]\n",
            "principles.0.preference: must be a text, not nothing",
        ),
        ("id: a\nprinciples: [{id: x_y, preference: p}]\n", "principles.0.id: 'x_y' is not an id"),
        (
            "id: a\nprinciples: [{id: x, preference: p}, {id: x, preference: q}]\n",
            "principles.1.id: the id 'x' is given twice",
        ),
        (
            "id: a\nprinciples: [{id: x, preference: p, weight: 0}]\n",
            "principles.0.weight: must be a finite number greater",
        ),
        ("id: a\nprinciples: [{id: x, preference: p, weight: -.inf}]\n", "weight: must be a finite number"),
        ("id: a\nprinciples: [{id: x, preference: p, weight: .nan}]\n", "weight: must be a finite number"),
        (
            "id: a\nprinciples: [{id: x, preference: p, weight: '2'}]\n",
            "weight: must be a number, not the text '2'",
        ),
        ("id: a\ndrop: [y]\n" + P, ":2:8: drop.0: can't drop 'y', which no base has; there are none"),
        (
            "id: a\nextends: [base.yaml]\ndrop: [onee]\n",
            "can't drop 'onee', which no base has; did you mean 'one'?",
        ),
        (
            "id: a\nextends: [none.yaml]\n" + P,
            ":2:11: extends.0: there is no file 'none.yaml' beside this one",
        ),
        ("id: a\nextends: [/etc/x.yaml]\n" + P, "'/etc/x.yaml' is an absolute path"),
        (
            "id: a\nextends: [harmlesness]\n" + P,
            "extends.0: there is no constitution 'harmlesness'; did you mean 'harmlessness'?",
        ),
        ("id: a\nextends: ['..']\n" + P, "extends.0: '..' is not the name of a constitution"),
        ("id: a\nextends: base\n" + P, "extends: must be a list, not the text 'base'; write [base]"),
        ("id: a\ndescription: [base]\n" + P, "description: must be a text, not a list"),
        ("id: a\nextends: 'a: b'\n" + P, "extends: must be a list, not the text 'a: b'"),
        (
            "id: a\nprinciples: [{id: x, preference: p, weight: 1e308}]",
            "not the text '1e308'; write 1.0e+308",
        ),
        ("id: a\nprinciples: [{id: x, preference: p, weight: 2.5e-3x}]", "not the text '2.5e-3x'"),
        ("id: a\nprinciples: [{id: x, preference: p, weight: -2E-3}]", "not the text '-2E-3'; write -2.0e-3"),
        ("id: a\nextends: [a.yaml]\n" + P, "a constitution can't extend itself"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_change(base, write, content, expected):
    assert expected in refusal(write("a.yaml", content))


def test_mistakes_in_a_base_and_in_the_file_are_told_together(base, write):
    write("bad.yaml", "id: bad\nprinciples: [{id: x, critique: c, revision: r, weight: -1}]\n")
    message = refusal(write("own.yaml", "id: own\nextends: [bad.yaml]\nprinciples: [{id: y}]\n"))
    assert "bad.yaml:2:56: principles.0.weight: must be a finite number" in message
    assert "own.yaml:3:14: principles.0: 'y': critique is missing" in message


def test_a_constitution_needs_no_file():
    made = Constitution(id="mine", principles=[Principle(id="kind", **TEXTS)])
    assert made.for_revise() == made.for_label() == made.principles
    assert made.path is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": "Not OK", **TEXTS}, "principle 'Not OK': id: 'Not OK' is not an id"),
        ({"id": "x"}, "critique: is missing"),
        ({"id": "x", "critique": "c"}, "revision: is missing"),
        ({"id": "x", "preference": "  "}, "preference: must not be empty"),
        ({"id": "x", "preference": 3}, "preference: must be a text"),
        ({"id": "x", "preference": "p", "weight": math.inf}, "weight: must be a finite number"),
        ({"id": "x", "preference": "p", "weight": True}, "weight: must be a finite number"),
    ],
)
def test_a_principle_made_in_python_is_checked_too(fields, expected):
    with pytest.raises(ConstitutionError) as caught:
        Principle(**fields)
    assert expected in str(caught.value)


def test_a_constitution_made_in_python_is_checked_too():
    twice = [Principle("x", preference="p")] * 2
    for arguments, expected in (
        ({"id": "a", "principles": []}, "there are none"),
        ({"id": "a", "principles": twice}, "given twice"),
        ({"id": "A", "principles": twice[:1]}, "is not an id"),
        ({"id": "a", "principles": twice[:1], "version": 0}, "at least 1"),
    ):
        with pytest.raises(ConstitutionError, match=expected):
            Constitution(**arguments)


def test_a_constitution_without_usable_principles_says_what_to_add():
    with pytest.raises(ConstitutionError, match="no principle has `critique:` and `revision:`; add them"):
        Constitution("a", [Principle("x", preference="p")]).for_revise()
    with pytest.raises(ConstitutionError, match="no principle has `preference:`; add it"):
        Constitution("a", [Principle("x", critique="c", revision="r")]).for_label()


def test_an_unknown_principle_is_refused_with_the_nearest():
    with pytest.raises(ConstitutionError, match="did you mean 'kindness'"):
        Constitution("a", [Principle("kindness", preference="p")]).principle("kindnes")


def test_the_hash_is_that_of_the_content(write):
    first = load_constitution(
        write(
            "a.yaml",
            "id: a\nprinciples:\n- id: x\n  preference: |\n   p\n  tags: [s, t]\n- {id: y, preference: q}\n",
        )
    )
    second = load_constitution(
        write(
            "b/other.yaml",
            "# moved\nprinciples:\n- {preference: q, id: y}\n- {tags: [t, s], preference: 'p ', id: x}\n"
            "version: 1\nid: a\n",
        )
    )
    assert first.hash == second.hash
    assert first.hash == Constitution("a", reversed(first.principles)).hash


@given(
    st.sampled_from(["id", "critique", "revision", "preference", "weight", "tags", "source"]),
    st.sets(st.sampled_from(["critique", "revision", "preference", "weight", "tags", "source"])),
)
def test_a_fingerprint_depends_on_the_id_and_the_given_fields_alone(changed, rendered):
    old = Principle("x", **TEXTS, tags=("a",), source="s")
    values = {"id": "y", "weight": 3.0, "tags": ("b",)}
    new = Principle(
        **{
            **{name: getattr(old, name) for name in ("id", "weight", "tags", "source", *TEXTS)},
            changed: values.get(changed, "other"),
        }
    )
    assert (old.fingerprint(*rendered) != new.fingerprint(*rendered)) == (
        changed in rendered or changed == "id"
    )
    assert (Constitution("c", [old]).hash) != (Constitution("c", [new]).hash)


def test_a_fingerprint_tells_fields_apart():
    assert Principle("x", preference="p").fingerprint("preference", "source") != Principle(
        "x", preference="p", source=""
    ).fingerprint("preference", "source")
    with pytest.raises(ValueError, match="did you mean 'critique'"):
        Principle("x", preference="p").fingerprint("critque")


def test_links_that_go_round_and_odd_names_are_errors_too(tmp_path):
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert "can't be read" in refusal(loop)
    assert "can't be read" in refusal("a\0b.yaml")
    (tmp_path / "own.yaml").write_text("id: own\nextends: [loop.yaml]\n")
    assert "there is no file 'loop.yaml'" in refusal(tmp_path / "own.yaml")
