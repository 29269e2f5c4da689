"""Outside: have a program run in a confined worker, score for it, take its rows or say why there are none."""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmdas_agent.config import SandboxLimits
from llmdas_agent.errors import DetectorError, ProgramError, SandboxError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import wire
from llmdas_agent.sandbox.channel import Channel, GoneError, LateError, MalformedError, Reply
from llmdas_agent.sandbox.dialect import check
from llmdas_agent.sandbox.helper import Helper, HelperLostError, Worker, discard, helper_for
from llmdas_agent.sandbox.layers import require_layers

__all__ = ["SandboxResult", "Score", "check_source", "run_program"]

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]

MAX_TEXT = 1500
_log = logging.getLogger(__name__)
_FASTER = "Work on whole arrays instead of single rows, and bound every loop"
_CODES = frozenset({"parse", "dialect", "signature", "run", "memory", "result"})
_HOST_PATH = re.compile(r"(?<![\w.)\]])/(?:[\w.+@~-]+/)+[\w.+@~-]*")


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What a program made.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, d), float64
        C-contiguous and finite.
    printed : str
        What it printed, cut at the limit.
    queries : int
        Calls of ``predict_score`` that asked for at least one row.
    scored_rows : int
        Rows scored, over all calls.
    seconds : float
        From start to result, by the parent's clock.
    inputs_unchanged : bool
        Whether the program left its copy of ``X_train`` as it was.
    """

    rows: NDArray[np.float64]
    printed: str
    queries: int
    scored_rows: int
    seconds: float
    inputs_unchanged: bool


def check_source(program: SynthesisProgram) -> None:
    """Check a program's size, syntax, dialect and signature without running it.

    Parameters
    ----------
    program : SynthesisProgram
        What to check.

    Raises
    ------
    ProgramError
        With code ``parse``, ``dialect`` or ``signature``, and the line.
    """
    check(program.source)


def run_program(
    program: SynthesisProgram,
    *,
    n_samples: int,
    X_train: NDArray[np.float64],
    score: Score,
    seed: int,
    limits: SandboxLimits | None = None,
) -> SandboxResult:
    """Run a program in a confined process of its own.

    Parameters
    ----------
    program : SynthesisProgram
        What to run.
    n_samples : int
        How many rows it shall make, at least 0.
    X_train : ndarray of shape (m, d)
        The rows it may look at; it gets a copy.
    score : callable
        From rows of shape (k, d) to scores of shape (k,), higher = more abnormal. Called in this process.
    seed : int
        Not negative; the same seed gives the same rows.
    limits : SandboxLimits, optional
        What the run may use.

    Returns
    -------
    SandboxResult

    Raises
    ------
    ProgramError
        When the program is to blame: ``parse``, ``dialect``, ``signature``, ``run``, ``timeout``, ``memory``,
        ``query_budget`` or ``result``.
    SandboxError
        When the machine is.
    Exception
        Whatever `score` raises, unchanged, after the worker was killed.
    """
    limits = limits or SandboxLimits()
    scientific = check(program.source).scientific
    run = _Run(program, n_samples, _as_table(X_train), score, seed, limits)
    try:
        return run.through(scientific)
    except HelperLostError:
        _log.info("the sandbox's helper was lost under a run; the run is done again")
    try:
        return run.through(scientific)
    except HelperLostError:
        raise SandboxError("the sandbox's helper died twice under one run", hint="Is memory short?") from None


def _as_table(X_train: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.ascontiguousarray(X_train, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"X_train has shape {table.shape}, not (m, d)")
    return table


class _Run:
    """One run: the conversation with its worker, and the count of what it asked."""

    def __init__(
        self,
        program: SynthesisProgram,
        n_samples: int,
        table: NDArray[np.float64],
        score: Score,
        seed: int,
        limits: SandboxLimits,
    ) -> None:
        self._job = {
            "source": program.source,
            "n_samples": int(n_samples),
            "shape": table.shape,
            "seed": int(seed),
            "print_chars": limits.print_chars,
            "cpu_seconds": limits.cpu_seconds,
            "memory_mib": limits.memory_mib,
        }
        self._shape = (n_samples, table.shape[1])
        size = n_samples * table.shape[1] * 8 / 2**20
        if size > limits.result_mib:
            raise SandboxError(
                f"{n_samples} rows would take {size:.0f} MiB; a result may take {limits.result_mib}",
                hint="Ask for fewer rows, or raise SandboxLimits.result_mib",
            )
        self._table = table
        self._score = score
        self._limits = limits
        self._queries = self._scored_rows = 0

    def through(self, scientific: bool) -> SandboxResult:
        """Have it done by a worker of the helper of this flavour.

        Raises
        ------
        HelperLostError
            When the helper died; then another is started for the next run.
        """
        helper = helper_for(scientific=scientific)
        require_layers(helper)
        try:
            return self.by(helper)
        except HelperLostError:
            discard(helper)
            raise

    def by(self, helper: Helper) -> SandboxResult:
        """Have it done by a worker of this helper."""
        self._queries = self._scored_rows = 0
        self._job["kernel"] = [layer for layer, why in helper.kernel.items() if not why]
        started = time.monotonic()
        worker = helper.start()
        try:
            channel = Channel(worker.socket, started + self._limits.wall_seconds)
            reply, rows = self._talk(channel)
        except LateError:
            raise ProgramError(
                f"the program took longer than {self._limits.wall_seconds:g} s", code="timeout", hint=_FASTER
            ) from None
        except MalformedError as error:
            raise ProgramError(f"the program broke its worker: {error}", code="run") from None
        except GoneError:
            raise self._why_gone(helper, worker) from None
        finally:
            helper.stop(worker)
        seconds = time.monotonic() - started
        printed = _clean(reply.printed, self._limits.print_chars + 100)
        return SandboxResult(rows, printed, self._queries, self._scored_rows, seconds, reply.unchanged)

    def _talk(self, channel: Channel) -> tuple[Reply, NDArray[np.float64]]:
        channel.send(wire.pack_header(self._job), self._table.data.cast("B") if self._table.size else b"")
        while (kind := channel.receive(1)) == wire.SCORE:
            self._answer(channel)
        if kind != wire.REPLY:
            raise MalformedError(f"it sent a message of kind {kind!r}")
        reply = Reply.parse(channel.receive_header(64 * 1024 + 12 * self._limits.print_chars))
        if reply.shape is None:
            raise _blame(reply)
        if reply.shape != self._shape:
            raise MalformedError(f"it sent rows of shape {reply.shape}, not {self._shape}")
        rows, finite = channel.receive_rows(*self._shape)
        if not finite:
            raise MalformedError("it sent rows that are not finite")
        return reply, rows

    def _answer(self, channel: Channel) -> None:
        """Score the rows that a worker sends, within the budget."""
        count, columns = wire.SHAPE.unpack(channel.receive(wire.SHAPE.size))
        most = self._limits.memory_mib * 2**20 // 8
        if columns != self._shape[1] or not count or count * columns > most:
            raise MalformedError(f"it asked for scores of shape ({count}, {columns})")
        if self._scored_rows + count > self._limits.score_rows:
            raise ProgramError(
                f"the program asked for the scores of more than {self._limits.score_rows} rows",
                code="query_budget",
                hint="Score candidates in a few large calls, and stop when enough are found",
            )
        rows, finite = channel.receive_rows(count, columns)
        if not finite:
            channel.send(wire.COUNT.pack(count - int(np.isfinite(rows).all(axis=1).sum())))
            return
        self._queries += 1
        self._scored_rows += count
        channel.send(wire.COUNT.pack(0), _finite(self._score(rows), count).data.cast("B"))

    def _why_gone(self, helper: Helper, worker: Worker) -> ProgramError:
        """Say how a worker ended that gave no answer."""
        status = helper.ended(worker)
        if status is None:
            return ProgramError("the program closed its worker's connection", code="run")
        if not os.WIFSIGNALED(status):
            return ProgramError("the program ended its worker without returning", code="run")
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            what = f"the program used more than {self._limits.cpu_seconds} s of processor time"
            return ProgramError(what, code="timeout", hint=_FASTER)
        if number == signal.SIGKILL:
            return ProgramError(
                "the system killed the program, most likely for the memory it used",
                code="memory",
                hint="Make smaller arrays",
            )
        return ProgramError(f"the program crashed its worker ({signal.Signals(number).name})", code="run")


def _finite(scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return scores as a program may see them: NaN and infinities become the extreme finite scores."""
    cured = np.ascontiguousarray(scores, dtype=np.float64)
    if cured.shape != (count,):
        raise DetectorError(f"the detector gave scores of shape {cured.shape} for {count} rows")
    finite = np.isfinite(cured)
    if finite.all():
        return cured
    low, high = (cured[finite].min(), cured[finite].max()) if finite.any() else (0.0, 0.0)
    return np.nan_to_num(cured, nan=high, posinf=high, neginf=low)


def _blame(reply: Reply) -> ProgramError | SandboxError:
    what, hint = _line(reply.what), _line(reply.hint)
    if reply.code == "sandbox":
        return SandboxError(f"the sandbox's worker could not confine itself: {what}")
    code = reply.code if reply.code in _CODES else "run"
    return ProgramError(what, code=code, line=reply.line, hint=hint)


def _line(text: str) -> str:
    """Return a worker's text as one line to show, cut to a readable length."""
    return " ".join(_clean(text, MAX_TEXT).split())


def _clean(text: str, limit: int) -> str:
    """Return a worker's text without control characters and paths of this machine."""
    text = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)
    text = _HOST_PATH.sub("<path>", text)
    return text if len(text) <= limit else text[:limit] + " [cut]"
