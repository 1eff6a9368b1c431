"""The dialect of Jinja2 that prompt templates are written in, and the sandbox that renders it.

A template renders to a conversation. Only the tag `turn` makes one of its messages, and the text between its
ends is collected in a list, never found again by marks in the text: what came from data can't open a turn.

Templates are untrusted, so the dialect is a short list of what is allowed (`template_checks.py` refuses all else when
a set is loaded): turn, for, if, set, include; names, attributes, comparisons, a few filters and tests,
`range`. Values can't be multiplied or called, so the size of what is rendered grows only where something is
printed or a loop goes round, and there it is counted. Files are read when the set is loaded; rendering
touches no disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from constitutional.errors import TemplateError
from constitutional.records import Conversation, Message

ROLES = ("system", "user", "assistant")
MAX_WORK = 1_000_000
"""Characters and steps of one render, beyond `INPUT_FACTOR` times the characters of its variables."""
INPUT_FACTOR = 4
MAX_SECONDS = 5.0
"""CPU time of one render's thread: a busy machine breaks no run."""
CHECK_EVERY = 5_000
"""The clock is read when so much work was done; most renders end before."""
MAX_RANGE = 10_000
MAX_INDENT = 100

LOOP_ATTRIBUTES = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "previtem", "nextitem"}
)


class Render:
    """What one render has made and may still make."""

    __slots__ = ("check_at", "deadline", "extended", "left", "open", "turns", "variables")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.turns: list[Message] = []
        self.open = False
        self.left = MAX_WORK
        self.check_at = MAX_WORK - CHECK_EVERY
        self.extended = False
        self.variables = variables
        self.deadline: float | None = None

    def charge(self, work: int) -> None:
        """Count some characters or steps.

        Raises:
            TemplateError: too many, or too much time.
        """
        self.left -= work
        if self.left < self.check_at:
            self._check()

    def _check(self) -> None:
        if self.left < 0 and not self.extended:
            self.extended = True
            self.left += INPUT_FACTOR * _characters(tuple(self.variables.values()))
        if self.left < 0:
            raise TemplateError(
                f"renders more than {MAX_WORK:,} characters or steps beyond its variables' size"
            )
        self.check_at = max(0, self.left - CHECK_EVERY)
        now = time.thread_time()
        if self.deadline is None:
            self.deadline = now + MAX_SECONDS
        elif now > self.deadline:
            raise TemplateError(f"takes longer than {MAX_SECONDS:g} s")


_RENDER: ContextVar[Render] = ContextVar("render")


def render(template: jinja2.Template, variables: Mapping[str, Any]) -> Conversation:
    """Render a template of a `TurnEnvironment`.

    Raises:
        TemplateError: it makes no turn, breaks a limit, or prints what is not there.
        Exception: whatever else the template's expressions raise.
    """
    state = Render(variables)
    token = _RENDER.set(state)
    try:
        for _ in template.root_render_func(template.new_context(dict(variables))):
            pass  # between turns there is only white space
    finally:
        _RENDER.reset(token)
    if not state.turns:
        raise TemplateError("renders no turn")
    return tuple(state.turns)


class TurnTag(Extension):
    """`{% turn "user" %}…{% endturn %}`: one message; the role may be an expression."""

    tags = {"turn"}  # noqa: RUF012 (as jinja2 declares it)

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse the tag into a block that hands its text to `_add`."""
        lineno = next(parser.stream).lineno
        role = parser.parse_expression()
        body = parser.parse_statements(("name:endturn",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_add", [role]), [], [], body).set_lineno(lineno)

    def _add(self, role: object, caller: Macro) -> str:
        state = _RENDER.get()
        if role not in ROLES:
            raise TemplateError(f"a turn's role is one of {', '.join(ROLES)}, not {role!r}")
        if state.open:
            raise TemplateError("a turn can't stand inside a turn")
        state.open = True
        text = caller()
        state.open = False
        state.turns.append(Message(role, text.strip()))  # type: ignore[arg-type]
        return ""


class TurnEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one prompt set.

    Args:
        sources: the set's templates by file name; nothing else can be included.
        attributes: the attributes that templates may read, by type.
    """

    intercepted_binops = frozenset({"+", "-"})

    def __init__(self, sources: Mapping[str, str], attributes: Mapping[type, frozenset[str]]) -> None:
        super().__init__(
            loader=jinja2.DictLoader(sources),
            extensions=[TurnTag],
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_finalize,
            auto_reload=False,
        )
        self.attributes: dict[type, frozenset[str]] = {**attributes, LoopContext: LOOP_ATTRIBUTES}
        self.filters = {**FILTERS, "_limited": _limited}
        self.tests = {name: self.tests[name] for name in TESTS}
        self.globals = {"range": _range}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read this attribute: only those of the list."""
        return attr in self.attributes.get(type(obj), ())

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add or subtract two numbers; texts would be a way to grow without being counted."""
        for value in (left, right):
            if not isinstance(value, int | float):
                raise TemplateError(f"'{operator}' takes numbers; to join texts, print one after the other")
        return left + right if operator == "+" else left - right

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        for loop in source.find_all(nodes.For):
            cost = [nodes.Const(_cost(loop))]
            loop.iter = nodes.Filter(loop.iter, "_limited", cost, [], None, None).set_lineno(loop.lineno)
        return super()._generate(source, name, filename, defer_init)


def _cost(loop: nodes.For) -> int:
    """What one time round a loop costs at least: its fixed text and its expressions."""
    data = sum(len(node.data) for node in loop.find_all(nodes.TemplateData))
    return 1 + data + sum(1 for _ in loop.find_all(nodes.Expr))


class _Limited(Sequence[Any]):
    """What a loop goes through, counted."""

    def __init__(self, items: Any, cost: int) -> None:
        self.items, self.cost = items, cost

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Any]:
        charge, cost = _RENDER.get().charge, self.cost
        for item in self.items:
            charge(cost)
            yield item


@jinja2.pass_context  # so that nothing is computed when the template is compiled
def _limited(context: Context, items: Any, cost: int) -> _Limited:
    return _Limited(items, cost)


@jinja2.pass_context
def _finalize(context: Context, value: Any) -> Any:
    if type(value) is str:
        _RENDER.get().charge(len(value) + 1)
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        _RENDER.get().charge(len(text) + 1)
        return text
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, with a message that names it
    what = "nothing (None)" if value is None else f"a {type(value).__name__.lower()}"
    raise TemplateError(f"prints {what} where only text and numbers can be printed")


def _range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_RANGE:
        raise TemplateError(f"range() gives more than {MAX_RANGE:,} numbers")
    return numbers


def _text(function: Callable[[str], str]) -> Callable[..., str]:
    @jinja2.pass_context
    def apply(context: Context, value: object) -> str:
        text = _require_text(value)
        _RENDER.get().charge(len(text))
        return function(text)

    return apply


def _require_text(value: object) -> str:
    if not isinstance(value, str):
        if isinstance(value, jinja2.Undefined):
            str(value)
        raise TemplateError(f"a filter for text is given a {type(value).__name__.lower()}")
    return value


@jinja2.pass_context
def _join(context: Context, values: Sequence[object], separator: str = "") -> str:
    texts = [str(value) if isinstance(value, int | float) else _require_text(value) for value in values]
    _RENDER.get().charge(sum(map(len, texts)) + len(_require_text(separator)) * len(texts))
    return separator.join(texts)


@jinja2.pass_context
def _indent(context: Context, value: object, width: int = 4, first: bool = False) -> str:
    text = _require_text(value)
    if not 0 <= width <= MAX_INDENT:
        raise TemplateError(f"indent() takes a width from 0 to {MAX_INDENT}")
    lines = text.split("\n")
    _RENDER.get().charge(len(text) + width * len(lines))
    space = " " * width
    indented = "\n".join(space + line if line else line for line in lines)
    return indented if first else indented[width:] if lines[0] else indented


def quote(text: str) -> str:
    r"""A text as quoted lines, each of which starts with `>`.

    Lines end wherever `str.splitlines` says (\n, \r\n, \r, \v, \f, \x1c to \x1e, \x85, U+2028, U+2029), and all these
    ends become \n. So no text can get out of its quotation, whatever a model takes for the end of a line, and what stands
    on other lines is the template's own. An empty line, and an empty text, is `>` alone.
    """
    return "\n".join(f"> {line}" if line else ">" for line in text.splitlines() or [""])


def _one_line(text: str) -> str:
    """A text on one line: each end of a line, with the white space around it, becomes a space."""
    return " ".join(stripped for line in text.splitlines() if (stripped := line.strip()))


FILTERS: dict[str, Callable[..., Any]] = {
    "trim": _text(str.strip),
    "quote": _text(quote),
    "line": _text(_one_line),
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "capitalize": _text(str.capitalize),
    "indent": _indent,
    "join": _join,
    "length": len,
}
TESTS = ("defined", "undefined", "none", "string", "even", "odd", "in")


def _characters(value: object) -> int:
    """Characters in a variable: texts, and the texts in tuples and records."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return sum(map(_characters, value))
    names = getattr(type(value), "__dataclass_fields__", ())
    return sum(_characters(getattr(value, name)) for name in names)
