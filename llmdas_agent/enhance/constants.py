"""How surprising it is that a row departs from what never varied: evidence without made rows."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from .spaces import ROUNDING, usable_columns

__all__ = ["Constants"]

Array = NDArray[np.float64]


class Constants:
    """The columns that did not vary among the normal rows, which no distance, tail or component can use.

    In how many of them a row departs from their value is set beside the same for every row fitted: in how
    many columns it alone departs, so that without it they would not vary. The surprise is −log of the share
    of rows with as many or more, counting the new row itself (a conformal p-value, Vovk et al., 2005).

    Attributes
    ----------
    columns_ : array of int, shape (k,)
        The columns that did not vary.
    own_ : array, shape (n,)
        The surprise of the rows fitted, each in the light of the others.
    """

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d), finite."""
        self.columns_ = np.setdiff1d(np.arange(Z.shape[1]), usable_columns(Z))
        self.values_ = Z[0, self.columns_]
        departs = np.abs(Z - np.median(Z, axis=0)) > ROUNDING * np.abs(Z).max(axis=0)
        counts = departs[:, departs.sum(axis=0) == 1].sum(axis=1)
        self.counts_ = np.sort(counts)
        self.own_ = self._surprise(counts)
        return self

    def __call__(self, Z: Array) -> Array:
        """Return the surprise of rows that were not fitted, shape (m,), from 0 to log(n + 1) nats."""
        chosen = Z[:, self.columns_]
        largest = np.maximum(np.abs(chosen), np.abs(self.values_))
        return self._surprise((np.abs(chosen - self.values_) > ROUNDING * largest).sum(axis=1))

    def _surprise(self, counts: NDArray[np.intp]) -> Array:
        n = len(self.counts_)
        as_many = n - np.searchsorted(self.counts_, counts, side="left")
        return np.asarray(np.log((n + 1) / (as_many + 1)))
