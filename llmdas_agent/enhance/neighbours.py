"""How far a row lies from the normal rows next to it: evidence that needs no made rows."""

from __future__ import annotations

from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hmean
from sklearn.neighbors import NearestNeighbors

from .joining import TailSurprise
from .spaces import Centred, Quantile, Space, Standard, usable_columns

__all__ = ["Neighbourhood", "Neighbours"]

Array = NDArray[np.float64]

_NEIGHBOURS = 5
_LEAST_SPACING = 0.05
_HAIR = 1e-6


class Neighbourhood:
    """Distances to the nearest of some normal rows, in one space.

    Two scores for each row: its mean distance to its five nearest normal rows (Angiulli and Pizzuti, 2002),
    and that over the same of those five (a local one, after Breunig et al., 2000).
    """

    def fit(self, S: Array) -> Self:
        """Fit on normal rows in that space, shape (n, k); `own_` then holds their scores among the others."""
        self.rows_ = S
        n_neighbours = min(_NEIGHBOURS, len(S) - 1)
        distance, index = self._nearest(S, n_neighbours + 1)
        distance, index = _without_themselves(distance, index)
        own = distance.mean(axis=1)
        positive = own[own > 0]
        least = _LEAST_SPACING * float(np.median(positive)) if len(positive) else 1.0
        self.spacing_ = np.maximum(own, least)
        self.own_ = np.stack([own, own / self.spacing_[index].mean(axis=1)])
        return self

    def score(self, S: Array) -> Array:
        """Return both scores, shape (2, m), of rows that were not fitted, shape (m, k)."""
        distance, index = self._nearest(S, min(_NEIGHBOURS, len(self.rows_) - 1))
        mean = distance.mean(axis=1)
        return np.stack([mean, mean / self.spacing_[index].mean(axis=1)])

    def _nearest(self, S: Array, k: int) -> tuple[Array, NDArray[np.intp]]:
        # which of several rows equally far is taken must not depend on the rounding of the search either
        hair = _HAIR * self.rows_.std(axis=0) * _normals(self.rows_.shape)
        brute = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(self.rows_ + hair)
        index: NDArray[np.intp] = brute.kneighbors(S, return_distance=False)
        # what the search returns carries the rounding of its blocks; a row's score must not depend on them
        distance = np.sqrt(np.stack([np.sum((S - self.rows_[column]) ** 2, axis=1) for column in index.T]))
        return distance.T, index


@lru_cache(maxsize=1)
def _normals(shape: tuple[int, int]) -> Array:
    """Return the same normal numbers for a shape each time: drawn anew, they cost more than a search."""
    drawn = np.random.default_rng(0).normal(size=shape)
    drawn.flags.writeable = False
    return drawn


class Neighbours:
    """How surprising a row's distances are in three spaces: own units, z-scores and normal quantiles.

    Six surprises, one for each score of each space, become one by their harmonic mean, which is near the
    least of them: a row is far only where it is far by every yardstick, and no single unit, scale or density
    can make it so.

    Attributes
    ----------
    rows_ : array, shape (n, d)
        The normal rows.
    surprises_ : list of TailSurprise
        One for each of the six scores, fitted on the normal rows' own, each row left out of its neighbours.
    """

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d), finite."""
        self.rows_ = Z
        self.columns_ = usable_columns(Z)
        chosen = Z[:, self.columns_]
        self.spaces_: list[Space] = [Centred().fit(chosen), Standard().fit(chosen), Quantile().fit(chosen)]
        self.hoods_ = [Neighbourhood().fit(space.transform(chosen)) for space in self.spaces_]
        own = np.vstack([hood.own_ for hood in self.hoods_])
        self.surprises_ = [TailSurprise().fit(row) for row in own]
        return self

    @property
    def own_(self) -> Array:
        """The surprise of the rows fitted, shape (n,), each left out of its own neighbours."""
        return self._agreed(np.vstack([hood.own_ for hood in self.hoods_]))

    def __call__(self, Z: Array) -> Array:
        """Return the surprise of rows that were not fitted, shape (m,), in nats."""
        chosen = Z[:, self.columns_]
        pairs = zip(self.spaces_, self.hoods_, strict=True)
        return self._agreed(np.vstack([hood.score(space.transform(chosen)) for space, hood in pairs]))

    def _agreed(self, scores: Array) -> Array:
        pairs = zip(self.surprises_, scores, strict=True)
        return np.asarray(hmean([surprise(row) for surprise, row in pairs], axis=0))


def _without_themselves(distance: Array, index: NDArray[np.intp]) -> tuple[Array, NDArray[np.intp]]:
    """Drop each row from its own neighbours; among equal rows any one stands for it."""
    n, k = index.shape
    itself = index == np.arange(n)[:, None]
    itself[~itself.any(axis=1), 0] = True
    others = ~itself
    return distance[others].reshape(n, k - 1), index[others].reshape(n, k - 1)
