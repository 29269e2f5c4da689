"""The mean distance to the nearest training rows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_array, check_is_fitted

__all__ = ["MeanDistance"]

Array = NDArray[np.float64]


class MeanDistance(BaseDetector):  # type: ignore[misc]  # PyOD has no types
    """Mean Euclidean distance to the nearest training rows, the columns standardized.

    Angiulli and Pizzuti, PKDD 2002, with the mean of the distances in place of their sum.

    Parameters
    ----------
    n_neighbors : int
        Neighbours that the mean is over; all but one of the training rows where there are fewer.
    contamination : float
        Share of outliers expected in training, in (0, 0.5].

    Attributes
    ----------
    decision_scores_ : array, shape (n,)
        Scores of the training rows, none of which is its own neighbour.
    """

    def __init__(self, n_neighbors: int = 5, contamination: float = 0.1) -> None:
        super().__init__(contamination=contamination)
        self.n_neighbors = n_neighbors

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Keep the rows, shape (n, d), at least two."""
        rows: Array = check_array(X, dtype=np.float64, ensure_min_samples=2)
        self._set_n_classes(None)
        self.center_, spread = rows.mean(axis=0), rows.std(axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        count = min(self.n_neighbors, len(rows) - 1)
        self.neighbors_ = NearestNeighbors(n_neighbors=count).fit(self._standardized(rows))
        self.decision_scores_ = self.neighbors_.kneighbors()[0].mean(axis=1)
        self._process_decision_scores()
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the mean distances, shape (m,), in standard deviations of the columns."""
        check_is_fitted(self, "neighbors_")
        distances, _ = self.neighbors_.kneighbors(self._standardized(check_array(X, dtype=np.float64)))
        return np.asarray(distances.mean(axis=1))

    def _standardized(self, X: Array) -> Array:
        return np.asarray((X - self.center_) / self.spread_)
