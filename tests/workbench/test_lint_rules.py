"""Each rule finds its bad example, at its line, and nothing else; and nothing at all in its good one."""

import re

import pytest

from constitutional.cli.docs import GENERATED, PATH
from constitutional.errors import ConfigError
from constitutional.workbench.lint.linter import find_rule, lint
from constitutional.workbench.lint.page import explain, page
from constitutional.workbench.lint.rule import SEVERITIES
from constitutional.workbench.lint.rules import RULES

OF_THE_ISSUE = {
    "empty-text",
    "missing-text",
    "unusable-principle",
    "duplicate-id",
    "duplicate-principle",
    "near-duplicate",
    "label-in-text",
    "template-syntax",
    "preference-not-a-choice",
    "critique-names-no-response",
    "flat-refusal",
    "over-budget",
    "extends-cycle",
    "override-of-nothing",
    "bad-weight",
    "encoding-slip",
    "unknown-key",
}


def findings(rule, example, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name, text in rule.beside:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    if rule.console:
        targets = example.split()[3:]
    else:
        (folder / "example.yaml").write_text(example, encoding="utf-8")
        targets = ["example.yaml"]
    return [(finding.rule, finding.place.line) for finding in lint(targets).findings]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_bad_example_breaks_its_rule_alone(rule, tmp_path, monkeypatch):
    assert findings(rule, rule.bad, tmp_path, monkeypatch) == [(rule.id, rule.line)]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_good_example_breaks_none(rule, tmp_path, monkeypatch):
    assert findings(rule, rule.good, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_says_what_it_finds_and_why(rule):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id)
    assert rule.severity in SEVERITIES
    for text in (rule.summary, rule.why):
        assert re.match("[A-Z`]", text) and text.endswith((".", ".)"))
    assert rule.bad != rule.good
    assert rule.bad in page() and rule.good in page() and f"\n## {rule.id}\n" in page()
    assert rule.summary in explain(rule)


def test_there_is_a_rule_for_everything_that_was_asked_for():
    assert set(RULES) >= OF_THE_ISSUE


def test_every_rule_that_the_loader_names_is_one():
    from tests.helpers import REPOSITORY

    named = set()
    for module in ("yamlfile", "schema", "composition"):
        source = (REPOSITORY / "constitutional" / f"{module}.py").read_text(encoding="utf-8")
        named |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', source))
    assert named - {"utf-8"} <= set(RULES)
    assert {rule.id for rule in RULES.values() if not (rule.check_text or rule.check_file)} <= named


def test_an_unknown_rule_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'flat-refusal'"):
        find_rule("flat-refusals")


@pytest.mark.parametrize("path", [path for path in GENERATED if path != PATH], ids=lambda path: path.name)
def test_what_is_generated_is_current(path):
    assert path.read_text(encoding="utf-8") == GENERATED[path]()


def test_the_generator_says_what_is_not_current(tmp_path, monkeypatch, capsys):
    from constitutional.cli import docs

    made = {tmp_path / "docs" / "page.md": lambda: "new\n"}
    monkeypatch.setattr(docs, "GENERATED", made)
    monkeypatch.setattr(docs, "_ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["docs", "--check"])
    with pytest.raises(SystemExit, match=r"docs/page.md: run make docs"):
        docs.main()
    monkeypatch.setattr("sys.argv", ["docs"])
    docs.main()
    assert (tmp_path / "docs" / "page.md").read_text(encoding="utf-8") == "new\n"
    monkeypatch.setattr("sys.argv", ["docs", "--check"])
    docs.main()
