"""A program against all checks, the cheapest first, and the report on it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..config import SandboxLimits
from ..errors import ProgramError, in_a_line
from ..plugins import BUILTIN, load_plugins
from ..programs import SynthesisProgram
from ..quiet import quiet
from ..report import Verdict, VerificationReport
from ..sandbox import SandboxResult, check_source, run_program
from .bench import FittedToy, ToyBench
from .checks import CHECKS
from .evidence import Evidence, ToyRun
from .score import verification_score
from .threads import side_by_side

__all__ = ["ROWS", "Trial", "judge", "made_in", "try_program", "verify"]

ROWS = 100
"""Rows that a program is asked for in each scenario."""

_LIMITS = SandboxLimits(wall_seconds=10.0, cpu_seconds=10, score_rows=200_000)
"""Less than on a user's table: the largest toy table has 500 rows."""

_LARGEST = 1e50
"""What is larger overflows when it is squared in units of a narrow column."""

_BEFORE_RUNNING = {
    "parse": "It is Python.",
    "dialect": "It keeps to the dialect of the sandbox.",
    "signature": "It defines generate_hard_anomalies with the arguments of its contract.",
}
_WHILE_RUNNING = {
    "query_budget": f"It has no more than {_LIMITS.score_rows} rows scored.",
    "run": "It runs to its end in every scenario.",
    "result": "It returns as many rows as asked for, all of finite numbers.",
}
_DIRECTIONS = ("nearer", "away", None)
"""What the embedded proposer takes from a verdict's evidence."""

_PACKAGES = ("llmdas-agent", "numpy", "scipy", "scikit-learn", "pyod", "RestrictedPython")


@dataclass(frozen=True, eq=False)
class Trial:
    """A program run on the toy scenarios, before anything is said of its rows.

    Attributes
    ----------
    program : SynthesisProgram
        The program.
    bench : ToyBench
        The detector on the toy scenarios.
    verdicts : tuple of Verdict
        Whether it parses, keeps to the dialect, runs, and returns what its contract asks; the last one
        failed when `evidence` is None.
    evidence : Evidence or None
        What it made.
    seconds : float
        How long it took, seconds.
    """

    program: SynthesisProgram
    bench: ToyBench
    verdicts: tuple[Verdict, ...]
    evidence: Evidence | None
    seconds: float

    def report(self, judged: tuple[Verdict, ...] = (), seconds: float = 0.0) -> VerificationReport:
        """Return the report on the trial; it is complete when its rows were judged, by all checks."""
        return VerificationReport(
            detector=self.bench.source.name,
            program_digest=self.program.digest,
            seed=self.bench.seed,
            verdicts=(*self.verdicts, *judged),
            complete=bool(judged),
            score=verification_score(judged),
            seconds=round(self.seconds + seconds, 3),
            versions={package: version(package) for package in _PACKAGES},
        )


Listener = Callable[[Verdict], None]


def try_program(program: SynthesisProgram, bench: ToyBench, *, on_verdict: Listener | None = None) -> Trial:
    """Run a program on the toy scenarios: the first half of `verify`.

    Parameters
    ----------
    program, bench, on_verdict
        As in `verify`.

    Returns
    -------
    Trial

    Raises
    ------
    DetectorError, SandboxError
        As `verify`.
    """
    began = time.monotonic()
    verdicts: list[Verdict] = []
    evidence: Evidence | None = None
    try:
        check_source(program)
        verdicts += [Verdict(code=code, passed=True, message=text) for code, text in _BEFORE_RUNNING.items()]
        evidence = _evidence(program, bench)
        verdicts += _ran(evidence, bench)
    except ProgramError as error:
        verdicts += _broken_off(_WHILE_RUNNING if verdicts else _BEFORE_RUNNING, error)
    for verdict in verdicts:
        if on_verdict is not None:
            on_verdict(verdict)
    return Trial(program, bench, tuple(verdicts), evidence, time.monotonic() - began)


def judge(trial: Trial, *, on_verdict: Listener | None = None) -> VerificationReport:
    """Check what a program made: the second half of `verify`.

    Parameters
    ----------
    trial : Trial
        From `try_program`; where the program did not run, there is nothing to judge.
    on_verdict : callable, optional
        Called with each verdict as it comes.

    Returns
    -------
    VerificationReport
    """
    if trial.evidence is None:
        return trial.report()
    began = time.monotonic()
    judged = []
    side_by_side(lambda run: run.learned, trial.evidence.runs)
    # many small products: threads would only wait for each other
    with threadpool_limits(1):
        for verdict in _verdicts(trial.evidence):
            judged.append(verdict)
            if on_verdict is not None:
                on_verdict(verdict)
    return trial.report(tuple(judged), time.monotonic() - began)


def verify(
    program: SynthesisProgram, bench: ToyBench, *, on_verdict: Listener | None = None
) -> VerificationReport:
    """Run a program on the toy scenarios and check what it makes.

    Parameters
    ----------
    program : SynthesisProgram
        The program.
    bench : ToyBench
        The detector on the toy scenarios; fitted where it is not yet.
    on_verdict : callable, optional
        Called with each verdict as it comes.

    Returns
    -------
    VerificationReport
        Equal for equal program, bench and package versions, but for the seconds. A program that does not
        run gets no verdicts on its rows, and the report is then not complete.

    Raises
    ------
    DetectorError
        When the detector fits fewer than three scenarios.
    SandboxError
        When the sandbox cannot do its work on this machine.
    """
    return judge(try_program(program, bench, on_verdict=on_verdict), on_verdict=on_verdict)


def _verdicts(evidence: Evidence) -> Iterator[Verdict]:
    """Yield the verdicts of the package's checks, then those of plugins; a check that breaks is named."""
    plugins = load_plugins()
    named = plugins.unambiguous("check", {check.__name__: check for check in CHECKS}, plugins.checks)
    for name, (owner, check) in named.items():
        if owner == BUILTIN:
            yield check(evidence)
            continue
        try:
            with quiet:
                verdict = check(evidence)
            if not isinstance(verdict, Verdict) or verdict.code != name:
                raise TypeError(f"it must return a Verdict whose code is '{name}'")
            verdict = verdict.model_copy(update={"evidence": _plain_evidence(verdict.evidence)})
        except (Exception, SystemExit) as error:  # a stranger's check may raise anything; it is named
            plugins.blame(owner, f"its check '{name}' is left out: {in_a_line(error)}")
        else:
            yield verdict


def _plain_evidence(found: dict[str, Any]) -> dict[str, Any]:
    """Return a stranger's evidence as it is read back from JSON.

    Raises
    ------
    TypeError, ValueError
        When it is no plain data, or has a direction that no proposer knows.
    """
    plain: dict[str, Any] = json.loads(json.dumps(_plain(found), allow_nan=False))
    if plain.get("direction") not in _DIRECTIONS:
        raise ValueError(f"its direction is {plain['direction']!r}, where 'nearer' or 'away' is expected")
    return plain


def _plain(value: Any) -> Any:
    """Return numpy's scalars and arrays as Python's own, and None for numbers that JSON does not have."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ran(evidence: Evidence, bench: ToyBench) -> Iterator[Verdict]:
    facts: dict[str, dict[str, Any]] = {
        "query_budget": {"scored": {run.name: run.scored for run in evidence.runs}},
        "run": {"scenarios": [run.name for run in evidence.runs], "left_out": list(bench.notes)},
        "result": {"rows": ROWS},
    }
    for code, message in _WHILE_RUNNING.items():
        yield Verdict(code=code, passed=True, message=message, evidence=facts[code])


def _broken_off(stage: dict[str, str], error: ProgramError) -> Iterator[Verdict]:
    """Yield the verdicts of a stage up to the one that an error belongs to."""
    failed = error.code if error.code in stage else "run"
    for code, message in stage.items():
        if code == failed:
            evidence = {"cause": error.code, "line": error.line}
            where = f"{error.where}: " if error.line else ""
            yield Verdict(
                code=code, passed=False, message=f"{where}{error.what}.", evidence=evidence, hint=error.hint
            )
            return
        yield Verdict(code=code, passed=True, message=message)


def made_in(program: SynthesisProgram, bench: ToyBench, toy: FittedToy) -> ToyRun:
    """Run a program in one of a bench's scenarios.

    Raises
    ------
    ProgramError
        When it does not run to its end there, or does not return what its contract asks.
    """
    made = _run(program, toy, _seed(bench, toy))
    return ToyRun(toy, made.rows, made.scored_rows, made.inputs_unchanged)


def _evidence(program: SynthesisProgram, bench: ToyBench) -> Evidence:
    runs = bench.on_each(lambda toy: made_in(program, bench, toy))
    first = runs[0].toy
    seed = _seed(bench, first)
    found = Evidence(tuple(runs), _run(program, first, seed).rows, _run(program, first, seed + 1).rows)
    # a check of a plugin that writes into what it is shown would change what all others see
    for rows in (found.same_seed, found.other_seed, *(run.rows for run in runs)):
        rows.flags.writeable = False
    for toy in (run.toy for run in runs):
        toy.X_train.flags.writeable = toy.X_held_out.flags.writeable = False
    return found


def _seed(bench: ToyBench, toy: FittedToy) -> int:
    return int(bench.rng(toy.scenario, "program").integers(2**31))


def _run(program: SynthesisProgram, toy: FittedToy, seed: int) -> SandboxResult:
    try:
        made = run_program(
            program, n_samples=ROWS, X_train=toy.X_train, score=toy.score, seed=seed, limits=_LIMITS
        )
        if np.abs(made.rows).max() > _LARGEST:
            raise ProgramError(
                f"the program made values beyond {_LARGEST:g}",
                code="result",
                hint="Keep to the range of the training rows and what lies around it",
            )
        return made
    except ProgramError as error:
        rows, columns = toy.X_train.shape
        raise ProgramError(
            f"{error.what} (on a table of {rows} rows and {columns} columns)",
            code=error.code,
            line=error.line,
            where=error.where,
            hint=error.hint,
        ) from error
