"""Doing a plan's jobs: those whose outcome is there are left out, the others are kept as they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import LlmdasError
from ..workers import Workers
from .jobs import Job, key_of, run_job
from .journal import Journal, Record
from .plan import Plan
from .provenance import circumstances, versions

__all__ = ["run_plan"]


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
        all jobs, and the seconds estimated to be left: by the work done in this run, a job's work taken as
        the size of its file; None before anything is done.

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
        pace = _Pace(pending, len(jobs))
        tell(*pace.told())
        for outcome in workers.results(run_job, list(pending.values())):
            if outcome.key not in pending:
                raise _other_versions(outcome.about)
            journal.append(outcome)
            pace.finished(outcome.key)
            tell(*pace.told())


class _Pace:
    """How fast the work goes."""

    def __init__(self, pending: dict[str, Job], total: int) -> None:
        self.work = {key: 1_000 + job.data.path.stat().st_size for key, job in pending.items()}
        self.total = total
        self.done_work = 0
        self.all_work = sum(self.work.values())
        self.started = time.monotonic()

    def finished(self, key: str) -> None:
        self.done_work += self.work.pop(key)

    def told(self) -> tuple[int, int, float | None]:
        left = None
        if self.done_work:
            elapsed = time.monotonic() - self.started
            left = elapsed * (self.all_work - self.done_work) / self.done_work
        return self.total - len(self.work), self.total, left


def _other_versions(about: dict[str, Any]) -> LlmdasError:
    return LlmdasError(
        f"a worker measured {about['detector']} on {about['set']} under other versions of this package or "
        "of those that it stands on",
        where="--backend",
        hint="Install the same versions on all workers, and edit no code of this package meanwhile",
    )
