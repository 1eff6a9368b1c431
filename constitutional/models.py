"""From what `--model` says to a model that an engine can load, and to its fingerprint.

A name is, in this order: an embedded model (`smollm2-135m`), a local folder, a hub id (`owner/name`). A
folder that is called like an embedded model is given as `./smollm2-135m`. Nothing here imports torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from constitutional.embedded import EMBEDDED, EmbeddedModel, embedded_model, pull, pulled_path
from constitutional.errors import ConfigError, PrerequisiteError, nearest
from constitutional.fingerprint import cache_dir, fingerprint_folder

__all__ = [
    "EMBEDDED",
    "EmbeddedModel",
    "ResolvedModel",
    "cache_dir",
    "embedded_model",
    "fingerprint_folder",
    "pull",
    "pulled_path",
    "resolve_model",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model that can be loaded.

    Attributes:
        name: what the user named.
        path_or_id: a folder, or a hub id: what `from_pretrained` and vLLM take.
        fingerprint: `sha256:…` over a folder's files, or `hub:COMMIT`.
        revision: the commit of a hub id, to be passed on when it is loaded; None for a folder.
    """

    name: str
    path_or_id: str
    fingerprint: str
    revision: str | None = None


def resolve_model(name_or_path: str, *, revision: str | None = None) -> ResolvedModel:
    """Find the model that a user named.

    Args:
        name_or_path: an embedded model's name, a local folder, or a hub id `owner/name`.
        revision: branch, tag or commit of a hub id; its main branch by default.

    Raises:
        ConfigError: no such model, a folder that holds none, or a revision given for a folder.
        PrerequisiteError: an embedded model that was not pulled yet, a hub id that is neither reachable nor
        cached, or one
            that needs a login.
    """
    if not name_or_path.strip():
        raise ConfigError("the model's name is empty; give smollm2-135m, a folder, or a hub id owner/name")
    if name_or_path in EMBEDDED:
        _no_revision(name_or_path, revision)
        folder = pulled_path(name_or_path)
        if folder is None:
            raise PrerequisiteError(
                f"the model {name_or_path} is not on this machine yet; "
                f"`constitutional model pull {name_or_path}` gets it"
            )
        return ResolvedModel(name_or_path, str(folder), fingerprint_folder(folder))
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        _no_revision(name_or_path, revision)
        _check_folder(folder)
        return ResolvedModel(name_or_path, str(folder), fingerprint_folder(folder))
    if folder.is_file():
        raise ConfigError(f"the model {name_or_path} is a file; give the folder that holds its config.json")
    # Where the first part is a folder here, the second is a misspelt one rather than a model of that owner.
    if _HUB_ID.fullmatch(name_or_path) and not folder.parent.is_dir():
        commit = _hub_commit(name_or_path, revision)
        return ResolvedModel(name_or_path, name_or_path, f"hub:{commit}", commit)
    raise ConfigError(f"there is no model {name_or_path!r}: {_hint(name_or_path, folder)}")


def _no_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise ConfigError(
            f"the model {name} has no revisions, so {revision!r} can't be one: leave it out, or name a hub id"
        )


def _check_folder(folder: Path) -> None:
    if (folder / "config.json").is_file():
        return
    inside = [path.parent for path in folder.glob("*/config.json")]
    if (folder / "adapter_config.json").is_file():
        hint = "it is a LoRA adapter; name its base model, and give the folder as the adapter"
    elif inside:
        last = max(inside, key=lambda path: (len(path.name), path.name))  # checkpoint-100 after checkpoint-20
        hint = f"did you mean {last}, which has one?"
    else:
        hint = "a model's folder also has its weights (*.safetensors) and its tokenizer beside it"
    raise ConfigError(f"{folder} is no model: config.json is missing; {hint}")


def _hint(name: str, folder: Path) -> str:
    try:
        beside = [str(e) for e in folder.parent.iterdir() if e.is_dir() and not e.name.startswith(".")]
    except OSError:
        return f"the folder {folder.parent} does not exist, and a hub id looks like owner/name"
    near = nearest(str(folder), [*beside, *(EMBEDDED if folder.parent == Path() else ())])
    if not near.startswith("did you mean"):
        embedded = ", ".join(EMBEDDED)
        return f"it is no embedded model ({embedded}), no folder, and a hub id looks like owner/name"
    return near


def _hub_commit(hub_id: str, revision: str | None) -> str:
    """The commit that a revision of a hub id stands for: asked of the hub, else the one that is cached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        found = HfApi().model_info(hub_id, revision=revision, timeout=20).sha
        if found:
            return str(found)
        reason = "it names no commit"
    except GatedRepoError as error:
        raise PrerequisiteError(
            f"the model {hub_id} is for those who accepted its terms: do so on its page, "
            "then log in with `hf auth login`"
        ) from error
    except HFValidationError as error:
        raise ConfigError(f"{hub_id} can't be a hub id: {error}") from error
    except RevisionNotFoundError as error:
        raise ConfigError(f"the model {hub_id} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise ConfigError(
            f"the hub has no model {hub_id}, or it is private; check its name, or log in with `hf auth login`"
        ) from error
    except Exception as error:  # offline is a different exception in each version of each HTTP library
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    if (cached := _cached_commit(hub_id, revision)) is not None:
        return cached
    raise PrerequisiteError(
        f"the model {hub_id} is not cached on this machine and the hub can't be reached ({reason}). With a "
        f"network, `hf download {hub_id}` gets it; without one, `--model smollm2-135m` or a folder works."
    )


def _cached_commit(hub_id: str, revision: str | None) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, "config.json", revision=revision)
    if not isinstance(cached, str):
        return None
    commit = Path(cached).parent.name  # …/models--owner--name/snapshots/COMMIT/config.json
    return commit if _COMMIT.fullmatch(commit) else None
