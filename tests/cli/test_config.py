"""`--config`: everything that a flag sets, in a file."""

import json

import pytest


@pytest.fixture
def config(tmp_path, prompts_file):
    """A function that writes a config file for three prompts and the scripted engine, with further lines."""

    def write(lines="", *, base=True):
        text = (
            f"prompts: {prompts_file(3)}\nconstitution: harmlessness\nengine: scripted\n"
            f"out: {tmp_path / 'run'}\nrounds: 1\n"
        )
        path = tmp_path / "config.yaml"
        path.write_text((text if base else "") + lines, encoding="utf-8")
        return path

    return write


def settings(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["settings"]


def test_a_file_sets_arguments_and_options(constitutional, config, tmp_path):
    lines = (
        "temperature: 0.5\nmax_tokens: 33\ndirect: yes\nkeep-failing: [truncated, unchanged]\nexamples: 1\n"
    )
    answer = constitutional("revise", "--config", config(lines))
    assert answer.code == 0, answer.err
    found = settings(tmp_path / "run")
    assert (found["rounds"], found["temperature"], found["max_tokens"]) == (1, 0.5, 33)
    assert (found["critique"], found["keep_failing"]) == (False, ["truncated", "unchanged"])
    assert found["examples"] == 1


def test_the_command_line_wins(constitutional, config, prompts_file, tmp_path):
    others = prompts_file(2, "others.jsonl")
    answer = constitutional(
        "revise", others, "--rounds", 3, "--config", config("seed: 5\n"), "-o", tmp_path / "other"
    )
    assert answer.code == 0, answer.err
    found = settings(tmp_path / "other")
    assert (found["rounds"], found["seed"]) == (3, 5)
    assert "2 rows" in answer.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("engine-arg: [latency=0.001, name=other]\n", "other"),
        ("engine-arg:\n  latency: 0.001\n  name: other\n", "other"),
        ("engine-arg: name=other\n", "other"),
        ('engine-arg:\n  name: "17"\n', "17"),
        ("engine-arg:\n  name: 'a: [b'\n", "a: [b"),
    ],
)
def test_arguments_of_the_engine_are_a_list_or_a_mapping(constitutional, config, tmp_path, lines, name):
    answer = constitutional("revise", "--config", config(lines))
    assert answer.code == 0, answer.err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["engine"]["fingerprint"] == name


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ruonds: 2", "6:1: ruonds: unknown option 'ruonds'; did you mean 'rounds'?"),
        ("PROMPTS: x", "unknown option 'PROMPTS'; did you mean 'prompts'?"),
        ("config: other.yaml", "unknown option 'config'; valid: adapter, "),
        ("temperature: hot", "6:14: temperature: 'hot' is not a valid float"),
        ("max-tokens: 1.5", "6:13: max-tokens: '1.5' is not a valid integer"),
        ("max-tokens: true", "6:13: max-tokens: 'true' is not a valid integer"),
        ("max-tokens: [1]", "6:13: max-tokens: [1] can't be its value"),
        ("max-tokens: {a: 1}", "6:13: max-tokens: {'a': 1} can't be its value"),
        ("max-tokens:", "max-tokens: it has no value"),
        ("direct: 2", "6:9: direct: '2' is not a valid boolean"),
        ("keep-failing: [truncated, nope]", "6:15: keep-failing: 'nope' is not one of 'truncated'"),
        ("keep-failing: {truncated: 1}", "6:15: keep-failing: {'truncated': 1} can't be its value"),
        ("engine-arg: [latency: 1]", "engine-arg: {'latency': 1} can't be its value"),
        ("rounds: 2", "6:1: duplicate key 'rounds'"),
        ("seed: !!int 5", "tags"),
        ("limit: 0", "6:8: limit: 0 is not in the range"),
    ],
)
def test_a_wrong_line_is_named_with_what_to_change(constitutional, config, tmp_path, line, says):
    path = config(line + "\n")
    answer = constitutional("revise", "--config", path)
    assert answer.code == 2
    assert answer.problem.startswith(f"error: {path}:6") and says in answer.problem
    assert not (tmp_path / "run").exists()


def test_all_wrong_lines_are_named_at_once(constitutional, config):
    answer = constitutional("revise", "--config", config("ruonds: 2\nseed: x\ntemprature: 1\n"))
    assert answer.code == 2
    assert [line.split(":")[2] for line in answer.err.splitlines()] == ["6", "7", "8"]


@pytest.mark.parametrize(("text", "says"), [("- a\n", "mapping"), ("", "empty"), ("a: [\n", "")])
def test_a_file_that_is_no_mapping_is_refused(constitutional, config, text, says):
    path = config(text, base=False)
    answer = constitutional("revise", "--config", path)
    assert answer.code == 2 and says in answer.problem and str(path) in answer.problem


def test_a_missing_file_and_a_folder_are_refused(constitutional, tmp_path):
    missing = constitutional("revise", "--config", tmp_path / "none.yaml")
    assert missing.code == 2 and f"{tmp_path / 'none.yaml'}: there is no such file" in missing.problem
    folder = constitutional("revise", "--config", tmp_path)
    assert folder.code == 2 and "is a directory" in folder.problem


@pytest.fixture
def labelled(constitutional, tmp_path):
    """A function that labels three comparisons under a file with these lines."""
    comparisons, path = tmp_path / "comparisons.jsonl", tmp_path / "label.yaml"
    rows = [{"prompt": f"Question {n}?", "responses": [f"Yes, {n}.", f"No, {n}."]} for n in range(3)]
    comparisons.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def label(lines, *args):
        text = f"comparisons: {comparisons}\nconstitution: harmlessness\nengine: scripted\nout: {tmp_path / 'run'}\n"
        path.write_text(text + lines, encoding="utf-8")
        return constitutional("label", "--config", path, *args)

    return label


@pytest.mark.parametrize(
    ("line", "args", "both"),
    [
        ("one-order: true", (), False),
        ("one_order: yes", (), False),
        ("one-order: false", (), True),
        ("both-orders: false", (), False),
        ("one-order: true", ("--both-orders",), True),
    ],
)
def test_a_switch_is_set_under_either_of_its_names(labelled, tmp_path, line, args, both):
    answer = labelled(line + "\n", *args)
    assert answer.code == 0, answer.err
    assert settings(tmp_path / "run")["both_orders"] == both


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("one-order: true\nboth-orders: false\n", "6:1: both-orders: 'one-order' sets the same; keep one"),
        ("max_tokens: 9\nmax-tokens: 8\n", "6:1: max-tokens: 'max_tokens' sets the same; keep one"),
        ("one-order: sometimes\n", "5:12: one-order: 'sometimes' is not a valid boolean"),
        ("one-ordre: true\n", "unknown option 'one-ordre'; did you mean 'one-order'?"),
    ],
)
def test_an_option_is_set_once_and_a_switch_is_on_or_off(labelled, tmp_path, lines, says):
    answer = labelled(lines)
    assert answer.code == 2 and says in answer.problem and not (tmp_path / "run").exists()
