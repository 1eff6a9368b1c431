"""`constitution list` and `show`: on a terminal, in a pipe, as JSON."""

import io
import json

import pytest
from rich.console import Console

from constitutional.cli.constitution.listing import _print_narrow, _print_principle
from constitutional.constitution import Principle

RULES = "id: mine\ndescription: {}\nprinciples:\n" + "".join(
    f"  - id: {id}\n    preference: Which of these two responses is kinder?\n"
    for id in ("one", "two", "three")
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "constitutions").mkdir()
    (tmp_path / "constitutions" / "mine.yaml").write_text(RULES.format("What it is for."))
    return tmp_path


def test_several_principles_are_shown_in_the_order_of_the_file(constitutional, here):
    shown = json.loads(
        constitutional("constitution", "show", "mine", "-p", "three", "-p", "one", "--json").out
    )
    assert [principle["id"] for principle in shown["principles"]] == ["one", "three"]
    lines = constitutional("constitution", "show", "mine", "-p", "three", "-p", "one").out.splitlines()
    assert [line for line in lines if line in ("one", "two", "three")] == ["one", "three"]


def test_every_id_that_is_none_is_named_with_the_nearest(constitutional, here):
    answer = constitutional("constitution", "show", "mine", "-p", "onee", "-p", "two", "-p", "thre")
    assert answer.code == 2
    assert "no principle 'onee'; did you mean 'one'?" in answer.err
    assert "no principle 'thre'; did you mean 'three'?" in answer.err


def test_one_principle_is_no_principles(constitutional, here):
    (here / "constitutions" / "mine.yaml").write_text(
        "id: mine\nprinciples: [{id: x, preference: Which is kinder?}]\n"
    )
    out = constitutional("constitution", "show", "mine").out
    assert out.startswith("mine, version 1\n1 principle, hash ")


def test_the_list_is_json_where_asked_for(constitutional, here):
    (here / "constitutions" / "bad.yaml").write_text(
        "id: 3\nprinciples: [{id: x, preference: Which is kinder?}]\n"
    )
    rows = {row["name"]: row for row in json.loads(constitutional("constitution", "list", "--json").out)}
    mine = rows["mine"]
    assert (mine["from"], mine["principles"], mine["description"]) == (
        "./constitutions",
        3,
        "What it is for.",
    )
    assert mine["path"] == str(here / "constitutions" / "mine.yaml")
    assert "must be a text" in rows["bad"]["error"] and rows["tutor"]["from"] == "shipped"


def narrow(show, *args):
    console = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None, _environ={})
    show(console, *args)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_on_a_narrow_terminal_descriptions_stand_below_the_names():
    row = {"name": "mine", "from": "shipped", "version": 2, "principles": 1}
    assert narrow(_print_narrow, [row | {"description": "Words that take more than one line of it."}]) == [
        "mine (shipped, version 2, 1 principle)",
        "  Words that take more than one line",
        "  of it.",
    ]


def test_on_a_terminal_texts_hang_and_no_word_is_broken():
    principle = Principle(
        "kind", preference="Which of these two responses is kinder to everybody?", tags=("a",)
    )
    assert narrow(_print_principle, principle) == [
        "kind  [a]",
        "  preference: Which of these two",
        "    responses is kinder to everybody?",
        "",
    ]
