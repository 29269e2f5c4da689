"""Toy scenarios: seeded data whose true density is known, so that what is improbable can be decided exactly.

All that are here are Gaussian mixtures seen through an invertible map of the columns, whose density follows
from the change of variables ``log p(x) = log q(z(x)) + log |det dz/dx|``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from .families import FAMILIES, LogDensityLevels, rows_at_depth

__all__ = ["SCENARIOS", "Bend", "MixtureScenario", "Scale", "Scenario", "SinhArcsinh", "Warp"]

Array = NDArray[np.float64]

_KINDS = {
    "local": "local_dip",
    "global": "far",
    "dependency": "recombination",
    "clustered": "tight_cluster",
    "void": "between",
}
_DEPTHS = (1.2, 5.0)


@dataclass(frozen=True, eq=False)
class Scenario(ABC):
    """Normal rows with a known density, and true anomalies of known kinds.

    Attributes
    ----------
    name : str
        Short name.
    d : int
        Columns.
    n_train : int
        Rows that a detector is fitted on.
    """

    name: str
    d: int
    n_train: int

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""

    @abstractmethod
    def log_density(self, X: Array) -> Array:
        """Return the exact natural logarithm of the density, shape (m,), finite for finite rows."""

    @cached_property
    def levels(self) -> LogDensityLevels:
        """Where the log-density of normal rows lies, from 4,000 of them."""
        values = self.log_density(self.sample(4000, np.random.default_rng(0)))
        low, median = np.quantile(values, [0.01, 0.5])
        return LogDensityLevels(float(low), float(median))

    def anomalies(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return true anomalies by kind, all below the 1 % quantile of the normal rows' log-density.

        Parameters
        ----------
        n : int
            Rows of each kind.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        dict of ndarray
            Rows by kind: ``local``, ``global``, ``dependency``, ``clustered`` and ``void``; a kind that the
            scenario does not have is left out.
        """
        by_name = {family.name: family for family in FAMILIES}
        kinds = {
            kind: rows_at_depth(by_name[name], self, rng.uniform(*_DEPTHS, size=n), rng)
            for kind, name in _KINDS.items()
        }
        return {kind: rows for kind, rows in kinds.items() if len(rows)}


class Warp(Protocol):
    """An invertible map of the columns."""

    def forward(self, Z: Array) -> Array:
        """Map rows, shape (m, d) to (m, d)."""

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Map rows back; also return ``log |det dz/dx|``, shape (m,)."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Columns in units of their own, shape (d,)."""

    factors: Array

    def forward(self, Z: Array) -> Array:
        """Multiply the columns."""
        return Z * self.factors

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Divide the columns."""
        return X / self.factors, np.full(len(X), -np.log(self.factors).sum())


@dataclass(frozen=True, eq=False)
class Bend:
    """The second column bent along the square of the first: a banana (Haario, Saksman and Tamminen 1999)."""

    curvature: float

    def _shift(self, first: Array) -> Array:
        return self.curvature * (first**2 - 1.0)

    def forward(self, Z: Array) -> Array:
        """Bend the second column."""
        X = Z.copy()
        X[:, 1] += self._shift(Z[:, 0])
        return X

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Straighten the second column."""
        Z = X.copy()
        Z[:, 1] -= self._shift(X[:, 0])
        return Z, np.zeros(len(X))


@dataclass(frozen=True, eq=False)
class SinhArcsinh:
    """Skewed and heavy-tailed columns: ``x = sinh((arcsinh z + skew) / tail)``.

    Jones and Pewsey (2009), Biometrika 96(4); over a correlated Gaussian this is a Gaussian copula.

    Attributes
    ----------
    skew : ndarray, shape (d,)
        Positive for a long right tail.
    tail : ndarray, shape (d,)
        Below 1 for heavier tails than the Gaussian's.
    """

    skew: Array
    tail: Array

    def forward(self, Z: Array) -> Array:
        """Stretch the columns."""
        X: Array = np.sinh((np.arcsinh(Z) + self.skew) / self.tail)
        return X

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Return the columns to Gaussian ones."""
        inner = self.tail * np.arcsinh(X) - self.skew
        slope = np.log(self.tail) + np.log(np.cosh(inner)) - 0.5 * np.log1p(X**2)
        return np.sinh(inner), slope.sum(axis=1)


@dataclass(frozen=True, eq=False)
class MixtureScenario(Scenario):
    """A Gaussian mixture seen through warps.

    Attributes
    ----------
    weights : ndarray, shape (k,)
        Sum to 1.
    means : ndarray, shape (k, d)
        Before the warps.
    covariances : ndarray, shape (k, d, d)
        Before the warps; positive definite.
    warps : tuple of Warp
        In the order in which they are applied.
    """

    weights: Array
    means: Array
    covariances: Array
    warps: tuple[Warp, ...] = ()

    @cached_property
    def _factors(self) -> Array:
        return np.asarray(np.linalg.cholesky(self.covariances), dtype=np.float64)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        X = rng.normal(size=(n, self.d))
        for k, factor in enumerate(self._factors):
            X[component == k] = self.means[k] + X[component == k] @ factor.T
        for warp in self.warps:
            X = warp.forward(X)
        return X

    def log_density(self, X: Array) -> Array:
        """Return the exact natural logarithm of the density, shape (m,)."""
        log_slope = np.zeros(len(X))
        for warp in reversed(self.warps):
            X, slope = warp.inverse(X)
            log_slope += slope
        parts = np.empty((len(self.weights), len(X)))
        for k, (mean, factor) in enumerate(zip(self.means, self._factors, strict=True)):
            white = solve_triangular(factor, (X - mean).T, lower=True, check_finite=False)
            log_scale = np.log(np.diag(factor)).sum() + 0.5 * self.d * np.log(2 * np.pi)
            parts[k] = np.log(self.weights[k]) - 0.5 * (white**2).sum(axis=0) - log_scale
        return np.asarray(logsumexp(parts, axis=0) + log_slope)


def _correlation(d: int, factors: int, noise: float, rng: np.random.Generator) -> Array:
    """Return the correlation matrix of a factor model with columns of noise standard deviation `noise`."""
    loadings = rng.normal(size=(d, factors)) / np.sqrt(factors)
    covariance = loadings @ loadings.T + noise**2 * np.eye(d)
    deviation = np.sqrt(np.diag(covariance))
    correlation: Array = covariance / np.outer(deviation, deviation)
    return correlation


def _clusters() -> Scenario:
    def disc(angle: float, long: float, short: float) -> Array:
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        covariance: Array = turn @ np.diag([long**2, short**2]) @ turn.T
        return covariance

    return MixtureScenario(
        "clusters",
        d=2,
        n_train=400,
        weights=np.array([0.45, 0.3, 0.15, 0.1]),
        means=np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 7.0], [8.0, 8.0]]),
        covariances=np.stack(
            [disc(0.6, 1.5, 0.5), disc(0.0, 0.8, 0.8), disc(1.2, 0.9, 0.25), disc(0.0, 0.3, 0.3)]
        ),
    )


def _banana() -> Scenario:
    correlation = np.eye(4)
    correlation[2, 0] = correlation[0, 2] = 0.8
    correlation[3, 1] = correlation[1, 3] = 0.7
    return MixtureScenario("banana", 4, 300, np.ones(1), np.zeros((1, 4)), correlation[None], (Bend(1.5),))


def _scales() -> Scenario:
    correlation = _correlation(8, 2, 0.5, np.random.default_rng(8))
    return MixtureScenario(
        "scales", 8, 400, np.ones(1), np.zeros((1, 8)), correlation[None], (Scale(np.logspace(-3, 6, 8)),)
    )


def _few_rows() -> Scenario:
    correlation = _correlation(5, 2, 0.5, np.random.default_rng(5))
    return MixtureScenario("few_rows", 5, 30, np.ones(1), np.zeros((1, 5)), correlation[None])


def _copula() -> Scenario:
    rng = np.random.default_rng(12)
    warp = SinhArcsinh(skew=rng.uniform(-0.6, 0.6, size=12), tail=rng.uniform(0.6, 0.9, size=12))
    correlation = _correlation(12, 3, 0.4, rng)
    return MixtureScenario("copula", 12, 400, np.ones(1), np.zeros((1, 12)), correlation[None], (warp,))


def _low_rank() -> Scenario:
    rng = np.random.default_rng(30)
    loadings = rng.normal(size=(30, 3))
    spread = np.array([1.0, 0.6, 0.3])
    covariances = [s**2 * loadings @ loadings.T + 0.15 * np.eye(30) for s in spread]
    means = 4.5 * rng.normal(size=(3, 3)) @ loadings.T
    return MixtureScenario("low_rank", 30, 500, np.array([0.5, 0.3, 0.2]), means, np.stack(covariances))


def _wide() -> Scenario:
    rng = np.random.default_rng(200)
    correlation = _correlation(200, 10, 0.7, rng)
    means = np.stack([np.zeros(200), 1.5 * rng.normal(size=200)])
    covariances = np.stack([correlation, 0.5 * correlation])
    return MixtureScenario("wide", 200, 300, np.array([0.7, 0.3]), means, covariances)


SCENARIOS: tuple[Scenario, ...] = (
    _few_rows(),
    _clusters(),
    _banana(),
    _scales(),
    _copula(),
    _low_rank(),
    _wide(),
)
"""The toy scenarios, the cheapest first."""
