"""The JSON Schema (draft-07) of constitution files: by it editors complete keys, explain them, and mark mistakes.

It is made from the models that the loader itself checks files with (`constitution_file.py`), so that it can't fall behind. It never refuses
what the loader takes. What it can't express is left to the loader and `lint`: ids given twice, and everything that depends on another
file, as whether an override has something to override.

An editor finds the schema by the file's first line, the modeline. The path there is relative to the file, so the schema lies beside it:
that works without a network, in a clone, and on another machine. `new` and `import` write it there; the shipped constitutions have theirs
in `constitutions/`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from constitutional.atomic import refuse_to_overwrite, write_text
from constitutional.errors import ConfigError, Place

SCHEMA_NAME = "constitution.schema.json"
"""The schema's file, beside the constitutions that name it."""

MODELINE = f"# yaml-language-server: $schema={SCHEMA_NAME}"
"""The first line of a constitution file, by which editors find the schema."""

_TITLE = "Constitution file"
_DRAFT = "http://json-schema.org/draft-07/schema#"


def constitution_schema() -> dict[str, Any]:
    """The schema, as plain JSON values.

    A file that extends others may give only some keys of a principle, or no principles at all; one that does not has to be whole.
    """
    from constitutional.constitution_file import ConstitutionFile

    made = _tidy(ConstitutionFile.model_json_schema(ref_template="#/definitions/{model}"))
    partial = made.pop("$defs")["PrincipleEntry"]
    whole = {
        "dependencies": {"critique": ["revision"], "revision": ["critique"]},
        "anyOf": [{"required": ["critique", "revision"]}, {"required": ["preference"]}],
    }
    return {
        "$schema": _DRAFT,
        "title": _TITLE,
        "description": made.pop("description"),
        **made,
        "if": {"required": ["extends"], "properties": {"extends": {"minItems": 1}}},
        "else": {
            "required": ["principles"],
            "properties": {
                "principles": {"minItems": 1, "items": {"$ref": "#/definitions/WholePrinciple"}},
                "drop": {"maxItems": 0},
            },
        },
        "definitions": {"PrincipleEntry": partial, "WholePrinciple": whole},
    }


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(constitution_schema(), indent=2, ensure_ascii=False) + "\n"


def write_schema(path: Path) -> None:
    """Write the schema to a file, and make the folder for it; one that holds another version of it is replaced.

    Raises:
        ConfigError: there is something else at that path, or it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as bad:  # ValueError: a NUL in the name
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise ConfigError(f"can't be written: {reason}", Place(path)) from bad
    refuse_to_overwrite(path, force=True)  # before it is read: a pipe would never end
    if path.exists() and not _is_ours(path):
        raise ConfigError(
            "this is something else than a schema of constitution files, so it is left alone; give another --out",
            Place(path),
        )
    write_text(path, schema_text(), force=True)


def write_schema_beside(constitution: Path) -> Path | None:
    """Write the schema beside a constitution's file, where its modeline looks for it.

    Args:
        constitution: the constitution's file.

    Returns:
        The schema's file where it was written; None where there was one already, which is left as it is.

    Raises:
        ConfigError: it can't be written.
    """
    path = constitution.parent / SCHEMA_NAME
    if path.exists() or path.is_symlink():
        return None
    write_schema(path)
    return path


def _is_ours(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("title") == _TITLE and found.get("$schema") == _DRAFT


def _tidy(schema: Any) -> Any:
    """The schema that pydantic made, less the titles (editors show them in place of the key) and empty defaults."""
    if isinstance(schema, list):
        return [_tidy(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {key: _tidy(inner) for key, inner in value.items()}
        if name in ("properties", "$defs")
        else _tidy(value)
        for name, value in schema.items()
        if name != "title" and not (name == "default" and value in ("", []))
    }
