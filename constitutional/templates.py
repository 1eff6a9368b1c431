"""Prompt sets: folders of Jinja2 templates that render the requests to a model, with their few-shot examples.

A set is `set.yaml`, a template for each kind of request, files starting with `_` that these include, and
`examples.yaml`. All of it is read and checked when it is loaded; rendering touches no disk. The format is in
`docs/prompt-templates.md`, the dialect and its limits in `sandbox.py`. Requests follow appendix A of Bai et
al. 2022, as real chat turns rather than one transcript.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import jinja2
import jinja2.meta
from jinja2 import nodes
from pydantic import Field

from constitutional import sandbox
from constitutional.assignment import content_hash
from constitutional.constitution import Principle
from constitutional.errors import Place, Problem, TemplateError, nearest
from constitutional.records import Conversation, Message
from constitutional.registry import find_prompt_set, is_inside
from constitutional.schema import FileModel, validate
from constitutional.template_checks import check_template
from constitutional.yamlfile import load_yaml, read_text

TEMPLATES: dict[str, frozenset[str]] = {
    "respond": frozenset({"prompt"}),
    "critique": frozenset({"prompt", "response", "principles", "examples", "clean_marker"}),
    "revise": frozenset({"prompt", "response", "principles", "examples", "clean_marker", "critique"}),
    "direct": frozenset({"prompt", "response", "principles", "examples"}),
}
"""Every template and the variables that it is given."""

MAX_TEMPLATE_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Example:
    """A few-shot example: one round of critique and revision.

    Attributes:
        prompt: the conversation; it ends in a user turn.
        response: the response that is criticised.
        critique_request: what was asked of it.
        critique: the critique.
        revision_request: how it was to be rewritten; None where the critique finds nothing to change.
        revision: the rewritten response; None likewise.
    """

    prompt: Conversation
    response: str
    critique_request: str
    critique: str
    revision_request: str | None = None
    revision: str | None = None

    @property
    def clean(self) -> bool:
        """Whether its critique finds nothing to change."""
        return self.revision is None


_ATTRIBUTES: dict[type, frozenset[str]] = {
    Message: frozenset({"role", "content"}),
    Principle: frozenset(field.name for field in fields(Principle)),
    Example: frozenset(field.name for field in fields(Example)) | {"clean"},
}


@dataclass(frozen=True)
class PromptSet:
    """A loaded prompt set.

    Attributes:
        id: its name for people.
        path: its folder.
        description: one or two sentences for people.
        clean_marker: the sentence by which a critique says that nothing has to change.
        examples: few-shot examples; possibly none.
        sources: its templates' texts by file name.
    """

    id: str
    path: Path
    description: str
    clean_marker: str
    examples: tuple[Example, ...]
    sources: Mapping[str, str] = field(repr=False)
    compiled: Mapping[str, jinja2.Template] = field(repr=False, compare=False)

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the templates it has, in the order of `TEMPLATES`."""
        return tuple(name for name in TEMPLATES if name in self.compiled)

    def render(self, template: str, **variables: Any) -> Conversation:
        """Render one request.

        Args:
            template: a key of `TEMPLATES`.
            variables: those of `TEMPLATES`: `prompt` a conversation, `response` and `critique` texts,
                `principles` those of this round, `clean_marker` the set's or None where none
                ends the chain, `examples` the set's own unless others are given.

        Returns:
            The conversation. An assistant turn at its end is unfinished, and the model continues it.

        Raises:
            TemplateError: the set has no such template, or it fails on these variables.
            ValueError: variables that are not the template's.
        """
        compiled = self._template(template)
        if "examples" in TEMPLATES[template]:
            variables.setdefault("examples", self.examples)
        if variables.keys() != TEMPLATES[template]:
            raise ValueError(f"{template} takes {sorted(TEMPLATES[template])}, not {sorted(variables)}")
        try:
            return sandbox.render(compiled, variables)
        except (
            jinja2.TemplateError, TemplateError, TypeError, ValueError, ArithmeticError, LookupError,
            AttributeError, RecursionError,
        ) as bad:  # fmt: skip
            place = _place(bad, self.path, f"{template}.jinja")
            raise TemplateError(f"can't be rendered: {bad}", place) from bad

    def fingerprint(self, *templates: str) -> str:
        """A hash of these templates with all they include, the examples and the clean marker.

        Raises:
            TemplateError: the set has no such template.
        """
        names: set[str] = set()
        for template in templates:
            self._template(template)
            self._collect(f"{template}.jinja", names)
        parts = [part for name in sorted(names) for part in (name, self.sources[name])]
        return content_hash(*parts, self.clean_marker, repr(self.examples))

    def principle_fields(self, *templates: str) -> tuple[str, ...]:
        """The fields of a principle that these templates, and all they include, can read."""
        names: set[str] = set()
        for template in templates:
            self._template(template)
            self._collect(f"{template}.jinja", names)
        environment = next(iter(self.compiled.values())).environment
        read: set[object] = set()
        for name in names:
            tree = environment.parse(self.sources[name])
            read.update(node.attr for node in tree.find_all(nodes.Getattr))
            for node in tree.find_all(nodes.Getitem):
                read.update([node.arg.value] if isinstance(node.arg, nodes.Const) else _ATTRIBUTES[Principle])
        return tuple(sorted(_ATTRIBUTES[Principle] & read))

    def _template(self, name: str) -> jinja2.Template:
        try:
            return self.compiled[name]
        except KeyError:
            if name in TEMPLATES:
                raise TemplateError(
                    f"the prompt set has no template {name!r}; add {name}.jinja", Place(self.path)
                ) from None
            raise TemplateError(f"there is no template {name!r}; {nearest(name, TEMPLATES)}") from None

    def _collect(self, name: str, into: set[str]) -> None:
        if name in into:
            return
        into.add(name)
        environment = next(iter(self.compiled.values())).environment
        for included in jinja2.meta.find_referenced_templates(environment.parse(self.sources[name])):
            assert included is not None  # checked when loaded
            self._collect(included, into)


def load_prompt_set(name_or_path: str | Path) -> PromptSet:
    """Load a prompt set.

    Args:
        name_or_path: the path of a folder, or a name that `registry.find_prompt_set` finds.

    Raises:
        TemplateError: with every problem found, each with its file and line.
    """
    folder = find_prompt_set(name_or_path)
    if not folder.is_dir():
        raise TemplateError("there is no such folder; a prompt set is a folder with set.yaml", Place(folder))
    settings = validate(_load(folder, "set.yaml"), SetFile, error=TemplateError)
    if not settings.id.strip() or not settings.clean_marker.strip():
        raise TemplateError("id and clean_marker must not be empty", Place(folder / "set.yaml"))
    marker = settings.clean_marker.strip()
    examples = _examples(folder, marker) if (folder / "examples.yaml").exists() else ()
    sources = _sources(folder)
    environment = sandbox.TurnEnvironment(sources, _ATTRIBUTES)
    names = [name for name in TEMPLATES if f"{name}.jinja" in sources]
    problems = [
        problem
        for name in names
        for problem in check_template(environment, sources, folder, f"{name}.jinja", TEMPLATES[name])
    ]
    if problems:
        raise TemplateError(dict.fromkeys(problems))
    compiled = {name: environment.get_template(f"{name}.jinja") for name in names}
    return PromptSet(settings.id, folder, settings.description.strip(), marker, examples, sources, compiled)


class SetFile(FileModel):
    """`set.yaml`."""

    id: str
    description: str = ""
    clean_marker: str


class TurnEntry(FileModel):
    """One turn of an example's prompt."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


class ExampleEntry(FileModel):
    """One example of `examples.yaml`."""

    prompt: str | list[TurnEntry]
    response: str = Field(min_length=1)
    critique_request: str = Field(min_length=1)
    critique: str = Field(min_length=1)
    revision_request: str | None = Field(default=None, min_length=1)
    revision: str | None = Field(default=None, min_length=1)


class ExamplesFile(FileModel):
    """`examples.yaml`."""

    examples: list[ExampleEntry]


def _load(folder: Path, name: str) -> Any:
    _stay_inside(folder, folder / name)
    return load_yaml(folder / name, error=TemplateError)


def _sources(folder: Path) -> dict[str, str]:
    """The set's Jinja2 files by name."""
    sources, problems = {}, []
    for path in sorted(folder.glob("*.jinja")):
        if path.stem not in TEMPLATES and not path.name.startswith("_"):
            hint = nearest(path.stem, TEMPLATES)
            message = f"there is no template {path.stem!r}; {hint} (files to include start with '_')"
            problems.append(Problem(message, Place(path)))
            continue
        _stay_inside(folder, path)
        text = read_text(path, error=TemplateError, limit=MAX_TEMPLATE_BYTES)
        sources[path.name] = text.replace("\r\n", "\n")
    if not problems and not sources.keys() & {f"{name}.jinja" for name in TEMPLATES}:
        names = ", ".join(f"{name}.jinja" for name in TEMPLATES)
        problems.append(Problem(f"the prompt set has no templates; add one of {names}", Place(folder)))
    if problems:
        raise TemplateError(problems)
    return sources


def _stay_inside(folder: Path, path: Path) -> None:
    if not is_inside(path, folder):
        raise TemplateError(
            "this is a link that leaves the prompt set's folder; put the file itself there", Place(path)
        )


def _examples(folder: Path, marker: str) -> tuple[Example, ...]:
    _stay_inside(folder, folder / "examples.yaml")
    return load_examples(folder / "examples.yaml", marker)


def load_examples(path: Path, marker: str | None = None) -> tuple[Example, ...]:
    """Load a file of few-shot examples.

    Args:
        path: the file, an `examples.yaml`.
        marker: the sentence that no critique may hold which a revision follows: the set's clean marker.

    Raises:
        TemplateError: with every problem found.
    """
    document = load_yaml(path, error=TemplateError)
    entries = validate(document, ExamplesFile, error=TemplateError).examples
    problems = []
    examples = []
    for index, entry in enumerate(entries):
        turns: Sequence[Message | TurnEntry] = (
            [Message("user", entry.prompt)] if isinstance(entry.prompt, str) else entry.prompt
        )
        if any(not turn.content.strip() for turn in turns):
            message = "there is a turn without a text"
            problems.append(Problem(message, document.place("examples", index, "prompt")))
        place = document.place("examples", index)
        if not turns or [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            message = "turns must alternate, from a user's to a user's"
            problems.append(Problem(message, document.place("examples", index, "prompt")))
        if (entry.revision is None) != (entry.revision_request is None):
            problems.append(Problem("give both revision_request and revision, or neither", place))
        if marker and entry.revision is not None and marker in entry.critique:
            message = f"the critique has the clean marker {marker!r}, but a revision follows"
            problems.append(Problem(message, document.place("examples", index, "critique")))
        prompt = tuple(Message(turn.role, turn.content.strip()) for turn in turns)
        texts = (
            entry.response,
            entry.critique_request,
            entry.critique,
            entry.revision_request,
            entry.revision,
        )
        examples.append(Example(prompt, *(text.strip() if text else text for text in texts)))  # type: ignore[arg-type]
    if problems:
        raise TemplateError(problems)
    return tuple(examples)


def _place(bad: BaseException, folder: Path, name: str) -> Place:
    """The line of the template, found in the traceback of what its code raised."""
    line = None
    step = bad.__traceback__
    while step:
        template = step.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, jinja2.Template):
            name, line = template.name or name, template.get_corresponding_lineno(step.tb_lineno)
        step = step.tb_next
    return Place(folder / name, line)
