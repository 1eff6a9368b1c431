"""The JSON Schema: a valid one, that takes every shipped file, and that agrees with the loader wherever it can."""

import copy
import json
import os

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutional.composition import examine
from constitutional.constitution_file import ConstitutionFile, PrincipleEntry
from constitutional.errors import ConfigError
from constitutional.workbench.json_schema import (
    MODELINE,
    SCHEMA_NAME,
    constitution_schema,
    schema_text,
    write_schema,
    write_schema_beside,
)
from tests.helpers import REPOSITORY

SHIPPED = sorted((REPOSITORY / "constitutions").glob("*.yaml"))
GOOD = {"id": "good", "principles": [{"id": "kind", "critique": "c", "revision": "r", "preference": "p"}]}


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft7Validator(constitution_schema())


def with_principle(**changes):
    made = copy.deepcopy(GOOD)
    principle = made["principles"][0]
    for name, value in changes.items():
        if value is None:
            del principle[name]
        else:
            principle[name] = value
    return made


def test_it_is_a_schema_of_draft_07():
    schema = constitution_schema()
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)
    assert json.loads(schema_text()) == schema


def test_every_key_has_a_description_and_no_other_is_allowed():
    schema = constitution_schema()
    assert schema["description"]
    for part, model in (
        (schema, ConstitutionFile),
        (schema["definitions"]["PrincipleEntry"], PrincipleEntry),
    ):
        assert set(part["properties"]) == set(model.model_fields)
        assert part["additionalProperties"] is False
        for value in part["properties"].values():
            assert value["description"].endswith(".") and "title" not in value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_valid_and_name_it_in_their_first_line(validator, path):
    text = path.read_text(encoding="utf-8")
    validator.validate(yaml.safe_load(text))
    assert text.splitlines()[0] == MODELINE
    assert (path.parent / SCHEMA_NAME).read_text(encoding="utf-8") == schema_text()


BAD = {
    "no id": {"principles": GOOD["principles"]},
    "id": GOOD | {"id": "Not OK"},
    "id too long": GOOD | {"id": "x" * 101},
    "version": GOOD | {"version": 0},
    "version text": GOOD | {"version": "1"},
    "unknown key": GOOD | {"principals": []},
    "description": GOOD | {"description": 5},
    "no principles": {"id": "a"},
    "empty principles": {"id": "a", "principles": []},
    "principles": {"id": "a", "principles": {"id": "x"}},
    "principle": {"id": "a", "principles": ["x"]},
    "drop without extends": GOOD | {"drop": ["x"]},
    "extends": GOOD | {"extends": "harmlessness"},
    "many bases": GOOD | {"extends": ["harmlessness"] * 101},
    "no id of a principle": with_principle(id=None),
    "id of a principle": with_principle(id="a b"),
    "critique alone": with_principle(revision=None),
    "revision alone": with_principle(critique=None),
    "blank": with_principle(preference=" \n"),
    "empty": with_principle(critique=""),
    "no texts": {"id": "a", "principles": [{"id": "x", "tags": ["t"]}]},
    "weight 0": with_principle(weight=0),
    "weight below": with_principle(weight=-0.5),
    "weight text": with_principle(weight="2"),
    "weight true": with_principle(weight=True),
    "weight infinite": with_principle(weight=float("inf")),
    "tags": with_principle(tags="a"),
    "tag": with_principle(tags=[1]),
    "many principles": GOOD | {"principles": [{"id": f"p{n}", "preference": "p"} for n in range(5001)]},
    "many drops": GOOD | {"extends": ["harmlessness"], "drop": ["x"] * 5001},
    "many tags": with_principle(tags=["t"] * 101),
    "misspelt key": with_principle(critque="c"),
    "blank override": {
        "id": "a",
        "extends": ["harmlessness"],
        "principles": [{"id": "privacy", "critique": ""}],
    },
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_the_loader_refuses_it_refuses_too(validator, value, tmp_path):
    assert not validator.is_valid(value)
    assert problems(tmp_path, value)


@pytest.mark.parametrize(
    "value",
    [
        GOOD,
        with_principle(preference=None),
        with_principle(critique=None, revision=None),
        with_principle(weight=2, tags=[], source=""),
        {"id": "a", "extends": ["harmlessness"]},
        {"id": "a", "extends": ["harmlessness"], "drop": ["privacy"], "principles": []},
        {"id": "a", "extends": ["harmlessness"], "principles": [{"id": "privacy", "weight": 2}]},
        {"id": "a", "extends": ["harmlessness"], "principles": [{"id": "privacy", "critique": "c"}]},
    ],
)
def test_what_the_loader_takes_it_takes_too(validator, value, tmp_path):
    assert not problems(tmp_path, value)
    validator.validate(value)


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


def problems(folder, value):
    """The rules that a file with this content breaks, for the loader."""
    path = folder / "file.yaml"
    path.write_text(yaml.dump(value, Dumper=Plain, allow_unicode=True), encoding="utf-8")
    return {problem.rule for problem in examine(path).problems}


words = st.sampled_from(["Which is better?", "愛", " padded ", "yes", "2"]) | st.sampled_from(["", " ", "\n"])
wrong = st.sampled_from([None, True, 0, 1.5, [], ["x"], {}, {"id": "x"}, "text"])
ids = st.sampled_from(["a", "b-2", "kind", "privacy", "x" * 100, "7"]) | st.sampled_from(
    ["A", "a_b", "-a", "x" * 101, ""]
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "id": ids | wrong,
        "critique": words | wrong,
        "revision": words | wrong,
        "preference": words | wrong,
        "weight": st.sampled_from([1, 2.5, 0.001, 1e300, 0, -1, float("inf"), "1", True, None]),
        "tags": st.lists(st.sampled_from(["t", "", 1, None]), max_size=2) | wrong,
        "source": words | wrong,
        "weigth": st.just(1),
    },
)
likely = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c", "privacy"])},
    optional={
        "critique": st.just("c"),
        "revision": st.just("r"),
        "preference": st.just("p"),
        "weight": st.just(2),
    },
)
files = st.fixed_dictionaries(
    {"id": st.sampled_from(["rules", "7"]) | ids},
    optional={
        "version": st.sampled_from([1, 2, 0, -1, "1", True, None, 1.5]),
        "description": words | wrong,
        "extends": st.sampled_from([[], ["harmlessness"], ["harmlessness"], "harmlessness", [None]]),
        "drop": st.lists(st.sampled_from(["privacy", "none", 1]), max_size=2) | wrong,
        "principles": st.lists(likely, max_size=3) | st.lists(entries | likely | wrong, max_size=3) | wrong,
        "autor": st.just("me"),
    },
)


@settings(max_examples=400)
@given(value=files)
def test_schema_and_loader_agree_wherever_the_schema_can_tell(tmp_path_factory, validator, value):
    broken = problems(tmp_path_factory.getbasetemp(), value)
    if not broken:
        validator.validate(value)
    elif validator.is_valid(value):
        beyond = {"duplicate-id"}
        if value.get("extends"):
            beyond |= {"override-of-nothing", "missing-text", "unusable-principle", "drop-of-nothing"}
        assert broken <= beyond


def test_it_is_written_where_there_is_none_and_renewed_where_it_is_old(tmp_path):
    path = write_schema_beside(tmp_path / "rules.yaml")
    assert path == tmp_path / SCHEMA_NAME and path.read_text(encoding="utf-8") == schema_text()
    old = constitution_schema() | {"description": "old"}
    path.write_text(json.dumps(old), encoding="utf-8")
    assert write_schema_beside(tmp_path / "rules.yaml") is None
    assert json.loads(path.read_text(encoding="utf-8")) == old
    write_schema(path)
    assert path.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("content", ["", "id: a\n", "{}", "[" * 100_000, '{"title": "Other"}', "\ufeff"])
def test_nothing_else_is_overwritten(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="left alone"):
        write_schema(path)
    assert path.read_text(encoding="utf-8") == content


def test_where_it_can_not_be_written_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ConfigError, match=r"this is a folder|can't be written"):
            write_schema(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't be written"):
        write_schema(tmp_path / "file" / "schema.json")


def test_what_is_no_regular_file_is_neither_read_nor_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would never end
    (tmp_path / "schema.json").write_text(schema_text(), encoding="utf-8")
    (tmp_path / "link").symlink_to("schema.json")
    for name, message in (("pipe", "not a regular file"), ("link", "give the file that it points to")):
        with pytest.raises(ConfigError, match=message):
            write_schema(tmp_path / name)


def test_it_is_renewed_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / SCHEMA_NAME
    old = json.dumps(constitution_schema() | {"description": "old"})
    path.write_text(old, encoding="utf-8")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_schema(path)
    assert path.read_text(encoding="utf-8") == old and list(tmp_path.iterdir()) == [path]
