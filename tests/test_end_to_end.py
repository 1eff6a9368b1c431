"""From the command line to data that train: SmolLM2 through the real engines on this machine."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from constitutional import ReviseSettings, load_constitution, load_prompt_set
from constitutional.models import pull
from constitutional.stages.revise import Reviser
from tests.helpers import REPOSITORY, data_files, drawn, read
from tests.test_crash import stored_texts

PROMPTS = REPOSITORY / "constitutional" / "demo" / "prompts.jsonl"


def command(out, *more, engine="vllm", limit=4, prompts=PROMPTS):
    return [
        *(sys.executable, "-m", "constitutional", "revise", str(prompts), "--constitution", "harmlessness"),
        *("--model", "smollm2-135m", "--engine", engine, "--out", str(out), "--limit", str(limit)),
        *(
            "--rounds",
            "2",
            "--temperature",
            "0.7",
            "--max-tokens",
            "48",
            "--keep-failing",
            "truncated",
            *more,
        ),
    ]


def run(arguments, codes=(0, 1)):
    done = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode in codes, done.stderr
    return done


@pytest.fixture(scope="module")
def smollm2_run(tmp_path_factory):
    """An SL-CAI run of four prompts by SmolLM2 in vLLM."""
    pytest.importorskip("vllm")
    pull("smollm2-135m", quiet=True)
    out = tmp_path_factory.mktemp("runs") / "smollm2"
    done = run(command(out))
    return out, [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def test_a_real_model_gives_chains_and_sft_data(smollm2_run):
    out, events = smollm2_run
    chains = read(out, "chains")
    assert len(chains) == 4 and all(len(c["rounds"]) == 2 and c["completion_tokens"] > 20 for c in chains)
    assert read(out, "sft")
    assert {event["event"] for event in events} == {"plan", "loading", "progress", "done"}
    assert events[-2]["rows"] == 4 and events[-2]["prefix_cache_hits"] > 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["engine"]["fingerprint"].startswith("sha256:") and manifest["engine"]["engine"] == "vllm"
    assert manifest["timings"]["completion_tokens_per_second"] > 0


def test_plain_datasets_loads_the_run_as_it_is(smollm2_run, tmp_path, monkeypatch):
    from datasets import load_dataset

    out, _ = smollm2_run
    for name in ("sft", "chains"):
        loaded = load_dataset(str(out), name, cache_dir=str(tmp_path), split="train")
        assert loaded.to_list() == read(out, name)
    assert load_dataset(str(out), cache_dir=str(tmp_path), split="train").column_names[:2] == [
        "prompt",
        "completion",
    ]


def test_trl_s_sft_trainer_takes_a_step_on_the_data_unmodified(smollm2_run, tmp_path):
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    out, _ = smollm2_run
    folder = pull("smollm2-135m", quiet=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    trainer = SFTTrainer(
        model,
        args=SFTConfig(
            str(tmp_path / "sft"),
            max_steps=1,
            per_device_train_batch_size=1,
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=load_dataset(str(out), "sft", cache_dir=str(tmp_path), split="train"),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    before = model.lm_head.weight.detach().clone()
    result = trainer.train()
    assert 0 < result.training_loss < 20
    assert not before.equal(model.lm_head.weight)


def test_the_same_command_again_loads_no_model_and_changes_nothing(smollm2_run):
    out, _ = smollm2_run
    before = data_files(out)
    done = run(command(out))
    assert '"event": "loading"' not in done.stderr and "4 rows kept, 0 to do" in done.stderr
    assert data_files(out) == before


def test_the_transformers_engine_does_the_same_job(tmp_path):
    pull("smollm2-135m", quiet=True)
    run(command(tmp_path / "run", engine="transformers", limit=2))
    chains = read(tmp_path / "run", "chains")
    assert len(chains) == 2 and all(c["response"] and len(c["rounds"]) == 2 for c in chains)


@pytest.mark.slow
def test_a_smollm2_run_killed_at_three_moments_keeps_what_was_stored(prompts_file, tmp_path):
    count = 60
    prompts = prompts_file(
        [{"id": f"p{n}", "prompt": f"Give me {n} reasons to be rude."} for n in range(count)]
    )
    out, known = tmp_path / "run", set()
    start = command(out, prompts=prompts, limit=count)
    for number in range(3):
        process = subprocess.Popen(start, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        enough = len(known) + 5 + 13 * number
        while len(stored_texts(out)) < enough:
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = stored_texts(out)
        assert known < now
        known = now
    with sqlite3.connect(out / "ledger.sqlite") as ledger:
        (stored,) = ledger.execute("SELECT count(*) FROM generations").fetchone()
        finished = dict(ledger.execute("SELECT id, result FROM rows WHERE status IS NOT NULL"))
    done = run(start)
    last = [json.loads(line) for line in done.stderr.splitlines() if '"event": "progress"' in line][-1]
    print(f"stored before the last start: {stored}, generated after it: {last['generations']}")
    assert stored + last["generations"] == count * 5
    assert last["remembered"] == stored - 5 * len(finished)
    assert stored_texts(out) >= known
    settings = ReviseSettings(rounds=2, temperature=0.7, max_tokens=48)
    reviser = Reviser(load_constitution("harmlessness"), load_prompt_set("default"), settings)
    expected = {
        f"p{n}": [tuple(p.id for p in drawn) for drawn in reviser.draw(f"p{n}")] for n in range(count)
    }
    assert drawn(out) == expected
    kept = {row["id"]: row["response"] for row in read(out, "chains")}
    assert all(json.loads(result)["response"] == kept[id] for id, result in finished.items())
