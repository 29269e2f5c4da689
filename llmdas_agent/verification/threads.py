"""Work on the toy scenarios side by side, within the cores given to this process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["at_most", "side_by_side"]

Item = TypeVar("Item")
Found = TypeVar("Found")


_most: ContextVar[int | None] = ContextVar("most threads", default=None)


@contextmanager
def at_most(jobs: int | None) -> Iterator[None]:
    """Let `side_by_side` use no more than so many threads; None is as many as there are cores."""
    token = _most.set(jobs)
    try:
        yield
    finally:
        _most.reset(token)


def side_by_side(work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """Return what `work` finds for each item, in their order.

    The first item goes alone, so that what fails on all of them fails at once.

    Parameters
    ----------
    work : callable
        Called in threads; what it finds must depend on nothing but its item.
    items : sequence
        At least one.

    Raises
    ------
    Exception
        What `work` raises first, in the order of the items.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, _most.get() or cores)
    # What silences warnings elsewhere is not made for threads, so they are silenced around them all; and the
    # products are small: more threads in each would only wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1), ThreadPoolExecutor(cores) as executor:
        warnings.simplefilter("ignore")
        found = [work(items[0])]
        waiting = [executor.submit(work, item) for item in items[1:]]
        try:
            return found + [one.result() for one in waiting]
        finally:
            executor.shutdown(cancel_futures=True)
