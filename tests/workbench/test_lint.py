"""Lint as a whole: what it finds in a file, where it says it is, and what switches it off."""

import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutional.composition import examine
from constitutional.constitution import load_constitution
from constitutional.errors import ConfigError, ConstitutionError
from constitutional.workbench.lint.linter import lint, model_limits
from constitutional.workbench.lint.reading import Limits, LintFile, estimate_tokens
from tests.helpers import REPOSITORY

CLEAN = """\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
"""

PLANTED = """\
# yaml-language-server: $schema=constitution.schema.json
id: our-rules
version: 3
description: What our support assistant has to keep to.
extends: [harmlessness]
principles:
  - id: privcy
    weight: 3

  - id: no-jargon
    critique: >-
      Point out each technical term in the assistant's last response that
      it does not explain. CritiqueRequest: Then say why it matters.
    revision: Rewrite the assistant's last response so that it explains each technical term it needs.

  - id: right-amount
    critique: Say where the assistant's last response tells more than the user asked for, given {{ prompt }}.
    revision: Rewrite the assistant's last response so that it answers the question, and then stops.
    wieght: 2

  - id: no-locks
    critique: Say whether the assistant's last response helps anyone to open a lock that is not theirs.
    revision: |
      Rewrite the assistant's last response.
      Refuse to answer the question.

  - id: up-to-date
    critique: Find every statement that was true once and is not any more.
    revision: Rewrite the assistant's last response so that it says how old each of its facts is.
    weight: 0

  - id: sources
    preference: On a scale from 1 to 10, how well do the responses name where their claims come from?

  - id: units
    preference: Which of these two responses gives each number in the reader’s own units, or in the readerâ€™s usual ones?

  - id: later
    tags: [to-do]

  - id: short-names
    preference: Which of these two responses calls things by their short names, as the people who use them every day would?

  - id: everyday-names
    preference: Which of these two responses calls things by their usual names, as the people who use them every day would?

  - id: fallbacks
    critique: Say what the assistant's last response leaves the user with if its advice does not work.
    revision: ""
"""
MISTAKES = {
    "override-of-nothing": "- id: privcy",
    "label-in-text": "it does not explain. CritiqueRequest:",
    "template-syntax": "given {{ prompt }}",
    "unknown-key": "wieght: 2",
    "flat-refusal": "Refuse to answer the question.",
    "critique-names-no-response": "Find every statement",
    "bad-weight": "weight: 0",
    "preference-not-a-choice": "On a scale from 1 to 10",
    "encoding-slip": "in the readerâ",
    "unusable-principle": "- id: later",
    "near-duplicate": "by their usual names",
    "empty-text": 'revision: ""',
}
MENDED = {
    "privcy": "privacy",
    " CritiqueRequest:": "",
    ", given {{ prompt }}": "",
    "wieght: 2": "weight: 2",
    "Refuse to answer the question.": "Say why it can't help with that, and who can open a lock for its owner.",
    "Find every statement": "Find every statement in the assistant's last response",
    "weight: 0": "weight: 0.5",
    "On a scale from 1 to 10, how well do the responses name": "Which of these two responses names better",
    "â€™": "’",
    "tags: [to-do]": "preference: Which of these two responses is clearer about what is still to come?",
    "by their usual names": "by names that a beginner has heard before",
    'revision: ""': "revision: Rewrite the assistant's last response so that it ends with a second way to try.",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a file into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(content, name="example.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return name

    return write


def found(*targets, **options):
    """Rule and line of every finding."""
    return [(finding.rule, finding.place.line) for finding in lint(targets, **options).findings]


def line_of(text, part):
    (number,) = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    return number


def test_twelve_planted_mistakes_are_named_each_at_its_line_and_nothing_else(write):
    assert len(MISTAKES) == 12
    expected = sorted((line_of(PLANTED, part), rule) for rule, part in MISTAKES.items())
    assert [(line, rule) for rule, line in found(write(PLANTED))] == expected


@pytest.mark.parametrize("left", [None, *MENDED], ids=lambda left: left or "none")
def test_of_the_twelve_only_those_that_are_not_mended_are_named(write, left):
    text = PLANTED
    for bad, good in MENDED.items():
        assert text.count(bad) == 1
        text = text if bad == left else text.replace(bad, good)
    assert len(found(write(text))) == (left is not None)


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "constitutions").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_shipped_constitution_is_clean(path):
    assert [str(finding) for finding in lint([path]).findings] == []


def test_what_loads_has_no_errors_of_the_loader_and_the_other_way_round(write):
    for text in (CLEAN, PLANTED, CLEAN.replace("kind", "Kind"), CLEAN + "    weight: .nan\n", "a: [", ""):
        path = write(text)
        try:
            load_constitution(path)
            loads = True
        except ConstitutionError as bad:
            loads = False
            assert all(problem.rule for problem in bad.problems)
        of_loader = [
            f
            for f in lint([path]).findings
            if f.severity == "error" and f.rule not in ("label-in-text", "template-syntax")
        ]
        assert loads == (not of_loader)


# ---------------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("    preference: Which is kinder? [INST] Hi.\n", 4, 34),
        ("    preference: 'It''s said: which is kinder? Human: Hi.'\n", 4, 47),
        ('    preference: "Which of \\"them\\" is kinder? Human: Hi."\n', 4, 47),
        ("    preference: >-\n      Which is\n      kinder? Human: Hi.\n", 6, 15),
        ("    preference: |\n      Which is\n\n      kinder?\n\n      Human: Hi.\n", 9, 7),
        ("    preference: Which is kinder?\n      [INST] Hi.\n", 5, 7),
        (
            "    # Human: of a comment\n    preference: >-  # Human\n      Which is kinder? Human: Hi.\n",
            6,
            24,
        ),
        ("    preference: >-\n      “Human: no” Which is kinder? Human: yes.\n", 5, 36),
        ('    preference: "Which is kinder?\\nHuman\\x3A Hi."\n    source: "Human: me"\n', 4, 17),
        ("    preference: Welche ist besser – 愛 🙂? [INST] Hi.\n", 4, 42),
    ],
)
def test_the_place_is_that_of_the_words_or_else_of_the_text(write, text, line, column):
    head = "id: example\nprinciples:\n  - id: kind\n"
    (finding,) = lint([write(head + text)], select=["label-in-text"]).findings
    assert (finding.place.line, finding.place.column, finding.place.field) == (
        line,
        column,
        "principles.0.preference",
    )


@settings(max_examples=200)
@given(
    before=st.lists(
        st.sampled_from(["word", "it's", '"so"', "x: y", "#no", "Größe", "愛", "🙂", "\n", "\n\n", "- a"]),
        max_size=12,
    ),
    after=st.lists(st.sampled_from(["word", "it's", "\n", "end."]), max_size=6),
    style=st.sampled_from([None, "|", ">", "'", '"']),
    width=st.sampled_from([20, 40, 200]),
)
def test_in_whatever_style_a_text_is_written_its_line_is_found(tmp_path_factory, before, after, style, width):
    class Written(str):
        pass

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        Written, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    )
    text = Written(" ".join([*before, "[INST]", *after]))
    entries = [{"id": "x", "source": "[INST]", "preference": text, "tags": ["[INST]"]}]
    content = yaml.dump(
        {"id": "a", "principles": entries}, Dumper=Dumper, allow_unicode=True, width=width, sort_keys=False
    )
    path = tmp_path_factory.getbasetemp() / "styles.yaml"
    path.write_text(content, encoding="utf-8")
    (finding,) = lint([path], select=["label-in-text"]).findings
    lines = [number for number, line in enumerate(content.splitlines(), 1) if "[INST]" in line]
    assert finding.place.line == lines[1]


def test_windows_line_ends_and_a_byte_order_mark_move_no_line(write):
    text = CLEAN.replace("kinder?", "kinder? [INST]")
    for content in (text.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + text.encode()):
        assert found(write(content)) == [("label-in-text", 4)]


def test_words_with_quotation_marks_are_found_in_quotation_marks(write):
    text = "id: a\nprinciples:\n  - id: x\n    critique: Find faults in the assistant's last response.\n    revision: '{}'\n"
    (finding,) = lint(
        [write(text.format("Rewrite it to say \u201dI''m sorry and that is the end of it."))]
    ).findings
    assert (finding.rule, finding.place.line, finding.place.column) == ("flat-refusal", 5, 35)


# ---------------------------------------------------------------------- all at once, and no echoes


def test_mistakes_of_every_step_are_told_at_once(write):
    text = textwrap.dedent(
        """\
        id: example
        version: "2"
        autor: me
        extends: [gone.yaml]
        drop: [privcy]
        principles:
          - id: Kind
            preference: &x Which of these two responses is kinder?
          - preference: Which of these two responses explains more of what it claims?
            tags: *x
          - id: last
            preference: Is the assistant's response kind to the user?
            preference: again
        """
    )
    assert found(write(text)) == [
        ("wrong-value", 2),
        ("unknown-key", 3),
        ("unknown-base", 4),
        ("bad-id", 7),
        ("yaml-feature", 8),
        ("missing-key", 9),
        ("yaml-feature", 10),
        ("preference-not-a-choice", 12),
        ("duplicate-key", 13),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id: a\nprinciples:\n  - id: x\n    critque: c\n    revision: r\n", [("unknown-key", 4)]),
        ("id: a\nprincipals:\n  - id: x\n", [("unknown-key", 2)]),
        (
            "id: a\nextend: [harmlessness]\nprinciples:\n  - id: privacy\n    weight: 2\n",
            [("unknown-key", 2)],
        ),
        ("id: a\nextends: harmlessness\ndrop: [privacy]\n", [("wrong-value", 2)]),
        (
            "id: a\nextends: [gone.yaml]\ndrop: [x]\nprinciples:\n  - id: y\n    weight: 2\n",
            [("unknown-base", 2)],
        ),
        ("id: a\nprinciples: [text]\n", [("wrong-value", 2)]),
        ("id: a\nprinciples: 5\n", [("wrong-value", 2)]),
        (
            "id: 5\nprinciples:\n  - id: [x]\n    preference: 7\n",
            [("wrong-value", 1), ("wrong-value", 3), ("wrong-value", 4)],
        ),
        ("principles:\n  - preference: Which is kinder?\n", [("missing-key", 1), ("missing-key", 2)]),
        ("id: a\nextends: [a.yaml]\nprinciples:\n  - id: x\n    weight: 2\n", [("extends-cycle", 2)]),
    ],
)
def test_a_mistake_has_no_echo(write, text, expected):
    assert found(write(text, "a.yaml")) == expected


def test_an_incomplete_principle_is_told_as_what_it_was_meant_to_be(write):
    head = "id: a\nextends: [harmlessness]\ndrop: [cruelty]\nprinciples:\n"
    for entry, rule in (
        (
            "  - id: privcy\n    critique: Find faults in the assistant's last response.\n",
            "override-of-nothing",
        ),
        ("  - id: tone\n    weight: 2\n", "override-of-nothing"),
        ("  - id: tone\n    tags: [to-do]\n", "unusable-principle"),
        ("  - id: tone\n    critique: Find faults in the assistant's last response.\n", "missing-text"),
        ("  - id: cruelty\n    weight: 2\n", "unusable-principle"),
    ):
        assert found(write(head + entry)) == [(rule, 5)]


def test_the_same_mistake_everywhere_is_told_fifty_times(write):
    text = "".join(
        f"  - id: rule-{n}\n    preference: Which of these is more like {n}?\n    weight: 0\n"
        for n in range(60)
    )
    assert found(write("id: A\nprinciples:\n" + text)).count(("bad-id", 1)) == 1
    assert len(found("example.yaml")) == 51


def test_a_base_that_can_not_be_used_is_told_once_at_its_own_place(write):
    base = write(
        "id: base\nprinciples:\n  - id: x\n    weight: -1\n    preference: Which is kinder?\n", "base.yaml"
    )
    first = write("id: first\nextends: [base.yaml]\n", "first.yaml")
    second = write("id: second\nextends: [base.yaml]\n", "second.yaml")
    findings = lint([first, second, base]).findings
    assert [(str(f.place.path), f.rule, f.place.line) for f in findings] == [("base.yaml", "bad-weight", 4)]


def test_a_base_is_not_searched_for_weak_spots(write):
    write(
        "id: base\nprinciples:\n  - id: x\n    preference: Is the assistant's response kind to the user?\n",
        "base.yaml",
    )
    assert found(write("id: first\nextends: [base.yaml]\n", "first.yaml")) == []
    assert found("base.yaml") == [("preference-not-a-choice", 4)]


def test_a_principle_like_an_inherited_one_is_found(write):
    write(
        CLEAN.replace("kinder?", "kinder to the user and to everyone else whom they speak of?"), "base.yaml"
    )
    text = "id: own\nextends: [base.yaml]\nprinciples:\n  - id: nice\n    preference: {}\n"
    same = "Which of these two responses is kinder to the user and to everyone else whom they speak of?"
    report = lint([write(text.format(same), "own.yaml")])
    assert [(f.rule, f.place.line) for f in report.findings] == [("duplicate-principle", 5)]
    assert "'kind' (base.yaml:3)" in report.findings[0].message
    assert found(write(text.format(same.replace("kinder", "nicer")), "own.yaml")) == [("near-duplicate", 5)]
    assert (
        found(write("id: own\nextends: [base.yaml]\nprinciples:\n  - id: kind\n    weight: 2\n", "own.yaml"))
        == []
    )


# ---------------------------------------------------------------------- what is linted


def test_nothing_named_is_the_folder_constitutions(write):
    with pytest.raises(ConfigError, match=r"no folder \./constitutions"):
        lint()
    write(CLEAN, "constitutions/b.yaml")
    write(CLEAN, "constitutions/a.yml")
    write("{}", "constitutions/constitution.schema.json")
    assert [str(path) for path in lint().files] == ["constitutions/a.yml", "constitutions/b.yaml"]
    assert [
        str(path) for path in lint(["b", "constitutions", "./constitutions/", "constitutions/b.yaml"]).files
    ] == [
        "constitutions/b.yaml",
        "constitutions/a.yml",
    ]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("harmlesness", "did you mean 'harmlessness'?"),
        ("../../etc/passwd", "no such file"),
        ("gone.yaml", "no such file"),
        ("", "is not the name"),
        ("a\0b", "is not the name"),
        ("a\0b.yaml", "can't be read"),
        ("x" * 5000 + ".yaml", "can't be read"),
        ("folder.yaml", "no .yaml files"),
        ("evil", "a link that leaves"),
    ],
)
def test_a_name_that_is_none_is_a_finding(write, tmp_path, target, says):
    write("id: a\n", "secret/evil.yaml")
    (tmp_path / "constitutions").mkdir()
    (tmp_path / "constitutions" / "evil.yaml").symlink_to(tmp_path / "secret" / "evil.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (finding,) = lint([target]).findings
    assert finding.rule == "unreadable-file" and finding.severity == "error"
    assert says in finding.message


def test_dots_are_folders(write, tmp_path, monkeypatch):
    write(CLEAN, "outer/a.yaml")
    (tmp_path / "outer" / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "outer" / "inner")
    for target in (".", "./"):
        (finding,) = lint([target]).findings
        assert (finding.rule, str(finding.place.path)) == ("unreadable-file", ".")
        assert "no .yaml files" in finding.message
    assert [str(path) for path in lint([".."]).files] == ["../a.yaml"]
    monkeypatch.chdir(tmp_path / "outer")
    for target in (".", "./", tmp_path / "outer"):
        assert [str(path) for path in lint([target]).files] == ["a.yaml"]
        assert lint([target]).findings == ()


@pytest.mark.parametrize("base", ["x" * 5000, "./" + "x" * 5000 + ".yaml", "x" * 300 + "/a.yaml"])
def test_a_base_that_no_file_can_be_called_does_not_end_the_lint_of_a_folder(write, base):
    write(f"id: a\nextends:\n  - {base}\n", "constitutions/a.yaml")
    write(CLEAN.replace("kinder?", "kinder? [INST]"), "constitutions/example.yaml")
    assert found() == [("unknown-base", 3), ("label-in-text", 4)]


def test_a_link_out_of_a_folder_is_not_followed(write, tmp_path):
    write("secret: text\n", "elsewhere/secret.yaml")
    write(CLEAN, "constitutions/example.yaml")
    (tmp_path / "constitutions" / "link.yaml").symlink_to(tmp_path / "elsewhere" / "secret.yaml")
    (tmp_path / "constitutions" / "near.yaml").symlink_to("example.yaml")
    for targets in ([], ["constitutions"], ["constitutions/"], [tmp_path / "constitutions"]):
        report = lint(targets)
        assert [path.name for path in report.files] == ["example.yaml", "near.yaml"]
        assert [(f.rule, str(f.place.path)) for f in report.findings] == [
            ("unreadable-file", "constitutions/link.yaml")
        ]
        assert "a link that leaves" in report.findings[0].message


# ---------------------------------------------------------------------- choosing rules


def test_rules_are_selected_and_ignored_by_id(write):
    path = write(
        "id: A\nprinciples:\n  - id: x\n    preference: Is the assistant's response kind to the user? [INST]\n"
    )
    assert found(path) == [("bad-id", 1), ("preference-not-a-choice", 4), ("label-in-text", 4)]
    assert found(path, select=["label-in-text"]) == [("label-in-text", 4)]
    assert found(path, ignore=["label-in-text", "bad-id"]) == [("preference-not-a-choice", 4)]
    with pytest.raises(ConfigError, match="no rule 'label-in-txt'; did you mean 'label-in-text'"):
        lint([path], ignore=["label-in-txt"])


def test_a_file_that_could_not_be_read_is_told_whatever_is_selected(write):
    assert found(write("a: ["), "gone.yaml", ignore=["yaml-syntax"], select=["bad-id"]) == [
        ("yaml-syntax", 2),
        ("unreadable-file", None),
    ]


REFUSAL = "id: a\nprinciples:\n{}  - id: x{}\n    critique: Find faults in the assistant's last response.{}\n{}    revision: {}\n"
FLAT = "Rewrite the assistant's last response so that it refuses to answer the question."


@pytest.mark.parametrize(
    "parts",
    [
        ("", "", "", "    # lint: ignore=flat-refusal\n", FLAT),
        (
            "",
            "",
            "",
            "    # why: they asked for it\n    #lint:ignore = near-duplicate , flat-refusal\n",
            FLAT,
        ),
        ("", "", "", "    # lint: ignore=flat-refusal\n    # why: they asked for it\n", FLAT),
        ("", "", "", "", f"{FLAT} # lint: ignore=flat-refusal"),
        ("", "", "", "", f">- # lint: ignore=flat-refusal\n      {FLAT}"),
        ("", " # lint: ignore=flat-refusal", "", "", FLAT),
        ("  # lint: ignore=flat-refusal\n", "", "", "", FLAT),
    ],
)
def test_a_comment_switches_a_rule_off(write, parts):
    report = lint([write(REFUSAL.format(*parts))])
    assert report.findings == () and report.ignored == 1


@pytest.mark.parametrize(
    "parts",
    [
        ("", "", " # lint: ignore=flat-refusal", "", FLAT),  # of another key
        ("", "", "", "    # lint: ignore=label-in-text\n", FLAT),
        ("", "", "", "    # lint: ignore=flat-refusal\n\n", FLAT),
        ("", "", "", "", f"|\n      {FLAT}\n      # lint: ignore=flat-refusal"),
        ("", "", "", "", f"{FLAT}\n# lint: ignore=flat-refusal"),
    ],
)
def test_a_comment_elsewhere_does_not(write, parts):
    report = lint([write(REFUSAL.format(*parts))])
    assert [finding.rule for finding in report.findings] == ["flat-refusal"] and report.ignored == 0


def test_text_that_only_looks_like_a_comment_switches_nothing_off(write):
    text = "id: a\nprinciples:\n  - id: x\n    critique: |\n      Find faults in the assistant's last response.\n      # lint: ignore=flat-refusal\n    revision: "
    assert found(write(text + FLAT + "\n")) == [("flat-refusal", 7)]


@pytest.mark.parametrize("key", ["description: Rules.", "version: 2", "extends: [harmlessness]", "drop: []"])
def test_a_comment_that_names_no_rule_is_found_at_every_key_of_the_file(write, key):
    text = f"id: a\n# lint: ignore=flat-refusals\n{key} # lint: ignore=over-budget,label\n" + CLEAN[12:]
    (first, second) = lint([write(text)]).findings
    assert (first.rule, first.place.line, second.rule, second.place.line) == (
        "unknown-rule",
        2,
        "unknown-rule",
        3,
    )
    assert "'flat-refusals'" in first.message and "'label'" in second.message


def test_comments_are_told_by_how_deep_the_key_on_their_line_is(write):
    text = "id: a\nprinciples:\n  # lint: ignore=one\n      # lint: ignore=two\n    # lint: ignore=three\n  - {id: x, preference: Which of these is kinder?}\n"
    messages = [finding.message for finding in lint([write(text)], select=["unknown-rule"]).findings]
    assert [message.split("'")[1] for message in messages] == ["one", "two", "three"]
    file = read("example.yaml")
    for steps, rules in (
        (("principles", 0, "id"), {"three"}),
        (("principles", 0, "preference"), {"one", "two", "three"}),
    ):
        assert {rule for rule in ("one", "two", "three") if file.is_ignored(rule, steps)} == rules


def test_however_many_findings_there_are_the_comments_above_are_read_once(write):
    class Counting(LintFile):
        lines = 0

        def _line(self, number, column=1):
            Counting.lines += 1
            return super()._line(number, column)

    tags = ", ".join(f"tag{n}" for n in range(100))
    comments = "    # lint: ignore=encoding-slip\n" * 1000
    write(f"id: a\nprinciples:\n  - id: x\n    preference: Which is kinder?\n{comments}    tags: [{tags}]\n")
    file = read("example.yaml", Counting)
    assert all(file.is_ignored("encoding-slip", ("principles", 0, "tags", n)) for n in range(100))
    assert not file.is_ignored("near-duplicate", ("principles", 0, "tags", 0))
    assert [rule for rule, _ in file.comments()] == ["encoding-slip"] * 1000
    assert Counting.lines < 5 * 1000  # rather than 100 * 1000


def read(path, kind=LintFile):
    """A file as the rules see it."""
    examined = examine(path)
    return kind(examined, examined.document, tuple(examined.file.principles), Limits())


def test_what_the_loader_refuses_can_not_be_switched_off(write):
    text = CLEAN + "    weight: 0 # lint: ignore=bad-weight\n"
    assert found(write(text)) == [("bad-weight", 5)]


# ---------------------------------------------------------------------- tokens


def test_tokens_are_estimated_from_characters():
    assert estimate_tokens("") == 0
    assert estimate_tokens("a" * 400) == 100
    assert estimate_tokens("愛" * 10) == 10
    assert estimate_tokens("über") == 2


def test_the_budget_counts_with_what_it_is_given(write):
    path = write(CLEAN)
    assert found(path, limits=Limits(10)) == []
    assert found(path, limits=Limits(9)) == [("over-budget", 4)]
    (finding,) = lint(
        [path], limits=Limits(5, lambda text: len(text.split()), "the tokenizer of words")
    ).findings
    assert finding.message.startswith("7 tokens, counted by the tokenizer of words: more than the 5")


def test_a_model_counts_with_its_own_tokenizer(tmp_path, write):
    from tests.tiny import tiny_model

    limits = model_limits(str(tiny_model(tmp_path / "model")), 3)
    (finding,) = lint([write(CLEAN)], limits=limits).findings
    assert (
        finding.rule == "over-budget"
        and f"counted by the tokenizer of {tmp_path / 'model'}" in finding.message
    )
    with pytest.raises(ConfigError, match="no model"):
        model_limits(str(tmp_path / "none"), 3)


# ---------------------------------------------------------------------- size


def test_a_file_of_many_principles_is_linted(write):
    entry = "  - id: rule-{0}\n    preference: Which of these two responses tells more of w{0}, x{0}, y{0} and z{0}?\n"
    text = "id: large\nprinciples:\n" + "".join(entry.format(number) for number in range(4_999))
    assert found(write(text)) == []
    assert found(
        write(text + "  - id: rule-0\n    preference: Is the assistant's response kind to the user?\n")
    ) == [
        ("duplicate-id", 10_001),
        ("preference-not-a-choice", 10_002),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "id: a\nextends: [" + "x, " * 400_000 + "y]\n",
        "id: a\nextends: [harmlessness]\ndrop: [" + "x, " * 400_000 + "y]\n",
        "id: a\nprinciples: [" + "{id: x}, " * 90_000 + "]\n",
        "id: a\nprinciples: [" + "1," * 2_400_000 + "]\n",
        "id: a\nprinciples: [{id: x, preference: Which is kinder?, tags: [" + "1," * 150_000 + "]}]\n",
        "id: a\n" + "".join(f"key{n}: 1\n" for n in range(100_000)),
        "id: a\nprinciples:\n- id: x\n  preference: " + "Which {{ is better, (A or `B " * 100_000 + "\n",
        "id: a\nprinciples:\n- id: x\n  preference: |\n    " + "\"“' `" * 500_000 + "\n",
        "id: a\nprinciples:\n- id: x\n  preference: " + "the " * 1_000_000 + "\n",
        "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n",
        "id: a\nprinciples: " + "[" * 1_000_000,
    ],
    ids=[
        "extends",
        "drop",
        "principles",
        "numbers",
        "tags",
        "keys",
        "templates",
        "quotes",
        "words",
        "aliases",
        "nested",
    ],
)
def test_large_and_hostile_files_end_in_findings(write, text):
    findings = lint([write(text)]).findings
    assert findings
    assert all(finding.place.line or finding.rule == "unreadable-file" for finding in findings)
