"""Writing that is whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .config import data_dir
from .errors import StorageError

__all__ = ["OUT_OF_SPACE", "storage_errors", "write_whole"]

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where the disk is full, the quota is used up, or a file may grow no more."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into a `StorageError` that names the place.

    Parameters
    ----------
    path : Path
        What is being written.

    Raises
    ------
    StorageError
        When the disk is full, the quota is used up, or the place may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in OUT_OF_SPACE:
            hint = "Free some space and run the command again; what was there before is untouched"
        elif path.absolute().is_relative_to(data_dir().absolute()):
            hint = "Set LLMDAS_HOME to a folder of yours"
        else:
            hint = "Choose another place"
        raise StorageError(
            f"cannot be written ({os.strerror(error.errno or 0).lower()})", where=str(path), hint=hint
        ) from error


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file under a temporary name beside it, then move it into place.

    Parameters
    ----------
    path : Path
        The file; folders above it are made. One that is there is replaced in one step.
    data : str or bytes
        Text is written as UTF-8.

    Raises
    ------
    StorageError
        When it cannot be written; the file that was there stays as it was.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            with building.open("xb") as stream:
                stream.write(raw)
                stream.flush()
                os.fsync(stream.fileno())
            building.replace(path)
        except BaseException:
            building.unlink(missing_ok=True)
            raise
