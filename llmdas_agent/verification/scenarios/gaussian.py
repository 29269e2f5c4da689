"""Scenarios of correlated Gaussian columns: plain, of few rows, of many columns, in unlike units, skewed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mixture import MixtureScenario
from .scenario import Scenario
from .warps import Scale, SinhArcsinh, Warp

__all__ = ["copula", "few_rows", "gaussian", "more_columns", "scales", "wide"]

Array = NDArray[np.float64]


def gaussian() -> Scenario:
    """Return columns that share two factors, the plainest table there is."""
    return _one_gaussian("gaussian", 300, _correlation(6, 2, 0.4, np.random.default_rng(6)))


def few_rows() -> Scenario:
    """Return a table of 30 rows."""
    return _one_gaussian("few_rows", 30, _correlation(5, 2, 0.5, np.random.default_rng(5)))


def more_columns() -> Scenario:
    """Return a table of more columns than rows, whose covariance cannot be estimated in full."""
    return _one_gaussian("more_columns", 40, _correlation(60, 4, 0.6, np.random.default_rng(60)))


def scales() -> Scenario:
    """Return columns in units from a thousandth to a million."""
    correlation = _correlation(8, 2, 0.5, np.random.default_rng(8))
    return _one_gaussian("scales", 300, correlation, Scale(np.logspace(-3, 6, 8)))


def copula() -> Scenario:
    """Return skewed, heavy-tailed columns tied by a Gaussian copula."""
    rng = np.random.default_rng(12)
    warp = SinhArcsinh(skew=rng.uniform(-0.6, 0.6, size=12), tail=rng.uniform(0.6, 0.9, size=12))
    return _one_gaussian("copula", 300, _correlation(12, 3, 0.4, rng), warp)


def wide() -> Scenario:
    """Return 200 columns, in a larger and a smaller cluster."""
    rng = np.random.default_rng(200)
    correlation = _correlation(200, 10, 0.7, rng)
    means = np.stack([np.zeros(200), 1.5 * rng.normal(size=200)])
    covariances = np.stack([correlation, 0.5 * correlation])
    return MixtureScenario("wide", 200, 300, np.array([0.7, 0.3]), means, covariances)


def _one_gaussian(name: str, n_train: int, correlation: Array, *warps: Warp) -> Scenario:
    d = len(correlation)
    return MixtureScenario(
        name, d, n_train, np.ones(1), np.zeros((1, d)), correlation[None], warps=tuple(warps)
    )


def _correlation(d: int, factors: int, noise: float, rng: np.random.Generator) -> Array:
    """Return the correlation matrix of a factor model with columns of noise standard deviation `noise`."""
    loadings = rng.normal(size=(d, factors)) / np.sqrt(factors)
    covariance = loadings @ loadings.T + noise**2 * np.eye(d)
    deviation = np.sqrt(np.diag(covariance))
    correlation: Array = covariance / np.outer(deviation, deviation)
    return correlation
