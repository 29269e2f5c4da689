"""Doing a plan's jobs: those whose outcome is there are left out, the others are kept as they come."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import LlmdasError
from ..workers import Workers
from .datasets import load_dataset
from .jobs import DataFile, Job, Outcome, key_of, run_job
from .journal import Journal, Record
from .plan import Plan
from .provenance import circumstances, versions

__all__ = ["Pace", "run_plan"]


def run_plan(
    plan: Plan,
    folder: Path,
    workers: Workers,
    *,
    command: str,
    tell: Callable[[int, int, float | None], None] = lambda done, total, seconds_left: None,
) -> None:
    """Do what a plan asks for and is not there yet; what failed in an earlier run is tried again.

    Parameters
    ----------
    plan : Plan
        What is to be measured.
    folder : Path
        Where outcomes are kept, and looked for; those under other settings or versions are not taken.
    workers : Workers
        Who does the jobs.
    command : str
        Written down with the settings.
    tell : callable
        Called before the first job and after every one, with the jobs done (those of earlier runs counted),
        all jobs, and the seconds estimated to be left, None before anything is done.

    Raises
    ------
    BusyError, StorageError
        When the folder is in use or cannot be written.
    LlmdasError
        When workers were lost, or compute under other versions than this process.
    """
    journal = Journal(folder)
    jobs = {key_of(job): job for job in plan.jobs()}
    record = Record(command, plan.settings(), versions(), circumstances(), list(jobs))
    with journal.writing(record):
        there = {key for key, outcome in journal.outcomes().items() if not outcome.failure}
        pending = {key: job for key, job in jobs.items() if key not in there}
        pace, started = Pace(pending), time.monotonic()
        tell(len(jobs) - len(pending), len(jobs), None)
        for outcome in workers.results(run_job, list(pending.values())):
            if outcome.key not in pending:
                raise _other_versions(outcome.about)
            journal.append(outcome)
            pace.finished(outcome)
            tell(len(jobs) - len(pace.pending), len(jobs), pace.seconds_left(time.monotonic() - started))


class Pace:
    """How long the jobs that are left will take, by those of the same kind that are done.

    Parameters
    ----------
    pending : dict of str to Job
        By key, what is to be done.
    """

    def __init__(self, pending: dict[str, Job]) -> None:
        work = {data: _work(data) for data in {job.data for job in pending.values()}}
        self.pending = {key: (_kind(job), work[job.data]) for key, job in pending.items()}
        self.seconds: dict[tuple[str, ...], float] = defaultdict(float)
        self.work: dict[tuple[str, ...], float] = defaultdict(float)

    def finished(self, outcome: Outcome) -> None:
        """Take note of what came of one of them."""
        kind, work = self.pending.pop(outcome.key)
        self.seconds[kind] += outcome.seconds
        self.work[kind] += work

    def seconds_left(self, elapsed: float) -> float:
        """Return an estimate, where all that is finished took `elapsed` seconds by the clock."""
        known = {kind: self.seconds[kind] / self.work[kind] for kind in self.work}
        spent = sum(self.seconds.values())
        mean = spent / sum(self.work.values())
        expected = sum(work * known.get(kind, mean) for kind, work in self.pending.values())
        return expected * elapsed / spent


def _kind(job: Job) -> tuple[str, ...]:
    about = job.about()
    return job.kind, about["detector"], about["program"], about["classifier"]


def _work(data: DataFile) -> float:
    """Return what a set asks of a method, in no unit: between the number of its rows and their square."""
    try:
        rows = len(load_dataset(data.path).y)
    except LlmdasError:
        rows = 0  # the job will say what is wrong
    return math.pow(1_000 + rows, 1.5)


def _other_versions(about: dict[str, Any]) -> LlmdasError:
    return LlmdasError(
        f"a worker measured {about['detector']} on {about['set']} under other versions of this package or "
        "of those that it stands on",
        where="--backend",
        hint="Install the same versions on all workers, and edit no code of this package meanwhile",
    )
