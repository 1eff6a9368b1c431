"""Lint constitution files: names, files or folders in, findings out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from constitutional.composition import examine
from constitutional.errors import ConfigError, ConstitutionError, Place, Problem, nearest
from constitutional.registry import SUFFIXES, find_constitution, is_folder, is_inside, is_path
from constitutional.workbench.lint.reading import Limits, LintFile
from constitutional.workbench.lint.rule import Finding, Rule, Severity
from constitutional.workbench.lint.rules import RULES
from constitutional.yamlfile import Steps

ALWAYS = ("unreadable-file", "yaml-syntax")
"""Told whatever is selected: a file that could not be read was not checked."""

FOLDER = "constitutions"
"""What is linted where nothing is named."""


@dataclass(frozen=True)
class LintReport:
    """What was found.

    Attributes:
        files: the files that were linted, in order.
        findings: what was found, by file and place; bases that can't be used have theirs too.
        ignored: how many findings comments switched off.
    """

    files: tuple[Path, ...]
    findings: tuple[Finding, ...]
    ignored: int = 0

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity == severity for finding in self.findings)


def lint(
    targets: Sequence[str | Path] = (),
    *,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    limits: Limits | None = None,
) -> LintReport:
    """Find what is wrong with constitutions, and what is likely to go wrong with them.

    Args:
        targets: names, files, or folders of files; none stands for the folder ./constitutions.
        select: ids of the rules to go by; none stands for all.
        ignore: ids of rules to leave out.
        limits: how many tokens a text may have, and what counts them.

    Returns:
        Every finding. A file that is not there, or is no constitution at all, is a finding too.

    Raises:
        ConfigError: a rule that there is not, or nothing is named and there is no ./constitutions.
    """
    wanted = chosen_rules(select, ignore)
    files, findings = _files(targets or _default())
    ignored = 0
    for path in files:
        found, off = _lint_file(path, limits or Limits(), wanted)
        findings += found
        ignored += len(off)
    told = dict.fromkeys(finding for finding in findings if finding.rule in wanted)
    return LintReport(tuple(files), tuple(told), ignored)


def chosen_rules(select: Collection[str], ignore: Collection[str]) -> frozenset[str]:
    """The ids of the rules to go by.

    Raises:
        ConfigError: one that there is not.
    """
    unknown = [id for id in (*select, *ignore) if id not in RULES]
    if unknown:
        raise ConfigError([Problem(f"there is no rule {id!r}; {nearest(id, RULES)}") for id in unknown])
    return (frozenset(select or RULES) - frozenset(ignore)) | frozenset(ALWAYS)


def model_limits(model: str, budget: int) -> Limits:
    """Limits whose tokens the tokenizer of a model counts.

    Args:
        model: an embedded model's name, a local folder, or a hub id.
        budget: tokens that one text may have.

    Raises:
        ConfigError: there is no such model, or it has no tokenizer that can be loaded.
        PrerequisiteError: it was not pulled yet, or can't be reached.
    """
    from constitutional.models import resolve_model

    found = resolve_model(model)
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(found.path_or_id, revision=found.revision)
    except (OSError, ValueError, KeyError) as bad:
        raise ConfigError(f"the tokenizer of {model} can't be loaded: {bad}") from bad

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    return Limits(budget, count, f"the tokenizer of {model}")


def find_rule(id: str) -> Rule:
    """The rule of that id.

    Raises:
        ConfigError: there is none; the message has the nearest.
    """
    if id not in RULES:
        raise ConfigError(f"there is no rule {id!r}; {nearest(id, RULES)}")
    return RULES[id]


def _default() -> list[str | Path]:
    if not is_folder(Path(FOLDER)):
        raise ConfigError(
            f"there is no folder ./{FOLDER} here; name a constitution or a file, or start one with "
            "`constitutional constitution new NAME`"
        )
    return [f"{FOLDER}/"]


def _files(targets: Iterable[str | Path]) -> tuple[list[Path], list[Finding]]:
    """The files of what a user named, each once; and what was found wrong with the names."""
    files: dict[Path, Path] = {}
    findings = []
    for target in targets:
        try:
            paths = _expand(target)
        except ConstitutionError as bad:
            findings += [
                _finding(Problem(p.message, p.place or Place(str(target)), "unreadable-file"))
                for p in bad.problems
            ]
            continue
        for path in paths:
            folder = path.parent
            if Path(target) == folder and not is_inside(path, folder):
                message = f"a link that leaves {folder}; give the path that it points to instead"
                findings.append(_finding(Problem(message, Place(path), "unreadable-file")))
                continue
            files.setdefault(path.absolute(), shown(path))
    return list(files.values()), findings


def _expand(target: str | Path) -> list[Path]:
    path = Path(target)
    if is_path(target):
        return _inside(path) if is_folder(path) else [path]
    try:
        return [find_constitution(target)]
    except ConstitutionError:
        if str(target) and is_folder(path):  # an empty text would be this folder
            return _inside(path)
        raise


def _inside(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.name[0] != ".")
    except OSError as bad:
        raise ConstitutionError(f"can't be read: {bad.strerror}", Place(folder)) from None
    if not found:
        raise ConstitutionError("there are no .yaml files in this folder", Place(folder))
    return found


def shown(path: Path) -> Path:
    """A path as messages have it: relative to the working directory where it is below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path


def _lint_file(path: Path, limits: Limits, wanted: Collection[str]) -> tuple[list[Finding], list[Finding]]:
    """What is found in a file, and what comments switch off."""
    examined = examine(path)
    findings, off = [_finding(problem) for problem in examined.problems], []
    if examined.document is not None:
        entries = tuple(examined.file.principles) if examined.file else ()
        file = LintFile(examined, examined.document, entries, limits)
        for id, message, place, steps in _found(file, wanted):
            finding = Finding(id, RULES[id].severity, message, place)
            if steps is not None and file.is_ignored(id, steps):
                off.append(finding)
            else:
                findings.append(finding)
    return sorted(
        findings, key=lambda f: (str(f.place.path) != str(path), str(f.place.path), *_order(f.place))
    ), off


def _order(place: Place) -> tuple[int, int]:
    return place.line or 0, place.column or 0


def _found(file: LintFile, wanted: Collection[str]) -> Iterator[tuple[str, str, Place, Steps | None]]:
    for rule in (rule for rule in RULES.values() if rule.id in wanted):
        if rule.check_text:
            for text in file.texts:
                if text.field in rule.fields and (text.english or not rule.english):
                    for hit in rule.check_text(text):
                        yield rule.id, hit.message, file.place(text, hit.start, hit.end), text.steps
        if rule.check_file:
            for message, where in rule.check_file(file):
                if isinstance(where, Place):
                    yield rule.id, message, where, None
                else:
                    yield rule.id, message, file.document.place(*where), where


def _finding(problem: Problem) -> Finding:
    """A problem of the loader as a finding."""
    assert problem.place is not None
    id = problem.rule or "wrong-value"
    place = replace(problem.place, path=shown(Path(problem.place.path)))
    return Finding(id, RULES[id].severity, problem.message, place)
