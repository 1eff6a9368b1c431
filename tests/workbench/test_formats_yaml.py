"""The files that are written: their layout, and how they take their place."""

import pytest

from constitutional import Constitution, Principle
from constitutional.composition import compose
from constitutional.constitution import load_constitution
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.workbench.formats.yaml_writer import constitution_yaml, write_constitution

LONG = "Say whether the assistant's last response keeps to what the user asked for, and name every place where it does not."


def rules(*principles, **more):
    return Constitution("rules", principles or [Principle("a", preference="Which?")], **more)


def test_the_layout_is_that_of_the_shipped_files():
    text = constitution_yaml(
        rules(
            Principle("one", LONG, "Two lines:\n- here", "Which?", 2.5, ("a", "b: c"), "yes"),
            Principle("two", preference="no"),
            description="Ours.",
        )
    )
    assert text == (
        "# yaml-language-server: $schema=constitution.schema.json\n"
        "id: rules\n"
        "version: 1\n"
        "description: Ours.\n"
        "principles:\n"
        "  - id: one\n"
        "    critique: >-\n"
        "      Say whether the assistant's last response keeps to what the user asked for, and name every place\n"
        "      where it does not.\n"
        "    revision: |-\n"
        "      Two lines:\n"
        "      - here\n"
        "    preference: Which?\n"
        "    weight: 2.5\n"
        "    tags: [a, 'b: c']\n"
        "    source: 'yes'\n"
        "\n"
        "  - id: two\n"
        "    preference: 'no'\n"
    )


@pytest.mark.parametrize(
    "text",
    ["yes", "null", "~", "123", "1:30", "2026-01-01", "# x", "- x", "? x", "a: b", "a #b", "'", '"', "\\n", "*a", "&a", "!a",
     "%a", "@a", "`a", "| x", "> x", "{a}", "[a]", "---", "--- a", "a\nb  \nc", "a\n\n\n  b\nc", "a\r\nb", "a\tb", "a\x85b",
     "a\u2028b", "\ufeffa", "😀", "مرحبا", "a" * 300, ("word " * 50).strip(), "word  " * 40 + "x", LONG + "\n" + LONG,
     LONG + " \n" + LONG, LONG + "\n " + LONG],
)  # fmt: skip
def test_a_text_comes_back_whatever_it_looks_like(tmp_path, text):
    given = rules(Principle("a", text, text, text, tags=(text, ""), source=text), description=text)
    write_constitution(given, tmp_path / "x.yaml")
    loaded = compose(tmp_path / "x.yaml")
    assert (loaded.principles, loaded.description, loaded.hash) == (
        given.principles,
        given.description,
        given.hash,
    )


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31m", "half \ud800", "\uffff"])
def test_a_character_that_no_file_may_hold_is_refused_with_its_place(tmp_path, text):
    with pytest.raises(ConstitutionError, match=r"principles\[1\]\.preference: the character U\+"):
        write_constitution(
            rules(Principle("a", preference="b"), Principle("b", preference=text)), tmp_path / "x.yaml"
        )
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_that_does_not_load_to_the_same(tmp_path, monkeypatch):
    from constitutional.workbench.formats import yaml_writer

    dump = yaml_writer._dump
    monkeypatch.setattr(yaml_writer, "_dump", lambda value: dump(value).replace("Which", "What"))
    with pytest.raises(ConstitutionError, match="does not give back what was written"):
        write_constitution(rules(), tmp_path / "x.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_file_too_large_to_load_is_not_written(tmp_path):
    big = rules(*(Principle(f"p-{n}", preference="word " * 20_000) for n in range(60)))
    with pytest.raises(ConstitutionError, match="larger than 5,000,000 bytes"):
        write_constitution(big, tmp_path / "x.yaml")


def test_a_file_of_more_than_can_be_loaded_is_not_written(tmp_path):
    tags = tuple(f"tag-{n}" for n in range(101))
    for given, message in (
        ([Principle("a", preference="b", tags=tags)], "the 101 tags of 'a' are more than the 100"),
        (
            [Principle(f"p-{n}", preference="b") for n in range(5001)],
            "the 5,001 principles are more than the 5,000",
        ),
    ):
        with pytest.raises(ConstitutionError, match=message):
            write_constitution(rules(*given), tmp_path / "x.yaml")
    write_constitution(rules(Principle("a", preference="b", tags=tags[:100])), tmp_path / "x.yaml")
    assert load_constitution(tmp_path / "x.yaml").principles[0].tags == tags[:100]


def test_a_file_is_replaced_only_when_told_to(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("mine")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="--force replaces it"):
        write_constitution(rules(), path)
    assert path.read_text() == "mine"
    write_constitution(rules(), path, force=True)
    assert compose(path).id == "rules"
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [tmp_path / "constitution.schema.json", path]
