"""A program in a file, of which no more is read than the sandbox would take."""

from __future__ import annotations

import stat
from pathlib import Path

from llmdas_agent.errors import InputError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox.source import MAX_BYTES

__all__ = ["read_program"]


def read_program(path: Path) -> SynthesisProgram:
    """Return the program in a file, not yet checked.

    Parameters
    ----------
    path : Path
        A regular file of UTF-8 text.

    Returns
    -------
    SynthesisProgram

    Raises
    ------
    InputError
        When it cannot be read, is no regular file, larger than the sandbox takes, or no UTF-8 text.
    """
    hint = "Give a Python file"
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe may have no end
            raise InputError("is no regular file", where=str(path), hint=hint)
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise InputError(f"is larger than {MAX_BYTES // 1024} KiB", where=str(path), hint=hint)
        return SynthesisProgram(raw.decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"cannot be read ({what.lower()})", where=str(path), hint=hint) from None
