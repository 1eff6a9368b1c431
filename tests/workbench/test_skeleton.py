"""A new constitution: loads and lints clean as it stands, and overwrites nothing."""

import re

import pytest

from constitutional.composition import compose
from constitutional.constitution import load_constitution
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.registry import list_constitutions
from constitutional.workbench.json_schema import MODELINE, SCHEMA_NAME
from constitutional.workbench.lint.linter import lint
from constitutional.workbench.skeleton import new_constitution
from tests.helpers import REPOSITORY

SHIPPED = sorted(path.stem for path in (REPOSITORY / "constitutions").glob("*.yaml"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_name_finds_it_and_it_lints_clean(folder):
    made = new_constitution("my-rules")
    assert made.path == (folder / "constitutions" / "my-rules.yaml").relative_to(folder)
    assert made.argument == "my-rules" and made.warnings == ()
    loaded = load_constitution(made.argument)
    assert loaded.id == "my-rules" and loaded.for_revise() and loaded.for_label()
    assert lint().findings == ()
    assert made.path.read_text(encoding="utf-8").splitlines()[0] == MODELINE
    assert made.schema == made.path.parent / SCHEMA_NAME and made.schema.is_file()
    assert new_constitution("other").schema is None
    assert {"my-rules", "other"} <= {entry.name for entry in list_constitutions()}


@pytest.mark.parametrize("base", SHIPPED)
def test_it_can_build_on_every_shipped_one(base):
    made = new_constitution("my-rules", extends=base)
    assert len(load_constitution("my-rules").principles) == len(load_constitution(base).principles) + 1
    assert lint([made.path]).findings == ()


def test_a_name_with_other_letters_is_answered_with_an_id():
    for name, says in (("Böse Hunde.yaml", "'boese-hunde'"), ("Überkommene É", "'ueberkommene-e'")):
        with pytest.raises(ConfigError, match=says):
            new_constitution(name)


def test_it_is_clean_where_it_builds_on_another_skeleton(folder):
    first = new_constitution("first")
    second = new_constitution("second", extends=str(first.path))
    new_constitution("third", extends="second")
    edited = (
        first.path.read_text(encoding="utf-8").replace("plain-words", "plain").replace("easier", "simpler")
    )
    first.path.with_name("edited.yaml").write_text(
        edited.replace("id: first", "id: edited"), encoding="utf-8"
    )
    new_constitution("fourth", extends="edited")
    assert lint().findings == ()
    assert load_constitution("third").principles == load_constitution("first").principles
    text = second.path.read_text(encoding="utf-8")
    at = text.index("# principles:")
    second.path.write_text(text[:at] + re.sub("^# ", "", text[at:], flags=re.MULTILINE), encoding="utf-8")
    assert [(p.id, p.weight) for p in load_constitution("second").principles] == [
        ("plain-words", 2),
        ("short-answers", 1),
    ]
    assert lint([second.path]).findings == ()


@pytest.mark.parametrize(
    ("link", "says"), [(False, "this is no folder"), (True, "this is a link to nothing")]
)
def test_something_else_in_the_folders_place_is_named(folder, link, says):
    if link:
        (folder / "constitutions").symlink_to("nowhere")
    else:
        (folder / "constitutions").touch()
    with pytest.raises(ConfigError, match=f"constitutions: {says}: move it away, or choose another --out"):
        new_constitution("my-rules")


def test_a_base_that_the_file_could_not_extend_from_where_it_is_to_lie_is_refused(folder, tmp_path_factory):
    base = tmp_path_factory.mktemp("elsewhere") / "base.yaml"
    base.write_text("id: base\nprinciples: [{id: x, preference: Which is kinder?}]\n", encoding="utf-8")
    with pytest.raises(ConstitutionError, match="lies outside of"):
        new_constitution("my-rules", extends=str(base))
    assert not (folder / "constitutions" / "my-rules.yaml").exists()


@pytest.mark.parametrize("name", ["2024", "no", "null", "on", "1e3", "2026-01-01", "0x1f", "y"])
def test_a_name_that_yaml_would_read_as_something_else_is_quoted(name):
    new_constitution(name)
    assert load_constitution(name).id == name


def test_its_comments_are_true_when_the_marks_are_taken_away():
    made = new_constitution("my-rules", extends="harmlessness")
    text = made.path.read_text(encoding="utf-8")
    for comment, change in (
        ("# drop: [id-of-a-principle]", "drop: [privacy]"),
        ("# weight: 2  ", "weight: 2  "),
        ("# tags: [clarity]", "tags: [clarity]"),
        ("# source: where", "source: where"),
        ("# - id: id-of-a-principle", "- id: illegality"),
        ("  #   weight: 2", "    weight: 2"),
    ):
        assert text.count(comment) == 1
        text = text.replace(comment, change)
    made.path.write_text(text, encoding="utf-8")
    loaded = load_constitution("my-rules")
    assert [p.id for p in loaded.principles if p.weight == 2] == ["illegality", "plain-words"]
    assert loaded.principle("plain-words").tags == ("clarity",)
    assert lint().findings == ()


def test_a_base_given_as_a_file_is_named_relative_to_the_new_one(folder):
    (folder / "bases" / "it's: here").mkdir(parents=True)
    base = folder / "bases" / "it's: here" / "base.yaml"
    base.write_text("id: base\nprinciples: [{id: x, preference: Which is kinder?}]\n", encoding="utf-8")
    made = new_constitution("my-rules", extends=str(base))
    assert str(folder) not in made.path.read_text(encoding="utf-8")
    assert len(compose(made.path).principles) == 2
    other = new_constitution("other", out="deep/er/other.yml", extends="bases/it's: here/base.yaml")
    assert len(compose(other.path).principles) == 2
    assert other.argument == "deep/er/other.yml"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../up",
        "a/b",
        "/etc/x",
        "A",
        "a b",
        "a.yaml",
        "ü",
        "a\0",
        "x" * 101,
        "-a",
        "con:stitution",
        "a\n",
    ],
)
def test_a_name_that_is_no_id_is_refused(folder, name):
    with pytest.raises(ConfigError, match="the name can't be used"):
        new_constitution(name)
    assert list(folder.iterdir()) == []


def test_no_file_is_overwritten(folder):
    made = new_constitution("my-rules")
    before = made.path.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="there is a file already"):
        new_constitution("my-rules")
    (folder / "constitutions" / "short.yml").write_text("mine")
    with pytest.raises(ConfigError, match=r"short.yml: there is a file already"):
        new_constitution("short")
    (folder / "constitutions" / "link.yaml").symlink_to(folder / "elsewhere.yaml")
    with pytest.raises(ConfigError, match="there is a file already"):
        new_constitution("link")
    assert not (folder / "elsewhere.yaml").exists()
    assert made.path.read_text(encoding="utf-8") == before


def test_a_base_that_can_not_be_used_leaves_nothing_behind(folder):
    (folder / "bad.yaml").write_text("id: bad\n")
    for base, error, says in (
        ("harmlesness", ConstitutionError, "did you mean 'harmlessness'"),
        ("gone.yaml", ConstitutionError, "no such file"),
        ("bad.yaml", ConstitutionError, "there are no principles"),
    ):
        with pytest.raises(error, match=says):
            new_constitution("my-rules", extends=base)
    with pytest.raises(ConfigError, match="can't extend itself"):
        new_constitution("harmlessness", extends="harmlessness")
    assert [path.name for path in folder.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_what_its_file_would_come_to_mean_it_can_not_extend(folder, suffix):
    out = folder / "constitutions" / f"harmlessness{suffix}"
    for given in (out, f"./constitutions/../constitutions/harmlessness{suffix}"):
        with pytest.raises(ConfigError, match="can't extend itself"):
            new_constitution("harmlessness", out=given, extends="harmlessness")
    assert list(folder.iterdir()) == []
    made = new_constitution("harmlessness", out=f"elsewhere/harmlessness{suffix}", extends="harmlessness")
    assert len(compose(made.path).principles) > 1


def test_a_name_that_hides_a_shipped_one_is_told():
    assert "no longer the shipped" in new_constitution("harmlessness").warnings[0]


def test_what_can_not_be_written_is_told(folder):
    (folder / "file").write_text("")
    for out, says in (
        ("file/rules.yaml", "no folder: move it away"),
        ("rules.txt", "ends in .yaml or .yml"),
        ("rules", "ends in .yaml or .yml"),
        ("a\0.yaml", "can't be written"),
        ("x" * 300 + ".yaml", "can't be written"),
    ):
        with pytest.raises(ConfigError, match=says):
            new_constitution("rules", out=out)
