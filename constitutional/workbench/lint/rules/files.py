"""What the loader refuses about a file as such: not there, not YAML, not the keys and values of a constitution."""

from __future__ import annotations

from constitutional.workbench.lint.rule import Rule

RULES = (
    Rule(
        "unreadable-file",
        "error",
        "There is no such file or name, or it can't be read.",
        "A name is looked for in ./constitutions and among the shipped ones; what has a '/' or ends in .yaml is a path. A file is regular "
        "and has at most 5 MB and 200,000 values.",
        bad="constitutional constitution lint harmlesness\n",
        line=None,
        good="constitutional constitution lint harmlessness\n",
        console=True,
    ),
    Rule(
        "yaml-syntax",
        "error",
        "The file is not a YAML mapping.",
        "Nothing after the place can be read, so nothing else of the file is checked until it is mended. The usual causes are a text with "
        "': ' that is not quoted, tabs, and lines that are indented too little.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two is kinder: the first response or the second?
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    preference: >-
      Which of these two is kinder: the first response or the second?
""",
    ),
    Rule(
        "yaml-feature",
        "error",
        "The file uses tags, anchors, aliases or merge keys.",
        "They can run code or blow up to gigabytes in other programs that read the file, so they are refused here. Write values out.",
        bad="""\
id: example
principles:
  - id: kind
    preference: &question Which of these two responses is kinder?
""",
        line=4,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
    ),
    Rule(
        "duplicate-key",
        "error",
        "A key is given twice in one mapping.",
        "YAML programs take either of the two and drop the other without a word.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    preference: Which of these two responses is more patient?
""",
        line=5,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: patient
    preference: Which of these two responses is more patient?
""",
    ),
    Rule(
        "unknown-key",
        "error",
        "A key is none that a constitution has; the nearest one is named.",
        "A misspelt key would otherwise do nothing.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    wieght: 2
""",
        line=5,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    weight: 2
""",
    ),
    Rule(
        "missing-key",
        "error",
        "A constitution or a principle has no `id`.",
        "Rows and runs name principles by their ids, and which prompt draws which principle depends on them.",
        bad="""\
id: example
principles:
  - preference: Which of these two responses is kinder?
""",
        line=3,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
    ),
    Rule(
        "wrong-value",
        "error",
        "A value is of the wrong type or out of range, or YAML reads it as something else than was meant.",
        'Nothing is converted silently: `"2"` is a text, `yes` is true, `2026-01-01` is a date. Quote texts, and only texts.',
        bad="""\
id: example
version: "2"
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
        line=2,
        good="""\
id: example
version: 2
principles:
  - id: kind
    preference: Which of these two responses is kinder?
""",
    ),
)
