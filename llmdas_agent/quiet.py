"""Code that is not ours at work: what it prints and warns of is not for the reader of a command's result."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings

__all__ = ["quiet"]


class _Quiet:
    """Keeps a stranger's prints off stdout, where a command's own result goes, and its warnings off stderr.

    Both belong to the whole process, and detectors work in threads: the last one out lets them through again.
    Use `quiet`, the only one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._turned_away = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._turned_away.enter_context(contextlib.redirect_stdout(io.StringIO()))
                self._turned_away.enter_context(warnings.catch_warnings())
            self._inside += 1
            warnings.simplefilter("ignore")  # each time: scikit-learn in another thread may have undone it

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._turned_away.close()


quiet = _Quiet()
