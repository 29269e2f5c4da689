"""A benchmark's folder: what was planned, and every outcome, appended as it comes.

::

    run.json        command, settings, versions, machine, date, and the keys of the jobs
    results.jsonl   one line for each outcome, in the order in which they came

Whatever kills the process, at any moment, costs at most the outcomes that it was about to write: a line
counts when its end is there, and what is left of one that was cut is dropped before the next is written. A
line that is whole and no outcome counts for nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from ..errors import BusyError, InputError
from ..files import storage_errors, write_whole
from .jobs import Outcome

__all__ = ["Journal", "Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """What was planned, and where.

    Attributes
    ----------
    command : str
        The command line.
    settings : dict
        The plan's.
    versions, circumstances : dict
        As `provenance` gives them.
    jobs : list of str
        Keys of all jobs.
    """

    command: str
    settings: dict[str, Any]
    versions: dict[str, str]
    circumstances: dict[str, Any]
    jobs: list[str]


_RECORD = TypeAdapter(Record)
_OUTCOME = TypeAdapter(Outcome)


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
    def writing(self, record: Record) -> Iterator[None]:
        """Hold the folder for one process, with what is planned written down and no line left unfinished.

        Raises
        ------
        BusyError
            When another process holds it.
        StorageError
            When it cannot be written.
        """
        lock = FileLock(self.folder / ".lock")
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
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
            write_whole(self.record, json.dumps(asdict(record), indent=1) + "\n")
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

    def planned(self) -> Record:
        """Return what `writing` was given last.

        Raises
        ------
        InputError
            When the folder holds no benchmark, or its record is damaged.
        """
        try:
            return _RECORD.validate_json(self.record.read_bytes())
        except OSError as error:
            raise InputError(
                "holds no benchmark",
                where=str(self.folder),
                hint="`llmdas-agent bench run FOLDER --output DIR` makes one",
            ) from error
        except ValidationError as error:
            raise InputError(
                "is damaged, or no record of a benchmark",
                where=str(self.record),
                hint="The same `llmdas-agent bench run` writes it anew, and keeps the results",
            ) from error

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcomes by key; of two under the same key the later."""
        return {outcome.key: outcome for outcome in self._read() if outcome is not None}

    def damaged(self) -> list[int]:
        """Return the numbers, from 1, of the lines that are whole and no outcome."""
        return [number for number, outcome in enumerate(self._read(), 1) if outcome is None]

    def _read(self) -> Iterator[Outcome | None]:
        for line in self._lines():
            try:
                yield _OUTCOME.validate_json(line)
            except ValidationError:
                yield None

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
