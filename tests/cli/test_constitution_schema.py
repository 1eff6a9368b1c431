"""`constitution schema` as a user calls it."""

import json

from constitutional.workbench.json_schema import constitution_schema, schema_text


def test_it_is_printed(constitutional):
    answer = constitutional("constitution", "schema")
    assert answer.code == 0 and json.loads(answer.out) == constitution_schema()


def test_it_is_written_and_renewed(constitutional, tmp_path):
    path = tmp_path / "deep" / "constitution.schema.json"
    for _ in range(2):
        answer = constitutional("constitution", "schema", "--out", path)
        assert answer.code == 0 and answer.out == f"wrote {path}\n"
        assert path.read_text(encoding="utf-8") == schema_text()


def test_a_file_that_is_something_else_is_left_alone(constitutional, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("id: mine\n")
    answer = constitutional("constitution", "schema", "--out", path)
    assert answer.code == 2 and str(path) in answer.problem and "left alone" in answer.problem
    assert path.read_text() == "id: mine\n"
