import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from constitutional.errors import ConfigError, PrerequisiteError
from constitutional.models import fingerprint_folder, resolve_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("CONSTITUTIONAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def model_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}", "utf-8")
    return folder


def test_a_local_folder_is_named_by_its_path_and_known_by_its_content(tmp_path):
    folder = model_folder(tmp_path / "runs" / "model")
    resolved = resolve_model("runs/model")
    assert resolved.name == "runs/model"
    assert Path(resolved.path_or_id).resolve() == folder
    assert resolved.fingerprint == fingerprint_folder(folder)
    assert resolved.revision is None


def test_an_embedded_model_that_was_not_pulled_names_the_command():
    with pytest.raises(PrerequisiteError, match="`constitutional model pull smollm2-135m`"):
        resolve_model("smollm2-135m")


def test_a_pulled_model_is_found_in_the_cache(tmp_path):
    folder = model_folder(tmp_path / "cache" / "models" / "smollm2-135m")
    resolved = resolve_model("smollm2-135m")
    assert resolved.path_or_id == str(folder)
    assert resolved.fingerprint == fingerprint_folder(folder)


def test_a_folder_called_like_an_embedded_model_is_given_with_a_dot(tmp_path):
    model_folder(tmp_path / "smollm2-135m")
    assert resolve_model("./smollm2-135m").fingerprint.startswith("sha256:")


def test_a_folder_without_config_json_is_refused_with_what_is_missing(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty is no model: config\.json is missing"):
        resolve_model("empty")


def test_a_folder_of_checkpoints_points_to_the_last(tmp_path):
    model_folder(tmp_path / "run" / "checkpoint-20")
    model_folder(tmp_path / "run" / "checkpoint-100")
    with pytest.raises(ConfigError, match=r"did you mean .*checkpoint-100"):
        resolve_model("run")


def test_an_adapter_is_no_model(tmp_path):
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigError, match="it is a LoRA adapter"):
        resolve_model("lora")


def test_a_file_is_no_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="is a file; give the folder"):
        resolve_model("model.gguf")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smollm-135m", "did you mean 'smollm2-135m'"),
        ("my-modle", "did you mean 'my-model'"),
        ("runs/modle", "did you mean 'runs/model'"),
        ("xyz", "a hub id looks like owner/name"),
        ("no/such/folder", "does not exist"),
        ("", "name is empty"),
    ],
)
def test_an_unknown_name_gets_a_hint(tmp_path, name, hint):
    model_folder(tmp_path / "my-model")
    model_folder(tmp_path / "runs" / "model")
    with pytest.raises(ConfigError, match=hint):
        resolve_model(name)


def test_only_a_hub_id_has_revisions(tmp_path):
    model_folder(tmp_path / "model")
    with pytest.raises(ConfigError, match="has no revisions"):
        resolve_model("model", revision="main")
    with pytest.raises(ConfigError, match="has no revisions"):
        resolve_model("smollm2-135m", revision="main")


class Hub(BaseHTTPRequestHandler):
    """A hub that knows one model, with a main branch and a tag."""

    def do_GET(self):
        known = {"/api/models/owner/name": COMMIT, "/api/models/owner/name/revision/v2": OTHER_COMMIT}
        commit = known.get(self.path.partition("?")[0])
        if commit:
            body = json.dumps({"id": "owner/name", "sha": commit}).encode()
            self.send_response(200)
        else:
            missing, gated = "revision" in self.path, "gated" in self.path
            body = b"{}"
            self.send_response(403 if gated else 404)
            code = "GatedRepo" if gated else "RevisionNotFound" if missing else "RepoNotFound"
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(hub_id: str, revision: str | None, hub: str, hub_cache: Path, online: bool = True) -> tuple[str, str]:
    """What resolving gives, as (kind, text), in a process of its own: the hub's client reads HF_* once."""
    program = (
        "import json, sys\n"
        "from constitutional.models import resolve_model\n"
        "from constitutional.errors import ConstitutionalError\n"
        "try:\n"
        "    found = resolve_model(sys.argv[1], revision=sys.argv[2] or None)\n"
        "    print(json.dumps(['ok', f'{found.path_or_id} {found.fingerprint} {found.revision}']))\n"
        "except ConstitutionalError as error:\n"
        "    print(json.dumps([type(error).__name__, str(error)]))\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HUB_CACHE": str(hub_cache)}
    environment["HF_HUB_OFFLINE"] = "0" if online else "1"
    command = [sys.executable, "-c", program, hub_id, revision or ""]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    kind, text = json.loads(done.stdout)
    return kind, text


def test_a_hub_id_is_known_by_the_commit_it_stands_for_now(tmp_path, hub):
    assert ask("owner/name", None, hub, tmp_path) == ("ok", f"owner/name hub:{COMMIT} {COMMIT}")
    assert ask("owner/name", "v2", hub, tmp_path) == ("ok", f"owner/name hub:{OTHER_COMMIT} {OTHER_COMMIT}")


@pytest.mark.parametrize(
    ("hub_id", "revision", "kind", "said"),
    [
        ("owner/nmae", None, "ConfigError", "the hub has no model owner/nmae"),
        ("owner/name", "v3", "ConfigError", "has no revision 'v3'"),
        ("owner/gated", None, "PrerequisiteError", "accepted its terms"),
        ("owner/na--me", None, "ConfigError", "can't be a hub id"),
    ],
)
def test_what_the_hub_refuses_is_said_in_a_sentence(tmp_path, hub, hub_id, revision, kind, said):
    found, text = ask(hub_id, revision, hub, tmp_path)
    assert found == kind
    assert said in text


@pytest.mark.parametrize("online", [True, False])
def test_without_the_hub_the_cached_commit_counts(tmp_path, online):
    nowhere = "http://127.0.0.1:9"
    cached = tmp_path / "models--owner--name"
    model_folder(cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT, "utf-8")
    assert ask("owner/name", None, nowhere, tmp_path, online) == ("ok", f"owner/name hub:{COMMIT} {COMMIT}")
    assert ask("owner/name", COMMIT, nowhere, tmp_path, online)[0] == "ok"
    kind, text = ask("owner/other", None, nowhere, tmp_path, online)
    assert kind == "PrerequisiteError"
    assert "`hf download owner/other`" in text
