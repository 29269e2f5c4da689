"""Every error a user can meet, and the exit code each one ends a command with.

::

    LlmdasError                   1   the root; on its own it means a fault of ours
    ├── InputError                3   what was given cannot be used
    │   ├── CardError                 a card: which file, line and field
    │   ├── TableError                a table: which file, line or column
    │   ├── DetectorError             a class that cannot be imported, is no detector, or does not fit
    │   └── ProgramError              a synthesis program that does not do what its contract asks
    ├── UnknownNameError          4   no such detector, run or synthesizer; says what was probably meant
    ├── NotAcceptedError          5   a run that ended as ``exhausted``, or a program that fails a check
    ├── BudgetExceededError       6   a run that ended as ``budget_exceeded``
    ├── SandboxError              7   the sandbox itself cannot do its work
    ├── ModelFolderError          8   a saved model that is damaged, foreign or from a newer version
    ├── BusyError                 9   another process holds the same name
    ├── StorageError             10   the disk is full, or may not be written
    ├── PluginError              11   two plugins that want the same name, or one that breaks its contract
    └── ChatModelError           12   a chat model that cannot be reached, or whose server does not answer

Exit code 0 is success, 2 a wrong command line, 130 an interruption by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BudgetExceededError",
    "BusyError",
    "CardError",
    "ChatModelError",
    "DetectorError",
    "InputError",
    "LlmdasError",
    "ModelFolderError",
    "NotAcceptedError",
    "PluginError",
    "ProgramError",
    "SandboxError",
    "StorageError",
    "TableError",
    "UnknownNameError",
    "did_you_mean",
    "in_a_line",
]


class LlmdasError(Exception):
    """The root of all errors that this package raises on purpose.

    Parameters
    ----------
    what : str
        What failed, one sentence without a closing full stop.
    where : str, optional
        Where it failed: ``file:line``, a field, a column, a folder.
    hint : str, optional
        What to do next.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line}. {self.hint}" if self.hint else line

    def as_dict(self) -> dict[str, str | int]:
        """Return the error as plain data, for ``--json``."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }


class InputError(LlmdasError, ValueError):
    """What was given cannot be used; a `ValueError` too, as the users of scikit-learn expect."""

    exit_code = 3


class CardError(InputError):
    """A card that cannot be read, or whose content is not allowed."""


class TableError(InputError):
    """A table that cannot be read, fitted or scored."""


class DetectorError(InputError):
    """A detector that cannot be imported, is none, or does not fit."""


class ProgramError(InputError):
    """A synthesis program that breaks its contract.

    Parameters
    ----------
    what : str
        What failed.
    code : str
        Which part of the contract: ``parse``, ``dialect``, ``signature``, ``run``, ``timeout``,
        ``memory``, ``query_budget`` or ``result``. The check of the same name reports it.
    line : int, optional
        The line of the program's source, from 1.
    where, hint : str, optional
        As in `LlmdasError`.
    """

    def __init__(
        self, what: str, *, code: str, line: int | None = None, where: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, where=where or (f"program line {line}" if line else "program"), hint=hint)
        self.code = code
        self.line = line


class UnknownNameError(LlmdasError):
    """No detector, run or synthesizer of this name."""

    exit_code = 4


class NotAcceptedError(LlmdasError):
    """No program passed, or the one given does not."""

    exit_code = 5


class BudgetExceededError(LlmdasError):
    """The time, tokens or money allowed ran out before a program passed."""

    exit_code = 6


class SandboxError(LlmdasError):
    """The sandbox cannot do its work on this machine; the program is not to blame."""

    exit_code = 7


class ModelFolderError(LlmdasError):
    """A saved model that is damaged, foreign or from a newer version."""

    exit_code = 8


class BusyError(LlmdasError):
    """Another process is at work on the same name."""

    exit_code = 9


class StorageError(LlmdasError):
    """Nothing could be written: the disk is full, or the folder is not ours."""

    exit_code = 10


class PluginError(LlmdasError):
    """Two plugins want the same name, or one breaks its contract."""

    exit_code = 11


class ChatModelError(LlmdasError):
    """A chat model that cannot be reached, or whose server does not answer as one.

    Parameters
    ----------
    what : str
        What failed.
    code : str
        Which fault, as listed in ``docs/models.md``.
    where, hint : str, optional
        As in `LlmdasError`.
    """

    exit_code = 12

    def __init__(self, what: str, *, code: str, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.code = code

    def as_dict(self) -> dict[str, str | int]:
        """Return the error as plain data, with its code."""
        return super().as_dict() | {"code": self.code}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known name, or the list of all when none is near.

    Parameters
    ----------
    word : str
        What was given.
    known : iterable of str
        What might have been meant.

    Returns
    -------
    str
        Empty when nothing is known.

    Examples
    --------
    >>> did_you_mean("ifroest", ["pca", "iforest"])
    "Did you mean 'iforest'?"
    """
    names = sorted(known)
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{by_lower[near[0]]}'?"
    return f"Known: {', '.join(names)}" if names else ""


def in_a_line(error: BaseException) -> str:
    """Return a stranger's error as one line of bounded length.

    Parameters
    ----------
    error : BaseException
        Raised by code that is not ours.

    Returns
    -------
    str
        Its type and its text, at most 300 characters.
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in str(error))
    text = " ".join(printable.split()).rstrip(".")
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
