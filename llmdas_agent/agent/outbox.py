"""What was asked of a chat model in a run and what it answered, byte for byte, in the run folder.

::

    RUN/outbox/
      0001.request.http   a request line, headers without credentials, an empty line, the body as sent
      0001.reply.http     a status line, headers, an empty line, the body as received

A model that is reached through something other than this package's own HTTP client has ``INVOKE NAME`` as
its request line, ``REPLY`` or ``FAULT CODE`` as its status line, and its messages as JSON for bodies. Every
file is written whole or not at all, so that a run that was killed finds each answer that had come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ChatModelError
from ..files import write_whole

__all__ = ["Exchange", "Message", "Outbox"]

_ANSWERS = ("choices", "output", "content")
"""What a JSON body that answers has one of: chat completions, responses, a message."""


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
    """

    number: int
    request: Message
    reply: Message | None


class Outbox:
    """The exchanges of a run.

    Parameters
    ----------
    folder : Path
        ``RUN/outbox``; made when the first request leaves.
    offline : bool
        Whether a question without a kept answer is an error instead of a request.
    """

    def __init__(self, folder: Path, *, offline: bool = False) -> None:
        self.folder = folder
        self.offline = offline
        self._given: set[int] = set()
        self._secrets: tuple[bytes, ...] = ()

    def conceal(self, secrets: Iterable[str]) -> None:
        """Replace these wherever they would be written, as in a reply that quotes the key it refuses."""
        self._secrets = tuple(secret.encode() for secret in secrets if secret)

    def exchanges(self) -> Iterator[Exchange]:
        """Yield every exchange, the oldest first."""
        for path in sorted(self.folder.glob("*.request.http")):
            reply = path.with_name(path.name.replace(".request.", ".reply."))
            yield Exchange(
                number=int(path.name.partition(".")[0]),
                request=Message.from_bytes(path.read_bytes()),
                reply=Message.from_bytes(reply.read_bytes()) if reply.exists() else None,
            )

    def answer(self, body: bytes) -> Message | None:
        """Return the kept answer to a question, once for every time that it was asked.

        Offline, a question that was never answered gets the fault that came instead, if one did.

        Parameters
        ----------
        body : bytes
            The request that would be sent; its model and its messages are the question.

        Raises
        ------
        ChatModelError
            With code ``not_kept``, offline.
        """
        question = _question(body)
        faults: list[Message] = []
        for exchange in self.exchanges():
            asked = exchange.number not in self._given and _question(exchange.request.body) == question
            if not asked or exchange.reply is None:
                continue
            if _answers(exchange.reply.body):
                self._given.add(exchange.number)
                return exchange.reply
            faults.append(exchange.reply)
        if self.offline and faults:
            return faults[-1]
        if self.offline:
            raise ChatModelError(
                "the run kept no answer to this request",
                code="not_kept",
                where=str(self.folder),
                hint="Its prompts or its card have changed since, or the run ended before the answer came",
            )
        return None

    def sent(self, request: Message) -> int:
        """Keep a request that is about to leave, and return its number."""
        taken = [int(path.name.partition(".")[0]) for path in self.folder.glob("*.request.http")]
        number = max(taken, default=0) + 1
        self._write(number, "request", request)
        return number

    def received(self, number: int, reply: Message) -> None:
        """Keep the reply to a request."""
        self._write(number, "reply", reply)
        self._given.add(number)

    def _write(self, number: int, kind: str, message: Message) -> None:
        raw = message.to_bytes()
        for secret in self._secrets:
            raw = raw.replace(secret, b"***")
        write_whole(self.folder / f"{number:04d}.{kind}.http", raw)


def _question(body: bytes) -> str:
    """Return what makes two requests the same question: the model and the messages."""
    data = _as_json(body)
    if isinstance(data, dict):
        asked = {key: data.get(key) for key in ("model", "messages", "input")}
        body = json.dumps(asked, sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest()


def _answers(body: bytes) -> bool:
    data = _as_json(body)
    return isinstance(data, dict) and any(data.get(key) is not None for key in _ANSWERS)


def _as_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
