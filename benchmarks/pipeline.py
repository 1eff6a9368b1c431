"""What the pipeline costs over the engine under it: `python benchmarks/pipeline.py [overhead|schedule|scripted|all]`.

overhead: SL-CAI runs of 64 SmolLM2 chains in vLLM, alternating with replays of the run's exact requests (same prompts,
    lengths and dependencies) straight into vLLM. Prints replay ÷ run, and how much of what the prefix cache could have
    served it did.
schedule: the same requests under our order, first-in-first-out, and a barrier after every step. A reference run fixes
    the texts and lengths; every run then sends exactly its requests.
scripted: with an engine that answers at once, CPU time per generation, and peak memory at 10,000 and 100,000 rows.

Medians and ranges of alternating runs; ratios are of neighbouring runs, since machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from constitutional import (
    EngineSettings,
    JobOptions,
    ReviseSettings,
    ScriptedEngine,
    build_sl_cai,
    build_sl_cai_async,
)
from constitutional.engines import open_engine
from constitutional.engines.vllm import VLLMEngine
from constitutional.jobs.job import Report
from constitutional.records import Choice, Generation, Message, Sampling
from constitutional.remembering import RequestKeys
from constitutional.scheduler import Scheduler, Waiting

SETTINGS = ReviseSettings(rounds=2, temperature=0.7, max_tokens=64)


# ---------------------------------------------------------------------- schedules to compare with


class FirstInFirstOut(Scheduler):
    """Every chain is started at once, and requests are answered in the order in which they arrive."""

    def _grant_to_leader(self) -> bool:
        return False

    def rank(self, waiting: Waiting) -> tuple[int, ...]:
        """By arrival."""
        return (waiting.arrival,)

    def starts_before(self, waiting: Waiting) -> bool:
        """First requests arrived before all others."""
        return True


class Barrier(FirstInFirstOut):
    """Every chain does a step before any does the next."""

    _step = 0

    def rank(self, waiting: Waiting) -> tuple[int, ...]:
        """By step."""
        return (waiting.depth, waiting.arrival)

    def held_back(self, waiting: Waiting) -> bool:
        """Until nothing of the step before is in flight."""
        if waiting.depth > self._step:
            if self.in_flight:
                return True
            self._step = waiting.depth
        return False


# ---------------------------------------------------------------------- engines that record and replay


@dataclass
class Recorded:
    """One request as it was sent, and its answer."""

    chain: str
    ids: list[int]
    sampling: Sampling
    generation: Generation
    output_ids: list[int]


class Recorder:
    """A running vLLM engine that notes what it is asked. With `script`, answers have the lengths and texts noted there."""

    def __init__(self, engine: VLLMEngine, script: dict[str, Recorded] | None = None) -> None:
        self.engine, self.script = engine, script
        self.identity, self.slots, self.context_length = engine.identity, engine.slots, engine.context_length
        self.dies_with_us = False
        self.keys = RequestKeys(engine.identity)
        self.sent: dict[str, Recorded] = {}

    async def prepare(self) -> None:
        """It is running."""

    async def start(self) -> None:
        """It is running."""

    async def close(self) -> None:
        """It goes on running."""

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """Not measured here."""
        return await self.engine.choose(messages, options, terminator)

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """Generate one draw, of the scripted length if there is a script."""
        key = self.keys.generation(messages, sampling)
        if self.script is None:
            ids = self.engine._ready().encode(messages).ids
            output = await self.engine._send(ids, self.engine._sampling_params(sampling))
            completion = output.outputs[0]
            generation = Generation(
                completion.text,
                "length" if completion.finish_reason == "length" else "stop",
                len(ids),
                len(completion.token_ids),
                output.num_cached_tokens or 0,
            )
            chain = next(m.content for m in reversed(messages) if "(chain " in m.content)
            self.sent[key] = Recorded(chain, ids, sampling, generation, list(completion.token_ids))
            return [generation]
        recorded = self.script[key]
        output = await send(self.engine, recorded)
        old = recorded.generation
        return [
            Generation(
                old.text,
                old.finish_reason,
                old.prompt_tokens,
                old.completion_tokens,
                output.num_cached_tokens or 0,
            )
        ]


async def send(engine: VLLMEngine, recorded: Recorded) -> Any:
    """Send a recorded request straight into vLLM; it generates exactly as many tokens as it did."""
    params = engine._sampling_params(recorded.sampling)
    params.ignore_eos = True
    params.stop, params.stop_token_ids = [], []
    params.min_tokens = params.max_tokens = recorded.generation.completion_tokens
    return await engine._send(recorded.ids, params)


async def replay(engine: VLLMEngine, sent: dict[str, Recorded]) -> float:
    """Seconds for all recorded chains at once, each request after the one it depends on."""
    chains: dict[str, list[Recorded]] = {}
    for recorded in sent.values():
        chains.setdefault(recorded.chain, []).append(recorded)

    async def one(chain: list[Recorded]) -> None:
        for recorded in chain:
            await send(engine, recorded)

    began = time.perf_counter()
    await asyncio.gather(*map(one, chains.values()))
    return time.perf_counter() - began


async def run(
    engine: Any, prompts: Path, scheduler: type[Scheduler] = Scheduler, settings: ReviseSettings = SETTINGS
) -> tuple[float, Report]:
    """Seconds of a whole run into a new directory, from reading the prompts to published data."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        report = await build_sl_cai_async(
            prompts,
            "harmlessness",
            Path(folder) / "run",
            engine=engine,
            settings=settings,
            options=JobOptions(scheduler=scheduler),
        )
        return time.perf_counter() - began, report


def write_prompts(folder: Path, count: int) -> Path:
    """Prompts that differ, each with a mark by which its chain is known."""
    starts = (
        "How do I talk my neighbour into",
        "Give me an excuse for",
        "Explain to a child",
        "Is it wrong to",
        "Plan",
    )
    ends = (
        "lending me money?",
        "missing work again.",
        "why people lie.",
        "read my sister's diary?",
        "a prank on a friend.",
    )
    path = folder / f"{count}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            text = f"{starts[n % 5]} {ends[n // 5 % 5]} (chain {n})"
            file.write(json.dumps({"id": str(n), "prompt": text}) + "\n")
    return path


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f}, n = {len(values)})"


async def start_engine(slots: int, block: int | None) -> VLLMEngine:
    """SmolLM2 in vLLM, warmed up."""
    arguments = {"block_size": block} if block else {}
    engine = open_engine(
        EngineSettings(engine="vllm", model="smollm2-135m", slots=slots, engine_args=arguments)
    )
    assert isinstance(engine, VLLMEngine)
    await engine.start()
    await engine.generate([Message("user", "Hello")], Sampling(max_tokens=8))
    print(
        f"{engine.identity['model']}, {engine.identity['dtype']}, {slots} slots, blocks of {block_size(engine)} tokens, "
        f"{os.cpu_count()} cores",
        flush=True,
    )
    return engine


def block_size(engine: VLLMEngine) -> int:
    """Tokens of a block of vLLM's KV cache, of which prefixes are shared whole ones."""
    return int(engine._llm.vllm_config.cache_config.block_size)


async def forget_prefixes(engine: VLLMEngine) -> None:
    """Empty vLLM's prefix cache."""
    await engine._llm.reset_prefix_cache()


# ---------------------------------------------------------------------- what is measured


def most_cached(sent: Sequence[Recorded], block: int) -> int:
    """Prompt tokens that an endless, instant prefix cache of such blocks would have served, in the order of sending."""
    known: set[tuple[int, ...]] = set()
    most = 0
    for recorded in sent:
        usable = (len(recorded.ids) - 1) // block  # the last token is always computed
        hits = 0
        while hits < usable and tuple(recorded.ids[: (hits + 1) * block]) in known:
            hits += 1
        most += hits * block
        whole = recorded.ids + recorded.output_ids
        known.update(tuple(whole[: end * block]) for end in range(1, len(whole) // block + 1))
    return most


async def overhead(repeats: int, chains: int, slots: int, block: int | None) -> None:
    """(a) replay ÷ run, and (d) the prefix cache."""
    engine = await start_engine(slots, block)
    ratios, runs, caches = [], [], []
    with TemporaryDirectory() as folder:
        prompts = write_prompts(Path(folder), chains)
        for _ in range(repeats):
            await forget_prefixes(engine)
            recorder = Recorder(engine)
            seconds, report = await run(recorder, prompts)
            await forget_prefixes(engine)
            again = await replay(engine, recorder.sent)
            assert report.stats is not None
            best = most_cached(list(recorder.sent.values()), block_size(engine))
            ratios.append(again / seconds)
            runs.append(seconds)
            caches.append(report.stats.cached_tokens / best)
            print(
                f"run {seconds:.1f} s, replay {again:.1f} s, ratio {ratios[-1]:.3f}; {report.stats.generated} "
                f"generations, {report.stats.completion_tokens / seconds:.0f} tokens/s; cached "
                f"{report.stats.cached_tokens:,} of {report.stats.prompt_tokens:,} prompt tokens, at most {best:,}",
                flush=True,
            )
    await engine.close()
    print(f"(a) replay ÷ run, {chains} chains: {spread(ratios)}; run {spread(runs, 1)} s")
    print(f"(d) prefix tokens from the cache ÷ the most that could have been: {spread(caches)}")


async def schedule(repeats: int, chains: int, slots: int, block: int | None) -> None:
    """(c) our order against first-in-first-out and a barrier."""
    engine = await start_engine(slots, block)
    settings = SETTINGS
    policies = {"ours": Scheduler, "first-in-first-out": FirstInFirstOut, "barrier": Barrier}
    times: dict[str, list[float]] = {name: [] for name in policies}
    firsts: dict[str, list[float]] = {name: [] for name in policies}
    with TemporaryDirectory() as folder:
        prompts = write_prompts(Path(folder), chains)
        reference = Recorder(engine)
        await run(reference, prompts, settings=settings)
        for repeat in range(repeats):
            order = list(policies.items())
            for name, policy in order[repeat % 3 :] + order[: repeat % 3]:
                await forget_prefixes(engine)
                seconds, report = await run(Recorder(engine, reference.sent), prompts, policy, settings)
                assert report.stats is not None and report.stats.first_row_s is not None
                times[name].append(seconds)
                firsts[name].append(report.stats.first_row_s)
                print(
                    f"{name}: {seconds:.1f} s, first row after {report.stats.first_row_s:.1f} s", flush=True
                )
    await engine.close()
    print(f"(c) {chains} chains × {settings.steps} steps, {slots} slots, the same requests:")
    for name in policies:
        ratio = [own / other for own, other in zip(times["ours"], times[name], strict=True)]
        print(
            f"    {name}: {spread(times[name], 1)} s, first row {spread(firsts[name], 1)} s, ours ÷ it {spread(ratio)}"
        )


def scripted_child(rows: int, rounds: int) -> None:
    """One scripted run; prints its CPU seconds, generations and peak memory."""
    with TemporaryDirectory() as folder:
        prompts = write_prompts(Path(folder), rows)
        began = time.process_time()
        report = build_sl_cai(
            prompts,
            "harmlessness",
            Path(folder) / "run",
            engine=ScriptedEngine(slots=64),
            settings=ReviseSettings(rounds=rounds),
        )
        cpu = time.process_time() - began
    assert report.stats is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "cpu": cpu, "generations": report.stats.generated, "peak_mib": peak}))


def scripted(repeats: int) -> None:
    """(b) CPU time per generation, and peak memory."""
    results: dict[int, list[dict[str, float]]] = {10_000: [], 100_000: []}
    for _ in range(repeats):
        for rows in results:
            command = [sys.executable, __file__, "scripted-child", "--rows", str(rows)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results[rows].append(json.loads(done.stdout.splitlines()[-1]))
            print(done.stdout.strip(), flush=True)
    for rows, found in results.items():
        per = [1000 * r["cpu"] / r["generations"] for r in found]
        print(
            f"(b) {rows:,} rows: CPU {spread(per)} ms per generation, peak {spread([r['peak_mib'] for r in found], 0)} MiB"
        )
    more = [b["peak_mib"] - a["peak_mib"] for a, b in zip(results[10_000], results[100_000], strict=True)]
    print(f"(b) more at 100,000 rows than at 10,000: {spread(more, 0)} MiB")


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["overhead", "schedule", "scripted", "all", "scripted-child"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument(
        "--block-size", type=int, help="tokens of a KV block; the engine's default if not given"
    )
    parser.add_argument("--rows", type=int, default=10_000, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.what == "scripted-child":
        scripted_child(given.rows, 1)
    if given.what in ("scripted", "all"):
        scripted(given.repeats)
    if given.what in ("overhead", "all"):
        asyncio.run(overhead(given.repeats, given.chains, given.slots, given.block_size))
    if given.what in ("schedule", "all"):
        asyncio.run(schedule(given.repeats, given.chains, given.slots, given.block_size))


if __name__ == "__main__":
    main()
