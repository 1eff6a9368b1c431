"""A loaded file against a pydantic model: every mistake at once, each with its place.

Models of files derive from `FileModel`: unknown keys are errors that name the nearest valid one, and nothing
is converted silently (`version: "2"` is not a number). A field that holds a tuple or a path is declared with
`Field(strict=False)`, since YAML has neither.
"""

from __future__ import annotations

import re
import types
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from constitutional.errors import InputError, Problem, nearest
from constitutional.yamlfile import MAX_PROBLEMS, Document, Steps, describe


class FileModel(BaseModel):
    """Base of the models of files: unknown keys refused, nothing converted, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


M = TypeVar("M", bound=BaseModel)

_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
}
_PLAIN = re.compile(r"[A-Za-z0-9][\w./-]*")
_EXPONENT = re.compile(r"([+-]?[0-9]+)(?:\.([0-9]*))?[eE]([+-]?)([0-9]+)")
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def validate(document: Document, model: type[M], *, error: type[InputError] = InputError) -> M:
    """Check a document against a model.

    Args:
        document: what `load_yaml` returned.
        model: a pydantic model, usually a `FileModel`.
        error: the class of the error to raise.

    Returns:
        The model's instance; its `model_fields_set` tells which keys the file gives.

    Raises:
        InputError: of the class `error`, with every problem and its place, in the order of the file.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as bad:
        raise error(problems_of(bad, document, model)) from None


def problems_of(bad: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """What a model refuses about a document, in the order of the file; at most `yamlfile.MAX_PROBLEMS`."""
    details = bad.errors(include_url=False)[:MAX_PROBLEMS]
    return in_order([_problem(document, model, detail) for detail in details])


def in_order(problems: list[Problem]) -> list[Problem]:
    """Problems of one file sorted by line and column, each told once."""
    return sorted(
        dict.fromkeys(problems), key=lambda p: (p.place.line or 0, p.place.column or 0) if p.place else (0, 0)
    )


def _problem(document: Document, model: type[BaseModel], detail: ErrorDetails) -> Problem:
    steps, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        valid = {name for owner in _models_at(model, steps[:-1]) for name in _keys(owner)}
        message = f"unknown key {steps[-1]!r}; {nearest(str(steps[-1]), valid)}"
        return Problem(message, document.place(*steps, key=True), "unknown-key")
    # A union's members are steps of pydantic's own that the file doesn't have: cut them off.
    inside = _inside(document, steps[:-1] if kind == "missing" else steps)
    if kind == "missing":
        return Problem(f"{str(steps[-1])!r} is missing; add it", document.place(*inside), "missing-key")
    message = _message(detail)
    if kind in ("model_type", "model_attributes_type") and isinstance(detail["input"], str):
        keys = [key for owner in _models_at(model, steps) for key in _keys(owner)]
        message += f"; write its keys, as '{keys[0]}: …'" if keys else ""
    return Problem(message, document.place(*inside), "wrong-value")


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {describe(detail['input'])}{_hint(kind, detail['input'])}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {context[name]}, not {describe(detail['input'])}"
    if kind == "too_long":
        return f"must have at most {context['max_length']:,} entries, not {context['actual_length']:,}"
    if kind == "finite_number":
        return f"must be a finite number, not {detail['input']}"
    if kind == "literal_error":
        return f"must be {context['expected']}, not {describe(detail['input'])}"
    if kind == "value_error":
        return str(context["error"])
    message = detail["msg"]
    return f"{message[:1].lower()}{message[1:]}, not {describe(detail['input'])}"


def _hint(kind: str, value: object) -> str:
    """How to write what was meant, where that is known."""
    if kind == "list_type" and isinstance(value, dict) and value:
        return "; begin each entry with '- '"
    if not isinstance(value, str) or len(value) > 40:
        return ""
    if kind == "list_type" and _PLAIN.fullmatch(value):
        return f"; write [{value}]"
    number = _EXPONENT.fullmatch(value)
    if kind == "float_type" and number:  # YAML 1.1 takes it for a text
        whole, fraction, sign, power = number.groups()
        return f"; write {whole}.{fraction or '0'}e{sign or '+'}{power}"
    return ""


def _inside(document: Document, steps: Steps) -> Steps:
    for end in range(len(steps), 0, -1):
        if steps[:end] in document.positions:
            return steps[:end]
    return ()


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_at(annotation: Any, steps: Steps) -> list[type[BaseModel]]:
    """The models that an unknown key may have been meant for."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not steps:
            return [annotation]
        for name, field in annotation.model_fields.items():
            if (field.alias or name) == steps[0]:
                return _models_at(field.annotation, steps[1:])
        return _models_at(annotation, steps[1:])  # a step of pydantic's own: the member of a union
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType) or (origin is not None and origin not in (list, tuple, dict)):
        rest = steps
    else:
        rest = steps[1:] if steps else ()
        arguments = arguments[-1:] if origin is dict else arguments
    return [model for argument in arguments for model in _models_at(argument, rest)]
