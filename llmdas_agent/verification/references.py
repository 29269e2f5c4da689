"""Simple detectors of three kinds: what is hard for one detector need not be hard for others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from .measures import auroc

__all__ = ["References"]

Array = NDArray[np.float64]

_NEIGHBOUR = 5


class References:
    """Three detectors fitted on normal rows: by columns, by their covariance, by distances.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Normal rows to fit on.
    normal : ndarray, shape (m, d)
        Normal rows to compare with.
    """

    def __init__(self, X: Array, normal: Array) -> None:
        self._center, scale = X.mean(axis=0), X.std(axis=0)
        self._scale = np.where(scale > 0, scale, 1.0)
        Z = self._standardized(X)
        self._covariance = LedoitWolf(assume_centered=True).fit(Z)
        self._neighbours = NearestNeighbors(n_neighbors=min(_NEIGHBOUR, len(Z))).fit(Z)
        self._normal = self._scores(normal)

    def aurocs(self, rows: Array) -> dict[str, float]:
        """Return how well each tells rows, shape (k, d), from normal ones.

        Returns
        -------
        dict of float
            AUROC of ``columns`` (the most deviant one), ``covariance`` (Mahalanobis distance) and
            ``distances`` (to the fifth neighbour).
        """
        return {name: auroc(self._normal[name], scores) for name, scores in self._scores(rows).items()}

    def _scores(self, X: Array) -> dict[str, Array]:
        Z = self._standardized(X)
        return {
            "columns": np.abs(Z).max(axis=1),
            "covariance": self._covariance.mahalanobis(Z),
            "distances": self._neighbours.kneighbors(Z)[0][:, -1],
        }

    def _standardized(self, X: Array) -> Array:
        # a program may make rows so far out that their squares overflow
        return np.asarray(np.clip((X - self._center) / self._scale, -1e100, 1e100))
