"""A dask.distributed cluster on the loopback address, its processes started as those of any cluster are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from places import ROOT


@dataclass(frozen=True)
class Running:
    address: str
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def running_cluster(folder: Path, count: int, *, importable: Path = ROOT / "tests") -> Iterator[Running]:
    """A scheduler and its workers, which can import the modules of a folder."""
    from distributed import Client

    told = folder / "scheduler.json"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [importable, ROOT / "tests"]))}

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--scheduler-file", str(told)]
        return subprocess.Popen(
            [*command, "--no-dashboard", *arguments],
            cwd=folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    own = ("--no-nanny", "--nthreads", "1", "--death-timeout", "60", "--local-directory", str(folder))
    workers = [start("dask_worker", *own) for _ in range(count)]
    try:
        while not told.exists():
            assert scheduler.poll() is None, "the scheduler ended"
            time.sleep(0.05)
        with Client(scheduler_file=str(told), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120)
            address = client.scheduler.address
        yield Running(address, workers)
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()
