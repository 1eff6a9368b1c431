"""The settings that an audit compares: the baseline, variants of it with one thing changed, and the user's own.

The variants follow what the papers disagree on: Bai et al. 2022 (section 4.1) draw one principle for each label and clamp after
a rationale; Lee et al. 2023 average both orders, find that few-shot examples and self-consistency don't help theirs, and do not
clamp. Which of it holds for a judge is what an audit is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from constitutional.constitution import Constitution
from constitutional.errors import ConfigError, ConstitutionalError, nearest
from constitutional.stages.label import Labeler, LabelSettings
from constitutional.templates import PromptSet

BASELINE = "baseline"
_NAME = re.compile(r"[\w][\w.-]{0,59}")
_SELF_CONSISTENT = 0.7  # temperature where the baseline has none; Wang et al. 2022, section 3.1

VARIATIONS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "both-orders": ("ask in both orders instead of in one", {"both_orders": True}),
    "one-order": ("ask in one order, which a hash draws", {"both_orders": False}),
    "logit-average": (
        "average both orders as log-odds",
        {"order_average": "logit"},
    ),
    "mean-average": (
        "average both orders as probabilities",
        {"order_average": "mean"},
    ),
    "principles-1": ("draw one principle for each label", {"principles": 1}),
    "principles-4": ("draw four principles for each label", {"principles": 4}),
    "principles-all": ("ask every principle, weighted", {"principles": "all"}),
    "no-examples": ("show no few-shot examples", {"examples": 0}),
    "clamp-0.4": ("move votes into [0.4, 0.6]", {"clamp": 0.4}),
    "no-clamp": ("don't move votes", {"clamp": 0.0}),
    "low-mass-exclude": ("leave out votes with little mass on the options", {"low_mass": "exclude"}),
    "low-mass-keep": ("count votes with little mass on the options", {"low_mass": "keep"}),
    "direct": ("no reasoning", {"chain_of_thought": False}),
    "one-sample": ("one rationale, or one counted answer, for each principle and order", {"samples": 1}),
    "chain-of-thought": ("reason first", {"chain_of_thought": True}),
    "chain-of-thought-no-clamp": (
        "reason first, and don't move the votes",
        {"chain_of_thought": True, "clamp": 0.0},
    ),
    "chain-of-thought-3-samples": (
        "self-consistency: the mean of three rationales",
        {"chain_of_thought": True, "samples": 3},
    ),
}
"""What `--vary` chooses from: what a variant is, and what it changes. One that the baseline has already is left out."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way of labelling that is audited.

    Attributes:
        name: `baseline`, one of `VARIATIONS`, or the user's own.
        description: what is different, for people.
        labeler: labels so.
    """

    name: str
    description: str
    labeler: Labeler

    @property
    def settings(self) -> LabelSettings:
        """How comparisons are labelled."""
        return self.labeler.settings

    def changes(self, baseline: LabelSettings) -> dict[str, Any]:
        """The settings that differ from the baseline's, by name."""
        ours, theirs = self.settings.model_dump(mode="json"), baseline.model_dump(mode="json")
        return {name: value for name, value in ours.items() if value != theirs[name]}


def all_settings(
    constitution: Constitution,
    prompts: PromptSet,
    baseline: LabelSettings,
    *,
    vary: Sequence[str] = ("all",),
    own: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Setting, ...]:
    """The settings of an audit: the baseline first, then the variants that differ from it and from one another.

    Args:
        constitution: where principles are drawn from.
        prompts: renders the requests.
        baseline: what the others are compared with.
        vary: names of `VARIATIONS`; `all` is every one that makes sense here, `none` is none.
        own: the user's settings by name: what each changes of the baseline.

    Raises:
        ConfigError: an unknown name, or a setting that can't be.
        ConstitutionalError: the baseline can't label at all.
    """
    made = [Setting(BASELINE, "as the flags say", Labeler(constitution, prompts, baseline))]
    seen = {_effect(made[0].labeler)}
    for name in _chosen(vary):
        description, changes = VARIATIONS[name]
        asked_for = name in vary
        try:
            labeler = Labeler(constitution, prompts, _varied(baseline, changes))
        except ConstitutionalError as error:
            if asked_for:
                raise ConfigError(f"variant {name}: {error}") from error
            continue  # as four principles of three
        effect = _effect(labeler)
        if effect in seen:
            if asked_for:
                raise ConfigError(
                    f"variant {name}: that is what another of the settings does already; leave it out"
                )
            continue
        seen.add(effect)
        made.append(Setting(name, description, labeler))
    for name, given in (own or {}).items():
        if any(setting.name == name for setting in made) or name in VARIATIONS:
            raise ConfigError(f"setting {name}: there is a setting of this name already; choose another")
        try:
            changed = LabelSettings.model_validate({**baseline.model_dump(), **given})
            labeler = Labeler(constitution, prompts, changed)
        except ConfigError as error:
            raise ConfigError(f"setting {name}: {error}") from error
        made.append(Setting(name, "the user's own", labeler))
    return tuple(made)


def read_setting(text: str) -> tuple[str, dict[str, Any]]:
    """A setting as it is written on the command line, `NAME: key=value, key=value`.

    A configuration file's mapping of names to settings comes as `NAME=JSON`.

    Raises:
        ConfigError: it is not written so.
    """
    name, colon, rest = text.partition(":")
    from_file = re.match(r"\s*([^:=]*?)\s*=", text)
    if from_file:
        name, colon = from_file[1], ":"
        try:
            given = json.loads(text[from_file.end() :])
        except (ValueError, RecursionError):
            raise ConfigError(_how(text)) from None
        if isinstance(given, dict):
            return _name(name, text), {str(key).replace("-", "_"): value for key, value in given.items()}
        rest = str(given)
    if not colon:
        raise ConfigError(_how(text))
    changes: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key or not value.strip():
            raise ConfigError(_how(text))
        if key in changes:
            raise ConfigError(f"--setting {name.strip()}: {key} is given twice")
        try:
            changes[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):  # a date that is none; brackets too deep
            raise ConfigError(
                f"--setting {name.strip()}: {key}: {value.strip()[:60]!r} is no YAML value"
            ) from None
    return _name(name, text), changes


def flags(settings: LabelSettings) -> str:
    """The flags of `constitutional label` that say the same, without those that are its defaults."""
    parts = []
    for name, field in LabelSettings.model_fields.items():
        value = getattr(settings, name)
        if value == field.default:
            continue
        if name == "both_orders":
            parts.append("--one-order")
        elif value is True:
            parts.append(f"--{name.replace('_', '-')}")
        else:
            number = f"{value:g}" if isinstance(value, float) else str(value)
            parts.append(f"--{name.replace('_', '-')} {number}")
    return " ".join(parts)


def _how(text: str) -> str:
    return f'--setting {text!r}: has to be "NAME: key=value, key=value", as "four: principles=4, examples=0"'


def _name(name: str, text: str) -> str:
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--setting {text!r}: a name has letters, digits, '.', '-' and '_', and begins with a letter or a digit"
        )
    return name


def _chosen(vary: Iterable[str]) -> tuple[str, ...]:
    names = set(vary)
    for name in sorted(names - {"all", "none"}):
        if name not in VARIATIONS:
            raise ConfigError(f"vary: there is no variant {name!r}; {nearest(name, VARIATIONS)}")
    if "none" in names and len(names) > 1:
        raise ConfigError("vary: none can't be combined with other variants")
    return tuple(name for name in VARIATIONS if "all" in names or name in names)


def _varied(baseline: LabelSettings, changes: Mapping[str, Any]) -> LabelSettings:
    """The baseline with one thing changed, and what has to go with it."""
    varied = {**baseline.model_dump(), **changes}
    if not varied["chain_of_thought"] and varied["votes"] == "logprobs":
        varied["samples"] = 1  # nothing is sampled
    elif varied["samples"] > 1 and not varied["temperature"]:
        varied["temperature"] = _SELF_CONSISTENT
    return LabelSettings.model_validate(varied)


def _effect(labeler: Labeler) -> str:
    """What a labeler does, so that two that do the same are told apart from two that don't."""
    settings, decisive = labeler.settings, labeler.settings.decisive()
    if labeler.asks_all:
        decisive["principles"] = "all"
    decisive["examples"] = len(labeler.prompts.preference_examples[: settings.examples])
    if settings.votes == "sampled":  # counted answers have no mass
        decisive = {name: value for name, value in decisive.items() if name not in ("min_mass", "low_mass")}
    return repr(sorted(decisive.items()))
