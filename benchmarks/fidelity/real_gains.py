"""What each program of the pool gains on real sets: average precision of the light join, less its base's.

    python benchmarks/fidelity/real_gains.py FOLDER --half a [--seed 0] [--cache /tmp/fidelity]

Training rows are capped at 1,200 (two thirds are fitted on, a third gives the tail probabilities), test rows
at 3,000, both drawn by a seed, the test rows by class. The pool's programs are
known, and run in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pool import DETECTORS, Member, pool
from sklearn.metrics import average_precision_score

from llmdas_agent.benchmark.datasets import find_datasets, load_dataset
from llmdas_agent.benchmark.protocol import Split, one_class_split
from llmdas_agent.enhance.bases import CuredBase, soundest
from llmdas_agent.programs import ENTRY_POINT
from llmdas_agent.registry import resolve
from llmdas_agent.verification.usefulness import Classifier, NormalView, joined, surprise

MADE = 400
MAX_TRAIN, MAX_TEST = 1200, 3000


class RealSet:
    """One set, seen once by the kernel and once by each base."""

    def __init__(self, split: Split, seed: int) -> None:
        self.seed = seed
        rng = np.random.default_rng(seed)
        train = split.X_train[rng.permutation(len(split.X_train))[:MAX_TRAIN]]
        cut = max(len(train) * 2 // 3, 2)
        self.X, self.held = train[:cut], train[cut:]
        share = min(1.0, MAX_TEST / len(split.X_test))
        kept = [
            rng.permutation(np.flatnonzero(split.y_test == label))[: max(1, round(share * count))]
            for label, count in enumerate(np.bincount(split.y_test))
        ]
        self.test, self.truth = split.X_test[np.concatenate(kept)], split.y_test[np.concatenate(kept)]
        self.view = NormalView(self.X, seed)
        self.held_in_view, self.test_in_view = self.view(self.held), self.view(self.test)
        self.bases = {name: self._base(name) for name in DETECTORS}
        self.base_surprise = {
            name: surprise(base.score(self.held), base.score(self.test)) for name, base in self.bases.items()
        }

    def _base(self, name: str) -> CuredBase:
        source = resolve(name)
        return CuredBase(self.seed, soundest(source, self.X, self.seed)).fit(source, self.X)

    def _average_precision(self, scores: np.ndarray) -> float:
        return float(average_precision_score(self.truth, scores))

    def base_precision(self) -> dict[str, float]:
        """Return the average precision of each base."""
        return {name: self._average_precision(scores) for name, scores in self.base_surprise.items()}

    def measured(self, member: Member) -> dict[str, float]:
        """Return the gain over each base."""
        found: dict[str, float] = {}
        told: np.ndarray | None = None
        for name, base in self.bases.items():
            if told is None or "predict_score" in member.program.source:
                told = self._classifier_surprise(run(member, base, self.X, self.seed))
            found[name] = self._gain(name, told)
        return found

    def gain(self, member: Member, name: str) -> float:
        """Return the gain over one base."""
        return self._gain(name, self._classifier_surprise(run(member, self.bases[name], self.X, self.seed)))

    def _gain(self, name: str, told: np.ndarray) -> float:
        before = self.base_surprise[name]
        return self._average_precision(joined(before, told)) - self._average_precision(before)

    def _classifier_surprise(self, made: np.ndarray) -> np.ndarray:
        classifier = Classifier(self.view, self.seed).fit(self.view(made))
        return surprise(classifier.score(self.held_in_view), classifier.score(self.test_in_view))


def run(member: Member, base: CuredBase, X: np.ndarray, seed: int) -> np.ndarray:
    """Return what a program of the pool makes, run here."""

    class Model:
        predict_score = staticmethod(base.score)

    space: dict[str, Any] = {}
    exec(compile(member.program.source, member.name, "exec"), space)
    with np.errstate(all="ignore"):
        made = space[ENTRY_POINT](MADE, Model, X.copy(), np.random.default_rng(seed))
    return np.asarray(made, dtype=np.float64)


def gains_file(cache: Path, seed: int, dataset: Path) -> Path:
    """Return where the gains on one set are kept."""
    return cache / f"seed-{seed}" / f"{dataset.stem}.json"


def main() -> None:
    asked = _arguments()
    warnings.simplefilter("ignore")
    members = pool()
    for path in find_datasets(asked.folder)["ab".index(asked.half) :: 2]:
        kept = gains_file(asked.cache, asked.seed, path)
        known = json.loads(kept.read_text()) if kept.exists() else {"base": {}, "gain": {}}
        missing = [member for member in members if member.program.digest not in known["gain"]]
        if not missing:
            continue
        began = time.monotonic()
        real = RealSet(one_class_split(load_dataset(path)), asked.seed)
        known["base"] = real.base_precision()
        for member in missing:
            known["gain"][member.program.digest] = real.measured(member)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(known))
        print(f"{path.stem}: {len(missing)} programs, {time.monotonic() - began:.0f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("LLMDAS_DATASETS"))
    parser.add_argument("--half", choices=("a", "b"), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/fidelity"))
    asked = parser.parse_args()
    asked.folder = Path(asked.folder)
    return asked


if __name__ == "__main__":
    main()
