"""The HTTP client between the openai package and a model's server: it keeps, retries, and tells faults."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import httpx2
from pydantic import SecretStr

from ..errors import ChatModelError
from .faults import HINTS, Fault, of_exception, of_reply
from .outbox import Message, Outbox

__all__ = ["ModelClient", "is_local"]

TRIES = 3
FIRST_WAIT = 0.5
"""Seconds before the second try where the server names none; doubled for the third."""

MAX_REPLY_BYTES = 16 * 1024 * 1024

_CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie", "set-cookie"}
)


class ModelClient(httpx2.Client):
    """Sends requests to a model's server, and to nobody else.

    Every request and reply goes into the outbox as it is on the wire. A question that was answered before
    is answered from there. This is the only place where a request is tried again.

    Parameters
    ----------
    outbox : Outbox
        Where requests and replies are kept.
    timeout : float
        Seconds from a request to the end of its reply.
    key : SecretStr or None
        Kept out of everything that is written or said.
    local : bool
        Whether the server runs on this machine, so that no proxy lies in between.
    """

    def __init__(self, outbox: Outbox, *, timeout: float, key: SecretStr | None, local: bool) -> None:
        limits = httpx2.Timeout(timeout, connect=min(timeout, 10.0))
        # A redirect could carry the prompt to another host; it is a fault instead.
        super().__init__(timeout=limits, follow_redirects=False, mounts=_DIRECT if local else None)
        self._outbox = outbox
        self._seconds = timeout
        self._connected: socket.socket | None = None
        self._has_key = bool(key)
        outbox.conceal(key.get_secret_value() if key else "")

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Return the reply to a request, from the outbox or from the server.

        Raises
        ------
        ChatModelError
            For every fault, after as many tries as it is worth.
        BudgetExceededError
            Where the request could pass a cap; it has not left then.
        """
        if request.method == "POST" and (kept := self._outbox.answer(request.read())) is not None:
            fault = _fault_of(kept, where=str(request.url))
            if fault is not None:
                raise self._told(fault, 1)
            return httpx2.Response(200, headers=_JSON, content=kept.body, request=request)
        outgoing = self._bare(request)
        for tried in range(1, TRIES + 1):
            answered = self._once(outgoing, options)
            if isinstance(answered, bytes):
                return httpx2.Response(200, headers=_JSON, content=answered, request=request)
            if answered.error.code == "timed_out":
                self._outbox.require_time()
            if not answered.retried or tried == TRIES:
                raise self._told(answered, tried)
            wait = answered.wait if answered.wait is not None else FIRST_WAIT * 2 ** (tried - 1)
            time.sleep(min(wait, self._outbox.time_left))
        raise AssertionError("the loop returns or raises")

    def _bare(self, request: httpx2.Request) -> httpx2.Request:
        """Return a request without what the openai package adds and the server has no need to know."""
        headers = [
            (name, value) for name, value in request.headers.items() if not name.startswith("x-stainless-")
        ]
        if not self._has_key:
            # the package insists on a key, also for a server that has none
            headers = [(name, value) for name, value in headers if name != "authorization"]
        bare = httpx2.Request(
            request.method,
            request.url,
            headers=headers,
            content=request.read(),
            extensions={**request.extensions, "trace": self._note_connection},
        )
        bare.headers["accept-encoding"] = "identity"
        return bare

    def _once(self, request: httpx2.Request, options: dict[str, Any]) -> bytes | Fault:
        where = str(request.url)
        name = self._outbox.sent(Message(_head(f"{request.method} {where}", request.headers), request.read()))
        late = threading.Event()
        clock = threading.Timer(min(self._seconds, self._outbox.time_left), self._break_off, [late])
        clock.daemon = True
        clock.start()
        try:
            response = super().send(request, **(options | {"stream": True}))
            try:
                body = _read(response)
            finally:
                response.close()
            if late.is_set():
                raise httpx2.ReadTimeout("no end in time")
        except (httpx2.HTTPError, OSError) as error:
            fault = of_exception(TimeoutError() if late.is_set() else error, where=where)
            self._outbox.received(name, Message(f"FAULT {fault.error.code}", fault.error.what.encode()))
            return fault
        finally:
            clock.cancel()
        self._outbox.received(name, Message(_head(f"HTTP {response.status_code}", response.headers), body))
        return of_reply(response.status_code, response.headers, body, where=where) or body

    def _note_connection(self, _: str, info: dict[str, Any]) -> None:
        extra = getattr(info.get("return_value"), "get_extra_info", None)
        if extra is not None:  # a connection was made, or got its TLS
            self._connected = extra("socket")

    def _break_off(self, late: threading.Event) -> None:
        """End an exchange whose time is over; the client's own time-out is for each piece of it alone."""
        late.set()
        if self._connected is not None:
            with suppress(OSError):
                # not by the method of an ssl.SSLSocket, which another thread is reading from
                socket.socket.shutdown(self._connected, socket.SHUT_RDWR)

    def _told(self, fault: Fault, tries: int) -> ChatModelError:
        """Return the error of a fault without the key in it, and with how often it was met."""
        error = fault.error
        what = error.what if tries == 1 else f"{error.what}, {tries} times in a row"
        return ChatModelError(
            self._outbox.concealed(what.encode()).decode(),
            code=error.code,
            where=error.where,
            hint=error.hint,
        )


_JSON = {"content-type": "application/json"}

# each of these goes before the same one that the environment names a proxy for
_DIRECT = {"all://": None, "http://": None, "https://": None}


def is_local(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _fault_of(kept: Message, *, where: str) -> Fault | None:
    """Return the fault that a kept reply tells of."""
    if kept.head.startswith("FAULT "):
        code = kept.status
        return Fault(ChatModelError(kept.body.decode(), code=code, where=where, hint=HINTS[code]))
    return of_reply(int(kept.status), {}, kept.body, where=where)


def _head(first: str, headers: httpx2.Headers) -> str:
    kept = [f"{name}: {value}" for name, value in headers.items() if name.lower() not in _CREDENTIALS]
    return "\n".join([first, *kept])


def _read(response: httpx2.Response) -> bytes:
    """Read a reply to its end; one that swells without end is given up."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MAX_REPLY_BYTES:
            raise httpx2.RemoteProtocolError(f"more than {MAX_REPLY_BYTES} bytes")
    return bytes(body)
