"""Engines: where text is generated and options are scored. `open_engine` makes one from settings."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError

from constitutional.engines.base import Engine
from constitutional.errors import ConfigError, nearest
from constitutional.settings import Settings

__all__ = ["Engine", "EngineSettings", "Kind", "chosen_engine", "open_engine"]

_NOT_FROM_FILES = {
    "api_key",
    "sleep",
    "clock",
    "answer",
    "score",
}  # keys come from the environment alone; the others are code
Kind = Literal["auto", "vllm", "transformers", "server", "scripted"]


class EngineSettings(Settings):
    """Which engine, which model, and how it is run.

    Attributes:
        engine: `auto` is `server` where a base URL is given, else vLLM where it is importable, else transformers.
        model: an embedded model's name, a local folder, a hub id, or the name a server knows it by.
        revision: branch, tag or commit of a hub id.
        adapter: folder of a LoRA adapter.
        dtype: a torch dtype's name; None lets the engine choose.
        slots: requests to keep in flight; None lets the engine choose.
        base_url: of an OpenAI-compatible server.
        engine_args: further arguments of the engine; for vLLM those of its `AsyncEngineArgs`.
    """

    engine: Kind = "auto"
    model: str | None = None
    revision: str | None = None
    adapter: Path | None = None
    dtype: str | None = None
    slots: int | None = Field(default=None, ge=1)
    base_url: str | None = None
    engine_args: dict[str, Any] = Field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The engine that `auto` stands for here."""
        if self.engine != "auto":
            return self.engine
        if self.base_url:
            return "server"
        return "vllm" if find_spec("vllm") else "transformers"


def chosen_engine(engine: Engine | EngineSettings | Kind | None, model: str | None) -> Engine:
    """The engine that a call of the Python API asks for.

    Args:
        engine: an engine, settings for one, or the name of a kind.
        model: see `EngineSettings`; only where the engine does not bring its own.

    Raises:
        ConfigError: there is no such kind, a model is given twice, or see `open_engine`.
    """
    if engine is None or isinstance(engine, str):
        kinds: tuple[str, ...] = get_args(Kind)
        if engine is not None and engine not in kinds:
            raise ConfigError(
                f"there is no engine {engine!r}; {nearest(engine, kinds)} (the name of a model is for `model`)"
            )
        engine = EngineSettings(engine=engine or "auto")
    if model is not None:
        if not isinstance(engine, EngineSettings) or engine.model is not None:
            raise ConfigError(f"the engine has its model already; leave model={model!r} out")
        engine = engine.model_copy(update={"model": model})
    return open_engine(engine) if isinstance(engine, EngineSettings) else engine


def open_engine(settings: EngineSettings, *, debug: bool = False, log: Path | None = None) -> Engine:
    """Make an engine; nothing is loaded or reached before its `prepare` and `start`.

    Args:
        settings: see `EngineSettings`.
        debug: let the engine's own libraries log.
        log: a file for what the engine's processes print.

    Raises:
        ConfigError: settings that don't go together, or an argument that the engine does not take.
        PrerequisiteError: the model is not here.
    """
    kind = settings.kind
    if kind == "scripted":
        from constitutional.engines.scripted import ScriptedEngine

        return _make(ScriptedEngine, settings, {"slots": settings.slots or 16})
    if settings.model is None:
        raise ConfigError("no model given: --model takes a name (smollm2-135m), a local folder or a hub id")
    if kind == "server":
        from constitutional.engines.server import ServerEngine

        for name in ("revision", "adapter", "dtype"):
            if getattr(settings, name) is not None:
                raise ConfigError(
                    f"--{name} is for engines that load the model; a server has chosen it already"
                )
        if settings.base_url is None:
            raise ConfigError("the server engine needs --base-url, for example http://127.0.0.1:8000/v1")
        slots = {"slots": settings.slots} if settings.slots else {}
        return _make(
            ServerEngine, settings, {"model": settings.model, "base_url": settings.base_url, **slots}
        )
    if settings.base_url is not None:
        raise ConfigError(f"--base-url is for the server engine; it can't be combined with --engine {kind}")

    from constitutional.models import fingerprint_folder, resolve_model

    model = resolve_model(settings.model, revision=settings.revision)
    adapter = (settings.adapter, fingerprint_folder(settings.adapter)) if settings.adapter else None
    chosen: dict[str, Any] = {
        "fingerprint": model.fingerprint,
        "name": model.name,
        "revision": model.revision,
        "adapter": adapter,
        "dtype": settings.dtype,
    }
    chosen |= {"slots": settings.slots} if settings.slots else {}
    if kind == "vllm":
        from constitutional.engines.vllm import VLLMEngine

        return VLLMEngine(model.path_or_id, **chosen, arguments=settings.engine_args, debug=debug, log=log)
    from constitutional.engines.transformers import TransformersEngine

    return _make(TransformersEngine, settings, {"model": model.path_or_id, **chosen})


def _make(engine: type[Any], settings: EngineSettings, chosen: dict[str, Any]) -> Engine:
    """An engine with its further arguments, which have to be ones that it takes and that are not chosen already."""
    takes = set(inspect.signature(engine).parameters) - set(chosen) - _NOT_FROM_FILES
    for name in settings.engine_args:
        if name not in takes:
            raise ConfigError(
                f"the {settings.kind} engine takes no argument {name!r}: {nearest(name, takes)}"
            )
    hints = get_type_hints(engine.__init__)
    given = {}
    for name, value in settings.engine_args.items():
        try:
            given[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            raise ConfigError(
                f"the engine's argument {name}: {error.errors()[0]['msg']}, not {value!r}"
            ) from error
    made: Engine = engine(**chosen, **given)
    return made
