import json
import subprocess
import sys

import click
import pytest

from constitutional.cli import COMMANDS, cli
from constitutional.cli import docs as docs_module
from tests.helpers import REPOSITORY


def every_command():
    for name in COMMANDS:
        yield (name,)
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group):
            yield from ((name, below) for below in command.commands)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_says_what_it_is_for(constitutional, words):
    answer = constitutional(*words, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: constitutional {' '.join(words)} ")
    purpose = answer.out.split("\n\n")[1].strip()
    assert purpose and purpose.rstrip()[-1] in ".:"


def test_the_first_help_lists_every_command_and_every_exit_code(constitutional):
    answer = constitutional("--help")
    assert answer.code == 0
    assert all(f"\n  {name} " in answer.out for name in COMMANDS)
    codes = answer.out.partition("Exit codes:")[2].partition("Options:")[0].split()
    assert {"0", "1", "2", "3", "4", "130"} <= set(codes)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["model", "--help"], ["nonsense"]])
def test_help_imports_nothing_heavy(args):
    program = (
        "import sys, json, io, contextlib\n"
        "from constitutional.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(sys.argv[1:])\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "click" in loaded
    heavy = {"torch", "transformers", "vllm", "datasets", "pyarrow", "pydantic", "httpx", "jinja2", "rich"}
    assert not loaded & heavy


def test_version_names_the_package(constitutional):
    from constitutional import __version__

    assert constitutional("--version").out == f"constitutional {__version__}\n"


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["revize"], "did you mean 'revise'?"),
        (["prompts", "shwo"], "Did you mean 'show'?"),
        (["revise", "--tempratur", "1"], "Did you mean '--temperature'?"),
        (["show", "runs/none", "--jsn"], "Did you mean '--json'?"),
        (["model", "pull", "smollm2-135"], "did you mean 'smollm2-135m'?"),
        (["constitution", "show", "harmlesness"], "did you mean 'harmlessness'?"),
        (["constitution", "show", "harmlessness", "-p", "privaci"], "did you mean 'privacy'?"),
        (["prompts", "show", "critic"], "did you mean 'critique'?"),
        (["prompts", "show", "critique", "--prompt-set", "defualt"], "did you mean 'default'?"),
        (["prompts", "show", "critique", "-p", "privaci"], "did you mean 'privacy'?"),
        (["completion", "bsh"], "'bash', 'zsh', 'fish'"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_valid_name(constitutional, args, hint):
    answer = constitutional(*args)
    assert answer.code == 2
    assert hint in answer.problem


def test_debug_is_understood_anywhere_and_shows_the_traceback_with_the_same_code(constitutional):
    for args in (["--debug", "show", "nowhere"], ["show", "nowhere", "--debug"]):
        answer = constitutional(*args)
        assert answer.code == 2
        assert "Traceback" in answer.err and answer.err.splitlines()[-1].startswith("error: nowhere is not")


def test_the_page_of_the_commands_is_complete_and_the_same_each_time(monkeypatch):
    pages = []
    for width in ("40", "200"):
        monkeypatch.setenv("COLUMNS", width)
        pages.append(docs_module.page())
    assert pages[0] == pages[1]
    assert all(f"`constitutional {' '.join(words)}`" in pages[0] for words in every_command())
    assert "—" not in pages[0] and "\t" not in pages[0]
    assert str(REPOSITORY) not in pages[0]


def test_constitutions_and_prompt_sets_are_listed(constitutional):
    assert "harmlessness" in constitutional("constitution", "list").out
    assert "default" in constitutional("prompts", "list").out


def test_a_constitution_is_shown_as_text_and_as_json(constitutional):
    assert "privacy" in constitutional("constitution", "show", "harmlessness").out
    shown = json.loads(constitutional("constitution", "show", "harmlessness", "-p", "privacy", "--json").out)
    assert [principle["id"] for principle in shown["principles"]] == ["privacy"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(constitutional, shell):
    assert "_CONSTITUTIONAL_COMPLETE" in constitutional("completion", shell).out
