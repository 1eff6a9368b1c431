"""What is to be tried: which principles of which constitutions, on which prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from constitutional.assignment import draw_principles
from constitutional.constitution import Constitution, Principle, load_constitution
from constitutional.errors import ConfigError, ConstitutionError, nearest
from constitutional.records import Prompt
from constitutional.registry import find_constitution, real_path
from constitutional.sources import BadRow, read_prompts
from constitutional.sources.rows import content_id, row_prompt
from constitutional.stages.revise import STAGE, ReviseSettings, check_examples
from constitutional.templates import PromptSet, load_prompt_set
from constitutional.workbench.trial import Candidate

MOST_CONSTITUTIONS = 2


def choose_candidates(
    constitutions: Mapping[str, Constitution],
    prompt: Prompt,
    *,
    principles: Sequence[str] = (),
    every: bool = False,
    seed: int = 0,
) -> tuple[Candidate, ...]:
    """Choose what to try of one constitution, or of two that are to be compared.

    Args:
        constitutions: by the name that the user calls them.
        prompt: what they are to be tried on.
        principles: ids to choose. Of two constitutions, each may be in one or in both.
        every: choose every principle that `revise` could draw.
        seed: draws where nothing is chosen: the principle of each constitution that `revise` would draw under that
            seed for the first round of this prompt.

    Returns:
        The candidates. Those of one group are meant to be compared: the same principle in two constitutions, the
        ones drawn from two constitutions, or two that were chosen from one.

    Raises:
        ConstitutionError: an id that is in none of them, one without a critique and a revision, or a constitution
            in which no principle has them.
    """
    usable = {name: constitution.for_revise() for name, constitution in constitutions.items()}
    if not principles and not every:
        draws = {
            name: draw_principles(rules, seed=seed, stage=STAGE, prompt_id=prompt.id, round=0)[0]
            for name, rules in usable.items()
        }
        return tuple(Candidate(name, constitutions[name], rule, drawn=True) for name, rule in draws.items())
    ids = tuple(dict.fromkeys(principles or (rule.id for rules in usable.values() for rule in rules)))
    together = len(constitutions) == 1 and len(ids) == 2
    return tuple(
        Candidate(name, constitutions[name], rule, group=0 if together else number)
        for number, id in enumerate(ids)
        for name, rule in (_usable_having(id, usable) if every else _having(id, constitutions))
    )


def prompt_from(text: str, response: str | None = None) -> Prompt:
    """A prompt of one user turn, under the id that it has in a file of prompts without ids.

    Raises:
        ConfigError: it, or the response, is empty or no text.
    """
    try:
        messages, response = row_prompt({"prompt": text, "response": response})
    except BadRow as bad:
        name = bad.field or "prompt"
        detail = (
            "is empty" if bad.reason in ("empty_prompt", "empty_response") else f"is no text: {bad.detail}"
        )
        raise ConfigError(f"the {name} {detail}") from bad
    return Prompt(content_id(messages, response), messages, response)


def prompt_of_row(source: str | Path, row: str | None = None) -> Prompt:
    """The prompt of one row of a file of prompts, with its response if it has one.

    Args:
        source: see `sources.read_prompts`.
        row: its id, or its place from 1; None is the first.

    Raises:
        SourceError: the source can't be read.
        ConfigError: it has no such row, or the row is no prompt.
    """
    place, found, count = int(row) if row and row.isdecimal() and len(row) < 19 else 0, None, 0
    for entry in read_prompts(source):
        count += 1
        if row is None or entry.id == row:
            found = entry
            break
        if count == place:
            found = entry
    if found is None:
        raise ConfigError(f"{source} has no row {row!r}: give an id, or a place from 1 to {count:,}")
    if found.prompt is None:
        raise ConfigError(f"row {row or 1} of {source} is no prompt: {found.detail}")
    return found.prompt


@dataclass(frozen=True)
class TrialSpec:
    """What is to be tried, by name: each call of `load` reads the files anew.

    Attributes:
        constitutions: one or two names or files.
        prompt: what to try them on.
        principles: ids of principles; see `choose_candidates`.
        every: likewise.
        prompt_set: a name or a folder.
        settings: how requests are made.

    Raises:
        ConfigError: more than two constitutions, the same one twice, or both ids and `every`.
    """

    constitutions: tuple[str, ...]
    prompt: Prompt
    principles: tuple[str, ...] = ()
    every: bool = False
    prompt_set: str = "default"
    settings: ReviseSettings = field(default_factory=ReviseSettings)

    def __post_init__(self) -> None:
        if not 1 <= len(self.constitutions) <= MOST_CONSTITUTIONS:
            raise ConfigError(f"give one constitution, or two to compare, not {len(self.constitutions)}")
        if len(set(self.constitutions)) < len(self.constitutions):
            raise ConfigError(f"{self.constitutions[0]!r} is given twice: name another to compare it with")
        if self.every and self.principles:
            raise ConfigError("choose principles by their ids or take all of them, not both")

    def load(self) -> tuple[tuple[Candidate, ...], PromptSet]:
        """Read the constitutions and the prompt set, and choose the candidates.

        Raises:
            InputError: one of the files can't be used, or has no such principle.
        """
        prompt_set = load_prompt_set(self.prompt_set)
        check_examples(prompt_set, self.settings)
        paths = [real_path(find_constitution(name)) for name in self.constitutions]
        if len(set(paths)) < len(paths):
            raise ConfigError(
                f"{' and '.join(self.constitutions)} are the same file: name another to compare it with"
            )
        constitutions = {name: load_constitution(name) for name in self.constitutions}
        chosen = choose_candidates(
            constitutions,
            self.prompt,
            principles=self.principles,
            every=self.every,
            seed=self.settings.seed,
        )
        return chosen, prompt_set


def _usable_having(id: str, usable: Mapping[str, Sequence[Principle]]) -> list[tuple[str, Principle]]:
    return [(name, rule) for name, rules in usable.items() for rule in rules if rule.id == id]


def _having(id: str, constitutions: Mapping[str, Constitution]) -> list[tuple[str, Principle]]:
    found = [
        (name, rule) for name, rules in constitutions.items() for rule in rules.principles if rule.id == id
    ]
    if not found:
        if len(constitutions) == 1:
            next(iter(constitutions.values())).principle(id)  # says which is nearest
        known = {rule.id for rules in constitutions.values() for rule in rules.principles}
        raise ConstitutionError(
            f"neither {' nor '.join(constitutions)} has a principle {id!r}; {nearest(id, known)}"
        )
    for name, rule in found:
        if rule.critique is None or rule.revision is None:
            raise ConstitutionError(
                f"the principle {id!r} of {name} has only a preference question, which is asked of pairs of "
                "responses; to try it, add a critique and a revision"
            )
    return found
