"""What a hostile program would have to change on the host, and whether it did."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from llmdas_agent.errors import ProgramError
from llmdas_agent.sandbox import SandboxResult

CANARY = "canary-7d1f0a93"


def score(X: np.ndarray) -> np.ndarray:
    return np.abs(X).sum(axis=1)


@dataclass
class Outcome:
    """How a program ended, and what of it a person would see."""

    result: SandboxResult | None = None
    error: ProgramError | None = None
    peak_bytes: int = 0

    @property
    def seen(self) -> str:
        if self.error is not None:
            return f"{self.error} {self.error.as_dict()}"
        assert self.result is not None
        codes = self.result.rows.ravel()
        letters = "".join(chr(int(c)) for c in codes if 31 < c < 127 and c == int(c))
        return self.result.printed + letters


@dataclass
class Host:
    """Files, sockets and a process that hostile programs aim at; open to every user of the machine."""

    X_train: np.ndarray = field(default_factory=lambda: np.random.default_rng(5).normal(size=(60, 4)))

    def __post_init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redteam-"))
        self.folder.chmod(0o777)
        self.secret = self.folder / "secret"
        self.secret.write_text(CANARY)
        self.secret.chmod(0o666)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        self.abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.abstract.bind(f"\0{self.folder.name}")
        self.sockets = [self.tcp, self.udp, self.unix, self.abstract]
        for listener in self.sockets:
            listener.setblocking(False)

    @property
    def places(self) -> dict[str, str]:
        return {
            "@MARKER@": str(self.folder / "marker"),
            "@SECRET@": str(self.secret),
            "@SOCKET@": str(self.folder / "socket"),
            "@ABSTRACT@": self.folder.name,
            "@TCP@": str(self.tcp.getsockname()[1]),
            "@UDP@": str(self.udp.getsockname()[1]),
            "@PID@": str(os.getpid()),
        }

    def close(self) -> None:
        for listener in self.sockets:
            listener.close()
        shutil.rmtree(self.folder)

    def _state(self) -> dict[str, Any]:
        own = psutil.Process()
        return {
            "cwd": Path.cwd(),
            "descriptors": own.num_fds(),
            "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
            "descendants": {process.pid for process in own.children(recursive=True)},
            "folder": sorted(path.name for path in self.folder.iterdir()),
            "secret": (self.secret.read_text(), self.secret.stat().st_mode) if self.secret.exists() else None,
            "X_train": self.X_train.tobytes(),
            "scores": score(self.X_train).tobytes(),
            "niceness": own.nice(),
        }

    def judge(self, run: Callable[[], SandboxResult], *, watch_memory: bool = False) -> Outcome:
        """Run a program and assert that nothing outside of it changed."""
        before = self._state()
        outcome = Outcome()
        with _peak_memory(outcome) if watch_memory else contextlib.nullcontext():
            try:
                outcome.result = run()
            except ProgramError as error:
                outcome.error = error
        after = self._state()
        for what, value in before.items():
            if what in ("descendants", "descriptors"):  # those of earlier tests may go meanwhile
                assert after[what] <= value, f"more: {what}"
            else:
                assert after[what] == value, f"changed: {what}"
        self._assert_silence()
        _assert_readable(outcome)
        return outcome

    def _assert_silence(self) -> None:
        for listener in self.sockets:
            with contextlib.suppress(BlockingIOError):
                received = listener.accept() if listener is self.tcp else listener.recv(100)
                raise AssertionError(f"a program reached the outside: {received!r}")


def _assert_readable(outcome: Outcome) -> None:
    assert CANARY not in outcome.seen
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in outcome.seen)
    if outcome.error is not None:
        text = str(outcome.error)
        assert len(text.encode()) < 4096
        assert text.isprintable()
        assert not any(
            place in text for place in (sys.prefix, sys.base_prefix, "/usr/", "/tmp/", "/root/", "/home/")
        )


@contextlib.contextmanager
def _peak_memory(outcome: Outcome) -> Iterator[None]:
    """Sample the resident memory of the workers: the children of our children."""
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for helper in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    for worker in helper.children(recursive=True):
                        outcome.peak_bytes = max(outcome.peak_bytes, worker.memory_info().rss)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
