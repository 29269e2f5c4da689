"""What commands share that do many independent jobs: who does them, and how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .output import console

if TYPE_CHECKING:
    from ..workers import Workers

__all__ = ["Backend", "BackendOption", "JobsOption", "SchedulerOption", "Tell", "chosen_workers", "telling"]

Backend = Literal["joblib", "dask"]

BackendOption = Annotated[
    Backend, typer.Option(help="Who does the jobs: processes of this machine, or a dask.distributed cluster.")
]
SchedulerOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="The cluster's scheduler, such as tcp://10.0.0.1:8786.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes on this machine.")]

Tell = Callable[[int, int, float | None], None]
"""Takes the jobs done, all jobs, and the seconds that are estimated to be left."""

_SILENT_SECONDS = 15.0


def chosen_workers(backend: Backend, scheduler: str | None, jobs: int) -> Workers:
    """Return who does the jobs that a command asks for."""
    from ..workers import Cluster, Processes

    if backend == "joblib":
        if scheduler is not None:
            raise typer.BadParameter("--scheduler goes with --backend dask")
        return Processes(jobs)
    if scheduler is None:
        raise typer.BadParameter("--backend dask needs the address of a cluster: --scheduler ADDRESS")
    if jobs != 1:
        raise typer.BadParameter("--jobs is for processes of this machine; a cluster has as many as it has")
    return Cluster(scheduler)


@contextmanager
def telling(what: str) -> Iterator[Tell]:
    """Yield what shows progress on stderr: a bar on a terminal, else a line now and then."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield _Lines(what)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("", total=None, left="")

        def tell(done: int, total: int, seconds_left: float | None) -> None:
            bar.update(task, completed=done, total=total, left=_left(seconds_left))

        yield tell


class _Lines:
    """Progress for a log: the first word, the last, and one now and then between."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.said_at = float("-inf")

    def __call__(self, done: int, total: int, seconds_left: float | None) -> None:
        now = time.monotonic()
        if done < total and now - self.said_at < _SILENT_SECONDS:
            return
        self.said_at = now
        left = _left(seconds_left) if done < total else ""
        typer.echo(f"{self.what}: {done} of {total}{', ' if left else ''}{left}", err=True)


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    return f"about {round(seconds / 60)} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"
