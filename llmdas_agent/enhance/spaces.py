"""The views of a table in which classifiers tell normal rows from made ones.

Every view is fitted on normal training rows alone and then stays fixed, so that a row is seen the same way
whatever rows it comes with.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf_shrinkage

__all__ = ["ROUNDING", "Centred", "Quantile", "Space", "Standard", "Whitened", "usable_columns"]

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""Differences up to this share of the largest value are none."""

_MAX_QUANTILES = 1000
_MAX_DEVIATION = 3.5
_MAX_WHITENED = 100


def usable_columns(Z: Array) -> NDArray[np.intp]:
    """Return the indices of the columns that vary, beyond rounding, among the rows given.

    Parameters
    ----------
    Z : array, shape (n, d)

    Returns
    -------
    array of int, shape (k,)
        Ascending; all columns when none varies.
    """
    spread = Z.max(axis=0) - Z.min(axis=0)
    varies = spread > ROUNDING * np.abs(Z).max(axis=0)
    return np.flatnonzero(varies) if varies.any() else np.arange(Z.shape[1])


class Space(Protocol):
    """A view that is fitted."""

    def transform(self, Z: Array) -> Array:
        """Return the view, shape (m, k), of rows of shape (m, d)."""
        ...


class Centred:
    """The columns in their own units, less their means, over the largest standard deviation of all."""

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d)."""
        self.mean_ = Z.mean(axis=0)
        self.scale_ = float(Z.std(axis=0).max()) or 1.0
        return self

    def transform(self, Z: Array) -> Array:
        """Return the view, shape (m, d)."""
        return np.asarray((Z - self.mean_) / self.scale_)


class Standard:
    """Each column less its mean, over its standard deviation."""

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d)."""
        self.mean_ = Z.mean(axis=0)
        deviation = Z.std(axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def transform(self, Z: Array) -> Array:
        """Return the view, shape (m, d)."""
        return np.asarray((Z - self.mean_) / self.scale_)


class Quantile:
    """Each column carried to a normal law through its empirical distribution.

    Inside the training range the value is the normal quantile of the mid-rank, clipped at ±3.5; outside
    it goes on in a straight line, one unit per standard deviation of the column, so that far rows stay far.
    """

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d)."""
        n = len(Z)
        scale = Z.std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1.0)
        self.knots_: list[Array] = []
        self.values_: list[Array] = []
        for column in np.sort(Z, axis=0).T:
            knots, first, counts = np.unique(column, return_index=True, return_counts=True)
            ranks = (first + counts / 2) / n
            if len(knots) > _MAX_QUANTILES:
                keep = np.unique(np.linspace(0, len(knots) - 1, _MAX_QUANTILES).astype(int))
                knots, ranks = knots[keep], ranks[keep]
            self.knots_.append(knots)
            self.values_.append(np.clip(norm.ppf(ranks), -_MAX_DEVIATION, _MAX_DEVIATION))
        return self

    def transform(self, Z: Array) -> Array:
        """Return the view, shape (m, d)."""
        out = np.empty_like(Z, dtype=np.float64)
        for j, (knots, values) in enumerate(zip(self.knots_, self.values_, strict=True)):
            column = Z[:, j]
            beyond = np.maximum(column - knots[-1], 0.0) - np.maximum(knots[0] - column, 0.0)
            out[:, j] = np.interp(column, knots, values) + beyond / self.scale_[j]
        return out


class Whitened:
    """Principal components of standardized columns, each at unit variance.

    The covariance is shrunk after Ledoit and Wolf (2004); directions without variance among the training
    rows are left out, and no more than the 100 widest are kept.
    """

    def fit(self, Z: Array) -> Self:
        """Fit on normal rows, shape (n, d)."""
        self.standard_ = Standard().fit(Z)
        S = self.standard_.transform(Z)
        shrinkage = ledoit_wolf_shrinkage(S, assume_centered=True)
        # the covariance itself is never made: of a wide table it would be far larger than the table
        _, singular, axes = np.linalg.svd(S, full_matrices=False)
        rank = max(1, int((singular > singular.max() * max(S.shape) * np.finfo(np.float64).eps).sum()))
        kept = min(rank, _MAX_WHITENED)
        variances = (1 - shrinkage) * singular[:kept] ** 2 / len(S) + shrinkage * np.mean(S**2)
        self.axes_ = axes[:kept].T
        widths = np.sqrt(variances)
        self.widths_ = np.where(widths > 0, widths, 1.0)
        return self

    def transform(self, Z: Array) -> Array:
        """Return the view, shape (m, k)."""
        return np.asarray(self.standard_.transform(Z) @ self.axes_ / self.widths_)
