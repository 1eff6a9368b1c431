"""What the loader refuses about principles: their ids, texts and weights."""

from __future__ import annotations

from constitutional.workbench.lint.rule import Rule

RULES = (
    Rule(
        "bad-id",
        "error",
        "An id is not made of lower-case words joined by '-'.",
        "Ids name files, columns and rows, so they are kept to what is the same everywhere.",
        bad="""\
id: example
principles:
  - id: Be kind
    preference: Which of these two responses is kinder?
""",
        line=3,
        good="""\
id: example
principles:
  - id: be-kind
    preference: Which of these two responses is kinder?
""",
    ),
    Rule(
        "duplicate-id",
        "error",
        "Two principles of a file have the same id.",
        "A row could not say which of them it drew.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: kind
    preference: Which of these two responses explains more of what it claims?
""",
        line=5,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: explains
    preference: Which of these two responses explains more of what it claims?
""",
    ),
    Rule(
        "empty-text",
        "error",
        "A critique, revision or preference is given and empty.",
        "The model would be asked nothing. Write the text, or leave the key out.",
        bad="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
    preference: ""
""",
        line=6,
        good="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
    ),
    Rule(
        "missing-text",
        "error",
        "A principle has a critique without a revision, or the other way round.",
        "`revise` asks for both in one round, so such a principle could never be drawn.",
        bad="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response.
""",
        line=3,
        good="""\
id: example
principles:
  - id: kind
    critique: Point out anything unkind in the assistant's last response.
    revision: Rewrite the assistant's last response so that it is kind, and keep what helps.
""",
    ),
    Rule(
        "unusable-principle",
        "error",
        "A principle has no text that any stage could use.",
        "`revise` needs a critique and a revision, `label` a preference.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: honest
    tags: [to-do]
""",
        line=5,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
  - id: honest
    preference: Which of these two responses is more honest about what it does not know?
    tags: [to-do]
""",
    ),
    Rule(
        "bad-weight",
        "error",
        "A weight is zero, negative, infinite or not a number.",
        "A principle is drawn with the probability of its weight over the sum of all. To leave an inherited one out, name it under `drop`.",
        bad="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    weight: 0
""",
        line=5,
        good="""\
id: example
principles:
  - id: kind
    preference: Which of these two responses is kinder?
    weight: 0.5
""",
    ),
    Rule(
        "no-principles",
        "error",
        "A constitution has no principles, neither its own nor inherited ones.",
        "There is nothing to draw.",
        bad="""\
id: example
principles: []
""",
        line=2,
        good="""\
id: example
extends: [harmlessness]
""",
    ),
)
