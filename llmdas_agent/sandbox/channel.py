"""The parent's end of a conversation with a worker: all has a deadline, and nothing received is trusted."""

from __future__ import annotations

import socket
import time

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmdas_agent.sandbox import wire

__all__ = ["Channel", "GoneError", "LateError", "MalformedError", "Reply"]


_CHUNK = 1 << 16


class LateError(Exception):
    """The deadline passed."""


class GoneError(Exception):
    """The worker ended before it had said everything."""


class MalformedError(Exception):
    """The worker said what the protocol does not allow."""


class Reply(BaseModel):
    """What a worker may answer.

    Attributes
    ----------
    shape : tuple of int or None
        Shape of the rows that follow; None when there are none.
    printed : str
        What the program printed.
    unchanged : bool
        Whether ``X_train`` holds what it held before.
    code, what, line, hint
        As in `ProgramError`, when there are no rows.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    shape: tuple[int, int] | None = Field(default=None, strict=False)
    printed: str = ""
    unchanged: bool = True
    code: str = ""
    what: str = ""
    line: int | None = Field(default=None, ge=1, le=10**6)
    hint: str = ""

    @classmethod
    def parse(cls, text: bytes) -> Reply:
        """Read a reply header.

        Raises
        ------
        MalformedError
            When it is not one.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise MalformedError("its reply header cannot be read") from error


class Channel:
    """Sends and receives before a deadline.

    Parameters
    ----------
    connection : socket.socket
        The run's socket.
    deadline : float
        By `time.monotonic`, seconds.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._socket = connection
        self._deadline = deadline

    def check_time(self) -> float:
        """Return the seconds left.

        Raises
        ------
        LateError
            When there are none.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise LateError
        return left

    def send(self, *parts: bytes | memoryview) -> None:
        """Send bytes one after the other."""
        for part in parts:
            self._socket.settimeout(self.check_time())
            try:
                self._socket.sendall(part, socket.MSG_NOSIGNAL)
            except TimeoutError:
                raise LateError from None
            except OSError as error:
                raise GoneError from error

    def fill(self, view: memoryview) -> None:
        """Receive exactly as many bytes as a buffer holds."""
        view = view.cast("B")
        while view:
            self._socket.settimeout(self.check_time())
            try:
                got = self._socket.recv_into(view)
            except TimeoutError:
                raise LateError from None
            except OSError as error:
                raise GoneError from error
            if not got:
                raise GoneError
            view = view[got:]

    def receive_rows(self, count: int, columns: int) -> tuple[NDArray[np.float64], bool]:
        """Receive a table.

        Parameters
        ----------
        count, columns : int
            Its shape.

        Returns
        -------
        rows : ndarray of shape (count, columns), float64
        finite : bool
            Whether all of it is; looked at while it is still in the processor's cache.
        """
        rows = np.empty((count, columns))
        flat, finite = rows.reshape(-1), True
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            self.fill(part.data)
            finite = finite and bool(np.isfinite(part).all())
        return rows, finite

    def receive(self, length: int) -> bytes:
        """Receive exactly so many bytes."""
        data = bytearray(length)
        if length:
            self.fill(memoryview(data))
        return bytes(data)

    def receive_header(self, limit: int) -> bytes:
        """Receive a length-prefixed header.

        Raises
        ------
        MalformedError
            When it claims more than `limit` bytes.
        """
        length: int = wire.LENGTH.unpack(self.receive(wire.LENGTH.size))[0]
        if length > limit:
            raise MalformedError(f"its reply header claims {length} bytes")
        return self.receive(length)
