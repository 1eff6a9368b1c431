"""What Tab offers for arguments: names of constitutions and prompt sets, ids of principles, rules of lint, formats, files.

A completion is asked for at every Tab, so it reads no more than it needs and says nothing of what is wrong: then it offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps

from click import Context, Parameter
from click.shell_completion import CompletionItem

_Complete = Callable[[Context, Parameter, str], list[CompletionItem]]


def _quiet(offer: Callable[[Context, str], Iterable[CompletionItem]]) -> _Complete:
    """Offer what begins with what was typed, and nothing where that can't be found out."""
    from constitutional.errors import ConstitutionalError

    @wraps(offer)
    def complete(context: Context, parameter: Parameter, typed: str) -> list[CompletionItem]:
        try:
            return [
                item for item in offer(context, typed) if item.type != "plain" or item.value.startswith(typed)
            ]
        except (ConstitutionalError, OSError):
            return []

    return complete


def _file(typed: str) -> CompletionItem:
    """Let the shell offer files, too."""
    return CompletionItem(typed, type="file")


@_quiet
def files(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Files."""
    return [_file(typed)]


@_quiet
def constitutions(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Names of constitutions; files where none begins like this."""
    from constitutional.registry import list_constitutions

    names = [CompletionItem(entry.name, help=entry.origin) for entry in list_constitutions()]
    return names if any(item.value.startswith(typed) for item in names) else [_file(typed)]


@_quiet
def prompt_sets(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Names of prompt sets; folders where none begins like this."""
    from constitutional.registry import list_prompt_sets

    names = [CompletionItem(entry.name, help=entry.origin) for entry in list_prompt_sets()]
    found = any(item.value.startswith(typed) for item in names)
    return names if found else [CompletionItem(typed, type="dir")]


@_quiet
def principles(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Ids of the principles of the constitutions that are named on the line already."""
    from constitutional.constitution import load_constitution
    from constitutional.errors import ConstitutionError

    ids: dict[str, None] = {}
    # while an option waits for its value, click has not told the words before it apart
    for word in (context.params.get("name"), *(context.params.get("names") or ()), *context.args):
        with suppress(ConstitutionError):
            ids.update(dict.fromkeys(p.id for p in load_constitution(word).principles) if word else ())
    return [CompletionItem(id) for id in ids]


@_quiet
def rules(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Ids of the rules of lint; after a comma, of the next one."""
    from constitutional.workbench.lint.rules import RULES

    before = typed[: typed.rfind(",") + 1]
    return [CompletionItem(before + rule.id, help=rule.summary) for rule in RULES.values()]


@_quiet
def formats(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Names of the formats of import."""
    from constitutional.workbench.formats.table import FORMATS

    return [CompletionItem(name) for name in FORMATS]


@_quiet
def export_formats(context: Context, typed: str) -> Iterable[CompletionItem]:
    """Names of the formats of export."""
    from constitutional.workbench.formats.table import FORMATS

    return [CompletionItem(name) for name in (*FORMATS, "yaml")]
