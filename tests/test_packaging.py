"""The pinned set, the Makefile and the installation script, the latter run with stand-ins for Python and pip."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
BREAKING = {"torchvision", "torchaudio", "torchcodec"}
LINES = [
    line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"
]
PINS = [Requirement(line) for line in LINES]
HERE = {pin.name: pin for pin in PINS if pin.marker is None or pin.marker.evaluate()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

needs_make = pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="there is no make here")


def installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def test_every_pin_is_exact_and_canonical():
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in PINS)
    assert all(pin.name == canonicalize_name(pin.name) for pin in PINS)


def test_torch_comes_first_so_that_an_index_without_it_fails_at_once():
    assert LINES[0].startswith("torch==") and "+cpu" in LINES[0]


def test_what_breaks_transformers_beside_a_cpu_torch_is_neither_pinned_nor_installed():
    assert BREAKING.isdisjoint(pin.name for pin in PINS)
    assert [name for name in BREAKING if installed(name)] == []


def test_the_tests_run_with_the_pinned_versions():
    found = {name: distribution(name).version for name in HERE if installed(name)}
    wrong = {
        name: version for name, version in found.items() if not HERE[name].specifier.contains(version, True)
    }
    assert wrong == {}


def test_the_pins_meet_what_the_project_asks_for():
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["train"], *extras["dev"]]:
        asked = Requirement(text)
        pin = HERE[canonicalize_name(asked.name)]
        (version,) = (specifier.version for specifier in pin.specifier)
        assert asked.specifier.contains(version), f"{pin} does not meet {asked}"


def test_the_pinned_set_is_complete():
    missing = {}
    for name in HERE:
        if not installed(name):  # pinned for another version of Python
            continue
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(needed.name) not in HERE | dict.fromkeys(BREAKING):
                missing[needed.name] = name
    assert missing == {}


@pytest.fixture
def tree(tmp_path):
    """A tree with the real Makefile and script, a Python that only notes what it is asked, and no packages."""
    for name in ("Makefile", "constraints.txt", "pyproject.toml", "scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(
        "#!/usr/bin/env bash\n"
        'echo "$@" >>"$NOTES"\n'
        'case "$*" in\n'
        '*version_info*) echo "${VERSION:-3.11}"; [ -z "${VERSION:-}" ] ;;\n'
        '"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;\n'
        '*"pip install"*" -r "*torch.txt) [ -z "${NO_TORCH:-}" ] || [[ "$*" == *pytorch.org* ]] ||\n'
        '    { echo "ERROR: No matching distribution found for torch==1" >&2; exit 1; } ;;\n'
        '*"pip install"*" -r constraints.txt") exit "${PIP_FAILS:-0}" ;;\n'
        "esac\n",
        "utf-8",
    )
    stand_in.chmod(0o755)
    return tmp_path


def make(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "PYTHON=./stand-in", *(arguments or (".venv/.installed",))]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    environment = {**inherited, "NOTES": str(tree / "notes"), **environment}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)


def notes(tree: Path) -> str:
    """What Python was asked since the last look."""
    path = tree / "notes"
    said = path.read_text("utf-8") if path.exists() else ""
    path.unlink(missing_ok=True)
    return said


@needs_make
def test_make_alone_prints_the_targets(tree):
    printed = make(tree, "--silent").stdout
    for target in ("demo", "test", "test-slow", "check", "docs", "clean"):
        assert f"make {target} " in printed
    assert notes(tree) == ""


@needs_make
def test_a_fresh_tree_is_set_up_once(tree):
    assert make(tree).returncode == 0
    asked = notes(tree)
    assert "-m venv .venv" in asked
    assert "--editable ." in asked
    assert "pytorch.org" not in asked
    assert make(tree).returncode == 0
    assert notes(tree) == "", "there was nothing to do"


@needs_make
def test_without_a_cpu_torch_on_the_index_pytorchs_own_is_taken_for_torch_alone(tree):
    assert make(tree, NO_TORCH="1").returncode == 0
    from_pytorch = [line for line in notes(tree).splitlines() if "pytorch.org" in line]
    assert len(from_pytorch) == 1
    assert from_pytorch[0].endswith("--index-url https://download.pytorch.org/whl/cpu -r .venv/torch.txt")


@needs_make
def test_a_changed_pin_is_installed_into_the_environment_that_is_there(tree):
    make(tree)
    notes(tree)
    os.utime(tree / "constraints.txt", (4e9, 4e9))
    assert make(tree).returncode == 0
    asked = notes(tree)
    assert "-r constraints.txt" in asked
    assert "-m venv" not in asked


@needs_make
def test_an_installation_that_broke_off_is_not_taken_for_good_and_started_afresh(tree):
    assert make(tree, PIP_FAILS="1").returncode != 0
    assert not (tree / ".venv" / ".installed").exists()
    (tree / ".venv" / "half").write_text("a half-installed package", "utf-8")
    assert make(tree).returncode == 0
    assert (tree / ".venv" / ".installed").exists()
    assert not (tree / ".venv" / "half").exists()


@needs_make
def test_an_update_that_broke_off_is_not_taken_for_good_either(tree):
    make(tree)
    os.utime(tree / "constraints.txt", (4e9, 4e9))
    assert make(tree, PIP_FAILS="1").returncode != 0
    assert not (tree / ".venv" / ".installed").exists()


@needs_make
def test_a_tree_that_was_copied_with_its_environment_gets_one_of_its_own(tree, tmp_path_factory):
    make(tree)
    copy = tmp_path_factory.mktemp("copy") / "tree"
    shutil.copytree(tree, copy, symlinks=True)
    notes(copy)
    assert make(copy).returncode == 0
    assert "-m venv .venv" in notes(copy)
    assert (copy / ".venv" / ".installed").read_text("utf-8") == str(copy.resolve())


@needs_make
def test_an_environment_of_someone_else_is_left_alone(tree):
    (tree / ".venv").mkdir()
    (tree / ".venv" / "mine").write_text("precious", "utf-8")
    refused = make(tree)
    assert refused.returncode != 0
    assert ".venv was not made by make, so it is left alone" in refused.stderr
    assert (tree / ".venv" / "mine").exists()


@needs_make
@pytest.mark.parametrize(
    ("python", "version", "said"),
    [
        ("./stand-in", "3.9", "./stand-in is Python 3.9; this project needs 3.11 or newer"),
        ("python-not-there", "", "There is no python-not-there here"),
    ],
)
def test_an_old_or_absent_python_is_said_in_a_sentence(tree, python, version, said):
    refused = make(tree, f"PYTHON={python}", ".venv/.installed", VERSION=version)
    assert refused.returncode != 0
    assert said in refused.stderr
    assert not (tree / ".venv").exists()
