"""The parent's hold on its helper processes: one per flavour, started when needed, replaced when it died."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llmdas_agent
from llmdas_agent.errors import SandboxError
from llmdas_agent.sandbox import wire
from llmdas_agent.sandbox.zygote import COULD_NOT_FORK, REQUEST, START, STATUS, STOP

__all__ = ["Helper", "HelperLostError", "Worker", "discard", "helper_for"]

START_SECONDS = 120.0
STOP_SECONDS = 5.0
END_SECONDS = 1.0

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from llmdas_agent.sandbox.zygote import main; "
    "main(int(sys.argv[2]), scientific=sys.argv[3] == 'scientific')"
)
# Threads of BLAS and OpenMP do not survive a fork, and their number must be known before they are loaded.
# Hashes of strings must not differ between helpers, or sets of strings would be walked in another order; nor
# may what np.empty finds, or where= without out= leaves: glibc fills it with zeros by the last two.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "MALLOC_PERTURB_": "255",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
}


class HelperLostError(Exception):
    """The helper died while it held a run; the program is not to blame."""


@dataclass
class Worker:
    """One forked worker, as the parent holds it.

    Attributes
    ----------
    run_id : int
        Its number with the helper.
    socket : socket.socket
        The conversation with it.
    status_fd : int
        Where the helper says how it ended, once it has been reaped.
    """

    run_id: int
    socket: socket.socket
    status_fd: int


class Helper:
    """A running helper process.

    Parameters
    ----------
    scientific : bool
        Whether scipy and scikit-learn are loaded in it.

    Raises
    ------
    SandboxError
        When it cannot be started.
    """

    def __init__(self, *, scientific: bool) -> None:
        self._sending = threading.Lock()
        self._run_ids = itertools.count(1)
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn(theirs, scientific)
        greeting = self._greeting()
        self.kernel: dict[str, str] = greeting["kernel"]
        self.process: str = greeting["process"]

    def _greeting(self) -> dict[str, Any]:
        fd = self._control.fileno()
        try:
            if not _readable(fd, START_SECONDS):
                raise SandboxError(f"the sandbox's helper was not ready after {START_SECONDS:.0f} s")
            greeting = wire.read_header(fd)
        except (EOFError, OSError):
            self.close()
            code = self._process.returncode
            raise SandboxError(
                f"the sandbox's helper ended at its start with code {code}",
                hint=f"Can {sys.executable} be run, and import numpy?",
            ) from None
        except BaseException:
            self.close()
            raise
        if "error" in greeting:
            self.close()
            raise SandboxError(f"the sandbox's helper cannot start: {greeting['error']}")
        return greeting  # type: ignore[no-any-return]

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def start(self) -> Worker:
        """Have a worker forked.

        Raises
        ------
        HelperLostError
            When the helper is gone.
        SandboxError
            When this process may open no more descriptors.
        """
        run_id = next(self._run_ids)
        try:
            mine, theirs = socket.socketpair()
            reader, writer = os.pipe()
        except OSError as error:
            raise SandboxError(f"no descriptors for a run: {error.strerror}") from error
        try:
            self._send(START, run_id, [theirs.fileno(), writer])
        except BaseException:
            mine.close()
            os.close(reader)
            raise
        finally:
            theirs.close()
            os.close(writer)
        return Worker(run_id, mine, reader)

    def ended(self, worker: Worker) -> int | None:
        """Return the wait status of a worker that closed its socket, or None when it still runs.

        Raises
        ------
        HelperLostError
            When the helper died with it.
        SandboxError
            When there was no process to be had.
        """
        if _readable(worker.status_fd, END_SECONDS):
            data = os.read(worker.status_fd, STATUS.size)
            if len(data) < STATUS.size:
                raise HelperLostError
            status: int = STATUS.unpack(data)[0]
            if status == COULD_NOT_FORK:
                raise SandboxError("the system gives the sandbox no further process")
            return status
        return None

    def stop(self, worker: Worker) -> None:
        """Kill a worker with its whole group and all it left behind, if it still runs, and forget it."""
        try:
            with contextlib.suppress(HelperLostError):  # its workers die with it
                self._send(STOP, worker.run_id, [])
                if not _readable(worker.status_fd, STOP_SECONDS):
                    self.close()
        finally:
            worker.socket.close()
            os.close(worker.status_fd)

    def _send(self, kind: int, run_id: int, fds: list[int]) -> None:
        try:
            with self._sending:
                socket.send_fds(self._control, [REQUEST.pack(kind, run_id)], fds, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise HelperLostError from error

    def close(self) -> None:
        """End the process and its workers."""
        self._control.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Let go of a helper that belongs to the process this one was forked from."""
        self._control.close()
        self._process.returncode = 0


def _readable(fd: int, seconds: float) -> bool:
    """Wait until there is something to read, or the other end is closed."""
    poll = select.poll()  # unlike select, it takes descriptors of any number
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _spawn(control: socket.socket, scientific: bool) -> subprocess.Popen[bytes]:
    package = str(Path(llmdas_agent.__file__).parent.parent)
    path = [entry for entry in sys.path if Path(entry).is_absolute()]
    arguments = [
        *(sys.executable, "-s", "-S", "-P", "-c", _BOOT),
        *(json.dumps([*path, package]), str(control.fileno()), "scientific" if scientific else "numpy"),
    ]
    environment = dict(_ENVIRONMENT)
    if "LD_LIBRARY_PATH" in os.environ:  # some interpreters do not start without it
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    try:
        return subprocess.Popen(
            arguments,
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[control.fileno()],
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(
            f"the sandbox's helper cannot be started: {error.strerror}",
            where=sys.executable or "sys.executable",
            hint="The sandbox needs the Python interpreter that this process runs in",
        ) from error


_helpers: dict[bool, Helper] = {}
_lock = threading.Lock()


def helper_for(*, scientific: bool) -> Helper:
    """Return the running helper of a flavour, starting one when there is none.

    Raises
    ------
    SandboxError
        When it cannot be started.
    """
    with _lock:
        helper = _helpers.get(scientific)
        if helper is None or not helper.alive:
            if helper is not None:
                helper.close()
            helper = _helpers[scientific] = Helper(scientific=scientific)
        return helper


def discard(helper: Helper) -> None:
    """Close a helper that is lost, so that the next run starts another."""
    with _lock:
        for scientific, known in list(_helpers.items()):
            if known is helper:
                del _helpers[scientific]
    helper.close()


def _close_all() -> None:
    while _helpers:
        _helpers.popitem()[1].close()


def _forget_all() -> None:
    global _lock
    _lock = threading.Lock()
    while _helpers:
        _helpers.popitem()[1].forget()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget_all)
