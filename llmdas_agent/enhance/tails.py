"""How far out a row lies along its columns and along the principal components: evidence without made rows."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from .spaces import Quantile, Whitened, usable_columns

__all__ = ["Tails"]

Array = NDArray[np.float64]

_EDGE = 3.5


class Tails:
    """Two scores for each row: one from the tails of its columns, one from those of its components.

    A value's surprise is −log of its two-sided tail probability under the normal law that its column is
    carried to, continued outside the training range; a row's is the mean over columns, as in ECOD (Li et al.,
    2022), or over whitened principal components.
    """

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d), finite."""
        self.columns_ = usable_columns(Z)
        chosen = Z[:, self.columns_]
        self.quantile_ = Quantile().fit(chosen)
        self.whitened_ = Whitened().fit(chosen)
        self.component_quantile_ = Quantile().fit(self.whitened_.transform(chosen))
        return self

    def score(self, Z: Array) -> Array:
        """Return both scores, shape (2, m), of rows that were not fitted."""
        chosen = Z[:, self.columns_]
        components = self.component_quantile_.transform(self.whitened_.transform(chosen))
        return np.stack([_surprise(self.quantile_.transform(chosen)), _surprise(components)])


def _surprise(Q: Array) -> Array:
    inside = np.abs(Q)
    beyond = np.maximum(inside - _EDGE, 0.0)
    told = -log_ndtr(-np.minimum(inside, _EDGE)) - np.log(2.0) + 2.0 * np.log1p(beyond)
    return np.asarray(told.mean(axis=1))
