"""What enhancing gains: average precision of four bases on a folder of data sets, base and enhanced.

    python benchmarks/enhanced_gain.py FOLDER [--half a|b] [--seed 42] [--output FILE]

FOLDER may also come from LLMDAS_DATASETS. Three scores stand beside each other for each base: the base as its
library gives it, the base with its numerical faults cured (non-finite or constant scores; test rows pooled
with training rows), and the enhanced detector. Halves are every other set by name, for choosing settings on
one and looking at the other once.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from llmdas_agent.benchmark.datasets import find_datasets, load_dataset
from llmdas_agent.benchmark.protocol import Split, one_class_split, score_as_given
from llmdas_agent.enhance import EnhancedDetector
from llmdas_agent.enhance.bases import CuredBase
from llmdas_agent.registry import resolve

BASES = ("pca", "iforest", "ocsvm", "ecod")

Row = tuple[str, int, list[tuple[float, float, float, float]]]
"""A set's name, its rows fitted, and for each base what `measured` returns."""


def main() -> None:
    asked = _arguments()
    paths = find_datasets(asked.folder)
    if asked.half:
        paths = paths["ab".index(asked.half) :: 2]
    started = time.monotonic()
    rows = []
    for path in paths:
        split = one_class_split(load_dataset(path))
        row = [measured(name, split, asked.seed) for name in BASES]
        rows.append((path.stem, len(split.X_train), row))
        print(f"{path.stem:20s}", *(f"{g:.3f} {c:.3f} {e:.3f} w{w:.2f} |" for g, c, e, w in row), flush=True)
    text = report(rows, asked, time.monotonic() - started)
    print(text)
    if asked.output:
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(text, encoding="utf-8")


def measured(name: str, split: Split, seed: int) -> tuple[float, float, float, float]:
    """Return average precision as given, cured and enhanced, and the classifier's weight."""
    source = resolve(name)
    given = score_as_given(source, split, seed)
    detector = EnhancedDetector(name, random_state=seed).fit(split.X_train)
    cured = CuredBase(seed, detector.treatment_).fit(source, split.X_train).score(split.X_test)
    scores = (given, cured, detector.decision_function(split.X_test))
    given_ap, cured_ap, enhanced_ap = (split.average_precision(s) for s in scores)
    return given_ap, cured_ap, enhanced_ap, detector.weights_["classifier"]


def report(rows: list[Row], asked: argparse.Namespace, seconds: float) -> str:
    figures = np.array([row for _, _, row in rows])
    parts = [_circumstances(asked, len(rows), seconds), _means(figures)]
    if not asked.half:
        parts.append(_halves(figures))
    parts.append(_every_set(rows, figures))
    return "# What enhancing gains\n\n" + "\n\n".join(parts) + "\n"


def _means(figures: np.ndarray) -> str:
    lines = [
        "Mean average precision:",
        "",
        "| base | as given | cured | enhanced | gain over given | gain over cured | classifier used on |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (given, cured, enhanced, weight) in zip(BASES, figures.transpose(1, 2, 0), strict=True):
        means = " | ".join(f"{np.mean(column):.4f}" for column in (given, cured, enhanced))
        gains = " | ".join(f"{np.mean(g):+.4f} ({_wins(g)})" for g in (enhanced - given, enhanced - cured))
        lines.append(f"| {name} | {means} | {gains} | {np.sum(weight > 0)} of {len(figures)} sets |")
    lines += [
        "",
        "In brackets: sets better by more than .005, worse by more than .02, worse by more than .05.",
    ]
    return "\n".join(lines)


def _halves(figures: np.ndarray) -> str:
    lines = [
        "Settings were chosen on half a (the 1st, 3rd ... set by name) alone. Mean gain over the cured base:",
        "",
        "| base | half a | half b |",
        "|---|---|---|",
    ]
    for name, (_, cured, enhanced, _) in zip(BASES, figures.transpose(1, 2, 0), strict=True):
        gain = enhanced - cured
        lines.append(f"| {name} | {np.mean(gain[::2]):+.4f} | {np.mean(gain[1::2]):+.4f} |")
    return "\n".join(lines)


def _every_set(rows: list[Row], figures: np.ndarray) -> str:
    lines = [
        "Every set, the largest loss against the cured base first (as given / cured / enhanced):",
        "",
        f"| set | rows fitted | {' | '.join(BASES)} |",
        "|---" * (2 + len(BASES)) + "|",
    ]
    worst = (figures[:, :, 2] - figures[:, :, 1]).min(axis=1)
    for i in np.argsort(worst, kind="stable"):
        name, n, row = rows[i]
        cells = [f"{g:.3f} / {c:.3f} / {e:.3f}{'' if w else ' (base alone)'}" for g, c, e, w in row]
        lines.append(f"| {name} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _wins(gain: np.ndarray) -> str:
    return f"{np.sum(gain > 0.005)}, {np.sum(gain < -0.02)}, {np.sum(gain < -0.05)}"


def _circumstances(asked: argparse.Namespace, n_sets: int, seconds: float) -> str:
    packages = ("llmdas-agent", "numpy", "scikit-learn", "pyod")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    half = f" --half {asked.half}" if asked.half else ""
    return (
        f"`python benchmarks/enhanced_gain.py FOLDER{half} --seed {asked.seed}`\n\n"
        f"{n_sets} sets at full size, one-class split; {time.strftime('%Y-%m-%d')}, {seconds:.0f} s.\n"
        f"Python {platform.python_version()}, {versions}."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("LLMDAS_DATASETS"))
    parser.add_argument(
        "--half", choices=("a", "b"), help="every other set by name: the 1st, 3rd ... or the 2nd, 4th ..."
    )
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, help="where the report goes, Markdown")
    asked = parser.parse_args()
    if asked.folder is None:
        parser.error("give a folder of data sets, or set LLMDAS_DATASETS")
    asked.folder = Path(asked.folder)
    return asked


if __name__ == "__main__":
    main()
