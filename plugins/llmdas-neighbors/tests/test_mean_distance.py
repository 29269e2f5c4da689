"""What is particular to the mean distance: by hand, under other units, and beside scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from llmdas_neighbors.detector import MeanDistance


def test_by_hand_on_a_line() -> None:
    detector = MeanDistance(n_neighbors=2).fit([[0.0], [1.0], [3.0]])
    spread = np.std([0.0, 1.0, 3.0])
    # a training row is not its own neighbour, a new row in the same place has it as one
    assert detector.decision_scores_ == pytest.approx(np.array([2.0, 1.5, 2.5]) / spread)
    assert detector.decision_function([[0.0]]) == pytest.approx(np.array([0.5]) / spread)


def test_units_do_not_matter_and_constant_columns_are_harmless() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    plain = MeanDistance().fit(rows).decision_function(rows)
    scaled = np.column_stack([rows * [1e-6, 1.0, 1e6] + 7.0, np.full(60, 3.0)])
    assert np.allclose(MeanDistance().fit(scaled).decision_function(scaled), plain)


def test_fewer_rows_than_neighbours_use_all_the_others() -> None:
    assert MeanDistance(n_neighbors=50).fit(np.eye(4)).decision_scores_.shape == (4,)


def test_it_tells_another_digit_from_the_one_it_learnt() -> None:
    X, y = load_digits(return_X_y=True)
    zeros = np.flatnonzero(y == 0)
    detector = MeanDistance().fit(X[zeros[:100]])
    new = np.concatenate([zeros[100:], np.flatnonzero(y != 0)])
    assert roc_auc_score(y[new] != 0, detector.decision_function(X[new])) > 0.97
