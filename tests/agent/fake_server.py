"""A server on loopback that speaks the OpenAI protocol from a script, and misbehaves where that says so."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = [
    "FakeServer",
    "Received",
    "Step",
    "answers",
    "by_turn",
    "drips",
    "drips_headers",
    "drips_without_length",
    "page",
    "resets",
    "says",
    "serve",
    "stalls",
]

Step = Callable[["_Handler"], None]


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def messages(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.body)["messages"]
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self._take()
        with self.server.lock:
            steps = self.server.steps
            step = steps.pop(0) if len(steps) > 1 else steps[0]
        step(self)

    def do_GET(self) -> None:
        self._take()
        if self.path == f"{self.server.prefix}/models":
            names = [{"id": name, "object": "model"} for name in self.server.models]
            self.give(200, json.dumps({"object": "list", "data": names}))
        else:
            self.give(404, "404 page not found", "text/plain")

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.server.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.question = Received(self.command, self.path, headers, body)
            self.server.received.append(self.question)

    def give(self, status: int, body: str | bytes, kind: str = "application/json", **headers: str) -> None:
        raw = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)


class FakeServer(ThreadingHTTPServer):
    """Answers each POST by the next step of its script, and the last step again and again."""

    daemon_threads = True

    def __init__(self, *steps: Step, prefix: str = "/v1", models: tuple[str, ...] = ("fake",)) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.steps = list(steps)
        self.prefix = prefix
        self.models = models
        self.received: list[Received] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.tls: ssl.SSLContext | None = None

    @property
    def root(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return self.root + self.prefix

    @property
    def asked(self) -> list[Received]:
        """The questions, without requests for the list of models."""
        return [one for one in self.received if one.method == "POST"]

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self.lock:
            self.connections += 1
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the script."""


@contextmanager
def serve(*steps: Step, **settings: Any) -> Iterator[FakeServer]:
    """Run a server for the time of a ``with`` block."""
    tls = settings.pop("tls", None)
    server = FakeServer(*steps, **settings)
    server.tls = tls
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def says(
    text: str | None,
    *,
    finish: str = "stop",
    refusal: str | None = None,
    usage: object = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
) -> Step:
    """Answer as a chat model does."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if refusal:
        message["refusal"] = refusal
    reply = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    return lambda handler: handler.give(200, json.dumps(reply))


def by_turn(*texts: str) -> Step:
    """Answer by how far the conversation has come, however often it is begun."""
    return lambda handler: says(texts[len(handler.question.messages) // 2 - 1])(handler)


def answers(status: int, message: str = "no", *, code: str | None = None, **headers: str) -> Step:
    """Answer with a status and an error in OpenAI's form."""
    body = json.dumps({"error": {"message": message, "type": "some_error", "code": code}})
    return lambda handler: handler.give(status, body, **headers)


def page(status: int, html: str = "<html><title>Sign in</title><p>to the network</html>") -> Step:
    """Answer with a page, as a proxy does."""
    return lambda handler: handler.give(status, html, "text/html")


def resets(handler: _Handler) -> None:
    """Break the connection in the middle of the reply."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    # closing with unsent data and no linger is what a crash looks like from the other side
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def stalls(handler: _Handler) -> None:
    """Begin to answer and say no more."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.server.ended.wait(30)


def drips_headers(handler: _Handler) -> None:
    """Send a header every now and then, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b"x: y\r\n")
        handler.wfile.flush()


def drips_without_length(handler: _Handler) -> None:
    """Send an answer whose end is that of the connection, and never end it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def drips(handler: _Handler) -> None:
    """Send a space every now and then, for ever."""
    handler.send_response(200)
    handler.send_header("content-length", "1000000")
    handler.end_headers()
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()
