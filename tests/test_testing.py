"""The conformance suite: the package's own detectors pass it, and what breaks the contract does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmdas_agent.detectors import DetectorSource
from llmdas_agent.plugins import DetectorEntry
from llmdas_agent.plugins.builtin import llmdas_detectors
from llmdas_agent.testing import DetectorConformance


class TestOwnDetectors(DetectorConformance):
    @pytest.fixture(params=llmdas_detectors(), ids=lambda entry: entry.name)
    def entry(self, request: pytest.FixtureRequest) -> DetectorEntry:
        entry: DetectorEntry = request.param
        return entry

    def test_a_second_fit_forgets_the_first(self, source: DetectorSource, rows: NDArray[np.float64]) -> None:
        if source.name == "ecod":
            pytest.skip("PyOD's ECOD keeps the rows of its first fit; this package fits fresh copies only")
        super().test_a_second_fit_forgets_the_first(source, rows)


BASE = """
import numpy as np
from pyod.models.base import BaseDetector

class Broken(BaseDetector):
    def __init__(self, contamination=0.1):
        super().__init__(contamination=contamination)
    def fit(self, X, y=None):
        if np.isnan(X).any():
            raise ValueError("NaN")
        self.n_ = X.shape[1]
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self
    def decision_function(self, X):
        if np.isnan(X).any():
            raise ValueError("NaN")
        return np.linalg.norm(X, axis=1)
"""
TRAINING = """
    def fit(self, X, y=None):
        super().fit(X)
        self.decision_scores_ = {}
        self._process_decision_scores()
        return self
"""
FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("", {}),
    "is turned": (
        "    def decision_function(self, X):\n        return -np.linalg.norm(np.nan_to_num(X), axis=1)\n",
        {"test_it_fits_and_scores_rise_with_abnormality": "is its sign turned?"},
    ),
    "draws from numpy's global state": (
        "    def decision_function(self, X):\n"
        "        return np.linalg.norm(np.nan_to_num(X), axis=1) + 0.01 * np.random.rand(len(X))\n",
        {
            "test_the_same_seed_gives_the_same_scores": "draw all chance from its random_state",
            "test_a_second_fit_forgets_the_first": "a second fit gives other scores",
        },
    ),
    "writes into the table": (
        "    def fit(self, X, y=None):\n        super().fit(X.copy())\n        X -= X.mean(axis=0)\n"
        "        return self\n    def decision_function(self, X):\n        X += 1.0\n"
        "        return np.linalg.norm(np.nan_to_num(X), axis=1)\n",
        {"test_rows_are_left_as_they_were": "fit wrote into its table"},
    ),
    "writes into the rows it scores": (
        "    def fit(self, X, y=None):\n        return super().fit(X.copy())\n"
        "    def decision_function(self, X):\n        X += 1.0\n"
        "        return np.linalg.norm(np.nan_to_num(X), axis=1)\n",
        {"test_rows_are_left_as_they_were": "decision_function wrote into its table"},
    ),
    "turns its training scores": (
        TRAINING.format("-self.decision_function(X)"),
        {"test_it_keeps_pyod_s_contract": "falls where decision_function rises"},
    ),
    "leaves holes in its training scores": (
        TRAINING.format("np.where(X[:, 0] > 1, np.nan, self.decision_function(X))"),
        {"test_it_keeps_pyod_s_contract": "decision_scores_ has scores that are NaN"},
    ),
    "keeps too few training scores": (
        TRAINING.format("self.decision_function(X)[1:]"),
        {"test_it_keeps_pyod_s_contract": "decision_scores_ has shape (119,) for 120 rows"},
    ),
    "keeps no training scores": (
        "    def fit(self, X, y=None):\n        super().fit(X)\n        del self.decision_scores_\n"
        "        return self\n",
        {"test_it_keeps_pyod_s_contract": "fit sets no decision_scores_"},
    ),
    "labels by another rule": (
        "    def fit(self, X, y=None):\n        super().fit(X)\n        self.labels_ = 1 - self.labels_\n"
        "        return self\n",
        {"test_it_keeps_pyod_s_contract": "labels_ is not 1 exactly where"},
    ),
    "predicts as scikit-learn": (
        "    def predict(self, X):\n        return 1 - 2 * super().predict(X)\n",
        {"test_it_keeps_pyod_s_contract": "predict returned [-1, 1]"},
    ),
    "scores NaN as NaN": (
        "    def decision_function(self, X):\n        return np.linalg.norm(X, axis=1)\n",
        {"test_missing_values_are_refused_or_scored": "with a NaN among the rows"},
    ),
    "squeezes": (
        "    def decision_function(self, X):\n        X = np.nan_to_num(X)\n"
        "        return np.linalg.norm(X, axis=1).squeeze()\n",
        {"test_one_row_can_be_scored": "decision_function has shape () for 1 rows"},
    ),
    "wants two columns": (
        "    def decision_function(self, X):\n        return np.abs(np.nan_to_num(X)[:, :2]) @ np.ones(2)\n",
        {"test_one_column_is_enough": "matmul"},
    ),
    "remembers": (
        "    def fit(self, X, y=None):\n        self.first_ = getattr(self, 'first_', X.mean())\n"
        "        return super().fit(X)\n    def decision_function(self, X):\n"
        "        return np.linalg.norm(np.nan_to_num(X) - self.first_, axis=1)\n",
        {"test_a_second_fit_forgets_the_first": "fit must set all that it learns anew"},
    ),
    "changes its parameters": (
        "    def __init__(self, contamination=0.1, k=1):\n"
        "        super().__init__(contamination=contamination)\n        self.k = k + 1\n",
        {"test_it_can_be_cloned": "modifies parameter k"},
    ),
}
CARD = """
name: broken{number}
full_name: Broken on purpose
build:
  class: broken_detector.Faulty{number}
description: A norm.
assumptions: [Normal rows are short.]
steps: [Take the norm.]
blind_spots:
  - what: Short rows.
    why: They are short.
"""
SUITE = """
from pathlib import Path
import pytest
from llmdas_agent.plugins import DetectorEntry
from llmdas_agent.testing import DetectorConformance

class TestIt(DetectorConformance):
    @pytest.fixture(params=sorted(Path(__file__).parent.glob("*.yaml")), ids=lambda card: card.stem)
    def entry(self, request):
        return DetectorEntry(request.param)
"""
NOT_INSTALLED = "test_asking_what_it_brings_imports_nothing_heavy"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of one faulty detector for each fault, all in one run."""
    folder = tmp_path_factory.mktemp("suite")
    source = BASE
    for number, (body, _) in enumerate(FAULTS.values()):
        source += f"\nclass Faulty{number}(Broken):\n{body or '    pass'}\n"
        (folder / f"broken{number}.yaml").write_text(CARD.format(number=number))
    (folder / "broken_detector.py").write_text(source)
    (folder / "test_it.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfs",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "test_it.py",
    ]
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "400"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_the_test_that_is_named_after_it(outcome: str, fault: str) -> None:
    _, expected = FAULTS[fault]
    number = list(FAULTS).index(fault)
    failed = dict(re.findall(rf"^FAILED \S+::(\w+)\[broken{number}\] - (.*)$", outcome, re.MULTILINE))
    # none of them is installed, and the suite says so of each
    assert failed.keys() == {*expected, NOT_INSTALLED}, outcome
    for name, words in expected.items():
        assert words in failed[name]


def test_a_plugin_without_a_synthesizer_is_told_how_one_is_made(outcome: str) -> None:
    assert "broken0 has no synthesizer yet" in outcome
    assert "llmdas-agent export broken0 --plugin ." in outcome
