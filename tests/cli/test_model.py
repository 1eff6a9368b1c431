import subprocess
import sys

import pytest
from click.testing import CliRunner

from constitutional.cli.model import model
from constitutional.errors import PrerequisiteError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def pulled(cache):
    folder = cache / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}", "utf-8")
    return folder


def test_list_says_what_is_not_pulled():
    result = CliRunner().invoke(model, ["list"])
    assert result.exit_code == 0
    assert "smollm2-135m" in result.output
    assert "not pulled (93 MB to download)" in result.output


def test_list_says_where_a_pulled_model_is(pulled):
    assert str(pulled) in CliRunner().invoke(model, ["list"]).output


def test_pull_and_path_print_the_folder_and_nothing_else(pulled):
    for command in (["pull"], ["pull", "smollm2-135m", "--quiet"], ["path"], ["path", "smollm2-135m"]):
        result = CliRunner().invoke(model, command)
        assert (result.exit_code, result.output) == (0, f"{pulled}\n")


def test_path_of_a_model_that_was_not_pulled_names_the_command():
    result = CliRunner().invoke(model, ["path"])
    assert isinstance(result.exception, PrerequisiteError)
    assert "constitutional model pull smollm2-135m" in str(result.exception)


def test_the_commands_are_there_without_torch():
    program = "import sys, constitutional.cli.model, constitutional.models; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
