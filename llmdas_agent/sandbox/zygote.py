"""The helper process: imports once, then forks one worker per run, and sees that none outlives its run.

It is exec'd anew with an empty environment, so that workers inherit nothing of the application: no heap, no
keys, no descriptors. It hears from the parent alone, and ends when the parent does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from llmdas_agent.sandbox import wire
from llmdas_agent.sandbox.confinement import isolate_network

__all__ = ["COULD_NOT_FORK", "REQUEST", "START", "STATUS", "STOP", "main"]

REQUEST = struct.Struct("<BQ")
STATUS = struct.Struct("<i")
START = 1
STOP = 2
COULD_NOT_FORK = -1
_PR_SET_CHILD_SUBREAPER = 36


def main(control_fd: int, *, scientific: bool) -> NoReturn:
    """Get ready, tell the parent what the kernel offers, and serve until the parent is gone.

    Parameters
    ----------
    control_fd : int
        A stream socket to the parent.
    scientific : bool
        Whether to load scipy and scikit-learn.
    """
    control = socket.socket(fileno=control_fd)
    try:
        os.chdir("/")
        namespaces_missing = isolate_network()
        from llmdas_agent.sandbox import warmup
        from llmdas_agent.sandbox.attributes import hide_items
        from llmdas_agent.sandbox.namespaces import Namespaces

        namespaces = Namespaces(scientific=scientific)
        warmup.warm_up(scientific=scientific)
        hide_items()
        os.environ.clear()
        gc.collect()
        gc.freeze()
        process, kernel = warmup.probe()
    except Exception as error:
        control.sendall(wire.pack_header({"error": f"{type(error).__name__}: {error}"}))
        sys.exit(1)
    kernel["namespaces"] = namespaces_missing
    control.sendall(wire.pack_header({"process": process, "kernel": kernel}))
    from llmdas_agent.sandbox.worker import work

    zygote = _Zygote(control)
    while True:
        started = zygote.serve()
        if started is None:
            os._exit(0)
        try:
            work(started, namespaces)
        finally:
            os._exit(1)  # whatever happened, a worker never goes on as a second helper


@dataclass
class _Run:
    pid: int
    status_fd: int


@dataclass
class _Zygote:
    control: socket.socket
    runs: dict[int, _Run] = field(default_factory=dict)
    wakeup: tuple[int, int] = field(default_factory=os.pipe)

    def __post_init__(self) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for end in self.wakeup:
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self.wakeup[1], warn_on_full_buffer=False)

    def serve(self) -> int | None:
        """Serve requests; return in a forked worker its socket, or in the zygote None at the end."""
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.wakeup[0]], [], [])
            if self.wakeup[0] in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup[0], 4096)
                self._reap()
            if self.control.fileno() not in ready:
                continue
            request, fds = self._next_request()
            if request is None:
                self._stop_all()
                return None
            kind, run_id = request
            if kind == STOP:
                self._stop(run_id)
                continue
            run_fd, status_fd = fds
            if self._start(run_id, run_fd, status_fd):
                return run_fd

    def _next_request(self) -> tuple[tuple[int, int] | None, list[int]]:
        data, fds, _, _ = socket.recv_fds(self.control, REQUEST.size, 2)
        while data and len(data) < REQUEST.size:
            more = self.control.recv(REQUEST.size - len(data))
            if not more:
                return None, fds
            data += more
        return (REQUEST.unpack(data) if data else None), fds

    def _start(self, run_id: int, run_fd: int, status_fd: int) -> bool:
        """Fork a worker; true in the worker."""
        try:
            pid = os.fork()
        except OSError:
            self._report(status_fd, COULD_NOT_FORK)
            os.close(run_fd)
            return False
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            return True
        os.close(run_fd)
        self.runs[run_id] = _Run(pid, status_fd)
        return False

    def _stop(self, run_id: int) -> None:
        run = self.runs.get(run_id)
        if run is not None:
            for kill in (os.killpg, os.kill):  # the group may not exist yet
                with contextlib.suppress(ProcessLookupError):
                    kill(run.pid, signal.SIGKILL)

    def _stop_all(self) -> None:
        for run_id in self.runs:
            self._stop(run_id)
        for run in self.runs.values():
            os.waitpid(run.pid, 0)
        self.runs.clear()
        self._kill_orphans()

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            # The number is not free for others before the wait below, so that the group is still this run's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            for run_id, run in list(self.runs.items()):
                if run.pid == ended.si_pid:
                    del self.runs[run_id]
                    self._kill_orphans()
                    self._report(run.status_fd, status)

    def _kill_orphans(self) -> None:
        """Kill what a worker left behind: its children became ours when it ended."""
        mine = {run.pid for run in self.runs.values()}
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while True:
            try:
                orphans = {int(pid) for pid in children.read_text().split()} - mine
            except OSError:
                return  # a kernel that does not list children: limits and filter let none begin
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)

    def _report(self, status_fd: int, status: int) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(status_fd, STATUS.pack(status))
        os.close(status_fd)
