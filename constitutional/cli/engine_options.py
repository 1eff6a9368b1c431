"""The options that choose and set up an engine, and how it samples: the same for every command that needs one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from constitutional.cli.config import settings_from
from constitutional.engines import EngineSettings
from constitutional.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
_NAMES = ("engine", "model", "revision", "adapter", "dtype", "slots", "base_url")

_OPTIONS = (
    click.option(
        "--model", "-m", help="smollm2-135m (embedded), a local folder, a hub id, or a server's model."
    ),
    click.option(
        "--engine",
        type=click.Choice(["auto", "vllm", "transformers", "server", "scripted"]),
        default="auto",
        show_default=True,
        help="auto: server with --base-url, else vllm where it is installed, else transformers.",
    ),
    click.option("--base-url", help="An OpenAI-compatible server, as http://127.0.0.1:8000/v1."),
    click.option("--revision", help="Branch, tag or commit of a hub id."),
    click.option(
        "--adapter", type=click.Path(file_okay=False, exists=True), help="Folder of a LoRA adapter."
    ),
    click.option("--dtype", help="As float32 or bfloat16; the engine's choice if not given."),
    click.option(
        "--slots", type=click.IntRange(min=1), help="Requests in flight; the engine's choice if not given."
    ),
    click.option(
        "--engine-arg",
        "engine_args",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any further argument of the engine, as max_model_len=4096. Repeatable.",
    ),
)


def engine_options(command: F) -> F:
    """Give a command the options of an engine; `engine_settings` takes them out of its arguments."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def sampling_options(settings: type[BaseModel], *, of: str, temperature: bool = True) -> Callable[[F], F]:
    """Give a command the options of sampling.

    Args:
        settings: has the defaults.
        of: what is sampled, as `each response`.
        temperature: False for a command that has its own option for it.
    """
    default = {name: field.default for name, field in settings.model_fields.items()}
    options = [
        click.option("--top-p", type=float, default=default["top_p"], show_default=True),
        click.option(
            "--top-k", type=int, default=default["top_k"], show_default=True, help="0 keeps every token."
        ),
        click.option(
            "--max-tokens", type=int, default=default["max_tokens"], show_default=True, help=f"Of {of}."
        ),
    ]
    if temperature:
        warmth = click.option(
            "--temperature", type=float, default=default["temperature"], show_default=True, help=f"Of {of}."
        )
        options.insert(0, warmth)

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def engine_settings(values: dict[str, Any]) -> EngineSettings:
    """Take the engine's options out of a command's arguments.

    Raises:
        ConfigError: one of them is not what it has to be.
    """
    chosen = {name: values.pop(name) for name in _NAMES}
    return settings_from(
        EngineSettings, {**chosen, "engine_args": dict(map(_pair, values.pop("engine_args")))}
    )


def _pair(text: str) -> tuple[str, object]:
    import yaml

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--engine-arg {text!r}: has to be NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--engine-arg {name}: {value!r} is no YAML value") from error
