"""A verified synthesizer, and tables to fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.registry import Registry
from llmdas_agent.report import BlindSpotProfile, Verdict, VerificationReport
from llmdas_agent.synthesizer import Synthesizer

SOURCE = '''
import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Values of normal rows in combinations that no row has; those that the model finds most normal."""
    n, d = X_train.shape
    rows = rng.integers(0, n, size=(3 * n_samples, d))
    made = np.take_along_axis(X_train, rows, axis=0)
    order = np.argsort(model.predict_score(made), kind="stable")
    return made[order[:n_samples]]
'''


def made_synthesizer(
    name: str = "pca", source: str = SOURCE, *, passed: bool = True, digest: str = ""
) -> Synthesizer:
    """Return a synthesizer whose report accepts its program, or does not."""
    program = SynthesisProgram(source)
    report = VerificationReport(
        detector=name,
        program_digest=digest or program.digest,
        seed=0,
        verdicts=(Verdict(code="run", passed=passed, message="runs"),),
        complete=True,
        seconds=0.1,
        versions={},
    )
    proposal = Proposal(program, "wrong combinations", "all rows", "recombination", 1.0)
    profile = BlindSpotProfile(detector=name, seed=0, families=())
    return Synthesizer(name, Registry().card(name), proposal, report, profile, {})


@pytest.fixture
def synthesizer() -> Synthesizer:
    return made_synthesizer()


@pytest.fixture(scope="session")
def synthesizer_of() -> Callable[..., Synthesizer]:
    return made_synthesizer


@pytest.fixture(scope="session")
def normal() -> np.ndarray:
    """Rows near a line in two of four columns; who looks at one column at a time cannot see off it."""
    return _rows(np.random.default_rng(0), 320)


@pytest.fixture(scope="session")
def new() -> tuple[np.ndarray, np.ndarray]:
    """Held-out normal rows and rows off the line, each value of which is normal."""
    rng = np.random.default_rng(1)
    rows, wrong = _rows(rng, 300), _rows(rng, 100)
    wrong[:, 1] = -wrong[:, 1]
    return rows, wrong[np.abs(wrong[:, 1]) > 0.7]


def _rows(rng: np.random.Generator, n: int) -> np.ndarray:
    X = rng.normal(size=(n, 4)) * [1.0, 1.0, 5.0, 0.1]
    X[:, 1] = X[:, 0] + 0.1 * X[:, 1]
    return X


@pytest.fixture(scope="session")
def mixed() -> pl.DataFrame:
    """A frame with numbers, words, truths and gaps."""
    rng = np.random.default_rng(2)
    n = 200
    colour = rng.choice(["red", "green", "blue"], size=n, p=[0.6, 0.3, 0.1])
    size = np.where(colour == "red", 1.0, 3.0) + 0.2 * rng.normal(size=n)
    frame = pl.DataFrame(
        {"size": size, "colour": colour, "old": rng.random(n) < 0.3, "code": rng.integers(0, 3, n)}
    )
    gap = pl.Series(rng.random(n) < 0.1)
    return frame.with_columns(
        size=pl.when(gap).then(None).otherwise(pl.col("size")),
        colour=pl.when(pl.Series(rng.random(n) < 0.05)).then(None).otherwise(pl.col("colour")),
    )
