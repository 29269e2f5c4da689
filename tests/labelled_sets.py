"""Three small labelled sets in three kinds of file, and what a benchmark of them is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.io import savemat

from llmdas_agent.benchmark.plan import Detector, Plan
from llmdas_agent.benchmark.programs import from_registry
from llmdas_agent.benchmark.report import Report
from llmdas_agent.registry import Registry


def rows(seed: int, n: int = 70) -> tuple[np.ndarray, np.ndarray]:
    """Return normal rows along a slanted band and anomalies beside it, mixed."""
    rng = np.random.default_rng(seed)
    along = rng.normal(size=(n, 1))
    normal = np.hstack([along, along, along]) + 0.3 * rng.normal(size=(n, 3))
    wrong = normal[:8] * [1.0, -1.0, 1.0] + [0.0, 0.0, 1.5]
    X, y = np.vstack([normal, wrong]), np.repeat([0, 1], [n, 8])
    order = rng.permutation(len(X))
    return X[order].astype(np.float32), y[order]


def write_sets(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    X, y = rows(0)
    np.savez(folder / "38_thyroid.npz", X=X, y=y)
    X, y = rows(1)
    savemat(folder / "Band.mat", {"X": X, "y": y[:, None]})
    X, y = rows(2)
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1], "Label": y, "c": X[:, 2]})
    frame.write_csv(folder / "strip.csv")


def detector(name: str) -> Detector:
    return Detector(Registry().card(name), from_registry(name))


@dataclass(frozen=True)
class Benchmark:
    folder: Path
    sets: Path
    plan: Plan
    report: Report
