"""`--config FILE.yaml`: everything that a flag sets, in a file. Flags given on the command line win."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

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
    options = dict(_keys(ctx.command))
    problems, found = [], {}
    set_by: dict[str | None, str] = {}
    for key, given in document.value.items():
        name = str(key).replace("_", "-")
        if name not in options:
            message = f"unknown option {str(key)!r}; {nearest(name.lower(), options)}"
            problems.append(Problem(message, document.place(key, key=True)))
            continue
        option, negated = options[name]
        if option.name in set_by:
            message = f"{set_by[option.name]!r} sets the same; keep one of them"
            problems.append(Problem(message, document.place(key, key=True)))
            continue
        set_by[option.name] = key
        try:
            value = option.type_cast_value(ctx, _as_typed(option, given))
            found[option.name] = not value if negated else value
        except click.BadParameter as error:
            problems.append(Problem(error.message, document.place(key, *_wrong_name(ctx, option, given))))
    if problems:
        raise ConfigError(problems)
    ctx.default_map = {**(ctx.default_map or {}), **found}


def _as_typed(option: click.Parameter, given: object) -> str | list[str]:
    """A value of the file as it would be typed on the command line, so that both are read alike.

    Raises:
        click.BadParameter: it could not be typed there.
    """
    if option.multiple or option.nargs != 1:
        if _names_values(given, option):
            return [f"{name}={json.dumps(value)}" for name, value in given.items()]
        if isinstance(given, bool) and (alone := _value_alone(option)):
            return [alone] if given else []
        return [_scalar(value) for value in (given if isinstance(given, list) else [given])]
    return _scalar(given)


def _names_values(given: object, option: click.Parameter) -> TypeGuard[dict[str, object]]:
    return isinstance(given, dict) and "NAME=" in (option.metavar or "")


def _wrong_name(ctx: click.Context, option: click.Parameter, given: object) -> Iterator[str]:
    """The first name of a mapping with a value that the option does not take; nothing of what is no such mapping."""
    if _names_values(given, option):
        for name, value in given.items():
            try:
                option.type_cast_value(ctx, _as_typed(option, {name: value}))
            except click.BadParameter:
                yield name
                return


def _value_alone(option: click.Parameter) -> str | None:
    """What an option with an optional value takes where it stands without one; None of any other option."""
    alone = option.flag_value if isinstance(option, click.Option) and not option.is_flag else None
    return alone if isinstance(alone, str) else None


def _scalar(given: object) -> str:
    if given is None:
        raise click.BadParameter("it has no value; give one, or leave the line out")
    if isinstance(given, dict | list):
        raise click.BadParameter(f"{given!r} can't be its value")
    return str(given).lower() if isinstance(given, bool) else str(given)


def _keys(command: click.Command) -> Iterator[tuple[str, tuple[click.Parameter, bool]]]:
    """What a file can set: the name of each option without its dashes, or of an argument, and whether it turns it off."""
    for param in command.params:
        if param.name not in _NOT_IN_FILES:
            for names, negated in ((param.opts, False), (param.secondary_opts, True)):
                if names:
                    yield max(names, key=len).lstrip("-").replace("_", "-"), (param, negated)


def settings_from(model: type[M], values: dict[str, Any]) -> M:
    """Settings from the values of flags.

    Raises:
        ConfigError: a value that they don't take, under the flag's name.
    """
    return model.model_validate(values, context={"named": lambda field: f"--{field.replace('_', '-')}"})
