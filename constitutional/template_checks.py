"""What a prompt template may contain, checked when its set is loaded.

The check is a list of what is allowed, so a part of Jinja2 that nobody thought of is refused rather than let
through. All problems of a file are found at once, each with its line and, for a misspelt name, the nearest
valid one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import jinja2
import jinja2.meta
from jinja2 import nodes

from constitutional.errors import Place, Problem, nearest
from constitutional.sandbox import FILTERS, ROLES, TESTS, TurnEnvironment

MAX_EXPANDED = 500_000
"""Characters of a template with all that it includes."""
TAGS = ("turn", "endturn", "for", "else", "endfor", "if", "elif", "endif", "set", "include", "raw", "endraw")

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Const, nodes.Tuple, nodes.List, nodes.For, nodes.If, nodes.CondExpr, nodes.Assign, nodes.Include,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Add, nodes.Sub, nodes.Call, nodes.CallBlock, nodes.ExtensionAttribute,
)  # fmt: skip
_WORDS = {
    nodes.Macro: "macros are not available",
    nodes.Extends: "'extends' is not available; use 'include'",
    nodes.Block: "blocks are not available; use 'include'",
    nodes.Import: "'import' is not available; use 'include'",
    nodes.FromImport: "'import' is not available; use 'include'",
    nodes.Concat: "'~' is not available; print one text after the other",
    nodes.Mul: "'*' is not available",
    nodes.Pow: "'**' is not available",
    nodes.Mod: "'%' is not available",
    nodes.AssignBlock: "'set' needs a value (`{% set name = value %}`)",
    nodes.NSRef: "namespaces are not available",
}
_SPECIAL = frozenset({"self", "super", "caller", "varargs", "kwargs"})


def check_template(
    environment: TurnEnvironment,
    sources: Mapping[str, str],
    folder: Path,
    name: str,
    variables: Collection[str],
) -> list[Problem]:
    """Check a template and all that it includes.

    Args:
        environment: the set's.
        sources: the set's files by name.
        folder: where they lie, for messages.
        name: the template's file.
        variables: what it is given.

    Returns:
        Every problem; an empty list for a template that can be rendered.
    """
    found = list(_Check(environment, sources, folder, variables).file(name, False, ()))
    return list(dict.fromkeys(found))


class _Check:
    def __init__(
        self,
        environment: TurnEnvironment,
        sources: Mapping[str, str],
        folder: Path,
        variables: Collection[str],
    ) -> None:
        self.environment, self.sources, self.folder = environment, sources, folder
        self.variables = variables
        self.expanded = 0
        self.trees: dict[str, nodes.Template] = {}
        self.compiled: set[str] = set()
        self.attributes = sorted({name for names in environment.attributes.values() for name in names})

    def file(self, name: str, in_turn: bool, includers: tuple[str, ...]) -> Iterator[Problem]:
        source = self.sources[name]
        self.expanded += len(source)
        if self.expanded > MAX_EXPANDED:
            yield self.problem(name, None, f"more than {MAX_EXPANDED:,} characters with all that is included")
            return
        try:
            tree = self.parse(name)
            found = list(self.node(tree, name, in_turn, False, (*includers, name)))
            if not found:
                found = self.undeclared(tree, name)
            if not found and name not in self.compiled:
                self.environment.compile(self.sources[name], name)
                self.compiled.add(name)
        except jinja2.TemplateSyntaxError as bad:
            yield self.problem(name, bad.lineno, _syntax(bad))
        except (SyntaxError, RecursionError, MemoryError, ValueError, OverflowError):
            yield self.problem(name, None, "is nested too deeply or has a number that is too long")
        else:
            yield from found

    def parse(self, name: str) -> nodes.Template:
        if name not in self.trees:
            self.trees[name] = self.environment.parse(self.sources[name], name)
        return self.trees[name]

    def undeclared(self, tree: nodes.Template, name: str) -> list[Problem]:
        unknown = jinja2.meta.find_undeclared_variables(tree) - set(self.variables)
        found = []
        for node in tree.find_all(nodes.Name):
            if node.name in unknown and node.ctx == "load":
                message = f"unknown variable {node.name!r}; {nearest(node.name, self.variables)}"
                found.append(self.problem(name, node.lineno, message))
        return found

    def node(
        self, node: nodes.Node, file: str, in_turn: bool, in_loop: bool, includers: tuple[str, ...]
    ) -> Iterator[Problem]:
        message = self.refusal(node, in_turn, in_loop, includers)
        if message:
            yield self.problem(file, node.lineno, message)
            return
        if isinstance(node, nodes.Include):
            assert isinstance(node.template, nodes.Const)
            yield from self.file(node.template.value, in_turn, includers)
            return
        in_turn = in_turn or isinstance(node, nodes.CallBlock)
        in_loop = in_loop or isinstance(node, nodes.For)
        for child in node.iter_child_nodes():
            yield from self.node(child, file, in_turn, in_loop, includers)

    def refusal(
        self, node: nodes.Node, in_turn: bool, in_loop: bool, includers: tuple[str, ...]
    ) -> str | None:
        """Why a node can't be in a template; None where it can."""
        message = None
        if not isinstance(node, _ALLOWED):
            name = type(node).__name__.lower()
            message = _WORDS.get(type(node), f"{name!r} is not available") + " in prompt templates"
        elif isinstance(node, nodes.Name) and (node.name in _SPECIAL or node.name.startswith("_")):
            message = f"the name {node.name!r} is not available in prompt templates"
        elif isinstance(node, nodes.Getattr) and node.attr not in self.attributes:
            message = f"there is no attribute {node.attr!r}; {nearest(node.attr, self.attributes)}"
        elif (
            isinstance(node, nodes.Getitem)
            and isinstance(node.arg, nodes.Const)
            and not isinstance(node.arg.value, int)
        ):
            message = f"[{node.arg.value!r}] is not available; write .name"
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            message = f"there is no filter {node.name!r}; {nearest(node.name, FILTERS)}"
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            message = f"there is no test {node.name!r}; {nearest(node.name, TESTS)}"
        elif isinstance(node, nodes.List | nodes.Tuple) and not _is_plain(node):
            # Lists of lists, doubled line by line, would take for ever to compare.
            message = "a list holds fixed texts and numbers only"
        elif isinstance(node, nodes.Call):
            called = node.node
            if not isinstance(called, nodes.ExtensionAttribute) and not (
                isinstance(called, nodes.Name) and called.name == "range"
            ):
                message = "only range() can be called"
        elif isinstance(node, nodes.For) and node.recursive:
            message = "recursive loops are not available"
        elif isinstance(node, nodes.CallBlock):
            message = _turn_refusal(node, in_turn)
        elif isinstance(node, nodes.Include):
            message = self.include_refusal(node, in_loop, includers)
        elif isinstance(node, nodes.Output) and not in_turn and not _is_blank(node):
            message = "this stands outside a turn; put it between {% turn ... %} and {% endturn %}"
        return message

    def include_refusal(self, node: nodes.Include, in_loop: bool, includers: tuple[str, ...]) -> str | None:
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if not isinstance(name, str) or node.ignore_missing or not node.with_context:
            return "write include with one file name and nothing else"
        if name not in self.sources:
            hint = nearest(name, self.sources)
            return f"can't include {name!r}: no such template in this set's folder; {hint}"
        if name in includers:
            return f"can't include itself: {' → '.join((*includers[includers.index(name) :], name))}"
        return "an include can't stand inside a loop" if in_loop else None

    def problem(self, file: str, line: int | None, message: str) -> Problem:
        return Problem(message, Place(self.folder / file, line))


def _turn_refusal(node: nodes.CallBlock, in_turn: bool) -> str | None:
    if in_turn:
        return "a turn can't stand inside a turn"
    role = node.call.args[0] if node.call.args else None
    if isinstance(role, nodes.Const) and role.value not in ROLES:
        return f"there is no role {role.value!r}; {nearest(str(role.value), ROLES)}"
    return None


def _is_plain(node: nodes.List | nodes.Tuple) -> bool:
    store = isinstance(node, nodes.Tuple) and node.ctx == "store"
    return store or all(isinstance(item, nodes.Const) for item in node.items)


def _is_blank(node: nodes.Output) -> bool:
    return all(isinstance(child, nodes.TemplateData) and not child.data.strip() for child in node.nodes)


def _syntax(bad: jinja2.TemplateSyntaxError) -> str:
    message = bad.message or "can't be read"
    tag = re.search(r"unknown tag '(\w+)'", message)
    return f"{message.rstrip('.')}; {nearest(tag.group(1), TAGS)}" if tag else message
