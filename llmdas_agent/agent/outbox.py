"""What was asked of a chat model in a run and what it answered, byte for byte, in the run folder.

::

    RUN/outbox/
      0001.KEY.request.http   a request line, headers without credentials, an empty line, the body as sent
      0001.KEY.reply.http     a status line, headers, an empty line, the body as received

The key is a digest of the model, its parameters, the messages and the attempt that they were asked for: the
same question asked for the same attempt is answered from here, and paid once. Whoever asks the same question
again to get another answer gives it another attempt's name, unique in the folder (`Outbox.attempt`).

A model that is reached through something other than this package's own HTTP client has ``INVOKE NAME`` as
its request line, ``REPLY`` as its status line, and its messages as JSON for bodies. ``FAULT CODE`` stands for
a reply that never came. Every file is written whole or not at all, so that a run that was killed finds each
answer that had come.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ..errors import BudgetExceededError, ChatModelError
from ..files import write_whole
from .bodies import is_answer, json_object

__all__ = ["Exchange", "Message", "Outbox", "Permit"]

SHORTEST_SECRET = 8
"""A shorter key is a placeholder such as ``none``, whose letters a body may hold by chance."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply.

    Attributes
    ----------
    head : str
        The first line and the headers, without credentials.
    body : bytes
        As sent or received.
    """

    head: str
    body: bytes

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return self.head.encode("utf-8", "replace") + b"\n\n" + self.body

    @property
    def status(self) -> str:
        """The second word of the first line: an HTTP status, or the code of a fault."""
        return self.head.partition("\n")[0].split(" ")[-1]

    @property
    def data(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        return json_object(self.body) or {}

    @property
    def answers(self) -> bool:
        """Whether a reply is an answer: what a server said with status 200, or a model object's message."""
        if self.head == "REPLY":
            return self.data.get("content") is not None
        return self.status == "200" and is_answer(self.data)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Message:
        """Read a file's content."""
        head, _, body = raw.partition(b"\n\n")
        return cls(head.decode("utf-8", "replace"), body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its reply.

    Attributes
    ----------
    number : int
        Its place in the run, from 1.
    request : Message
        What left.
    reply : Message or None
        What came back, if anything did.
    at : datetime
        When it left, UTC.
    """

    number: int
    request: Message
    reply: Message | None
    at: datetime


class Permit(Protocol):
    """Says whether a request may leave."""

    def __call__(self, request: Message) -> None:
        """Raise a `BudgetExceededError` where it may not."""


class Outbox:
    """The exchanges of a run.

    Parameters
    ----------
    folder : Path
        ``RUN/outbox``; made when the first request leaves.
    offline : bool
        Whether a question without a kept answer is an error instead of a request.
    permit : Permit, optional
        Asked before any request leaves, also one that is sent again.

    Attributes
    ----------
    attempt : str
        Name of the attempt that the next questions are for, part of the key.
    until : float
        When the run's time is over, by `time.monotonic`; no request leaves after it.
    """

    def __init__(self, folder: Path, *, offline: bool = False, permit: Permit | None = None) -> None:
        self.folder = folder
        self.offline = offline
        self.attempt = ""
        self.until = math.inf
        self._permit = permit
        self._secrets: tuple[bytes, ...] = ()

    def conceal(self, secret: str) -> None:
        """Replace this wherever it would be written, as in a reply that quotes the key it refuses."""
        # an error quotes a value as Python writes it
        self._secrets = tuple(form.encode() for form in (secret, repr(secret)[1:-1]) if form)

    def concealed(self, raw: bytes, *, shortest: int = SHORTEST_SECRET) -> bytes:
        """Return a text with ``***`` wherever it holds the secret, if that has so many characters."""
        for secret in self._secrets:
            if len(secret) >= shortest:
                raw = raw.replace(secret, b"***")
        return raw

    @property
    def time_left(self) -> float:
        """Seconds until the run's time is over, at least 0."""
        return max(self.until - time.monotonic(), 0.0)

    def require_time(self) -> None:
        """Raise a `BudgetExceededError` where the run's time is over."""
        if not self.time_left:
            raise BudgetExceededError(
                "the run's time was over before the chat model had answered",
                where="--max-time",
                hint="Start a new run with a higher one, or choose a faster model",
            )

    def exchanges(self) -> Iterator[Exchange]:
        """Yield every exchange, the oldest first."""
        for path in sorted(self.folder.glob("*.request.http"), key=_number):
            reply = path.with_name(path.name.replace(".request.", ".reply."))
            yield Exchange(
                number=_number(path),
                request=Message.from_bytes(path.read_bytes()),
                reply=Message.from_bytes(reply.read_bytes()) if reply.exists() else None,
                at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
            )

    def answer(self, body: bytes) -> Message | None:
        """Return the kept answer to a question, asked for the present attempt.

        Offline, a question may have been answered by any model that the run went on with, and one that was
        never answered gets the fault that came instead, if one did.

        Parameters
        ----------
        body : bytes
            The request that would be sent: the model, its parameters and the messages.

        Raises
        ------
        ChatModelError
            With code ``not_kept``, offline.
        """
        keys = {self._key(body), *(self._keys_of_other_models(body) if self.offline else ())}
        paths = sorted(
            (path for key in keys for path in self.folder.glob(f"*.{key}.reply.http")), key=_number
        )
        replies = [Message.from_bytes(path.read_bytes()) for path in paths]
        for reply in replies:
            if reply.answers:
                return reply
        if not self.offline:
            return None
        if replies:
            return replies[-1]
        raise ChatModelError(
            "the run kept no answer to this request",
            code="not_kept",
            where=str(self.folder),
            hint="Its prompts or its card have changed since, or the run ended before the answer came",
        )

    def sent(self, request: Message) -> str:
        """Keep a request that is about to leave, and return the name of the exchange.

        Raises
        ------
        BudgetExceededError
            When it may not leave; then nothing is kept.
        """
        self.require_time()
        if self._permit is not None:
            self._permit(request)
        number = max(map(_number, self.folder.glob("*.request.http")), default=0) + 1
        name = f"{number:04d}.{self._key(request.body)}"
        head = self.concealed(request.head.encode("utf-8", "replace"), shortest=1).decode()
        self._write(f"{name}.request.http", Message(head, request.body))
        return name

    def received(self, name: str, reply: Message) -> None:
        """Keep the reply to the request of a name."""
        self._write(f"{name}.reply.http", reply)

    def _key(self, body: bytes) -> str:
        try:
            question = json.dumps(json.loads(body), sort_keys=True).encode()
        except ValueError:
            question = body
        return hashlib.sha256(question + b"\0" + self.attempt.encode()).hexdigest()[:16]

    def _keys_of_other_models(self, body: bytes) -> Iterator[str]:
        """Yield the keys of the same messages put to each model that was ever asked, with its parameters."""
        messages = {"messages": (json_object(body) or {}).get("messages")}
        for exchange in self.exchanges():
            if "messages" in exchange.request.data:
                yield self._key(json.dumps(exchange.request.data | messages).encode())

    def _write(self, name: str, message: Message) -> None:
        write_whole(self.folder / name, self.concealed(message.to_bytes()))


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])
