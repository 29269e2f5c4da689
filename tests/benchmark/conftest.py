"""Three small sets in three kinds of file, and one whole benchmark of them in the paper's own form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.io import savemat

from llmdas_agent.benchmark.plan import Detector, Plan
from llmdas_agent.benchmark.programs import from_registry
from llmdas_agent.benchmark.report import Report, write_report
from llmdas_agent.benchmark.running import run_plan
from llmdas_agent.registry import Registry
from llmdas_agent.workers import Processes


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


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory, home_of_shared_fixtures: None) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sets"
    write_sets(folder)
    return folder


@pytest.fixture(scope="session")
def benchmark(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("results")
    plan = Plan.of(
        sets,
        [detector("pca"), detector("ecod")],
        mode="paper",
        classifiers=("forest", "svc"),
        seeds=2,
        peers=("knn", "lunar"),
    )
    run_plan(plan, folder, Processes(1), command="llmdas-agent bench run sets/")
    return Benchmark(folder, sets, plan, write_report(folder))
