"""Independent jobs, done by processes of this machine or by an existing dask.distributed cluster.

The same function runs on the same jobs either way, and what it returns comes back as it is finished.
"""

from __future__ import annotations

import importlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import InputError, LlmdasError, in_a_line

__all__ = ["Cluster", "Processes", "Workers"]

Job = TypeVar("Job")
Found = TypeVar("Found")

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine, by joblib.

    Attributes
    ----------
    count : int
        How many; 1 is this process itself, -1 one for each core.
    """

    count: int = 1

    def results(self, function: Callable[[Job], Found], jobs: Sequence[Job]) -> Iterator[Found]:
        """Yield what the function returns for each job, in the order in which they are finished.

        Raises
        ------
        LlmdasError
            When a process died; what was yielded before stands.
        """
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        parallel = Parallel(
            n_jobs=self.count,
            batch_size=1,
            return_as="generator_unordered",
            initializer=_end_with_parent,
            initargs=(os.getpid(),),
        )
        try:
            yield from parallel(delayed(function)(job) for job in jobs)
        except TerminatedWorkerError as error:
            raise LlmdasError(
                "a worker process was killed, most likely for the memory it used",
                where="--jobs",
                hint="Run the command again with fewer jobs at a time",
            ) from error


@dataclass(frozen=True, slots=True)
class Cluster:
    """The workers of a dask.distributed scheduler, which have this package installed and see the same files.

    Attributes
    ----------
    address : str
        The scheduler's, such as ``tcp://10.0.0.1:8786``.
    """

    address: str

    def results(self, function: Callable[[Job], Found], jobs: Sequence[Job]) -> Iterator[Found]:
        """Yield what the function returns for each job, in the order in which they are finished.

        The jobs of a worker that dies are done by others.

        Raises
        ------
        InputError
            When dask.distributed is not installed, or no scheduler answers.
        LlmdasError
            When a job killed every worker that tried it, or the scheduler was lost; what was yielded before
            stands.
        """
        failure: Exception | None = None
        with _connected(self.address) as client:
            futures = client.map(function, jobs, pure=False)
            for future in _dask().as_completed(futures, loop=client.loop):
                try:
                    found: Found = future.result()
                except Exception as error:  # dask raises what it likes; the other jobs are done first
                    failure = error
                    continue
                finally:
                    future.release()
                yield found
        if failure is not None:
            raise LlmdasError(
                f"the cluster could not do every job: {in_a_line(failure)}",
                where=self.address,
                hint="See the workers' logs, then run the command again",
            ) from failure


Workers = Processes | Cluster


def _end_with_parent(parent: int) -> None:
    """Let this process end soon after the one that started it, which a kill may leave no time to say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    distributed = _dask()
    try:
        client = distributed.Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"no dask scheduler answers: {in_a_line(error)}",
            where=address,
            hint="`dask scheduler` starts one and prints its address",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _dask() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise InputError(
            "a dask cluster needs dask.distributed, which is not installed",
            where="--backend",
            hint='`pip install "llmdas-agent[bench]"`',
        ) from error
