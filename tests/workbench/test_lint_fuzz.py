"""Whatever a file holds, loading, linting and the schema end in an answer: a constitution, or findings with their places."""

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constitutional.constitution import load_constitution
from constitutional.errors import ConstitutionError
from constitutional.workbench.json_schema import constitution_schema
from constitutional.workbench.lint.linter import lint
from constitutional.workbench.lint.rules import RULES
from constitutional.yamlfile import parse_yaml
from tests.helpers import REPOSITORY

LOADER_TOO = {"encoding-slip"}  # of both: what can't be read, and what is odd in a text
SEEDS = [
    path.read_text(encoding="utf-8")[:3000]
    for path in sorted((REPOSITORY / "constitutions").glob("*.yaml"))[:3]
]
SEEDS += [rule.bad for rule in RULES.values() if not rule.console]
PIECES = [
    *(
        "id:",
        "principles:",
        "- id: x",
        "critique:",
        "extends: [harmlessness]",
        "drop: [privacy]",
        "weight: -1",
        "tags: [a, 1]",
        "\n",
    ),
    *(
        "\n  ",
        "\n    ",
        ": ",
        "- ",
        "| ",
        ">-",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "#",
        "# lint: ignore=flat-refusal",
        "&a ",
        "*a",
        "<<: ",
        "!!x ",
    ),
    *(
        "---",
        "...",
        "\t",
        "\r",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "\ufeff",
        "\x85",
        "\u2028",
        "{{ x }}",
        "CritiqueRequest:",
        "â€™",
        "&amp;",
    ),
    *(
        "\U0001f600",
        "أي الردين ألطف",
        "両方の回答",
        "yes",
        "~",
        ".inf",
        "1e999",
        "2026-13-01",
        "0x",
        "1:1:1",
        "9" * 200,
        '"\\ud800"',
        "? a",
    ),
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [
            "",
            "x",
            "kind",
            "privacy",
            "harmlessness",
            "Which {x} is better? Human:",
            "Refuse to answer the question.",
        ]
    )
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "version",
                    "description",
                    "extends",
                    "drop",
                    "principles",
                    "critique",
                    "revision",
                    "preference",
                    "weight",
                    "tags",
                    "x",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)
shaped = st.fixed_dictionaries(
    {"id": st.just("a") | values, "principles": st.lists(values, max_size=4) | values},
    optional={
        "extends": st.lists(st.sampled_from(["harmlessness", "any.yaml", "..", "x"]) | values, max_size=3),
        "drop": values,
    },
)
dumped = (values | shaped).map(
    lambda value: yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode()
)


@st.composite
def mutated(draw):
    """A real file with some places overwritten."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.sampled_from([0, 0, 1, 5, 60])))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[end:]
    return text.encode("utf-8")


anything = (
    mutated()
    | dumped
    | st.binary(max_size=200)
    | st.lists(st.sampled_from(PIECES), max_size=30).map(lambda p: "".join(p).encode())
)


def check(folder, validator, content):
    path = folder / "any.yaml"
    path.write_bytes(content)
    findings = lint([path]).findings
    for finding in findings:
        assert finding.message and finding.place.path
        assert (finding.place.line or 0) >= 1 or "empty" in finding.message
        assert finding.severity == RULES[finding.rule].severity
    of_lint = {rule.id for rule in RULES.values() if rule.check_text or rule.check_file}
    refused = any(finding.rule not in of_lint for finding in findings)
    try:
        load_constitution(path)
        loaded = True
    except ConstitutionError as bad:
        assert bad.problems and all(problem.place for problem in bad.problems)
        loaded = False
    document, _ = parse_yaml(path)
    valid = document is not None and validator.is_valid(document.value)
    if loaded:
        assert valid and not refused
    else:
        assert refused or any(finding.rule in LOADER_TOO for finding in findings)


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft7Validator(constitution_schema())


@settings(max_examples=300)
@given(content=anything)
def test_no_file_is_too_odd(tmp_path_factory, validator, content):
    check(tmp_path_factory.getbasetemp(), validator, content)


@pytest.mark.slow
@settings(max_examples=12_000, suppress_health_check=list(HealthCheck))
@given(content=anything)
def test_no_file_of_many_is_too_odd(tmp_path_factory, validator, content):
    check(tmp_path_factory.getbasetemp(), validator, content)
