"""What vLLM is started with, on a CPU and on a GPU; vLLM itself is not needed."""

import json

import pytest

from constitutional.engines.vllm_arguments import choose_arguments, read_lora_rank, refuse_unknown
from constitutional.errors import ConfigError

KNOWN = ("model", "dtype", "max_model_len", "max_num_seqs", "quantization")


def test_a_gpu_keeps_the_defaults_of_vllm():
    chosen = choose_arguments("a/b", {}, on_cpu=False, model_context=4096)
    assert (chosen.slots, chosen.dtype, chosen.context_length) == (256 + 32, "auto", 4096)
    assert not {"dtype", "block_size", "max_model_len", "enforce_eager"} & chosen.values.keys()


def test_on_a_cpu_the_context_is_bounded_since_it_is_the_batch_too():
    chosen = choose_arguments("a/b", {}, on_cpu=True, model_context=131_072, dtype="float32")
    assert (chosen.slots, chosen.dtype, chosen.context_length) == (16 + 2, "float32", 8192)
    assert chosen.values["max_model_len"] == chosen.values["max_num_batched_tokens"] == 8192
    assert chosen.values["block_size"] == 32 and chosen.values["enable_chunked_prefill"] is False
    small = choose_arguments("a/b", {}, on_cpu=True, model_context=2048, dtype="float32")
    assert small.context_length == 2048


@pytest.mark.parametrize("on_cpu", [True, False])
def test_what_the_user_says_wins(on_cpu):
    given = {"quantization": "fp8", "max_model_len": 512, "block_size": 16}
    chosen = choose_arguments("a/b", given, on_cpu=on_cpu, model_context=4096, sequences=4)
    assert chosen.values.items() >= given.items() and chosen.context_length == 512 and chosen.slots == 5
    assert chosen.decisive == {"quantization": "fp8"}  # the others change how fast an answer comes


def test_a_revision_is_that_of_the_tokenizer_too_and_an_adapter_needs_its_rank():
    chosen = choose_arguments("a/b", {}, on_cpu=False, model_context=1, revision="abc", lora_rank=16)
    expected = {"revision": "abc", "tokenizer_revision": "abc", "enable_lora": True, "max_lora_rank": 16}
    assert chosen.values.items() >= expected.items()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_model_length": 10}, "did you mean 'max_model_len'"),
        ({"dtype": "float16"}, "set by our own options"),
        ({"max_model_len": "10"}, "has to be a number of tokens"),
        ({"max_model_len": 0}, "has to be a number of tokens"),
    ],
)
def test_an_argument_that_can_not_be_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        refuse_unknown(given, KNOWN)


def test_the_rank_of_an_adapter_is_the_next_one_that_vllm_takes(tmp_path):
    config = tmp_path / "adapter_config.json"
    config.write_text(json.dumps({"r": 12}), encoding="utf-8")
    assert read_lora_rank(tmp_path) == 16
    for text in ("{}", "no json", json.dumps({"r": 4000})):
        config.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="is not a LoRA adapter"):
            read_lora_rank(tmp_path)
