"""Kernel features, where LAPACK gives up on the first landmarks drawn and where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import rbf_kernel

from llmdas_agent.enhance.landmarks import kernel_features

ROWS = np.random.default_rng(0).normal(size=(40, 3))


def test_with_all_rows_as_landmarks_the_features_give_back_the_kernel() -> None:
    found = kernel_features(ROWS, 0.5, 100, 0).transform(ROWS)
    assert np.allclose(found @ found.T, rbf_kernel(ROWS, gamma=0.5), atol=1e-6)


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the decomposition fail, as LAPACK's does on a few singular kernels, by machine and seed."""
    fit, calls = Nystroem.fit, iter(range(times))

    def fails_first(self: Nystroem, X: np.ndarray) -> Nystroem:
        if next(calls, None) is not None:
            raise np.linalg.LinAlgError("SVD did not converge")
        return fit(self, X)

    monkeypatch.setattr(Nystroem, "fit", fails_first)


def test_where_the_decomposition_fails_other_landmarks_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    third = kernel_features(ROWS, 0.5, 10, 2).transform(ROWS)
    failing(monkeypatch, 2)
    assert np.array_equal(kernel_features(ROWS, 0.5, 10, 0).transform(ROWS), third)


def test_where_it_fails_for_ten_draws_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 10)
    with pytest.raises(np.linalg.LinAlgError, match="did not converge"):
        kernel_features(ROWS, 0.5, 10, 0)
