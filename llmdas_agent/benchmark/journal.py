"""A benchmark's folder: what was planned, and every outcome, appended as it comes.

::

    run.json        command, settings, versions, machine, date, and the keys of the jobs
    results.jsonl   one line for each outcome, in the order in which they came

Whatever kills the process, at any moment, costs at most the outcomes that it was about to write: a line
counts when its end is there, and what is left of one that was cut is dropped before the next is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import BusyError, InputError
from ..files import storage_errors, write_whole
from .jobs import Outcome, Result
from .portrait import Portrait

__all__ = ["Journal"]


class Journal:
    """The folder of one benchmark.

    Parameters
    ----------
    folder : Path
        Need not exist before `writing`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results.jsonl"
        self.record = folder / "run.json"

    @contextmanager
    def writing(self, record: dict[str, Any]) -> Iterator[None]:
        """Hold the folder for one process, with what is planned written down and no line left unfinished.

        Raises
        ------
        BusyError
            When another process holds it.
        StorageError
            When it cannot be written.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(
                "another benchmark writes here",
                where=str(self.folder),
                hint="Wait for it, or choose another --output",
            ) from None
        try:
            self._drop_unfinished_line()
            write_whole(self.record, json.dumps(record, indent=1) + "\n")
            yield
        finally:
            lock.release()

    def append(self, outcome: Outcome) -> None:
        """Write one outcome, on the disk when this returns."""
        line = json.dumps(asdict(outcome), separators=(",", ":")) + "\n"
        with storage_errors(self.results), self.results.open("ab") as stream:
            stream.write(line.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())

    def planned(self) -> dict[str, Any]:
        """Return what `writing` was given last.

        Raises
        ------
        InputError
            When the folder holds no benchmark.
        """
        try:
            record: dict[str, Any] = json.loads(self.record.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(
                "holds no benchmark",
                where=str(self.folder),
                hint="`llmdas-agent bench run FOLDER --output DIR` makes one",
            ) from error
        return record

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcomes by key; of two under the same key the later."""
        found = {}
        for line in self._lines():
            data = json.loads(line)
            data["results"] = [Result(**result) for result in data["results"]]
            data["portrait"] = Portrait(**data["portrait"]) if data["portrait"] else None
            found[data["key"]] = Outcome(**data)
        return found

    def _lines(self) -> list[bytes]:
        if not self.results.exists():
            return []
        return self.results.read_bytes().split(b"\n")[:-1]  # what follows the last line end is unfinished

    def _drop_unfinished_line(self) -> None:
        if not self.results.exists():
            return
        with storage_errors(self.results), self.results.open("r+b") as stream:
            content = stream.read()
            stream.truncate(content.rfind(b"\n") + 1)
