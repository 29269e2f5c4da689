"""Runs programs on one small table, as the tests of this folder want it."""

from __future__ import annotations

from typing import Any

import numpy as np

from llmdas_agent.config import SandboxLimits
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import SandboxResult, run_program

X_TRAIN = np.random.default_rng(7).normal(size=(200, 4))
HEAD = "import numpy as np\ndef generate_hard_anomalies(n_samples, model, X_train, rng):\n"


def squared_norm(X: np.ndarray) -> np.ndarray:
    return (X**2).sum(axis=1)


def run_source(source: str, *, limits: dict[str, Any] | None = None, **options: Any) -> SandboxResult:
    """Run a whole program."""
    held = SandboxLimits(**{"wall_seconds": 20.0, "cpu_seconds": 10} | (limits or {}))
    settings = {"n_samples": 20, "X_train": X_TRAIN, "score": squared_norm, "seed": 3} | options
    return run_program(SynthesisProgram(source), limits=held, **settings)


def run(body: str, **options: Any) -> SandboxResult:
    """Run a program with this body in its entry point; the body's first line is line 3."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return run_source(f"{HEAD}{lines}\n", **options)
