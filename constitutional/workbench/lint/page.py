"""The page of the documentation about the rules, `docs/lint.md`, written from the rules themselves."""

from __future__ import annotations

from constitutional.workbench.lint.rule import SEVERITIES, Rule
from constitutional.workbench.lint.rules import RULES

_HEAD = """# The rules of lint

Written by `make docs` from the rules themselves; do not edit.

`constitutional constitution lint NAME_OR_FILE…` checks constitutions, by default all in `./constitutions`. Each finding has a
place, a severity and its rule:

```text
constitutions/courtesy.yaml:5:5: error: unknown key 'critque'; did you mean 'critique'? [unknown-key]
```

| severity | meaning | exit code |
| --- | --- | --- |
| error | no command takes the file, or models would be shown what nobody meant them to see | 2 |
| warning | it works, but hardly as meant | 0; 2 with `--strict` |
| note | worth a look | 0 |

All mistakes are told at once. What one mistake leaves unknown is not complained about as well: the keys that a misspelt base would
have given are not called missing. After a mistake in the YAML itself nothing else of that file can be checked.

`--select RULE` and `--ignore RULE` choose rules (repeat them, or separate with commas); `unreadable-file` and `yaml-syntax` are always
told. A comment switches a rule off for one key, or for a principle:

```yaml
principles:
  - id: break-ins
    critique: Say whether the assistant's last response helps anyone to break into a house.
    # lint: ignore=flat-refusal
    revision: Rewrite the assistant's last response so that it refuses to answer the question.
```

It stands at the end of the key's line or on the lines right above, indented no deeper than the key; above `- id:` or on its line, it
is for the whole principle; `# lint: ignore=RULE, RULE` names several. What keeps the file from loading can't be switched off.

`--format json` is for programs, `--format github` marks the lines in a pull request, `--explain RULE` prints a rule with its examples.

Rules that go by English phrases see English texts only. A text is taken for English if at least 12 % of its words, and two of them, are
among some of the commonest English words that are words of no other language, and four fifths of its letters are Latin, whatever the language
of the file's other texts. `flat-refusal` also sees a text whose request to refuse is English by itself, as "refuse to answer".
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, "## All rules\n\n| rule | severity | what it finds |\n| --- | --- | --- |"]
    parts += [
        f"| [`{rule.id}`](#{rule.id}) | {rule.severity} | {_cell(rule.summary)} |" for rule in RULES.values()
    ]
    parts += [_section(rule) for rule in RULES.values()]
    return "\n".join(parts)


def explain(rule: Rule) -> str:
    """A rule with its examples, for a terminal."""
    parts = [f"{rule.id} ({rule.severity})", f"{rule.summary}\n\n{rule.why}"]
    for name, text in rule.beside:
        parts.append(f"{name}:\n\n{_indented(text)}")
    parts += [f"Bad{_where(rule)}:\n\n{_indented(rule.bad)}", f"Good:\n\n{_indented(rule.good)}"]
    return "\n\n".join(parts)


def _section(rule: Rule) -> str:
    assert rule.severity in SEVERITIES
    language = "console" if rule.console else "yaml"
    parts = [f"\n## {rule.id}\n\n{rule.severity.capitalize()}. {rule.summary} {rule.why}\n"]
    parts += [f"Beside both examples, `{name}`:\n\n```yaml\n{text}```\n" for name, text in rule.beside]
    mark = "$ " if rule.console else ""
    parts.append(f"Bad{_where(rule)}:\n\n```{language}\n{mark}{rule.bad}```\n")
    parts.append(f"Good:\n\n```{language}\n{mark}{rule.good}```")
    return "\n".join(parts)


def _where(rule: Rule) -> str:
    return f" (line {rule.line})" if rule.line else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
