"""Small helpers of the tests: constitutions made on the spot, and runs read back."""

import json
from pathlib import Path

from constitutional import Constitution, Principle, ReviseSettings, ScriptedEngine, build_sl_cai

REPOSITORY = Path(__file__).parents[1]
PROMPT_SET = Path(__file__).parent / "prompt_set"


def principle(number, **fields):
    texts = {
        "critique": f"Say how the assistant's last response breaks rule {number}.",
        "revision": f"Rewrite the response so that it keeps rule {number}.",
    }
    return Principle(id=f"rule-{number}", **{**texts, **fields})


def constitution(count=16):
    return Constitution(id="test-rules", principles=[principle(n) for n in range(count)])


def run(prompts, out, *, rules=None, engine=None, rounds=2, **more):
    """`build_sl_cai` with the scripted engine and few rounds."""
    more.setdefault("settings", ReviseSettings(rounds=rounds))
    more.setdefault("prompt_set", PROMPT_SET)
    return build_sl_cai(prompts, rules or constitution(), out, engine=engine or ScriptedEngine(), **more)


def read(out, name):
    """The rows of a published data set."""
    import pyarrow.parquet as pq

    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return pq.read_table(out / manifest["data"][name]["path"]).to_pylist()


def data_files(out):
    """The published files' names, which are hashes of their content."""
    return sorted(str(path.relative_to(out)) for path in (out / "data").glob("*/*"))


def count_generations(ledger):
    """How many generations a ledger remembers."""
    return ledger.read("SELECT count(*) FROM generations")[0][0]


def drawn(out):
    """The principles of each round, by row id."""
    return {row["id"]: [tuple(r["principles"]) for r in row["rounds"]] for row in read(out, "chains")}


class CountingEngine(ScriptedEngine):
    """A scripted engine that keeps the requests it was sent, and how many were in flight at once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.requests = []
        self.in_flight = self.most_in_flight = 0

    async def generate(self, messages, sampling, n=1):
        self.requests.append((tuple(messages), sampling))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await super().generate(messages, sampling, n)
        finally:
            self.in_flight -= 1
