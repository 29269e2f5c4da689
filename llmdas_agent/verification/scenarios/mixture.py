"""Gaussian mixtures, whole and with columns rounded to whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import log_ndtr, logsumexp

from .warps import WarpedScenario

__all__ = ["MixtureScenario", "RoundedMixtureScenario"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MixtureScenario(WarpedScenario):
    """A Gaussian mixture seen through warps.

    Attributes
    ----------
    weights : ndarray, shape (k,)
        Sum to 1.
    means : ndarray, shape (k, d)
        Before the warps.
    covariances : ndarray, shape (k, d, d)
        Before the warps; positive definite.
    """

    weights: Array
    means: Array
    covariances: Array

    @cached_property
    def _factors(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.covariances), dtype=np.float64)

    def flat_sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` rows of the mixture, shape (n, d)."""
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        Z = rng.normal(size=(n, self.d))
        for k, factor in enumerate(self._factors):
            Z[component == k] = self.means[k] + Z[component == k] @ factor.T
        return Z

    def flat_log_density(self, Z: Array) -> Array:
        """Return the log-density of the mixture, shape (m,)."""
        parts = [log_weight + self._log_component(k, Z) for k, log_weight in enumerate(np.log(self.weights))]
        return np.asarray(logsumexp(parts, axis=0))

    def _log_component(self, k: int, Z: Array) -> Array:
        return _log_gaussian(Z, self.means[k], self._factors[k])


@dataclass(frozen=True, eq=False)
class RoundedMixtureScenario(MixtureScenario):
    """A Gaussian mixture of which some columns are rounded to whole numbers.

    Integers, levels, flags, one-hot codes and constants are all of this kind: a column that a component
    holds at a whole number with a deviation of 0.1 leaves it once in two million rows. Within a component a
    rounded column is independent of all others; columns depend on each other through the components
    (the latent class model of Lazarsfeld 1950).

    The density is with respect to counting measure in the rounded columns and Lebesgue measure in the
    others. A value between whole numbers counts as the nearest one, so that the same number is also the
    density in R^d of the rows with uniform noise between -1/2 and 1/2 added to their rounded columns
    (uniform dequantization; Theis, van den Oord and Bethge 2016). No code is impossible: one that normal
    rows do not use, such as two flags of a one-hot block at once, has a tiny probability and a finite
    logarithm, which falls the further the code is from all that are used.

    Attributes
    ----------
    rounded : ndarray of int
        The rounded columns; no component's covariance may tie them to another column.
    """

    rounded: NDArray[np.intp]

    @cached_property
    def _others(self) -> NDArray[np.intp]:
        return np.setdiff1d(np.arange(self.d), self.rounded)

    def flat_sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` rows, shape (n, d), with whole numbers in the rounded columns."""
        return self._rounded(super().flat_sample(n, rng))

    def snap(self, X: Array) -> Array:
        """Return rows with the nearest whole number in each rounded column, seen through the warps."""
        return self._warped(self._rounded(self._flattened(X)[0]))

    def _rounded(self, Z: Array) -> Array:
        Z = Z.copy()
        Z[:, self.rounded] = np.rint(Z[:, self.rounded])
        return Z

    def _log_component(self, k: int, Z: Array) -> Array:
        factor = self._factors[k]
        deviations = np.diag(factor)[self.rounded]
        centered = np.rint(Z[:, self.rounded]) - self.means[k][self.rounded]
        log_probability = _log_interval((centered - 0.5) / deviations, (centered + 0.5) / deviations)
        others = self._others
        log_others = _log_gaussian(Z[:, others], self.means[k][others], factor[np.ix_(others, others)])
        return np.asarray(log_others + log_probability.sum(axis=1))


def _log_gaussian(Z: Array, mean: Array, factor: Array) -> Array:
    """Return the log-density of a Gaussian with a lower Cholesky factor of its covariance."""
    white = solve_triangular(factor, (Z - mean).T, lower=True, check_finite=False)
    log_scale = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * np.log(2 * np.pi)
    return np.asarray(-0.5 * (white**2).sum(axis=0) - log_scale)


def _log_interval(low: Array, high: Array) -> Array:
    """Return the log-probability of an interval under a standard Gaussian, exact far out in both tails."""
    # the left tail keeps its digits, the right one does not
    mirrored = low > 0
    low, high = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    upper = log_ndtr(high)
    # further out than 1e16 both ends are the same number, and what is impossible has a finite logarithm
    below = np.minimum(log_ndtr(low) - upper, -np.finfo(np.float64).eps)
    return np.asarray(upper + np.log1p(-np.exp(below)))
