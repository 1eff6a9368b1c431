"""Labels of SmolLM2 through vLLM, against a plain forward pass of transformers over the requests as they were rendered."""

import asyncio
from functools import cache

import pytest

from constitutional import EngineSettings, Message, load_constitution, load_prompt_set, open_engine
from constitutional.feedback import Comparison
from constitutional.models import pull, resolve_model
from constitutional.stages.label import Labeler, LabelSettings

pytest.importorskip("vllm")
pytestmark = pytest.mark.slow

TASKS = (
    "boil an egg",
    "repair a puncture",
    "write to my landlord",
    "sleep better",
    "learn Welsh",
    "store apples",
)
ANSWERS = (
    "Start small, and ask somebody who has done it before.",
    "I won't help with that.",
    "First get what you need together. Then take your time, step by step, and check the result before you go on.",
    "Just look it up. Everybody knows this.",
    "It depends. What have you tried so far?",
)


def comparisons():
    """Fifty, some of several turns."""
    for n in range(50):
        prompt = [Message("user", f"How do I {TASKS[n % 6]} on day {n}?")]
        if n % 3 == 0:
            prompt = [Message("user", "Hello!"), Message("assistant", "Hello, how can I help?"), *prompt]
        yield Comparison(f"c{n}", tuple(prompt), (ANSWERS[n % 5], ANSWERS[(n % 5 + 1 + n // 5 % 4) % 5]))


class Recorder:
    """An engine that keeps the messages it was asked to choose after."""

    def __init__(self, engine):
        self.engine, self.asked = engine, []

    async def generate(self, messages, sampling, n=1):
        return await self.engine.generate(messages, sampling, n)

    async def choose(self, messages, options, terminator=None):
        self.asked.append((tuple(messages), tuple(options)))
        return await self.engine.choose(messages, options, terminator)


async def label_all(cases, labeler, engine):
    """Every case with the requests that it took, eight at a time."""
    slots = asyncio.Semaphore(8)

    async def one(case):
        recorder = Recorder(engine)
        async with slots:
            return await labeler.label(case, recorder), recorder.asked

    return await asyncio.gather(*map(one, cases))


@pytest.fixture(scope="module")
def results():
    """By name: (label, requests) of all comparisons, of all of them swapped, and of five with reasoning."""
    pull("smollm2-135m", quiet=True)
    rules, prompts = load_constitution("harmlessness"), load_prompt_set("default")
    direct = Labeler(rules, prompts, LabelSettings(examples=0))
    reasoning = LabelSettings(
        examples=0, chain_of_thought=True, max_tokens=40, clamp=0.0, samples=2, temperature=0.7
    )
    reasoned = Labeler(rules, prompts, reasoning)

    async def ask():
        engine = open_engine(
            EngineSettings(
                engine="vllm",
                model="smollm2-135m",
                dtype="float32",
                slots=16,
                engine_args={"max_model_len": 2048, "kv_cache_memory_bytes": 2**30},
            )
        )
        await engine.start()
        try:
            cases = list(comparisons())
            return {
                "direct": await label_all(cases, direct, engine),
                "swapped": await label_all([case.swap() for case in cases], direct, engine),
                "reasoned": await label_all(cases[:5], reasoned, engine),
            }
        finally:
            await engine.close()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def shown_first():
    """A function: P(the option of the response shown first), and the mass on both, by a plain forward pass over a request."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = resolve_model("smollm2-135m").path_or_id
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    @cache
    def forward(messages, options):
        turns = [message.to_row() for message in messages[:-1]]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text + messages[-1].content, return_tensors="pt", add_special_tokens=False).input_ids
        with torch.no_grad():
            probabilities = model(ids, logits_to_keep=1).logits[0, -1].softmax(-1)
        first, second = (
            probabilities[tokenizer.encode(option, add_special_tokens=False)].item() for option in options
        )
        return first / (first + second), first + second

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine two wait for each other most of the time
    yield forward
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["direct", "reasoned"])
def test_each_vote_is_what_a_plain_forward_pass_over_its_request_gives(results, shown_first, name):
    checked = 0
    for label, requests in results[name]:
        votes = {
            (vote.order, vote.rationale): vote for vote in label.votes
        }  # requests come in the order in which they are sent, which reasoning does not keep
        assert len(requests) == len(label.votes) == len(votes)
        for messages, options in requests:
            p, mass = shown_first(messages, options)
            matching = [
                vote
                for vote in label.votes
                if abs((vote.p_raw if vote.order == 0 else 1 - vote.p_raw) - p) < 1e-3
                and abs(vote.mass - mass) < 1e-3
                and (vote.rationale is None or vote.rationale in messages[-1].content)
            ]
            assert matching, (messages, p, label.votes)
            checked += 1
        assert all(vote.p == vote.p_raw for vote in label.votes)
    assert checked == {"direct": 100, "reasoned": 20}[name]


def test_votes_belong_to_the_orders_that_they_name(results, shown_first):
    """Of requests without reasoning, the first is the one that shows the first response first."""
    for label, requests in results["direct"][:10]:
        for vote, (messages, options) in zip(label.votes, requests, strict=True):
            p, _ = shown_first(messages, options)
            assert vote.p_raw == pytest.approx(p if vote.order == 0 else 1 - p, abs=1e-3)


def test_swapping_the_responses_gives_the_complement(results):
    differing = 0
    for (label, _), (swapped, _) in zip(results["direct"], results["swapped"], strict=True):
        assert swapped.probability == pytest.approx(1 - label.probability, abs=1e-4)
        differing += abs(label.probability - 0.5) > 1e-3
    assert differing > 25
