"""Invertible maps of the columns: bent, scaled, skewed and mixed, with the volume that they stretch.

A density seen through one follows from the change of variables ``log p(x) = log q(z(x)) + log |det dz/dx|``.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .scenario import Scenario

__all__ = ["Bend", "Linear", "Scale", "SinhArcsinh", "Warp", "WarpedScenario"]

Array = NDArray[np.float64]


class Warp(Protocol):
    """An invertible map of the columns."""

    def forward(self, Z: Array) -> Array:
        """Map rows, shape (m, d) to (m, d)."""

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Map rows back; also return ``log |det dz/dx|``, shape (m,)."""


@dataclass(frozen=True, eq=False)
class WarpedScenario(Scenario):
    """Rows of a simpler density, seen through warps.

    Attributes
    ----------
    warps : tuple of Warp
        In the order in which they are applied.
    """

    warps: tuple[Warp, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def flat_sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` rows before the warps, shape (n, d)."""

    @abstractmethod
    def flat_log_density(self, Z: Array) -> Array:
        """Return the log-density of rows before the warps, shape (m,)."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""
        return self._warped(self.flat_sample(n, rng))

    def log_density(self, X: Array) -> Array:
        """Return the exact natural logarithm of the density, shape (m,)."""
        Z, log_slope = self._flattened(X)
        return self.flat_log_density(Z) + log_slope

    def _warped(self, Z: Array) -> Array:
        for warp in self.warps:
            Z = warp.forward(Z)
        return Z

    def _flattened(self, X: Array) -> tuple[Array, Array]:
        log_slope = np.zeros(len(X))
        for warp in reversed(self.warps):
            X, slope = warp.inverse(X)
            log_slope += slope
        return X, log_slope


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
class Linear:
    """Columns as linear combinations of each other: ``x = matrix @ z``, the matrix of shape (d, d)."""

    matrix: Array

    def forward(self, Z: Array) -> Array:
        """Combine the columns."""
        return Z @ self.matrix.T

    def inverse(self, X: Array) -> tuple[Array, Array]:
        """Take the combinations apart."""
        Z = np.asarray(np.linalg.solve(self.matrix, X.T).T, dtype=np.float64)
        return Z, np.full(len(X), -np.linalg.slogdet(self.matrix)[1])


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
