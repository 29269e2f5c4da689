"""Inside: one forked process runs one program once, and answers."""

from __future__ import annotations

import hashlib
import os
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from llmdas_agent.errors import ProgramError
from llmdas_agent.programs import ENTRY_POINT
from llmdas_agent.sandbox import wire
from llmdas_agent.sandbox.confinement import Limits, confine_kernel, confine_process
from llmdas_agent.sandbox.dialect import check
from llmdas_agent.sandbox.namespaces import Namespaces, PrintedText, program_globals, seed_chance
from llmdas_agent.sandbox.oracle import ScoreModel

__all__ = ["work"]

MAX_MESSAGE = 2000


def work(fd: int, namespaces: Namespaces) -> NoReturn:
    """Read a job from a socket, confine this process, run the program, answer, and end the process.

    Parameters
    ----------
    fd : int
        The run's socket, the only descriptor that stays open.
    namespaces : Namespaces
        The modules that the program may import.
    """
    job = wire.read_header(fd)
    X_train = np.empty(job["shape"])
    if X_train.size:
        wire.read_exactly(fd, X_train.data)
    unconfined = _confine(job, fd)
    if unconfined:
        answer(fd, {"code": "sandbox", "what": unconfined})
    else:
        header, rows = run(job, X_train, ScoreModel(fd, X_train.shape[1]), namespaces)
        answer(fd, header, rows)
    os._exit(0)


def _confine(job: dict[str, Any], fd: int) -> str:
    """Confine this process; return why it is less confined than this machine allows, or nothing."""
    try:
        confine_process(Limits(job["cpu_seconds"], job["memory_mib"]), keep=fd)
        kernel = confine_kernel()
    except OSError as error:
        return str(error)
    return "; ".join(f"{layer}: {why}" for layer, why in kernel.items() if why and layer in job["kernel"])


def answer(fd: int, header: dict[str, Any], rows: NDArray[np.float64] | None = None) -> None:
    """Send a reply header and the made rows."""
    wire.write_all(fd, wire.REPLY + wire.pack_header(header))
    if rows is not None and rows.size:
        wire.write_all(fd, rows.data)


def run(
    job: dict[str, Any], X_train: NDArray[np.float64], model: ScoreModel, namespaces: Namespaces
) -> tuple[dict[str, Any], NDArray[np.float64] | None]:
    """Run a program in this process under the language layer alone.

    Returns
    -------
    header : dict
        With ``shape``, ``printed`` and ``unchanged``, or with ``code``, ``what``, ``line``, ``hint``.
    rows : ndarray of shape (n_samples, d) or None
        What it made, when it did as the contract says.
    """
    printed = PrintedText(job["print_chars"])
    before = _digest(X_train)
    try:
        made = _call(job, X_train, model, program_globals(namespaces, printed))
        rows = _as_rows(made, (job["n_samples"], X_train.shape[1]))
    except BaseException as error:  # programs can raise anything, and each of it is an answer
        return _fault(error) | {"printed": printed.text()}, None
    return {"shape": rows.shape, "printed": printed.text(), "unchanged": _digest(X_train) == before}, rows


def _call(job: dict[str, Any], X_train: NDArray[np.float64], model: ScoreModel, names: dict[str, Any]) -> Any:
    checked = check(job["source"])
    try:
        code = compile(checked.tree, "<program>", "exec")
    except SyntaxError as error:
        raise ProgramError(f"the text is not Python: {error.msg}", code="parse", line=error.lineno) from None
    seed_chance(job["seed"])
    exec(code, names)
    function: Callable[..., Any] = names[ENTRY_POINT]
    seed_chance(job["seed"])
    rng = np.random.default_rng(job["seed"])
    if checked.passes_rng == "position":
        return function(job["n_samples"], model, X_train, rng)
    if checked.passes_rng == "name":
        return function(job["n_samples"], model, X_train, rng=rng)
    return function(job["n_samples"], model, X_train)


def _digest(rows: NDArray[np.float64]) -> bytes:
    return hashlib.blake2b(rows.data if rows.size else b"").digest()


def _as_rows(made: Any, expected: tuple[int, int]) -> NDArray[np.float64]:
    """Return what a program made as float64 rows, or say exactly what came back instead."""
    wanted = f"expected {expected}"
    if not isinstance(made, np.ndarray):
        kind = type(made).__name__
        length = f" of length {len(made)}" if isinstance(made, list | tuple) else ""
        hint = (
            "Return np.asarray(rows, dtype=float)"
            if made is not None
            else "End the function with a return statement"
        )
        raise ProgramError(f"returned {kind}{length}, {wanted} of float64", code="result", hint=hint)
    found = f"returned shape {made.shape} of {made.dtype}"
    if made.shape != expected:
        hint = "Return exactly n_samples rows, each with the columns of X_train"
        raise ProgramError(f"{found}, {wanted}", code="result", hint=hint)
    if made.dtype.kind not in "fiu":
        raise ProgramError(
            f"{found}, {wanted} of float64", code="result", hint="Return real numbers: .astype(float)"
        )
    rows = np.ascontiguousarray(made, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        where = f"the first in row {bad[0][0]}, column {bad[0][1]}"
        hint = "Guard divisions, logarithms and roots, and columns that do not vary"
        raise ProgramError(
            f"{found} with {len(bad)} values that are NaN or infinite, {where}", code="result", hint=hint
        )
    return rows


def _fault(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ProgramError):
        return {"code": error.code, "what": error.what, "line": error.line, "hint": error.hint}
    line = _line_of(error)
    if isinstance(error, MemoryError):
        return {
            "code": "memory",
            "what": "the program asked for more memory than it may use",
            "line": line,
            "hint": "",
        }
    try:
        text = str(error)[:MAX_MESSAGE]
    except Exception:  # an exception whose text cannot be made is still an exception
        text = ""
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"code": "run", "what": what, "line": line, "hint": ""}


def _line_of(error: BaseException) -> int | None:
    """Return the innermost line of the program itself that the exception went through."""
    walked = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in walked if frame.f_code.co_filename == "<program>"]
    return lines[-1] if lines else None
