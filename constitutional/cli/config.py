"""`--config FILE.yaml`: everything that a flag sets, in a file. Flags given on the command line win."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from constitutional.errors import ConfigError, Place, Problem, nearest
from constitutional.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Settings)
_NOT_IN_FILES = {"config", "help", "list"}


def config_option(command: F) -> F:
    """Give a command the option `--config`."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="A YAML file that sets any of these options by its name (as max-tokens: 300).",
    )(command)


def _load(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    from constitutional.yamlfile import load_yaml

    document = load_yaml(Path(value), error=ConfigError)
    if not isinstance(document.value, dict):
        raise ConfigError("has to be a mapping of options to values", Place(value))
    options = {_key(p): p for p in ctx.command.params if p.name not in _NOT_IN_FILES}
    problems, found = [], {}
    for key, given in document.value.items():
        name = str(key).replace("_", "-")
        if name not in options:
            message = f"unknown option {str(key)!r}; {nearest(name.lower(), options)}"
            problems.append(Problem(message, document.place(key, key=True)))
            continue
        option = options[name]
        try:
            found[option.name] = option.type_cast_value(ctx, _as_typed(option, given))
        except click.BadParameter as error:
            problems.append(Problem(error.message, document.place(key)))
    if problems:
        raise ConfigError(problems)
    ctx.default_map = {**(ctx.default_map or {}), **found}


def _as_typed(option: click.Parameter, given: object) -> str | list[str]:
    """A value of the file as it would be typed on the command line, so that both are read alike.

    Raises:
        click.BadParameter: it could not be typed there.
    """
    if option.multiple or option.nargs != 1:
        if isinstance(given, dict) and "NAME=" in (option.metavar or ""):
            return [f"{name}={json.dumps(value)}" for name, value in given.items()]
        return [_scalar(value) for value in (given if isinstance(given, list) else [given])]
    return _scalar(given)


def _scalar(given: object) -> str:
    if given is None:
        raise click.BadParameter("it has no value; give one, or leave the line out")
    if isinstance(given, dict | list):
        raise click.BadParameter(f"{given!r} can't be its value")
    return str(given).lower() if isinstance(given, bool) else str(given)


def _key(param: click.Parameter) -> str:
    """The name of an option without its dashes, of a switch without its `/no-` half, or of an argument."""
    longest = max(param.opts, key=len)
    return longest.lstrip("-").replace("_", "-")


def settings_from(model: type[M], values: dict[str, Any]) -> M:
    """Settings from the values of flags.

    Raises:
        ConfigError: a value that they don't take, under the flag's name.
    """
    return model.model_validate(values, context={"named": lambda field: f"--{field.replace('_', '-')}"})
