"""Which arguments vLLM is given: what fits the machine, and what the user says, which wins.

On GPUs vLLM's own defaults hold; on CPUs they do not fit (docs/engines.md). Nothing here needs vLLM.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constitutional.errors import ConfigError, PrerequisiteError, nearest

_CPU_CONTEXT = 8192  # with prefill in one piece, the context is also the batch that vLLM reserves memory for
_CPU_BLOCK = 32  # tokens, the fewest that vLLM takes there: prefixes are shared in whole blocks
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM takes
_OURS = ("model", "revision", "tokenizer", "tokenizer_revision", "enable_lora", "dtype")
# Arguments that change how fast an answer comes, not what it is (up to the noise of batching).
_PERFORMANCE = {
    "max_num_seqs", "max_num_batched_tokens", "max_model_len", "gpu_memory_utilization", "kv_cache_memory_bytes",
    "enforce_eager", "enable_prefix_caching", "enable_chunked_prefill", "tensor_parallel_size", "pipeline_parallel_size",
    "data_parallel_size", "block_size", "swap_space", "cpu_offload_gb", "disable_log_stats", "seed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arguments:
    """What vLLM is started with.

    Attributes:
        values: arguments of its `AsyncEngineArgs`.
        decisive: those of the user's that change what an answer is, and not only how fast it comes.
        slots: requests worth having in flight.
        dtype: a torch dtype's name, or `auto`.
        context_length: tokens that a request and its generation may hold.
    """

    values: dict[str, Any]
    decisive: dict[str, Any]
    slots: int
    dtype: str
    context_length: int


def refuse_unknown(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse arguments that vLLM does not take, that are ours to set, or that can't be meant.

    Args:
        given: by the user.
        known: the names of all that vLLM takes.

    Raises:
        ConfigError: there is one.
    """
    for name in given:
        if name not in known:
            close = nearest(name, known) if len(nearest(name, known)) < 80 else "see vLLM's AsyncEngineArgs"
            raise ConfigError(f"vLLM takes no argument {name!r}: {close}")
        if name in _OURS:
            raise ConfigError(
                f"vLLM's argument {name!r} is set by our own options (--model, --revision, --adapter, --dtype)"
            )
    length = given.get("max_model_len")
    if length is not None and (not isinstance(length, int) or length < 1):
        raise ConfigError(f"max_model_len has to be a number of tokens, not {length!r}")


def choose_arguments(
    model: str,
    given: Mapping[str, Any],
    *,
    on_cpu: bool,
    model_context: int,
    revision: str | None = None,
    lora_rank: int | None = None,
    sequences: int = 0,
    dtype: str = "",
) -> Arguments:
    """Choose what vLLM is started with.

    Args:
        model: a local folder or a hub id.
        given: by the user, checked with `refuse_unknown`; they win over everything chosen here.
        on_cpu: whether vLLM runs on a CPU.
        model_context: tokens that the model was made for.
        revision: the hub commit to load.
        lora_rank: of the adapter, if there is one.
        sequences: to decode at once; 0 is 16 on a CPU and 256 on a GPU.
        dtype: a torch dtype's name, or empty: the fastest one of a CPU, vLLM's choice on a GPU.
    """
    sequences = sequences or (16 if on_cpu else 256)
    values: dict[str, Any] = {
        "model": model,
        "max_num_seqs": sequences,
        "enable_prefix_caching": True,
        "generation_config": "vllm",  # sampling is ours, not the model's recommendation
        "max_logprobs": 128,
        "disable_log_stats": True,
    }
    if revision:
        values |= {"revision": revision, "tokenizer_revision": revision}
    if lora_rank:
        values |= {"enable_lora": True, "max_lora_rank": lora_rank}
    if on_cpu:
        context = given.get("max_model_len") or min(model_context, _CPU_CONTEXT)
        values |= {
            "dtype": dtype or cpu_dtype(),
            "enforce_eager": True,
            "enable_chunked_prefill": False,
            "block_size": _CPU_BLOCK,
            "max_model_len": context,
            "max_num_batched_tokens": context,
        }
    elif dtype:
        values["dtype"] = dtype
    values |= given
    return Arguments(
        values=values,
        decisive={name: value for name, value in sorted(given.items()) if name not in _PERFORMANCE},
        # A few requests wait inside vLLM, so that a finished one's place is taken in the same step.
        slots=sequences + max(1, sequences // 8),
        dtype=str(values.get("dtype", "auto")),
        context_length=int(values.get("max_model_len") or model_context),
    )


def cpu_dtype() -> str:
    """The dtype that vLLM is fastest in on this CPU: bfloat16 where it multiplies that in hardware, else float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "float32"
    return "bfloat16" if re.search(r"\b(amx_bf16|avx512_bf16|bf16)\b", flags) else "float32"


def read_context(model: str, revision: str | None) -> int:
    """The tokens that a model was made for.

    Raises:
        PrerequisiteError: the model can't be loaded.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model, revision=revision)
    except (OSError, ValueError) as error:
        raise PrerequisiteError(f"the model {model} can't be loaded: {first_line(error)}") from error
    text = config.get_text_config()
    return int(getattr(text, "max_position_embeddings", None) or 4096)


def read_lora_rank(adapter: Path) -> int:
    """The smallest rank that vLLM takes and that an adapter has room in.

    Raises:
        ConfigError: this is no LoRA adapter.
    """
    try:
        rank = int(json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["r"])
        return next(allowed for allowed in _LORA_RANKS if allowed >= rank)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ConfigError(f"{adapter} is not a LoRA adapter: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
