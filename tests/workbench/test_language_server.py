"""A real YAML language server, the one that editors use, on a file that `new` wrote: it completes keys and flags misspelt ones.

The server is a package of npm. It is installed once, at a pinned version, into the cache; the test is skipped without node and npm, or
where the package can't be had.
"""

import json
import queue
import shutil
import subprocess
import threading

import pytest

from constitutional.fingerprint import cache_dir
from constitutional.workbench.json_schema import MODELINE, SCHEMA_NAME
from constitutional.workbench.skeleton import new_constitution

VERSION = "1.25.0"
TIMEOUT_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program():
    """The server's script."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = cache_dir() / "tests" / f"yaml-language-server-{VERSION}"
    script = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    if not script.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--prefix",
            str(folder),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-save",
        ]
        done = subprocess.run([*install, f"yaml-language-server@{VERSION}"], capture_output=True, text=True)
        if done.returncode or not script.is_file():
            pytest.skip(f"yaml-language-server can't be installed: {done.stderr.strip()[-300:]}")
    return script


class Client:
    """As much of the language server protocol as an editor needs for one file."""

    def __init__(self, script, folder):
        command = ["node", str(script), "--stdio"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.received = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.number = self.version = 0
        self.flagged = None
        self.ask(
            "initialize",
            processId=None,
            rootUri=folder.as_uri(),
            capabilities={"textDocument": {"completion": {}}},
        )
        self.tell("initialized")
        settings = {"yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}}
        self.tell("workspace/didChangeConfiguration", settings=settings)

    def open(self, path):
        self.uri = path.as_uri()
        document = {
            "uri": self.uri,
            "languageId": "yaml",
            "version": 0,
            "text": path.read_text(encoding="utf-8"),
        }
        self.tell("textDocument/didOpen", textDocument=document)

    def change(self, text):
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        self.tell("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])

    def flags(self, wanted):
        """Wait until what the server flags is as wanted: a function of the lines (from 0) and messages."""
        while self.flagged is None or not wanted(self.flagged):
            self._take()

    def complete(self, line, character):
        place = {"line": line, "character": character}
        answer = self.ask("textDocument/completion", textDocument={"uri": self.uri}, position=place)
        return answer["items"] if isinstance(answer, dict) else answer

    def ask(self, method, **params):
        self.number += 1
        wanted = self.number
        self._send(id=wanted, method=method, params=params)
        while (answer := self._take()).get("id") != wanted or "method" in answer:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def tell(self, method, **params):
        self._send(method=method, params=params)

    def close(self):
        self.process.kill()
        self.process.communicate()

    def _take(self):
        message = self.received.get(timeout=TIMEOUT_S)
        if (
            message.get("method") == "textDocument/publishDiagnostics"
            and message["params"]["uri"] == self.uri
        ):
            found = message["params"]["diagnostics"]
            self.flagged = [(problem["range"]["start"]["line"], problem["message"]) for problem in found]
        elif "id" in message and "method" in message:  # the server asks: it gets nothing, which is an answer
            items = message.get("params", {}).get("items")
            self._send(id=message["id"], result=[None] * len(items) if items else None)
        return message

    def _send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _read(self):
        while header := self.process.stdout.readline():
            length = int(header.split(b":")[1])
            while self.process.stdout.readline().strip():
                pass
            self.received.put(json.loads(self.process.stdout.read(length)))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file that carries the modeline that `new` writes, and nothing else that names a schema."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / new_constitution("my-rules").path
    assert path.read_text(encoding="utf-8").count(SCHEMA_NAME) == 1
    return path


@pytest.fixture
def client(program, tmp_path):
    started = Client(program, tmp_path)
    yield started
    started.close()


def test_a_new_constitution_is_fine_and_a_misspelt_key_is_flagged(client, file):
    client.open(file)
    client.flags(lambda found: found == [])
    text = file.read_text(encoding="utf-8").replace("    critique: >-", "    critque: >-")
    client.change(text)
    (misspelt,) = [number for number, content in enumerate(text.splitlines()) if "critque" in content]
    client.flags(lambda found: any(line == misspelt and "critque" in message for line, message in found))
    client.change(text.replace("critque", "critique"))
    client.flags(lambda found: found == [])


def test_a_weight_of_zero_and_a_missing_revision_are_flagged(client, file):
    client.open(file)
    client.change(f"{MODELINE}\nid: a\nprinciples:\n  - id: x\n    critique: Find faults.\n    weight: 0\n")
    client.flags(lambda found: {5} < {line for line, _ in found})


def test_the_keys_of_a_principle_are_completed_with_their_descriptions(client, file):
    client.open(file)
    text = f"{MODELINE}\nid: a\nprinciples:\n  - id: x\n    preference: Which is better?\n    \n"
    client.change(text)
    found = {item["label"]: item for item in client.complete(5, 4)}
    assert {"critique", "revision", "weight", "tags", "source"} <= set(found)
    assert "preference" not in found and "extends" not in found
    assert "twice as often" in json.dumps(found["weight"])


def test_the_keys_of_the_file_are_completed(client, file):
    client.open(file)
    client.change(f"{MODELINE}\nid: a\n\n")
    assert {"version", "description", "extends", "drop", "principles"} <= {
        item["label"] for item in client.complete(2, 0)
    }
