import asyncio
import contextlib
import json
import math
import random
import shutil

import pytest
import torch

from constitutional.assignment import draw_seed
from constitutional.engines.base import Engine
from constitutional.engines.chat import ChatEncoder
from constitutional.engines.decoding import Row, Sampler
from constitutional.engines.transformers import TransformersEngine
from constitutional.errors import ConfigError, EngineDied, PrerequisiteError, RequestTooLong
from constitutional.records import Message, Sampling
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("plain"), None)


@contextlib.asynccontextmanager
async def running(folder, **arguments):
    engine = TransformersEngine(folder, fingerprint="sha256:0", device="cpu", **arguments)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def with_engine(folder, ask, **arguments):
    async def main():
        async with running(folder, **arguments) as engine:
            return await ask(engine)

    return asyncio.run(main())


def user(text):
    return (Message("user", text),)


def unfinished(text, prefix=""):
    return (Message("user", text), Message("assistant", prefix))


def load(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


@torch.inference_mode()
def next_logprobs(model, ids):
    return torch.log_softmax(model(torch.tensor([ids])).logits[0, -1].float(), -1)


MIXED = [
    (user("Hi"), Sampling(temperature=0.0, max_tokens=12)),
    (user("What is a kind thing to say? " * 3), Sampling(temperature=1.0, max_tokens=20, seed=1)),
    (user("The quick brown fox"), Sampling(temperature=0.7, top_p=0.8, max_tokens=16, seed=2)),
    (unfinished("A or B?", "I say ("), Sampling(temperature=1.3, top_k=5, max_tokens=9, seed=3)),
    (user("Hi"), Sampling(temperature=1.0, top_k=40, top_p=0.95, max_tokens=24, seed=2**63 - 1, stop=("e",))),
]


def test_it_is_an_engine_and_says_what_determines_its_answers(folder):
    async def ask(engine):
        assert isinstance(engine, Engine)
        assert engine.identity == {
            "engine": "transformers",
            "model": str(folder),
            "fingerprint": "sha256:0",
            "dtype": "float32",
            "adapter": "",
        }
        assert engine.context_length == 256
        assert engine.dies_with_us
        await engine.start()  # again, which does nothing

    with_engine(folder, ask)


def test_identity_and_context_are_known_before_the_model_is_loaded(folder):
    engine = TransformersEngine(folder, fingerprint="f", name="tiny", device="cpu", max_model_len=100)
    asyncio.run(engine.prepare())
    assert (engine.identity["model"], engine.identity["dtype"], engine.context_length) == (
        "tiny",
        "float32",
        100,
    )


def test_a_request_gets_the_same_text_alone_and_in_any_batch(folder):
    async def ask(engine):
        alone = [(await engine.generate(*request))[0] for request in MIXED]
        together = await asyncio.gather(*(engine.generate(*request) for request in MIXED * 2))
        assert [generation for [generation] in together] == alone * 2
        assert len({generation.text for generation in alone}) == len(alone)

    with_engine(folder, ask)


def test_greedy_decoding_is_the_models_own(folder):
    async def ask(engine):
        return await engine.generate(user("Hi"), Sampling(temperature=0.0, max_tokens=12))

    [generation] = with_engine(folder, ask)
    model, tokenizer = load(folder)
    ids = ChatEncoder(tokenizer).encode(user("Hi")).ids
    expected = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=12
    )[0, len(ids) :]
    assert generation.text == tokenizer.decode(expected, skip_special_tokens=True)
    assert generation.prompt_tokens == len(ids)
    assert generation.completion_tokens == len(expected)


def test_draws_of_a_request_use_the_seeds_of_their_draws(folder):
    sampling = Sampling(max_tokens=10, seed=7)

    async def ask(engine):
        together = await engine.generate(user("Hi"), sampling, 3)
        single = [await engine.generate(user("Hi"), sampling.with_seed(draw_seed(7, n))) for n in range(3)]
        assert together == [generation for [generation] in single]
        assert len({generation.text for generation in together}) == 3

    with_engine(folder, ask)


def test_no_global_generator_is_used(folder):
    async def ask(engine):
        torch.manual_seed(0)
        random.seed(0)
        before = torch.get_rng_state()
        [first] = await engine.generate(user("Hi"), Sampling(max_tokens=8))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(1)
        assert await engine.generate(user("Hi"), Sampling(max_tokens=8)) == [first]

    with_engine(folder, ask)


def test_sampling_that_the_model_recommends_is_ignored(folder, tmp_path):
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    config = {
        "do_sample": True,
        "temperature": 0.01,
        "top_k": 1,
        "repetition_penalty": 5.0,
        "max_new_tokens": 3,
    }
    (other / "generation_config.json").write_text(json.dumps(config))

    async def ask(engine):
        return [await engine.generate(*request) for request in MIXED]

    assert with_engine(other, ask) == with_engine(folder, ask)


def test_end_tokens_that_the_model_names_end_a_generation(folder, tmp_path):
    async def ask(engine):
        return (await engine.generate(user("Hi"), Sampling(temperature=0.0, max_tokens=12)))[0]

    whole = with_engine(folder, ask)
    assert (whole.finish_reason, whole.completion_tokens) == ("length", 12)
    model, tokenizer = load(folder)
    ids = ChatEncoder(tokenizer).encode(user("Hi")).ids
    fifth = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=5
    )
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, int(fifth[0, -1])]}))
    stopped = with_engine(other, ask)
    assert stopped.finish_reason == "stop"
    assert stopped.completion_tokens <= 5


def test_the_end_of_turn_ends_a_generation_and_leaves_no_trace(folder):
    async def ask(engine):
        return await asyncio.gather(
            *(
                engine.generate(user("Hi"), Sampling(temperature=3.0, max_tokens=200, seed=n))
                for n in range(32)
            )
        )

    generations = [generation for [generation] in with_engine(folder, ask, slots=32)]
    stopped = [generation for generation in generations if generation.finish_reason == "stop"]
    assert stopped
    assert all(generation.completion_tokens < 200 for generation in stopped)
    assert not any("<|" in generation.text for generation in generations)
    assert all(g.completion_tokens == 200 for g in generations if g.finish_reason == "length")


def test_a_text_ends_before_its_stop_string(folder):
    async def ask(engine):
        [whole] = await engine.generate(user("Hi"), Sampling(max_tokens=40, seed=5))
        stop = whole.text[10:14]
        assert stop not in whole.text[:10]
        [cut] = await engine.generate(user("Hi"), Sampling(max_tokens=40, seed=5, stop=("never\0", stop)))
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert cut.finish_reason == "stop"
        assert cut.completion_tokens < whole.completion_tokens

    with_engine(folder, ask)


def test_a_model_without_chat_template_is_given_the_plain_transcript(plain_folder):
    async def ask(engine):
        return await engine.generate(user("Hi <|im_end|>"), Sampling(temperature=0.0, max_tokens=5))

    [generation] = with_engine(plain_folder, ask)
    _, tokenizer = load(plain_folder)
    assert generation.prompt_tokens > len(tokenizer.encode("\n\nHuman: Hi <|im_end|>\n\nAssistant:"))
    assert generation.escaped == 1


def test_what_does_not_fit_the_context_is_refused_before_anything_is_run(folder):
    async def ask(engine):
        for messages, max_tokens in ((user("Hi"), 256), (user("fox " * 300), 1), (user("x" * 10_000_000), 1)):
            with pytest.raises(RequestTooLong) as refused:
                await engine.generate(messages, Sampling(max_tokens=max_tokens))
            assert refused.value.context_length == 256
        with pytest.raises(RequestTooLong):
            await engine.choose(unfinished("fox " * 300), ["A", "B"])
        fits = 256 - (await engine.generate(user("Hi"), Sampling(max_tokens=1)))[0].prompt_tokens
        [full] = await engine.generate(user("Hi"), Sampling(temperature=0.0, max_tokens=fits))
        assert full.completion_tokens <= fits

    with_engine(folder, ask)


def test_options_of_one_token_have_the_log_probabilities_of_a_forward_pass(folder):
    async def ask(engine):
        return await asyncio.gather(
            *(engine.choose(unfinished(text, "Answer: ("), ["A", "B"]) for text in ("Hi", "fox " * 20))
        )

    choices = with_engine(folder, ask)
    model, tokenizer = load(folder)
    for text, choice in zip(("Hi", "fox " * 20), choices, strict=True):
        ids = ChatEncoder(tokenizer).encode(unfinished(text, "Answer: (")).ids
        expected = next_logprobs(model, ids)[tokenizer.convert_tokens_to_ids(["A", "B"])]
        assert choice.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert math.exp(choice.other_logprob) == pytest.approx(1 - float(expected.exp().sum()), abs=1e-4)
        assert choice.prompt_tokens == len(ids)


@pytest.mark.parametrize("terminator", [None, ")", "\n"])
def test_options_of_several_tokens_have_the_log_probabilities_of_their_sequences(folder, terminator):
    options = [str(number) for number in range(1, 11)]
    asked = unfinished("How many?", "Answer: (")

    async def ask(engine):
        return await engine.choose(asked, options, terminator)

    choice = with_engine(folder, ask)
    model, tokenizer = load(folder)
    context = ChatEncoder(tokenizer).encode(asked).ids
    end = [tokenizer.eos_token_id] if terminator is None else tokenizer.encode(terminator)
    for option, logprob in zip(options, choice.logprobs, strict=True):
        path = tokenizer.encode(option) + end
        expected = sum(float(next_logprobs(model, context + path[:n])[path[n]]) for n in range(len(path)))
        assert logprob == pytest.approx(expected, abs=1e-3)
    scored = math.fsum(map(math.exp, choice.logprobs))
    assert scored < 1
    assert scored + math.exp(choice.other_logprob) == pytest.approx(1)


def test_texts_and_choices_can_be_asked_for_at_the_same_time(folder):
    async def ask(engine):
        alone = await engine.choose(unfinished("Hi"), ["A", "B"])
        *texts, choice = await asyncio.gather(
            *(engine.generate(*request) for request in MIXED), engine.choose(unfinished("Hi"), ["A", "B"])
        )
        assert choice.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
        assert len(texts) == len(MIXED)

    with_engine(folder, ask)


def test_a_cancelled_caller_does_not_disturb_its_batch(folder):
    async def ask(engine):
        alone = [(await engine.generate(*request))[0] for request in MIXED]
        long = asyncio.create_task(engine.generate(user("Hi"), Sampling(max_tokens=200, temperature=0.0)))
        tasks = [asyncio.create_task(engine.generate(*request)) for request in MIXED]
        await asyncio.sleep(0.02)
        long.cancel()
        assert [generation for [generation] in await asyncio.gather(*tasks)] == alone
        with pytest.raises(asyncio.CancelledError):
            await long

    with_engine(folder, ask)


def test_an_engine_that_is_not_running_says_so_and_can_be_started_again(folder):
    async def main():
        engine = TransformersEngine(folder, fingerprint="f", device="cpu")
        with pytest.raises(EngineDied, match="not running"):
            await engine.generate(user("Hi"), Sampling(max_tokens=2))
        await engine.start()
        [first] = await engine.generate(user("Hi"), Sampling(max_tokens=2))
        await engine.close()
        await engine.close()
        with pytest.raises(EngineDied):
            await engine.choose(unfinished("Hi"), ["A", "B"])
        await engine.start()
        assert await engine.generate(user("Hi"), Sampling(max_tokens=2)) == [first]
        await engine.close()

    asyncio.run(main())


def test_a_lora_adapter_changes_what_the_model_says(folder, tmp_path):
    peft = pytest.importorskip("peft")
    model, _ = load(folder)
    adapted = peft.get_peft_model(
        model, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    )
    adapted.save_pretrained(tmp_path / "adapter")

    async def ask(engine):
        return engine.identity["adapter"], (await engine.choose(unfinished("Hi"), ["A", "B"])).logprobs

    name, logprobs = with_engine(folder, ask, adapter=(tmp_path / "adapter", "sha256:1"))
    _, base = with_engine(folder, ask)
    tokenizer = load(folder)[1]
    expected = next_logprobs(adapted, ChatEncoder(tokenizer).encode(unfinished("Hi")).ids)
    assert name == "sha256:1"
    assert logprobs == pytest.approx(expected[tokenizer.convert_tokens_to_ids(["A", "B"])].tolist(), abs=1e-4)
    assert logprobs != pytest.approx(base, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "float"}, "did you mean 'float32'"),
        ({"device": "gpu"}, "there is no device 'gpu'"),
        ({"max_model_len": 4096}, "within the model's 256"),
    ],
)
def test_an_argument_that_it_does_not_take_is_a_configuration_error(folder, arguments, message):
    with pytest.raises(ConfigError, match=message):
        asyncio.run(TransformersEngine(folder, fingerprint="f", **arguments).start())


def test_a_model_that_is_not_there_is_a_missing_prerequisite(tmp_path):
    with pytest.raises(PrerequisiteError, match=r"constitutional model pull smollm2-135m"):
        asyncio.run(TransformersEngine(tmp_path / "none", fingerprint="f").start())


def test_weights_that_are_not_there_are_a_missing_prerequisite(folder, tmp_path):
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "model.safetensors").unlink()
    with pytest.raises(PrerequisiteError, match="can't be loaded"):
        asyncio.run(TransformersEngine(other, fingerprint="f").start())


def test_broken_weights_are_bad_input(folder, tmp_path):
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    (other / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0not safetensors")
    with pytest.raises(ConfigError, match="can't be used"):
        asyncio.run(TransformersEngine(other, fingerprint="f").start())


def test_code_that_comes_with_a_model_is_not_run(folder, tmp_path):
    other = tmp_path / "model"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (other / "config.json").write_text(json.dumps(config))
    (other / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ConfigError):
        asyncio.run(TransformersEngine(other, fingerprint="f").start())
    assert not (tmp_path / "ran").exists()


# The sampler alone.


def sample(logits, draws, **sampling):
    rows = [Row([0], Sampling(seed=draw_seed(1, n), **sampling)) for n in range(draws)]
    sampler = Sampler(rows, torch.device("cpu"))
    return sampler(torch.zeros(draws, 1), logits.repeat(draws, 1)).argmax(-1)


def reference(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Probabilities by the definition, one token at a time."""
    probabilities = torch.softmax(logits.double() / temperature, -1)
    order = sorted(range(len(logits)), key=lambda token: -float(probabilities[token]))
    kept = order[: top_k or None]
    nucleus, mass = [], 0.0
    for token in kept:
        if nucleus and mass >= top_p * float(probabilities[kept].sum()):
            break
        nucleus.append(token)
        mass += float(probabilities[token])
    result = torch.zeros_like(probabilities)
    result[nucleus] = probabilities[nucleus]
    return result / result.sum()


@pytest.mark.parametrize(
    "sampling",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 7},
        {"top_p": 0.7},
        {"temperature": 1.5, "top_k": 20, "top_p": 0.8},
    ],
    ids=str,
)
def test_samples_of_a_model_have_the_distribution_that_was_asked_for(folder, sampling):
    model, tokenizer = load(folder)
    logits = model(torch.tensor([ChatEncoder(tokenizer).encode(user("Hi")).ids])).logits[0, -1].detach()
    draws = 4000
    counts = torch.bincount(sample(logits, draws, **sampling), minlength=len(logits)).double()
    expected = reference(logits, **sampling) * draws
    assert counts[expected == 0].sum() == 0
    often = expected >= 5
    seen = torch.cat([counts[often], counts[~often].sum()[None]])
    wanted = torch.cat([expected[often], expected[~often].sum()[None]])
    seen, wanted = seen[wanted > 0], wanted[wanted > 0]
    chi_square = float(((seen - wanted) ** 2 / wanted).sum())
    freedom = len(seen) - 1
    assert freedom >= 3
    # The seeds are fixed: it passes or fails for good. 3.1 deviations: one in a thousand (Wilson-Hilferty).
    limit = freedom * (1 - 2 / (9 * freedom) + 3.1 * math.sqrt(2 / (9 * freedom))) ** 3
    assert chi_square < limit


def test_an_unlikely_token_of_a_large_vocabulary_is_as_rare_as_it_should_be():
    logits = torch.full((150_000,), -30.0)
    logits[0] = 0.0
    assert set(sample(logits, 100).tolist()) == {0}


def test_rows_keep_their_own_settings_in_one_batch():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0])
    rows = [
        Row([0], Sampling(temperature=0.0)),
        *(Row([0], Sampling(temperature=5.0, top_k=2, seed=n)) for n in range(50)),
        Row([0], Sampling(temperature=0.0), scored=(3, 0)),
        *(Row([0], Sampling(temperature=5.0, top_p=1e-9, seed=n)) for n in range(5)),
        *(Row([0], Sampling(temperature=50.0, seed=n)) for n in range(100)),
    ]
    sampler = Sampler(rows, torch.device("cpu"))
    tokens = sampler(torch.zeros(len(rows), 1), logits.repeat(len(rows), 1)).argmax(-1).tolist()
    assert tokens[0] == 0
    assert set(tokens[1:51]) == {0, 1}
    assert tokens[52:57] == [0] * 5
    assert set(tokens[57:]) == {0, 1, 2, 3}
    assert sampler.logprobs[51] == pytest.approx(torch.log_softmax(logits, -1)[[3, 0]].tolist())
    assert sampler.logprobs[0] == []
