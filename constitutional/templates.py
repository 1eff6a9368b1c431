"""Prompt sets: folders of Jinja2 templates that render the requests to a model, with their few-shot examples.

A set is `set.yaml`, a template for each kind of request, files starting with `_` that these include,
`examples.yaml` and `preference_examples.yaml`. All of it is read and checked when it is loaded; rendering
touches no disk. The format is in `docs/prompt-templates.md`, the dialect and its limits in `sandbox.py`.

Requests for critiques and revisions follow appendix A of Bai et al. 2022, as real chat turns rather than one
transcript. A judge is asked as in section 4.1 there (and Lee et al. 2023, section 2.1, in the sets `rlaif-*`),
except that what is judged is quoted line by line, and that the principle comes after the responses rather than
before them, so that requests about one comparison share their beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
from jinja2 import nodes

from constitutional import sandbox
from constitutional.assignment import content_hash
from constitutional.constitution import Principle
from constitutional.errors import Place, Problem, TemplateError, nearest
from constitutional.prompt_examples import (
    EXAMPLES_FILE,
    PREFERENCE_EXAMPLES_FILE,
    Example,
    PreferenceExample,
    load_examples,
    load_preference_examples,
)
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
    "judge": frozenset({"prompt", "responses", "options", "principle", "examples"}),
    "judge-reason": frozenset({"prompt", "responses", "options", "principle", "examples"}),
    "judge-answer": frozenset({"prompt", "responses", "options", "principle", "examples", "rationale"}),
    "score": frozenset({"prompt", "response", "principle", "scale", "options"}),
    "score-write": frozenset({"prompt", "response", "principle", "scale"}),
    "redteam": frozenset({"seeds", "number", "topic"}),
}
"""Every template and the variables that it is given."""

JUDGE_TEMPLATES = ("judge", "judge-reason", "judge-answer")
"""Those that compare two responses: their examples are the set's preference examples."""
CHAIN_TEMPLATES = ("respond", "critique", "revise", "direct")
"""Those of critique and revision."""
_OPTION_FOLLOWS = ("judge", "judge-answer", "score")
"""Those that end in an unfinished assistant's turn, which an option continues."""

DEFAULT_OPTIONS = ("A", "B")
MAX_OPTION_LENGTH = 50
MAX_TEMPLATE_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of a rating, both ends included.

    Attributes:
        low: the worst rating.
        high: the best.
    """

    low: int | float
    high: int | float


_ATTRIBUTES: dict[type, frozenset[str]] = {
    Message: frozenset({"role", "content"}),
    Principle: frozenset(field.name for field in fields(Principle)),
    Example: frozenset(field.name for field in fields(Example)) | {"clean"},
    PreferenceExample: frozenset(field.name for field in fields(PreferenceExample)) | {"chosen", "rejected"},
    Scale: frozenset(field.name for field in fields(Scale)),
}


@dataclass(frozen=True)
class PromptSet:
    """A loaded prompt set.

    Attributes:
        id: its name for people.
        path: its folder.
        description: one or two sentences for people.
        clean_marker: the sentence by which a critique says that nothing has to change; empty where the set
            has no template that takes it.
        examples: few-shot examples of critique and revision; possibly none.
        sources: its templates' texts by file name.
        options: what stands for the first and for the second response in a judge's answer.
        preference_examples: few-shot examples for a judge; possibly none.
    """

    id: str
    path: Path
    description: str
    clean_marker: str
    examples: tuple[Example, ...]
    sources: Mapping[str, str] = field(repr=False)
    compiled: Mapping[str, jinja2.Template] = field(repr=False, compare=False)
    options: tuple[str, str] = DEFAULT_OPTIONS
    preference_examples: tuple[PreferenceExample, ...] = ()

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the templates it has, in the order of `TEMPLATES`."""
        return tuple(name for name in TEMPLATES if name in self.compiled)

    def render(self, template: str, **variables: Any) -> Conversation:
        """Render one request.

        Args:
            template: a key of `TEMPLATES`.
            variables: those of `TEMPLATES`: `prompt` a conversation, `response`, `critique` and `rationale` texts,
                `principles` those of this round, `clean_marker` the set's or None where none
                ends the chain, `principle` one with a preference question, `responses` the two in the order
                shown, `scale` a `Scale`, `seeds` texts, `number` how many are to be written, `topic` a text or
                None. `examples`, and for a judge `options`, are the set's own unless others are given.

        Returns:
            The conversation. An assistant turn at its end is unfinished, and the model continues it.

        Raises:
            TemplateError: the set has no such template, it fails on these variables, or an option is to
                continue what is not an assistant's turn.
            ValueError: variables that are not the template's.
        """
        compiled = self._template(template)
        if "examples" in TEMPLATES[template]:
            judged = template in JUDGE_TEMPLATES
            variables.setdefault("examples", self.preference_examples if judged else self.examples)
            if judged:
                variables.setdefault("options", self.options)
        if variables.keys() != TEMPLATES[template]:
            raise ValueError(f"{template} takes {sorted(TEMPLATES[template])}, not {sorted(variables)}")
        try:
            rendered = sandbox.render(compiled, variables)
        except (
            jinja2.TemplateError, TemplateError, TypeError, ValueError, ArithmeticError, LookupError,
            AttributeError, RecursionError,
        ) as bad:  # fmt: skip
            place = _place(bad, self.path, f"{template}.jinja")
            raise TemplateError(f"can't be rendered: {bad}", place) from bad
        if template in _OPTION_FOLLOWS and (rendered[-1].role != "assistant" or not rendered[-1].content):
            raise TemplateError(
                "must end in an assistant's turn with the beginning of the answer, which an option continues",
                Place(self.path / f"{template}.jinja"),
            )
        return rendered

    def rationale_stop(self) -> str:
        """What `judge-answer` puts between a rationale and the option: a stop string for `judge-reason`.

        A model that goes on from its reasoning to the answer is stopped there, so that the options are scored
        after the reasoning alone.

        Raises:
            TemplateError: the set has no `judge-answer`, or it does not go on after the rationale.
        """
        mark = "\ue000rationale\ue001"
        question = Principle("any", preference="Which is better?")
        rendered = self.render(
            "judge-answer",
            prompt=(Message("user", ""),),
            responses=("", ""),
            principle=question,
            rationale=mark,
        )
        _, found, after = rendered[-1].content.rpartition(mark)
        if not found or not after.strip():
            raise TemplateError(
                "its last turn must hold the rationale, and after it the beginning of the answer",
                Place(self.path / "judge-answer.jinja"),
            )
        return after.strip()

    def fingerprint(self, *templates: str) -> str:
        """A hash of these templates with all they include, and of what in the set goes into them.

        That is the examples and the clean marker for critique and revision, the options and preference
        examples for a judge.

        Raises:
            TemplateError: the set has no such template.
        """
        names: set[str] = set()
        for template in templates:
            self._template(template)
            self._collect(f"{template}.jinja", names)
        parts = [part for name in sorted(names) for part in (name, self.sources[name])]
        if any(template in CHAIN_TEMPLATES for template in templates):
            parts += [self.clean_marker, repr(self.examples)]
        if any(template in JUDGE_TEMPLATES for template in templates):
            parts += [*self.options, repr(self.preference_examples)]
        return content_hash(*parts)

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
            if not all(_is_position(node.arg) for node in tree.find_all(nodes.Getitem)):
                read |= _ATTRIBUTES[
                    Principle
                ]  # it may be any of them: what is in the brackets is not known yet
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
    place = Place(folder / "set.yaml")
    if not settings.id.strip() or (settings.clean_marker is not None and not settings.clean_marker.strip()):
        raise TemplateError("id and clean_marker must not be empty", place)
    sources = _sources(folder)
    environment = sandbox.TurnEnvironment(sources, _ATTRIBUTES)
    names = [name for name in TEMPLATES if f"{name}.jinja" in sources]
    marked = [name for name in names if "clean_marker" in TEMPLATES[name]]
    if marked and settings.clean_marker is None:
        raise TemplateError(f"'clean_marker' is missing: {marked[0]}.jinja is given it", place)
    marker = (settings.clean_marker or "").strip()
    examples = load_examples(path, marker) if (path := _optional(folder, EXAMPLES_FILE)) else ()
    compared = load_preference_examples(path) if (path := _optional(folder, PREFERENCE_EXAMPLES_FILE)) else ()
    problems = [
        problem
        for name in names
        for problem in check_template(environment, sources, folder, f"{name}.jinja", TEMPLATES[name])
    ]
    if problems:
        raise TemplateError(dict.fromkeys(problems))
    return PromptSet(
        id=settings.id,
        path=folder,
        description=settings.description.strip(),
        clean_marker=marker,
        examples=examples,
        sources=sources,
        compiled={name: environment.get_template(f"{name}.jinja") for name in names},
        options=_options(settings.options, place),
        preference_examples=compared,
    )


class SetFile(FileModel):
    """`set.yaml`."""

    id: str
    description: str = ""
    clean_marker: str | None = None
    options: list[str] | None = None


def _options(given: list[str] | None, place: Place) -> tuple[str, str]:
    """The two options of a judge's answer."""
    if given is None:
        return DEFAULT_OPTIONS
    stripped = {option.strip() for option in given}
    if len(given) != 2 or len(stripped) != 2 or "" in stripped:
        raise TemplateError("options must be two different texts that are not empty, as [A, B]", place)
    if any(len(option) > MAX_OPTION_LENGTH or len(option.splitlines()) > 1 for option in given):
        raise TemplateError(f"an option is one line of at most {MAX_OPTION_LENGTH} characters", place)
    return given[0], given[1]


def _optional(folder: Path, name: str) -> Path | None:
    """The path of a file that a set may have, if it has it."""
    stay_inside(folder, folder / name)
    return folder / name if (folder / name).exists() else None


def _load(folder: Path, name: str) -> Any:
    stay_inside(folder, folder / name)
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
        stay_inside(folder, path)
        text = read_text(path, error=TemplateError, limit=MAX_TEMPLATE_BYTES)
        sources[path.name] = text.replace("\r\n", "\n")
    if not problems and not sources.keys() & {f"{name}.jinja" for name in TEMPLATES}:
        names = ", ".join(f"{name}.jinja" for name in TEMPLATES)
        problems.append(Problem(f"the prompt set has no templates; add one of {names}", Place(folder)))
    if problems:
        raise TemplateError(problems)
    return sources


def stay_inside(folder: Path, path: Path) -> None:
    """Refuse a link out of a prompt set, since whoever hands one on would make others read their own files.

    Raises:
        TemplateError: the path, its links followed, is not in the folder.
    """
    if not is_inside(path, folder):
        raise TemplateError(
            "this is a link that leaves the prompt set's folder; put the file itself there", Place(path)
        )


def _is_position(key: nodes.Node) -> bool:
    """Whether what stands in brackets is a number or a slice, and so names no field."""
    if isinstance(key, nodes.Neg):
        key = key.node
    return isinstance(key, nodes.Slice) or (isinstance(key, nodes.Const) and isinstance(key.value, int))


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
