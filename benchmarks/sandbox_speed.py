"""What confinement costs: ratios measured in one run, so that they hold on any machine.

Run ``python benchmarks/sandbox_speed.py`` on an idle machine; ``--quick`` takes fewer repetitions.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.pca import PCA

from llmdas_agent.config import SandboxLimits
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import run_program

SMALL = """
import numpy as np

def generate_hard_anomalies(n_samples, model, X_train, rng):
    scores = model.predict_score(X_train)
    borderline = X_train[scores >= np.quantile(scores, 0.8)]
    i, j = rng.integers(len(borderline), size=(2, n_samples))
    t = rng.uniform(0.3, 0.7, size=(n_samples, 1))
    return t * borderline[i] + (1 - t) * borderline[j]
"""
VECTORIZED = """
import numpy as np

def generate_hard_anomalies(n_samples, model, X_train, rng):
    total = np.zeros((n_samples, X_train.shape[1]))
    for _ in range(60):
        Z = rng.normal(size=(100_000, X_train.shape[1]))
        Z -= Z.mean(axis=0)
        Z[Z > 2] *= 0.5
        order = np.argsort((Z**2).sum(axis=1))
        total += Z[order[:n_samples]]
    return total
"""
ORACLE = """
import numpy as np

def generate_hard_anomalies(n_samples, model, X_train, rng):
    scores = model.predict_score(rng.normal(size=(1_000_000, X_train.shape[1])))
    return X_train[:n_samples] + scores.mean() * 0
"""
WIDE = SandboxLimits(wall_seconds=600.0, cpu_seconds=600)


class Model:
    """The model of a program that runs in this process."""

    def __init__(self, score: Callable[[np.ndarray], np.ndarray]) -> None:
        self.predict_score = score


def in_process(source: str, X: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> float:
    names: dict[str, object] = {}
    exec(source, names)
    started = time.perf_counter()
    names["generate_hard_anomalies"](100, Model(score), X.copy(), np.random.default_rng(0))  # type: ignore[operator]
    return time.perf_counter() - started


def confined(source: str, X: np.ndarray, score: Callable[[np.ndarray], np.ndarray]) -> float:
    started = time.perf_counter()
    run_program(SynthesisProgram(source), n_samples=100, X_train=X, score=score, seed=0, limits=WIDE)
    return time.perf_counter() - started


def fresh_interpreter(X: np.ndarray) -> float:
    code = SMALL + (
        "\nclass M:\n    def predict_score(self, X): return (X**2).sum(axis=1)\n"
        f"rng = np.random.default_rng(0)\nX = rng.normal(size={X.shape})\n"
        "generate_hard_anomalies(100, M(), X, rng)\n"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def squared_norm(X: np.ndarray) -> np.ndarray:
    return (X**2).sum(axis=1)


def median(measure: Callable[[], float], times: int) -> float:
    measure()
    return statistics.median(measure() for _ in range(times))


def show(what: str, value: float, bound: str) -> None:
    print(f"{what:<68} {value:>9.3f}   {bound}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    times = 20 if parser.parse_args().quick else 200
    X = np.random.default_rng(0).normal(size=(1000, 10))

    run = median(lambda: confined(SMALL, X, squared_norm), times)
    plain = median(lambda: in_process(SMALL, X, squared_norm), times)
    fresh = median(lambda: fresh_interpreter(X), max(3, times // 20))
    show("a confined run of a small program, median, ms", run * 1000, "under 40 when idle")
    show("  the same function called in process, ms", plain * 1000, "")
    show("  what confinement adds, ms", (run - plain) * 1000, "")
    show("  against a fresh interpreter with numpy, ratio", run / fresh, "")

    rounds = max(3, times // 40)
    inside, outside = [], []
    for _ in range(rounds):  # in turns, so that both meet the same load
        outside.append(in_process(VECTORIZED, X, squared_norm))
        inside.append(confined(VECTORIZED, X, squared_norm))
    show("a vectorized program inside, against in process, ratio", min(inside) / min(outside), "under 1.05")

    for detector, turns in ((PCA(), 4 * rounds), (ECOD(), rounds), (IForest(random_state=0), 1)):
        detector.fit(X)
        own, through = [], []
        for _ in range(turns):  # the same run without the question is taken off
            Z = np.random.default_rng(0).normal(size=(1_000_000, 10))
            started = time.perf_counter()
            detector.decision_function(Z)
            own.append(time.perf_counter() - started)
            del Z
            silent = confined(ORACLE.replace("model.predict_score", ""), X, squared_norm)
            through.append(confined(ORACLE, X, detector.decision_function) - silent)
        name = type(detector).__name__
        show(
            f"1,000,000 rows scored from inside by {name}, against its own time",
            min(through) / min(own),
            "under 1.3",
        )


if __name__ == "__main__":
    main()
