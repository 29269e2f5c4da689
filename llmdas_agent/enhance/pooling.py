"""PyOD's ECOD and COPOD, which pool the rows they score with their training rows, row by row but at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PooledTails"]

Array = NDArray[np.float64]


class PooledTails:
    """The score that ECOD or COPOD gives each row when it is scored alone.

    Both add up −log tail probabilities over columns (Li et al., TKDE 2022 and ICDM 2020). Pooled with the
    training rows, a single row changes each tail by one count and the skewness by one more value, so that
    all rows can be scored from the sorted training columns.

    Parameters
    ----------
    reference : array, shape (n, d)
        Training rows.
    mean_of_tails : bool
        Whether a column counts the mean of its tails (COPOD) or the larger (ECOD).
    """

    def __init__(self, reference: Array, *, mean_of_tails: bool) -> None:
        self.sorted = np.sort(reference, axis=0)
        self.mean_of_tails = mean_of_tails

    @classmethod
    def of(cls, detector: Any) -> PooledTails | None:
        """Return the tails of a fitted detector, or None when it is neither."""
        kind = f"{type(detector).__module__}.{type(detector).__name__}"
        if kind not in ("pyod.models.ecod.ECOD", "pyod.models.copod.COPOD"):
            return None
        return cls(detector.X_train, mean_of_tails=kind.endswith("COPOD"))

    def score(self, Z: Array) -> Array:
        """Return scores, shape (m,)."""
        n = len(self.sorted)
        total = np.zeros(len(Z))
        for column, x in zip(self.sorted.T, Z.T, strict=True):
            left = -np.log((np.searchsorted(column, x, side="right") + 1) / (n + 1))
            right = -np.log((n - np.searchsorted(column, x, side="left") + 1) / (n + 1))
            sign = _skew_signs(column, x)
            skewed = np.where(sign < 0, left, np.where(sign > 0, right, left + right))
            both = (left + right) / 2 if self.mean_of_tails else np.maximum(left, right)
            total += np.maximum(skewed, both)
        return total


def _skew_signs(column: Array, x: Array) -> Array:
    """Return the sign of the third central moment of `column` with each value of `x` added to it."""
    n = len(column)
    centre = column.mean()
    deviation = column - centre
    second, third = np.sum(deviation**2), np.sum(deviation**3)
    step = x - centre
    shift = step / (n + 1)
    moment = third + step**3 - 3 * shift * (second + step**2) + 2 * (n + 1) * shift**3
    variance = (second + step**2) / (n + 1) - shift**2
    # scipy.stats.skew calls a column constant by this rule, and PyOD then takes its skewness as zero
    constant = variance <= (np.finfo(np.float64).eps * (centre + shift)) ** 2
    return np.where(constant, 0.0, np.sign(moment))
