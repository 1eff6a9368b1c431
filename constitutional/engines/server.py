"""Any OpenAI-compatible endpoint as an engine: `vllm serve`, llama.cpp's server, Ollama, a hosted one.

What only the server knows can't be part of a generation's key: its weights can't be hashed. The key holds
the model's id and `root` as the server names them; a server that changes its weights under one name is not
noticed.

Every failure has a meaning: what another try may mend is tried again with growing, jittered pauses (or
after what the server asks for in Retry-After); what is wrong with one request fails that request; what is
wrong with the server or the key stops the run with a sentence that says what to do. Redirects are never
followed, so no text and no key ends up elsewhere. The key is in no error, no identity and no
representation.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import tenacity

from constitutional.assignment import content_hash, draw_seed
from constitutional.engines import server_api as api
from constitutional.engines.options import check_options
from constitutional.errors import (
    BadAnswer,
    ConfigError,
    EngineError,
    EngineTimeout,
    EngineUnavailable,
    PrerequisiteError,
    RequestRefused,
    RequestTooLong,
    TransientEngineError,
    nearest,
)
from constitutional.records import Choice, Generation, Message, Sampling

KEY_VARIABLES = ("CONSTITUTIONAL_API_KEY", "OPENAI_API_KEY")
_ANSWER_LIMIT = 32 * 2**20  # bytes; a server that sends more sends no answer
_LONGEST_WAIT = 60.0  # seconds between two tries, whatever Retry-After says
_TRY_AGAIN = frozenset({408, 409, 425, 429})
T = TypeVar("T")


class _Again(Exception):
    """One try failed, and another may not.

    Attributes:
        error: what to raise if it was the last one.
        retry_after: seconds that the server asks to wait.
        answered: whether the server answered at all.
    """

    def __init__(
        self, error: TransientEngineError, retry_after: float | None = None, answered: bool = False
    ) -> None:
        self.error, self.retry_after, self.answered = error, retry_after, answered
        super().__init__()


class ServerEngine:
    """An OpenAI-compatible endpoint. Implements `engines.base.Engine`."""

    dies_with_us = False

    def __init__(
        self,
        model: str,
        base_url: str,
        *,
        api_key: str | None = None,
        slots: int = 32,
        timeout: float = 120.0,
        max_tries: int = 6,
        context_length: int | None = None,
        extra_body: Mapping[str, Any] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Describe the endpoint; nothing is sent before `start`.

        Args:
            model: the model's id as the server lists it.
            base_url: such as `http://localhost:8000/v1`; `/v1` is tried where it has no path.
            api_key: taken from CONSTITUTIONAL_API_KEY, else OPENAI_API_KEY, where None.
            slots: requests in flight at most.
            timeout: seconds that one try may take.
            max_tries: how often a request is sent before its row fails.
            context_length: tokens that the model can hold; asked of the server where None.
            extra_body: more fields of every request, which win over ours; None as a value removes a field.
            sleep: what waits between tries; tests put their own here.
            clock: seconds since the epoch, to read dates in Retry-After.

        Raises:
            ConfigError: a URL, a key or a number that can't be right.
        """
        if slots < 1 or max_tries < 1 or timeout <= 0:
            raise ConfigError("slots and max_tries have to be at least 1, and timeout more than 0 seconds")
        self._model, self._url = model, _checked_url(base_url)
        self._key = _checked_key(api_key)
        self.slots, self._timeout, self._max_tries = slots, timeout, max_tries
        self.context_length = context_length
        self._extra = dict(extra_body or {})
        self._sleep, self._clock = sleep, clock
        self._random = random.Random()  # jitter only: it has to differ from process to process
        self._client: httpx.AsyncClient | None = None
        self._models: tuple[str, ...] = ()
        self.identity: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"ServerEngine({self._model!r}, {self._url!r})"

    async def prepare(self) -> None:
        """Ask the server which models it serves, and leave no connection open.

        Raises:
            PrerequisiteError: it can't be reached, wants another key, or does not serve the model.
        """
        if self._client is None:
            await self.start()
            await self.close()

    async def start(self) -> None:
        """Connect, and ask the server which models it serves.

        Raises:
            PrerequisiteError: it can't be reached, wants another key, or does not serve the model.
        """
        if self._client is not None:
            return
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # The time-out of a try is ours (see `_once`): httpx's own count each read by itself.
        limits = httpx.Limits(max_connections=self.slots, max_keepalive_connections=self.slots)
        self._client = httpx.AsyncClient(headers=headers, limits=limits, timeout=None)
        self._free = asyncio.Semaphore(self.slots)
        started = False
        try:
            await self._resolve()
            started = True
        except TransientEngineError as error:
            raise PrerequisiteError(self._unreachable(error)) from error
        except BadAnswer as error:
            message = f"{self._url} answers, but not as an OpenAI-compatible server: {self._say(str(error))}"
            raise PrerequisiteError(message) from error
        finally:
            if not started:
                await self.close()

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def generate(self, messages: Sequence[Message], sampling: Sampling, n: int = 1) -> list[Generation]:
        """As `Engine.generate`. Each draw is a request of its own, under its own seed (its lower 31 bits)."""

        async def draw(index: int) -> Generation:
            seed = draw_seed(sampling.seed, index)
            body, escaped = api.chat_body(self._model, messages, sampling, seed)
            return await self._ask(body, lambda answer: api.read_generation(answer, escaped))

        return await _all([draw(index) for index in range(n)])

    async def choose(
        self, messages: Sequence[Message], options: Sequence[str], terminator: str | None = None
    ) -> Choice:
        """As `Engine.choose`, for options that are one of the 20 likeliest tokens each.

        A server's answer does not show whether it continued the last turn or opened a new one. vLLM
        continues it.

        Raises:
            ChoiceUnsupported: the server gives no log-probabilities.
            OptionNotShown: an option is not one of those tokens.
        """
        check_options(messages, options)
        body = api.choice_body(self._model, messages)
        return await self._ask(body, lambda answer: api.read_choice(answer, options))

    async def _resolve(self) -> None:
        """Find the API and the model, and what is stable about it."""
        bases = [self._url] if urlsplit(self._url).path else [f"{self._url}/v1", self._url]
        for base in bases:
            status, answer = await self._retried("GET", f"{base}/models", None, _is_busy)
            if status not in (404, 405):
                break
        if status in (404, 405):
            raise PrerequisiteError(
                f"there is no OpenAI-compatible API at {self._url} (HTTP {status} for its list of models); "
                "a base URL usually ends in /v1"
            )
        if status != 200:
            raise BadAnswer(f"HTTP {status} for its list of models: {self._say(api.server_message(answer))}")
        self._url = base
        models = api.read_models(answer)
        self._models = tuple(models)
        served = next((name for name in (self._model, f"{self._model}:latest") if name in models), None)
        if served is None:
            raise self._no_such_model()
        root, length = models[served].get("root"), models[served].get("max_model_len")
        if self.context_length is None and isinstance(length, int) and length > 0:
            self.context_length = length
        self.identity = {
            "engine": "server",
            "model": self._model,
            "fingerprint": content_hash(served, root if isinstance(root, str) else ""),
            "dtype": "as served",
            "adapter": "",
        }
        if self._extra:
            self.identity["extra_body"] = content_hash(json.dumps(self._extra, sort_keys=True))

    async def _ask(self, body: api.Body, read: Callable[[bytes], T]) -> T:
        body = {name: value for name, value in {**body, **self._extra}.items() if value is not None}
        status, answer = await self._retried("POST", f"{self._url}/chat/completions", body, _is_again)
        try:
            if status == 404:
                raise self._no_such_model()
            if status != 200:
                raise api.refusal(status, answer, body.get("max_tokens", 0), self.context_length)
            return read(answer)
        except (BadAnswer, RequestRefused) as error:  # both may quote the server, and it the key
            raise type(error)(self._say(str(error))) from None

    async def _retried(
        self, method: str, url: str, body: api.Body | None, again: Callable[[BaseException], bool]
    ) -> tuple[int, bytes]:
        """Send a request until it is answered by something that another try would not change."""
        attempts = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(self._max_tries),
            wait=self._pause,
            retry=tenacity.retry_if_exception(again),
            reraise=True,
        )
        try:
            return await attempts(self._once, method, url, body)
        except _Again as last:
            raise last.error from last.error.__cause__

    async def _once(self, method: str, url: str, body: api.Body | None) -> tuple[int, bytes]:
        if self._client is None:
            raise RuntimeError("the engine is not started")
        try:
            async with (
                self._free,
                asyncio.timeout(self._timeout),
                self._client.stream(method, url, json=body) as response,
            ):
                answer = await _read(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _Again(_caused(EngineTimeout(f"no answer within {self._timeout:g} s"), error)) from None
        except httpx.DecodingError as error:
            raise BadAnswer("the server's answer is not compressed as it says") from error
        except httpx.TransportError as error:
            sentence = f"the connection failed: {self._say(str(error)) or type(error).__name__}"
            raise _Again(_caused(EngineUnavailable(sentence), error)) from None
        status = response.status_code
        if status in (401, 403):
            raise PrerequisiteError(self._wrong_key(status))
        if 300 <= status < 400:
            target = self._say(api.inert(response.headers.get("location", "nowhere"), 200))
            raise PrerequisiteError(
                f"{self._url} redirects to {target}; give the base URL that answers itself"
            )
        if status in _TRY_AGAIN or (status >= 500 and not api.is_too_long(answer)):
            sentence = f"the server answered HTTP {status}: {self._say(api.server_message(answer))}"
            pause = self._retry_after(response.headers.get("retry-after"))
            raise _Again(EngineUnavailable(sentence), pause, answered=True)
        if status >= 500:
            raise RequestTooLong(None, (body or {}).get("max_tokens", 0), self.context_length)
        return status, answer

    def _pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds before the next try, with jitter so that the slots don't all come back at once."""
        failed = state.outcome.exception() if state.outcome else None
        asked = failed.retry_after if isinstance(failed, _Again) else None
        if asked is not None:
            return min(asked, _LONGEST_WAIT) + self._random.uniform(0.0, 1.0)
        return min(2.0 ** (state.attempt_number - 1), _LONGEST_WAIT) * self._random.uniform(0.5, 1.0)

    def _retry_after(self, header: str | None) -> float | None:
        """Seconds that a Retry-After asks for, which is a number or a date; None where it is neither."""
        if header is None:
            return None
        if header.strip().isdecimal():
            return float(header[:12])
        try:
            return max(0.0, parsedate_to_datetime(header).timestamp() - self._clock())
        except (ValueError, OverflowError):
            return None

    def _say(self, text: str) -> str:
        """A text that quotes the server, without the key."""
        return text.replace(self._key, "***") if self._key else text

    def _unreachable(self, error: EngineError) -> str:
        start = f"vllm serve {self._model}" if self._model else "vllm serve MODEL"
        return (
            f"no server answers at {self._url} ({error}). Start one, such as `{start}`, wait until it is "
            "ready, or give another base URL"
        )

    def _wrong_key(self, status: int) -> str:
        what = "does not accept the API key" if self._key else "wants an API key"
        return f"the server at {self._url} {what} (HTTP {status}). Set {' or '.join(KEY_VARIABLES)}"

    def _no_such_model(self) -> PrerequisiteError:
        shown = [api.inert(name, 100) for name in self._models[:50]]
        served = ", ".join(shown) or "none"
        hint = nearest(self._model, shown)
        hint = f"; {hint}" if hint.startswith("did") else ""
        sentence = f"the server at {self._url} does not serve {self._model!r}{hint}. It serves: {served}"
        return PrerequisiteError(self._say(sentence))


async def _read(response: httpx.Response) -> bytes:
    answer = bytearray()
    async for chunk in response.aiter_bytes():
        answer += chunk
        if len(answer) > _ANSWER_LIMIT:
            raise BadAnswer(f"the server's answer is longer than {_ANSWER_LIMIT // 2**20} MiB")
    return bytes(answer)


async def _all(draws: Sequence[Awaitable[T]]) -> list[T]:
    """The results of all draws; when one fails, or we are cancelled, the others are stopped first."""
    tasks = [asyncio.ensure_future(draw) for draw in draws]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_again(error: BaseException) -> bool:
    return isinstance(error, _Again)


def _is_busy(error: BaseException) -> bool:
    """What `start` waits for: a server that is there, and still loads its model."""
    return isinstance(error, _Again) and error.answered


def _caused(error: TransientEngineError, cause: Exception) -> TransientEngineError:
    error.__cause__ = cause
    return error


def _checked_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url.strip())
        parts.port  # noqa: B018 - parsed when asked for
        httpx.URL(base_url.strip())
    except (ValueError, httpx.InvalidURL):
        raise ConfigError("the base URL is no URL; give one such as http://localhost:8000/v1") from None
    if parts.username or parts.password:
        variables = " or ".join(KEY_VARIABLES)
        raise ConfigError(f"the base URL holds a name or password; put the key into {variables} instead")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = api.inert(base_url, 100)
        raise ConfigError(f"{shown!r} is no base URL; give one such as http://localhost:8000/v1")
    if parts.query or parts.fragment:
        raise ConfigError("the base URL has a query or fragment; leave out what follows '?' or '#'")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _checked_key(api_key: str | None) -> str | None:
    key = api_key if api_key is not None else next(filter(None, map(os.environ.get, KEY_VARIABLES)), None)
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("the API key holds characters that no key has (a line end, perhaps)")
    return key or None
