"""What all tests share: no network, and the real data where they are at hand."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # speed is measured in benchmarks/, not here
settings.load_profile("untimed")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REPOSITORY = Path(__file__).parents[1]
# begun first, so that none is left to end alone
LONGEST = ("test_crash", "test_end_to_end", "test_vllm", "test_embedded", "test_packaging", "test_wheel")


def pytest_collection_modifyitems(items):
    """The files that take longest come first: several processes then end at about the same time."""

    def rank(item):
        return next((n for n, name in enumerate(LONGEST) if item.path.stem.startswith(name)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture
def real_data():
    """The folder with real data beside the repository; the test is skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data are not on this machine")
    return folder


@pytest.fixture
def prompts_file(tmp_path):
    """A function that writes prompts as JSON lines and gives the file."""

    def write(count_or_rows, name="prompts.jsonl"):
        rows = count_or_rows
        if isinstance(rows, int):
            rows = [
                {"id": f"p{n:04}", "prompt": f"Question number {n}: what should I do?"} for n in range(rows)
            ]
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write
