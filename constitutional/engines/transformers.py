"""The embedded engine: a model in this process, by `transformers`, on CUDA, MPS or CPU.

Callers await; a single thread runs what is waiting as padded batches (`batching.py`), in which each row is
sampled as if it were alone (`decoding.py`). A batch runs to its end before the next begins. No code that
comes with a model is run, and the sampling that a model recommends is not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitutional.assignment import draw_seed
from constitutional.engines.batching import Batcher
from constitutional.engines.chat import ChatEncoder
from constitutional.engines.options import score_options
from constitutional.errors import ConfigError, EngineDied, PrerequisiteError, RequestTooLong, nearest
from constitutional.records import Choice, Generation, Message, Sampling

if TYPE_CHECKING:
    from constitutional.engines.decoding import Decoder, Row, Written

_DTYPES = ("float32", "bfloat16", "float16")
_HOST_CACHE_BYTES = 2 << 30  # keys and values of one batch, where the device doesn't say what is free
_CONTEXT = 4096  # of a model that names none


@dataclass(frozen=True, slots=True)
class _Loaded:
    encoder: ChatEncoder
    decoder: Decoder
    batcher: Batcher[Row, Written]


class TransformersEngine:
    """A model in this process.

    Args:
        model: a local folder or a hub id.
        fingerprint: hash of the model's content, or its hub commit.
        name: what the user called it.
        revision: the hub commit to load.
        adapter: folder of a LoRA adapter, and its fingerprint; needs `peft`.
        device: `cuda`, `cuda:1`, `mps` or `cpu`; None is the first of these that is there.
        dtype: `float32`, `bfloat16` or `float16`; None is float32 on a CPU, bfloat16 on a GPU that has it,
        and
            float16 on others.
        slots: the most requests in a batch.
        max_model_len: a shorter context than the model's own, in tokens.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        fingerprint: str,
        name: str | None = None,
        revision: str | None = None,
        adapter: tuple[Path, str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        slots: int = 16,
        max_model_len: int | None = None,
    ) -> None:
        self.identity = {
            "engine": "transformers",
            "model": name or str(model),
            "fingerprint": fingerprint,
            "dtype": dtype or "",
            "adapter": adapter[1] if adapter else "",
        }
        self.slots = slots
        self.context_length: int | None = None
        self.dies_with_us = True
        self._model, self._revision, self._adapter = str(model), revision, adapter
        self._device, self._max_model_len = device, max_model_len
        self._starting = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._loaded: _Loaded | None = None

    async def prepare(self) -> None:
        """See `Engine.prepare`."""
        if self.context_length is None:
            await asyncio.to_thread(self._prepare)

    async def start(self) -> None:
        """See `Engine.start`; takes seconds."""
        async with self._starting:
            if self._loaded is not None:
                return
            await self.prepare()
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers-engine")
            loop = asyncio.get_running_loop()
            self._loaded = await loop.run_in_executor(self._thread, self._load, self._thread)

    async def close(self) -> None:
        """See `Engine.close`."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await loaded.batcher.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown)

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        from constitutional.engines.decoding import Row

        loaded = self._ready()
        self._check_length(loaded.encoder.fewest_tokens(messages), sampling.max_tokens)
        encoded = loaded.encoder.encode(messages)
        self._check_length(len(encoded.ids), sampling.max_tokens)
        sampling = replace(sampling, stop=(*sampling.stop, *loaded.encoder.stop))
        rows = [Row(encoded.ids, sampling.with_seed(draw_seed(sampling.seed, draw))) for draw in range(n)]
        return [
            Generation(
                loaded.decoder.text(written.ids, sampling.stop),
                "stop" if written.ended else "length",
                prompt_tokens=len(encoded.ids),
                completion_tokens=len(written.ids),
                escaped=encoded.escaped,
            )
            for written in await asyncio.gather(*(self._submit(loaded, row) for row in rows))
        ]

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        from constitutional.engines.decoding import Row

        loaded = self._ready()
        self._check_length(loaded.encoder.fewest_tokens(messages), 1)

        async def next_logprobs(ids: list[int], token_ids: list[int]) -> list[float]:
            self._check_length(len(ids), 1)
            written = await self._submit(loaded, Row(ids, Sampling(0.0, max_tokens=1), tuple(token_ids)))
            return written.logprobs

        return await score_options(loaded.encoder, messages, options, terminator, next_logprobs)

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise EngineDied("the engine is not running")
        return self._loaded

    def _check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        if self.context_length is not None and prompt_tokens + max_tokens > self.context_length:
            raise RequestTooLong(prompt_tokens, max_tokens, self.context_length)

    async def _submit(self, loaded: _Loaded, row: Row) -> Written:
        try:
            return await loaded.batcher.submit(row)
        except EngineDied:
            if self._loaded is loaded:
                self._loaded = None  # so that the next start loads it again
            raise

    def _prepare(self) -> None:
        """Choose device, dtype and context."""
        from transformers import AutoConfig

        dtype = self.identity["dtype"]
        if dtype not in ("", *_DTYPES):
            raise ConfigError(f"the engine has no dtype {dtype!r}: {nearest(dtype, _DTYPES)}")
        self._device = _find_device(self._device)
        if not dtype:
            self.identity["dtype"] = _find_dtype(self._device)
        config = _from_pretrained(AutoConfig, self._model, revision=self._revision).get_text_config()
        own = int(getattr(config, "max_position_embeddings", None) or self._max_model_len or _CONTEXT)
        if self._max_model_len is not None and not 2 <= self._max_model_len <= own:
            raise ConfigError(
                f"a context of {self._max_model_len:,} tokens is not within the model's {own:,}"
            )
        self.context_length = self._max_model_len or own

    def _load(self, thread: ThreadPoolExecutor) -> _Loaded:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        from constitutional.engines.decoding import Decoder

        disable_progress_bar()
        tokenizer = _from_pretrained(AutoTokenizer, self._model, revision=self._revision)
        encoder = ChatEncoder(tokenizer)
        dtype = getattr(torch, self.identity["dtype"])
        model = _from_pretrained(AutoModelForCausalLM, self._model, revision=self._revision, dtype=dtype)
        if self._adapter is not None:
            model = _with_adapter(model, self._adapter[0])
        try:
            model = model.to(self._device).eval()
        except RuntimeError as error:
            raise ConfigError(f"the model doesn't fit {self._device}: {_first_line(error)}") from error
        decoder = Decoder(model, tokenizer, encoder.stop_ids)
        most = _cache_tokens(model, self._device or "cpu")

        def joins(batch: Sequence[Row], row: Row) -> bool:
            rows = [*batch, row]
            longest = max(len(r.ids) for r in rows) + max(r.sampling.max_tokens for r in rows)
            # Scoring takes one forward pass: it must not wait for a neighbour's text.
            return bool(row.scored) == bool(batch[0].scored) and longest * len(rows) <= most

        return _Loaded(encoder, decoder, Batcher(decoder.run, joins, self.slots, thread))


def _find_device(asked: str | None) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked is None:
        return next(kind for kind, available in there.items() if available)
    kind, _, index = asked.partition(":")
    if not there.get(kind):
        available = [kind for kind, yes in there.items() if yes]
        raise ConfigError(f"there is no device {asked!r} here: {nearest(asked, available)}")
    if index and not (kind == "cuda" and index.isdigit() and int(index) < torch.cuda.device_count()):
        raise ConfigError(f"there is no device {asked!r} here: there are {torch.cuda.device_count()} of CUDA")
    return asked


def _find_dtype(device: str) -> str:
    import torch

    if device == "cpu":
        return "float32"
    bfloat16 = device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if bfloat16 else "float16"


def _from_pretrained(kind: Any, model: str, **arguments: Any) -> Any:
    """Load something of a model, without running any code that comes with it."""
    try:
        return kind.from_pretrained(model, trust_remote_code=False, **arguments)
    except OSError as error:
        raise PrerequisiteError(
            f"the model {model} can't be loaded: {_first_line(error)}. "
            "Check its name and that it was downloaded; "
            "`constitutional model pull smollm2-135m` gets a small one"
        ) from error
    except ImportError as error:
        raise PrerequisiteError(f"the model {model} needs another library: {_first_line(error)}") from error
    except Exception as error:  # broken weights or configuration show as any of a dozen types
        raise ConfigError(f"the model {model} can't be used: {_first_line(error)}") from error


def _with_adapter(model: Any, folder: Path) -> Any:
    """The model with a LoRA adapter merged into its weights."""
    try:
        from peft import PeftModel
    except ImportError as error:
        raise PrerequisiteError("a LoRA adapter needs peft: pip install 'constitutional[train]'") from error
    try:
        return PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except Exception as error:
        raise ConfigError(f"{folder} is not an adapter of this model: {_first_line(error)}") from error


def _cache_tokens(model: Any, device: str) -> int:
    """How many tokens' keys and values one batch may hold, in half of the memory that is free."""
    import torch

    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    free = torch.cuda.mem_get_info(device)[0] // 2 if device.startswith("cuda") else _HOST_CACHE_BYTES
    return int(free // token_bytes)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
