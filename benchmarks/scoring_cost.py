"""What fitting and scoring cost: enhanced detectors beside their bases and the peers, by number of rows.

    python benchmarks/scoring_cost.py [--sizes 1000 10000 100000 1000000] [--output FILE]

Each cell is a process of its own: normal rows of 30 correlated columns, half of them whole numbers,
are fitted, and as many new ones scored in one call. Seconds are of the wall clock on all cores,
memory the process's peak beyond the table itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

COLUMNS = 30
SIZES = (1_000, 10_000, 100_000, 1_000_000)
METHODS = ("pca", "iforest", "enhanced pca", "enhanced iforest", "knn", "lof", "ecod")
MAX_FITTED = {"knn": 10_000, "lof": 10_000}
"""Rows that a peer is fitted on at most: its scoring time grows with them, and it has no cap of its own."""
MAX_SECONDS = 900


def main() -> None:
    asked = _arguments()
    if asked.cell:
        print(json.dumps(measured(asked.cell[0], int(asked.cell[1]))))
        return
    cells = {(method, size): _in_a_process(method, size) for method in METHODS for size in asked.sizes}
    text = report(cells, asked.sizes)
    print(text)
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")


def measured(method: str, size: int) -> dict[str, float]:
    """Return seconds of fitting and scoring, and megabytes of memory."""
    import numpy as np

    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(COLUMNS, COLUMNS)) / COLUMNS**0.5 + np.eye(COLUMNS)
    X, X_new = (rng.normal(size=(size, COLUMNS)) @ mixing for _ in range(2))
    X[:, ::2], X_new[:, ::2] = X[:, ::2].round(0), X_new[:, ::2].round(0)
    detector = _detector(method)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    detector.fit(X[: MAX_FITTED.get(method, size)])
    fitted = time.perf_counter()
    detector.decision_function(X_new)
    scored = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"fit": fitted - started, "score": scored - fitted, "memory": (peak - before) / 1024}


def report(cells: dict[tuple[str, int], dict[str, float] | None], sizes: list[int]) -> str:
    packages = ("llmdas-agent", "numpy", "scikit-learn", "pyod")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    lines = [
        "# What fitting and scoring cost",
        "",
        f"`python benchmarks/scoring_cost.py`, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {versions}.",
        "",
        f"Rows of {COLUMNS} columns; seconds to fit, seconds to score as many, megabytes of memory. "
        "kNN and LOF are fitted on 10,000 rows at most.",
        "",
        "| | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---" * (1 + len(sizes)) + "|",
    ]
    for method in METHODS:
        row = [_cell(cells[method, size]) for size in sizes]
        lines.append(f"| {method} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _cell(found: dict[str, float] | None) -> str:
    if found is None:
        return f"over {MAX_SECONDS} s"
    return f"{found['fit']:.1f} / {found['score']:.1f} s, {found['memory']:.0f} MB"


def _detector(method: str) -> Any:
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.lof import LOF
    from pyod.models.pca import PCA

    from llmdas_agent import EnhancedDetector

    if method.startswith("enhanced "):
        return EnhancedDetector(method.removeprefix("enhanced "), random_state=0)
    return {"pca": PCA, "iforest": IForest, "knn": KNN, "lof": LOF, "ecod": ECOD}[method]()


def _in_a_process(method: str, size: int) -> dict[str, float] | None:
    command = [sys.executable, __file__, "--cell", method, str(size)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{method:18s} {size:9,d} {_cell(found)}", file=sys.stderr, flush=True)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--output", type=Path, help="where the report goes, Markdown")
    parser.add_argument("--cell", nargs=2, metavar=("METHOD", "SIZE"), help="measure one cell here, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
