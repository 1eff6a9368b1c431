"""What all settings have in common: they are frozen, and what they don't take is a `ConfigError`, from Python as from the CLI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from constitutional.errors import ConfigError, Problem, nearest


class Settings(BaseModel):
    """Base of the settings of a stage, a job or an engine.

    Raises:
        ConfigError: an unknown field, or a value that a field does not take; each is named, with what is valid.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _complain(cls, given: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            named = (info.context or {}).get("named", str)
            raise ConfigError(_problems(error, cls, named)) from error


def _problems(error: ValidationError, model: type[BaseModel], named: Callable[[str], str]) -> list[Problem]:
    """One problem for each field: the alternatives of a field that takes several kinds of value are joined."""
    found: dict[str, tuple[list[str], object]] = {}
    for bad in error.errors():
        name = str(bad["loc"][0]) if bad["loc"] else ""
        found.setdefault(name, ([], bad["input"]))[0].append(_reason(name, bad["type"], bad["msg"], model))
    problems = []
    for name, (reasons, given) in found.items():
        if name not in model.model_fields:
            problems.append(Problem(" or ".join(reasons)))
        else:
            problems.append(Problem(f"{named(name)}: {' or '.join(dict.fromkeys(reasons))}, not {given!r}"))
    return problems


def _reason(name: str, kind: str, message: str, model: type[BaseModel]) -> str:
    if kind == "extra_forbidden":
        return f"there is no setting {name!r}; {nearest(name, model.model_fields)}"
    return message.removeprefix("Value error, ")
