"""What can go wrong on the way to a chat model: how it is told, and whether asking again may help."""

from __future__ import annotations

import email.utils
import html
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import ChatModelError
from .bodies import is_answer, json_object, malformed

__all__ = ["HINTS", "RETRIED", "Fault", "of_exception", "of_reply"]

HINTS = {
    "key_refused": "Set LLMDAS_API_KEY or OPENAI_API_KEY to a key that this server accepts",
    "not_permitted": "Ask the server's owner to allow this key, this model or this place",
    "not_found": "Correct --model or --base-url; `llmdas-agent doctor` shows what the server offers",
    "no_v1": "Add it to --base-url",
    "timed_out": "Try again, choose a faster model, or raise LLMDAS_TIMEOUT",
    "busy": "Wait, then go on with the run, or choose another model",
    "quota": "Add credit to the account, or choose another model",
    "server_failed": "Look at the server's own log, or try again later",
    "too_long": "Choose a model with a larger context, shorten the card, or lower LLMDAS_MAX_TOKENS",
    "refused_request": "Correct what the server names, or choose another model",
    "redirected": "Set --base-url to the address that it names; prompts are not sent on to another one",
    "unreachable": "Start the server, or correct --base-url",
    "connection_lost": "Look at the server's own log, or try again",
    "no_tls": "Use http:// for a server without TLS, or name its authority's certificate in SSL_CERT_FILE",
    "no_model_server": "Correct --base-url, which usually ends in /v1, or look for a proxy in between",
    "malformed": "Update the server, or choose another one or model; the run's outbox holds the whole reply",
    "other": "Look at the server's own log, or try another model",
}
"""What to do about each fault, by code."""

RETRIED = frozenset({"busy", "server_failed", "connection_lost"})
"""Faults after which the same request may succeed; so it may after the status 408."""

MAX_WAIT = 60.0
"""Longest time that a server may ask to be left alone and is waited for, seconds."""

_TOO_LONG = re.compile(
    r"context.{0,20}(?:length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceeds? the (?:available )?context|reduce the length",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one request.

    Attributes
    ----------
    error : ChatModelError
        What a user is told.
    wait : float or None
        Seconds that the server asks to be left alone; None when it does not say.
    retried : bool
        Whether asking again may help.
    """

    error: ChatModelError
    wait: float | None = None
    retried: bool = False


def of_reply(status: int, headers: Mapping[str, str], body: bytes, *, where: str) -> Fault | None:
    """Return the fault that a reply tells of, or None when it answers what was asked.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        With case-insensitive names.
    body : bytes
        The reply.
    where : str
        The address that was asked.
    """
    said = _words(body)
    wait = _retry_after(headers.get("retry-after"))
    if status == 200:
        data = json_object(body) or {}
        listed = data.get("data") or data.get("models")
        if is_answer(data) or (isinstance(listed, list) and "choices" not in data):
            return None
        if data.get("error"):
            return Fault(_error("refused_request", f"the server answers: {said}", where))
        if part := malformed(data):
            return Fault(_error("malformed", _short(f"the reply is malformed: its {part}"), where))
        what = f"the reply is no answer of a chat model: {said}" if said else "the reply has no content"
        return Fault(_error("no_model_server", what, where))
    code = _code_of(status, body)
    what = f"the server answers {status}: {said}" if said else f"the server answers {status}"
    if code == "redirected":
        what = f"the server answers {status} and points to {headers.get('location', 'no address')}"
    waits = wait is None or wait <= MAX_WAIT
    if not waits and code in RETRIED:
        what = f"{what}; it asks to wait {wait:.0f} s"
    retried = waits and (code in RETRIED or status == 408)
    return Fault(_error(code, what, where), wait if waits else None, retried)


def of_exception(error: BaseException, *, where: str) -> Fault:
    """Return the fault that an exception tells of, whichever library raised it.

    Parameters
    ----------
    error : BaseException
        As raised by an HTTP client, or by a chat model's own package.
    where : str
        The address or the model that was asked.
    """
    chain = list(_chain(error))
    for one in chain:
        response = getattr(one, "response", None)
        status = getattr(one, "status_code", None) or getattr(response, "status_code", None)
        if isinstance(status, int) and status != 200:
            headers = getattr(response, "headers", {})
            told = of_reply(status, headers, str(one).encode(), where=where)
            if told is not None:
                return told
    words = f"{type(error).__name__}: {error}".rstrip(": ")
    names = " ".join(f"{type(one).__name__} {one}" for one in chain)
    if (
        any(isinstance(one, ssl.SSLError) for one in chain)
        or "CERTIFICATE_VERIFY" in names
        or "SSL:" in names
    ):
        return Fault(_error("no_tls", f"no TLS connection: {_short(names)}", where))
    if any(isinstance(one, socket.gaierror) for one in chain):
        return Fault(_error("unreachable", "no host of this name", where))
    if any(isinstance(one, ConnectionRefusedError) for one in chain) or "ConnectError" in names:
        return Fault(_error("unreachable", "nothing answers at this address", where))
    if "Timeout" in names or any(isinstance(one, TimeoutError) for one in chain):
        connecting = "ConnectTimeout" in names
        what = "the server cannot be reached in time" if connecting else "no whole reply came in time"
        return Fault(_error("unreachable" if connecting else "timed_out", what, where))
    if any(isinstance(one, ConnectionError) for one in chain) or re.search("ReadError|RemoteProtocol", names):
        return Fault(
            _error("connection_lost", "the connection broke before the reply was whole", where), retried=True
        )
    if _TOO_LONG.search(names) or "ContextOverflow" in names:
        return Fault(_error("too_long", f"the conversation does not fit the model: {_short(words)}", where))
    return Fault(_error("other", _short(words), where))


def _error(code: str, what: str, where: str) -> ChatModelError:
    return ChatModelError(what, code=code, where=where, hint=HINTS[code])


def _code_of(status: int, body: bytes) -> str:
    text = body[:4000].decode("utf-8", "replace")
    if status in (400, 413, 422, 500) and _TOO_LONG.search(text):
        return "too_long"
    if status in (402, 429) and re.search("insufficient_quota|billing|credit", text, re.IGNORECASE):
        return "quota"
    if 300 <= status < 400:
        return "redirected"
    known = {
        401: "key_refused",
        403: "not_permitted",
        404: "not_found",
        405: "not_found",
        407: "not_permitted",
    }
    known |= {402: "quota", 408: "timed_out", 413: "too_long", 429: "busy"}
    return known.get(status) or ("server_failed" if status >= 500 else "refused_request")


def _words(body: bytes) -> str:
    """Return what a reply says, as one short line: an error's message, a page's title, or its beginning."""
    text = body[:20_000].decode("utf-8", "replace")
    data = json_object(body)
    if data is not None:
        error = data.get("error") or data
        found = error.get("message") if isinstance(error, dict) else error
        text = found if isinstance(found, str) else text
    elif title := re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL):
        text = f"a page titled '{html.unescape(title.group(1)).strip()}'"
    elif "<html" in text.lower():
        text = "a page: " + re.sub(r"<[^>]*>", " ", text)
    return _short(text)


def _short(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(printable.split())
    return line if len(line) <= 240 else line[:237] + "..."


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return max(seconds, 0.0) if seconds == seconds else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what caused it."""
    one: BaseException | None = error
    seen: set[int] = set()
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
