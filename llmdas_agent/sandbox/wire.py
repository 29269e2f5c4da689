"""How the two ends talk: length-prefixed JSON headers and raw float64, over one socket per run.

::

    parent → worker   job header, X_train
    worker → parent   b"S" rows, columns, the rows        (score request)
    parent → worker   rows that are not finite, and if there are none, a score for each row
    worker → parent   b"R" length, reply header, the made rows when there are any

Nothing is pickled in either direction, and no memory is shared: rows to be scored are copied by the kernel,
so that a worker cannot change them under the detector's hands.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

__all__ = [
    "COUNT",
    "LENGTH",
    "REPLY",
    "SCORE",
    "SHAPE",
    "pack_header",
    "read_count",
    "read_exactly",
    "read_header",
    "write_all",
]

SCORE = b"S"
REPLY = b"R"
SHAPE = struct.Struct("<QQ")
LENGTH = struct.Struct("<I")
COUNT = struct.Struct("<Q")


def read_exactly(fd: int, buffer: memoryview) -> None:
    """Fill a buffer from a descriptor.

    Raises
    ------
    EOFError
        When the other end closed before the buffer was full.
    """
    view = buffer.cast("B")
    while view:
        got = os.readv(fd, [view])
        if not got:
            raise EOFError
        view = view[got:]


def read_count(fd: int) -> int:
    """Read one count from a descriptor."""
    data = bytearray(COUNT.size)
    read_exactly(fd, memoryview(data))
    count: int = COUNT.unpack(data)[0]
    return count


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data` to a descriptor."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(fd, view) :]


def pack_header(header: dict[str, Any]) -> bytes:
    """Return a JSON header with its length in front."""
    text = json.dumps(header).encode()
    return LENGTH.pack(len(text)) + text


def read_header(fd: int) -> Any:
    """Read a header written by `pack_header`."""
    length = bytearray(LENGTH.size)
    read_exactly(fd, memoryview(length))
    text = bytearray(LENGTH.unpack(length)[0])
    if text:
        read_exactly(fd, memoryview(text))
    return json.loads(text)
