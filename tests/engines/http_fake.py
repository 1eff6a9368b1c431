"""A real HTTP server on loopback, in a thread, that answers by a script and remembers what it was asked."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "tiny-chat"
MODELS = {"object": "list", "data": [{"id": MODEL, "root": "/models/tiny", "max_model_len": 512}]}


def answer(text="fine", **message):
    """A chat completion."""
    return {
        "choices": [{"index": 0, "message": {"content": text, **message}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 11,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 8},
        },
    }


def top_logprobs(logprobs):
    """A chat completion that shows the likeliest first tokens."""
    top = [{"token": token, "logprob": logprob} for token, logprob in logprobs.items()]
    first = {"token": top[0]["token"], "logprob": top[0]["logprob"], "top_logprobs": top}
    return {"choices": [{"message": {"content": "x"}, "logprobs": {"content": [first]}}]}


class FakeServer:
    """What it answers next is `script`; after that, `default`.

    An entry is a reply, or `(status, reply, headers)`. A reply is a mapping (sent as JSON), bytes, `HANG`
    (nothing comes) or `CUT` (the connection closes half-way).
    """

    HANG, CUT = object(), object()

    def __init__(self):
        self.script = []
        self.default = answer()
        self.models = MODELS
        self.requests = []  # (method, path, headers, body)
        self.free = threading.Event()  # ends what hangs
        self.lock = threading.Lock()
        self.in_flight = 0
        self.most_in_flight = 0
        self.respond = None  # a function of the request's body, instead of script and default
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake._handle(self, None)

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                with fake.lock:
                    fake.in_flight += 1
                    fake.most_in_flight = max(fake.most_in_flight, fake.in_flight)
                try:
                    fake._handle(self, json.loads(raw))
                finally:
                    with fake.lock:
                        fake.in_flight -= 1

            def log_message(self, *_):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self.httpd.server_port}"
        self.url = f"{self.origin}/v1"

    @property
    def bodies(self):
        """The bodies of the chat requests, in order."""
        return [body for method, _, _, body in self.requests if method == "POST"]

    def _handle(self, handler, body):
        with self.lock:
            self.requests.append((handler.command, handler.path, dict(handler.headers), body))
            if handler.path == "/v1/models":
                reply = self.models
            elif handler.path != "/v1/chat/completions":
                reply = (404, {"error": {"message": "nothing here"}}, {})
            elif self.respond:
                reply = self.respond(body)
            else:
                reply = self.script.pop(0) if self.script else self.default
        status, content, headers = reply if isinstance(reply, tuple) else (200, reply, {})
        if content is self.HANG:
            self.free.wait(30)
            handler.close_connection = True
            return
        if content is self.CUT:
            handler.send_response(200)
            handler.send_header("content-length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [')
            handler.close_connection = True
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)


@contextmanager
def serving():
    """A running `FakeServer`."""
    fake = FakeServer()
    thread = threading.Thread(target=fake.httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.free.set()
        fake.httpd.shutdown()
        fake.httpd.server_close()
        thread.join()
