"""Files whose names are not UTF-8, as a folder unpacked from an old archive has them: every command works on them."""

import json
import os
import subprocess
import sys

import pytest

from tests.cli.conftest import SCRIPTED
from tests.helpers import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are Unicode")

ODD = os.fsdecode(b"caf\xe9")  # Latin-1


@pytest.fixture
def folder(tmp_path):
    """A folder with such a name, and such files in it."""
    path = tmp_path / ODD
    path.mkdir()
    rows = [{"prompt": f"What is {n} and {n}?"} for n in range(3)]
    (path / f"{ODD}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (path / f"{ODD}.yaml").write_bytes((REPOSITORY / "constitutions" / "harmlessness.yaml").read_bytes())
    return path


def call(*args):
    """Standard output of a command in a process of its own, whose streams refuse what is not UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "constitutional", *args],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "COLUMNS": "200"},
        capture_output=True,
    )
    err = done.stderr.decode()
    assert done.returncode == 0 and "Traceback" not in err, err
    return done.stdout.decode(), err


def scripted(folder):
    given = list(SCRIPTED)
    given[given.index("harmlessness")] = str(folder / f"{ODD}.yaml")
    return given


def test_a_run_with_such_names_is_made_resumed_shown_and_compared(folder):
    prompts, run = folder / f"{ODD}.jsonl", folder / f"{ODD}-run"
    command = ("revise", prompts, *scripted(folder), "--helpful", prompts, "--rounds", "1", "--out", run)
    _, err = call(*command)
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert events[-1]["event"] == "done" and events[-1]["out"] == str(run)
    assert "caf\\u{dce9}-run" in err.splitlines()[-1]
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["constitution"]["path"] == str(folder / f"{ODD}.yaml")
    assert "6 rows kept, 0 to do" in call(*command)[1]
    assert "chains: 3 rows" in call("show", run)[0]
    assert json.loads(call("constitution", "diff", "--run", run, "--json")[0])["run"]["rows"]["kept"] == 6


def test_preferences_with_such_names_are_mixed(folder):
    pairs, mix = folder / f"{ODD}-pairs.jsonl", folder / f"{ODD}-mix"
    rows = [
        {"prompt": f"{n}?", "chosen": f"{'says ' * (n % 2)}{n}", "rejected": f"hm {n}"} for n in range(400)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out, _ = call("mix", pairs, "--out", mix, "--test", "0.1", "--json")
    assert list(json.loads(out)["counts"]["sources"]) == ["caf_-pairs"]
    out, _ = call("show", mix, "1", "--json")
    assert json.loads(out)["source"] == "caf_-pairs"
    allowed = ("--allow", "label-distribution", "--allow", "few-rows")  # what is mixed twice is split already
    again, _ = call("mix", f"again={mix}", "--out", folder / "again", *allowed, "--json")
    assert json.loads(again)["counts"]["sources"]["again"]["drawn"]["rows"] > 300
