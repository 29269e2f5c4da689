"""The sandbox with one of its layers taken away, so that the others show what they hold alone.

Nothing in the package can do this: here the helper process is started with a changed worker.
"""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from llmdas_agent.config import SandboxLimits
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import SandboxResult, confinement, helper, runner, seccomp, worker
from llmdas_agent.sandbox.namespaces import PrintedText

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]) + [{here!r}]; "
    "import redteam_alone; redteam_alone.serve({layer!r}, int(sys.argv[2]), sys.argv[3] == 'scientific')"
)


def serve(layer: str, control_fd: int, scientific: bool) -> None:
    """Be the helper process with some layers only.

    ``language`` alone; ``confinement``, all but the language; ``seccomp`` or ``landlock``, as the only one of
    the kernel's; or ``nothing``.
    """
    import ctypes  # noqa: F401
    import mmap  # noqa: F401
    import multiprocessing.context  # noqa: F401
    import resource  # noqa: F401
    import shutil  # noqa: F401
    import signal  # noqa: F401
    import socket  # noqa: F401
    import subprocess  # noqa: F401
    import tempfile  # noqa: F401
    import threading  # noqa: F401
    import urllib.request  # noqa: F401

    from llmdas_agent.sandbox import zygote

    zygote.isolate_network = lambda: "left out"  # the network that the machine has is there to be reached
    if layer in ("language", "nothing"):
        worker.confine_process = lambda limits, keep: ""
        worker.confine_kernel = dict
    if layer == "seccomp":
        confinement._landlock = _left_out
    if layer == "landlock":
        seccomp.allow_computing_only = _left_out
    if layer != "language":
        worker.run = _run_plainly
    zygote.main(control_fd, scientific=scientific)


def _left_out() -> None:
    raise OSError("left out")


def _run_plainly(
    job: dict[str, Any], X_train: np.ndarray, model: Any, namespaces: Any
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Run a program as ordinary Python, with all that Python has."""
    printed = PrintedText(job["print_chars"])
    offered = vars(builtins) | {"print": printed.print}
    names: dict[str, Any] = {"__builtins__": offered, "__name__": "program"}
    try:
        exec(compile(job["source"], "<program>", "exec"), names)
        rng = np.random.default_rng(job["seed"])
        made = names["generate_hard_anomalies"](job["n_samples"], model, X_train, rng)
        rows = worker._as_rows(made, (job["n_samples"], X_train.shape[1]))
    except BaseException as error:
        return worker._fault(error) | {"printed": printed.text()}, None
    return {"shape": rows.shape, "printed": printed.text(), "unchanged": True}, rows


class Alone:
    """Runs programs under one part of the sandbox."""

    def __init__(self, layer: str) -> None:
        self._layer = layer
        self._helpers: dict[bool, helper.Helper] = {}

    def start(self, scientific: bool) -> helper.Helper:
        known = self._helpers.get(scientific)
        if known is None or not known.alive:
            ordinary = helper._BOOT
            helper._BOOT = _BOOT.format(here=str(Path(__file__).parent), layer=self._layer)
            try:
                known = self._helpers[scientific] = helper.Helper(scientific=scientific)
            finally:
                helper._BOOT = ordinary
        return known

    def run(
        self, source: str, X_train: np.ndarray, score: runner.Score, limits: SandboxLimits
    ) -> SandboxResult:
        program = SynthesisProgram(source)
        if self._layer == "language":
            runner.check_source(program)
        scientific = any(word in source for word in ("scipy", "sklearn"))
        run = runner._Run(program, 5, X_train, score, 3, limits)
        return run.by(self.start(scientific))

    def close(self) -> None:
        for known in self._helpers.values():
            known.close()


@contextlib.contextmanager
def alone(layer: str) -> Iterator[Alone]:
    made = Alone(layer)
    try:
        yield made
    finally:
        made.close()
