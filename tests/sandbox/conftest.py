from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llmdas_agent.config import SandboxLimits
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import SandboxResult, run_program


def squared_norm(X: np.ndarray) -> np.ndarray:
    return (X**2).sum(axis=1)


@pytest.fixture(scope="session")
def X_train() -> np.ndarray:  # noqa: N802
    return np.random.default_rng(7).normal(size=(200, 4))


@pytest.fixture
def run(X_train: np.ndarray) -> Callable[..., SandboxResult]:
    """Run the body of a program; the entry point's line is 2."""

    def run_body(body: str, **options: Any) -> SandboxResult:
        lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
        source = (
            f"import numpy as np\ndef generate_hard_anomalies(n_samples, model, X_train, rng):\n{lines}\n"
        )
        return run_source(source, **options)

    def run_source(source: str, **options: Any) -> SandboxResult:
        limits = SandboxLimits(**{"wall_seconds": 20.0, "cpu_seconds": 10} | options.pop("limits", {}))
        settings = {"n_samples": 20, "X_train": X_train, "score": squared_norm, "seed": 3} | options
        return run_program(SynthesisProgram(source), limits=limits, **settings)

    run_body.source = run_source
    return run_body
