"""The built wheel, installed into an empty environment and run there from another directory.

The environment sees the tested dependencies through a path file, and nothing of this tree: path files that lie in a
folder added by a path file are not followed, so the editable installation stays out of sight.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGED = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
    "constitutional",
    "constitutions",
    "prompts",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy, so that nothing is left in the tree."""
    copy = tmp_path_factory.mktemp("source")
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(copy / "dist"),
        str(copy),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next((copy / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder with the commands of an environment that holds the wheel."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    paths = {"base": str(home), "platbase": str(home)}
    commands = Path(sysconfig.get_path("scripts", "venv", paths))
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    (packages / "tested_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    install = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "install", "--quiet"]
    # Without --ignore-installed pip would take the version it sees through the path file for the installed one.
    install += ["--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    return commands


def run(installed: Path, folder: Path, *command: str) -> str:
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    program = [str(installed / command[0]), *command[1:]]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_everything_that_ships_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("constitutions", "prompts"):
        shipped = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.name[0] != "."]
        assert shipped
        assert {f"constitutional/_shipped/{path.relative_to(ROOT)}" for path in shipped} <= names
    package = [path for path in (ROOT / "constitutional").rglob("*") if path.is_file()]
    sources = {str(path.relative_to(ROOT)) for path in package if "__pycache__" not in path.parts}
    assert "constitutional/py.typed" in sources
    assert sources <= names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"constitutional"}


def test_it_is_the_wheel_that_runs(installed, tmp_path):
    where = "import constitutional; print(constitutional.__file__)"
    found = Path(run(installed, tmp_path, "python", "-c", where).strip())
    assert found.resolve().is_relative_to(installed.parent.resolve())
    assert not found.resolve().is_relative_to(ROOT)


def test_constitutions_and_prompt_sets_are_found_from_any_directory(installed, tmp_path):
    assert "harmlessness" in run(installed, tmp_path, "constitutional", "constitution", "list")
    assert "default" in run(installed, tmp_path, "constitutional", "prompts", "list")


def test_revise_makes_a_data_set_from_any_directory(installed, tmp_path):
    (tmp_path / "prompts.txt").write_text("How do I pick a lock?\nTell me a mean joke.\n", "utf-8")
    run(
        *(installed, tmp_path, "constitutional", "revise", "prompts.txt", "--constitution", "harmlessness"),
        *("--engine", "scripted", "--rounds", "2", "--out", "run"),
    )
    assert list((tmp_path / "run" / "data" / "sft").glob("*.parquet"))
    assert list((tmp_path / "run" / "data" / "chains").glob("*.parquet"))
    manifest = (tmp_path / "run" / "manifest.json").read_text("utf-8")
    assert json.loads(manifest)
    assert str(ROOT) not in manifest
