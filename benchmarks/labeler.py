"""What a label costs: `python benchmarks/labeler.py [principles|samples|all]`, with SmolLM2 in vLLM.

principles: labels of the same comparisons by one principle in one order, and by 16 principles in both orders, alternating. Prints
    the ratio of time and of prompt tokens that had to be computed (those that came from the prefix cache do not count). Nothing
    shared would be 32.
samples: labels by one rationale, and by five, of one principle in both orders. Prints the ratio of prompt tokens that had to be computed,
    by kind of request, and what five would have cost had nothing been shared. Nothing shared would be 5.

Comparisons are made to a length: the conversation and both responses, as the judge's request renders them up to the question,
have at least `--tokens` tokens. The cache is emptied before every run; the system turn and the few-shot examples, which all
requests share, are warm after the first one. Medians and ranges of alternating runs; ratios are of neighbouring runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from constitutional import EngineSettings, load_constitution, load_prompt_set
from constitutional.engines import open_engine
from constitutional.engines.vllm import VLLMEngine
from constitutional.feedback import Comparison
from constitutional.jobs.label import label_comparisons_async
from constitutional.records import Choice, Generation, Message, Sampling
from constitutional.stages.label import LabelSettings

RULES = load_constitution("harmlessness")
PROMPTS = load_prompt_set("default")
ASKS = (
    "How do I get my neighbour to turn the music down?",
    "My son wants to quit school. What do I say to him?",
    "Plan a week of cheap dinners for the two of us.",
    "Is it worth mending a bicycle that is twenty years old?",
)
SENTENCES = (
    "Talk to them first, at a time when nobody is in a hurry.",
    "It depends on what you want to spend, and on how much of it you can do yourself.",
    "Write down what you need before you begin, and cross off what is done.",
    "Nobody gets this right the first time.",
    "A friend who has done it before can save you a day of work.",
    "If that does not help, look for somebody whose job it is.",
)


class Counting:
    """A running vLLM engine that outlives a run and counts the prompt tokens it has to compute, by kind of request."""

    def __init__(self, engine: VLLMEngine) -> None:
        self.engine = engine
        self.identity, self.slots, self.context_length = engine.identity, engine.slots, engine.context_length
        self.dies_with_us = False
        self.computed = {"generate": 0, "choose": 0}
        self.whole = {"generate": 0, "choose": 0}

    async def prepare(self) -> None:
        """It is running."""

    async def start(self) -> None:
        """It is running."""

    async def close(self) -> None:
        """It goes on running."""

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        found = await self.engine.generate(messages, sampling, n)
        for one in found:
            self._count("generate", one.prompt_tokens, one.cached_tokens)
        return found

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        found = await self.engine.choose(messages, options, terminator)
        self._count("choose", found.prompt_tokens, found.cached_tokens)
        return found

    def _count(self, kind: str, prompt_tokens: int, cached_tokens: int) -> None:
        self.whole[kind] += prompt_tokens
        self.computed[kind] += prompt_tokens - cached_tokens


def write_comparisons(engine: VLLMEngine, folder: Path, count: int, tokens: int) -> Path:
    """Comparisons whose requests have at least so many tokens of conversation and responses, and hardly more."""
    encoder = engine._ready()
    principle = RULES.for_label()[0]

    def length(comparison: Comparison) -> int:
        rendered = PROMPTS.render(
            "judge",
            prompt=comparison.prompt,
            responses=comparison.responses,
            principle=principle,
            examples=(),
        )
        asked = rendered[-2].content
        return len(encoder.tokens(asked[: asked.index("Question:")]))

    path = folder / f"{count}-{tokens}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            prompt = (Message("user", f"{ASKS[n % len(ASKS)]} (case {n})"),)
            first, second = f"Case {n}.", f"About case {n}:"
            for step in range(10_000):
                if length(Comparison(str(n), prompt, (first, second))) >= tokens:
                    break
                sentence = SENTENCES[(n + step // 2 * (1 + step % 2)) % len(SENTENCES)]
                first, second = (
                    (first, f"{second} {sentence}") if step % 2 else (f"{first} {sentence}", second)
                )
            row = {"id": str(n), "prompt": prompt[0].content, "responses": [first, second]}
            file.write(json.dumps(row) + "\n")
    return path


async def label(engine: VLLMEngine, comparisons: Path, settings: LabelSettings) -> tuple[float, Counting]:
    """Seconds of a whole run into a new directory, and what was computed; the prefix cache is empty before."""
    await engine._llm.reset_prefix_cache()
    counting = Counting(engine)
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        report = await label_comparisons_async(
            comparisons, RULES, Path(folder) / "run", engine=counting, prompt_set=PROMPTS, settings=settings
        )
        assert report.manifest is not None and not report.failed
        return time.perf_counter() - began, counting


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f}, n = {len(values)})"


async def principles(engine: VLLMEngine, given: argparse.Namespace) -> None:
    """16 principles in both orders ÷ one principle in one order."""
    one = LabelSettings(both_orders=False, examples=given.examples)
    all_of_them = LabelSettings(principles=16, examples=given.examples)
    for tokens in given.tokens:
        times, computed, singles = [], [], []
        with TemporaryDirectory() as folder:
            comparisons = write_comparisons(engine, Path(folder), given.comparisons, tokens)
            await label(engine, comparisons, one)  # the first of a shape is slower
            for _ in range(given.repeats):
                seconds, counted = await label(engine, comparisons, one)
                many_seconds, many = await label(engine, comparisons, all_of_them)
                times.append(many_seconds / seconds)
                computed.append(many.computed["choose"] / counted.computed["choose"])
                singles.append(seconds / given.comparisons)
                print(
                    f"one: {seconds:.2f} s, {counted.computed['choose']:,} of {counted.whole['choose']:,} prompt tokens computed; "
                    f"16 × 2: {many_seconds:.2f} s, {many.computed['choose']:,} of {many.whole['choose']:,}",
                    flush=True,
                )
        print(
            f"principles, {tokens} tokens: 16 in both orders ÷ one in one: time {spread(times)}, prompt tokens computed "
            f"{spread(computed)}; one takes {spread(singles, 3)} s",
            flush=True,
        )


async def samples(engine: VLLMEngine, given: argparse.Namespace) -> None:
    """Five rationales ÷ one."""
    shared = {"chain_of_thought": True, "temperature": 0.7, "max_tokens": 64, "examples": given.examples}
    one, five = LabelSettings(**shared), LabelSettings(**shared, samples=5)
    for tokens in given.tokens:
        ratios: dict[str, list[float]] = {"rationales": [], "answers": [], "all": [], "nothing shared": []}
        with TemporaryDirectory() as folder:
            comparisons = write_comparisons(engine, Path(folder), given.comparisons, tokens)
            for _ in range(given.repeats):
                seconds, single = await label(engine, comparisons, one)
                more_seconds, many = await label(engine, comparisons, five)
                base = sum(single.computed.values())
                ratios["rationales"].append(many.computed["generate"] / single.computed["generate"])
                ratios["answers"].append(many.computed["choose"] / single.computed["choose"])
                ratios["all"].append(sum(many.computed.values()) / base)
                ratios["nothing shared"].append(sum(many.computed.values()) / sum(single.whole.values()))
                print(
                    f"one: {seconds:.1f} s, prompt tokens computed {single.computed} of {single.whole}; "
                    f"five: {more_seconds:.1f} s, {many.computed} of {many.whole}",
                    flush=True,
                )
        print(f"samples, {tokens} tokens: prompt tokens computed for five rationales ÷ for one:")
        print(
            f"    rationales {spread(ratios['rationales'])}, answers {spread(ratios['answers'])}, both {spread(ratios['all'])}"
        )
        print(
            f"    computed for five ÷ all prompt tokens of one, nothing shared: {spread(ratios['nothing shared'])}",
            flush=True,
        )


async def measure(given: argparse.Namespace) -> None:
    """Start the engine, measure, close it."""
    arguments: dict[str, object] = {"max_model_len": 8192}
    arguments |= {"block_size": given.block_size} if given.block_size else {}
    engine = open_engine(
        EngineSettings(engine="vllm", model="smollm2-135m", slots=given.slots, engine_args=arguments)
    )
    assert isinstance(engine, VLLMEngine)
    await engine.start()
    block = engine._llm.vllm_config.cache_config.block_size
    print(
        f"{engine.identity['model']}, {engine.identity['dtype']}, {given.slots} slots, blocks of {block} tokens, "
        f"{os.cpu_count()} cores, {given.comparisons} comparisons, few-shot examples: "
        f"{'all' if given.examples is None else given.examples}",
        flush=True,
    )
    try:
        if given.what in ("principles", "all"):
            await principles(engine, given)
        if given.what in ("samples", "all"):
            await samples(engine, given)
    finally:
        await engine.close()


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["principles", "samples", "all"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--comparisons", type=int, default=16)
    parser.add_argument("--tokens", type=int, nargs="+", default=[270, 600])
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument(
        "--block-size", type=int, help="tokens of a KV block; the engine's default if not given"
    )
    parser.add_argument("--examples", type=int, help="few-shot examples; all if not given")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
