"""Improbable rows matched in log-density: equally improbable, whichever way they left the normal rows.

A detector that saw the density would rank them alike; what it ranks low is its blind spot. A *walk* leaves
a normal row along a direction until the log-density has fallen far enough. A *draw* makes complete rows and
keeps those whose log-density is the one asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Density",
    "Draw",
    "Family",
    "LogDensityLevels",
    "Normals",
    "Walk",
    "matched_rows",
    "rows_at_depth",
]

Array = NDArray[np.float64]

_NORMAL_ROWS = 1000
_GRID = np.geomspace(1e-4, 1.0, 33)
"""Steps that are tried first, as shares of the longest."""
_PARTS = np.arange(1, 17) / 16
_REFINEMENTS = 2
_DRAWN_PER_ROW = 40
_OVERSHOOT = 0.25
_FLAT = 1e-9
"""Relative spread below which a column, or a direction, is constant."""


@dataclass(frozen=True, slots=True)
class LogDensityLevels:
    """Where the log-density of normal rows lies.

    Attributes
    ----------
    low : float
        Its 1 % quantile: rows below it are improbable.
    median : float
        Its median.
    """

    low: float
    median: float

    def at_depth(self, depth: Array) -> Array:
        """Return the log-density at a depth, where 0 is the normal rows' median and 1 their 1 % quantile."""
        return self.median - depth * (self.median - self.low)

    def depth(self, log_density: Array) -> Array:
        """Return the depth of a log-density, the inverse of `at_depth`."""
        return (self.median - log_density) / (self.median - self.low)


class Density(Protocol):
    """Normal rows whose density is known."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""

    def log_density(self, X: Array) -> Array:
        """Return the natural logarithm of the density, shape (m,)."""

    def snap(self, X: Array) -> Array:
        """Return rows with every value moved to the nearest one that its column takes."""

    @property
    def levels(self) -> LogDensityLevels:
        """Where the log-density of normal rows lies."""


@dataclass(frozen=True, slots=True)
class Normals:
    """A sample of normal rows, standardized, with the axes of its correlation matrix.

    Attributes
    ----------
    Z : ndarray, shape (n, d)
        The rows; a constant column is 0.
    center, scale : ndarray, shape (d,)
        Mean and standard deviation of the columns, the latter 1 where a column is constant.
    axes : ndarray, shape (d, r)
        Principal axes as columns, by falling variance, without those along which nothing varies.
    variances : ndarray, shape (r,)
        The variance along each.
    """

    Z: Array
    center: Array
    scale: Array
    axes: Array
    variances: Array

    @classmethod
    def of(cls, X: Array) -> Normals:
        """Standardize rows, shape (n, d)."""
        center, scale = X.mean(axis=0), X.std(axis=0)
        scale = np.where(scale > _FLAT * (1 + np.abs(center)), scale, 1.0)
        Z = (X - center) / scale
        variances, axes = np.linalg.eigh(Z.T @ Z / len(Z))
        varies = variances > _FLAT * variances[-1]
        return cls(Z, center, scale, axes[:, varies][:, ::-1], variances[varies][::-1])

    def pick(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` of the rows, with replacement."""
        return self.Z[rng.integers(len(self.Z), size=n)]

    def in_units(self, Z: Array) -> Array:
        """Return standardized rows in the columns' own units."""
        return self.center + self.scale * Z


@dataclass(frozen=True, slots=True)
class Family(ABC):
    """One way in which rows differ from normal ones.

    Attributes
    ----------
    name : str
        Such as ``recombination``.
    words : str
        What its rows look like, for people and for prompts.
    planted : bool
        Whether half of its rows join those that a detector is fitted on before it is asked for the rest.
    """

    name: str
    words: str
    planted: bool = field(default=False, kw_only=True)

    @abstractmethod
    def rows(self, density: Density, normals: Normals, target: Array, rng: np.random.Generator) -> Array:
        """Return rows whose log-density is at most `target`, falling, and as near to it as the family allows.

        At most as many rows as targets, in their order; a target that no row was found for is left out.
        """


@dataclass(frozen=True, slots=True)
class Walk(Family):
    """A family that leaves normal rows along directions.

    Attributes
    ----------
    paths : callable
        From normal rows, a count and a generator to starts and directions, each of shape (count, d).
    longest : float
        The longest step along a direction; 1 where the direction ends at another row.
    tries : int
        Paths tried for each row, since not every path leads to improbable rows.
    """

    paths: Callable[[Normals, int, np.random.Generator], tuple[Array, Array]]
    longest: float = 100.0
    tries: int = 2

    def rows(self, density: Density, normals: Normals, target: Array, rng: np.random.Generator) -> Array:
        """Return the first row of each path that lies deep enough."""
        Z = np.full((len(target), normals.Z.shape[1]), np.nan)
        lacking = np.arange(len(target))
        for _ in range(self.tries):
            start, direction = self.paths(normals, len(lacking), rng)
            step = self._first_step(density, normals, start, direction, target[lacking])
            found = np.isfinite(step)
            Z[lacking[found]] = start[found] + step[found, None] * direction[found]
            lacking = lacking[~found]
            if not len(lacking):
                break
        return normals.in_units(np.delete(Z, lacking, axis=0))

    def _first_step(
        self, density: Density, normals: Normals, start: Array, direction: Array, target: Array
    ) -> Array:
        """Return the least step at which each path is below its target, shape (n,), inf where none is."""

        def first_below(steps: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
            """Return which of rising steps, shape (k, n), is the first below, if any is."""
            Z = start + steps[:, :, None] * direction
            found = density.log_density(normals.in_units(Z.reshape(-1, Z.shape[-1])))
            below = found.reshape(steps.shape) < target
            reached: NDArray[np.bool_] = np.any(below, axis=0)
            return np.where(reached, below.argmax(axis=0), len(steps) - 1), reached

        each = np.arange(len(target))
        steps = np.repeat(self.longest * _GRID[:, None], len(target), axis=1)
        first, reached = first_below(steps)
        high, low = steps[first, each], steps[first, each] * (_GRID[0] / _GRID[1])
        for _ in range(_REFINEMENTS):
            steps = low + (high - low) * _PARTS[:, None]
            first, _ = first_below(steps)
            low, high = np.vstack([low, steps])[first, each], steps[first, each]
        return np.where(reached, high, np.inf)


@dataclass(frozen=True, slots=True)
class Draw(Family):
    """A family of complete rows, of which those of the right log-density are kept.

    Attributes
    ----------
    candidates : callable
        From normal rows, a count and a generator to standardized rows, shape (count, d).
    """

    candidates: Callable[[Normals, int, np.random.Generator], Array]

    def rows(self, density: Density, normals: Normals, target: Array, rng: np.random.Generator) -> Array:
        """Return for each target the first candidate below it that is not taken yet."""
        X = normals.in_units(self.candidates(normals, _DRAWN_PER_ROW * len(target), rng))
        found = density.log_density(X)
        order = np.argsort(-found)
        chosen: list[int] = []
        following = 0
        for first in np.searchsorted(-found[order], -target, side="right"):
            following = max(following, int(first))
            if following == len(order):
                break
            chosen.append(int(order[following]))
            following += 1
        return X[chosen]


def rows_at_depth(family: Family, density: Density, depth: Array, rng: np.random.Generator) -> Array:
    """Return rows of a family whose log-density has fallen to the depths asked for, or lower.

    Parameters
    ----------
    family : Family
        The way in which they differ from normal rows.
    density : Density
        The normal rows.
    depth : ndarray, shape (n,)
        One depth for each row; see `LogDensityLevels.at_depth`.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ndarray, shape (m, d)
        At most n rows, by rising depth asked for: fewer where the family has no rows so improbable, such as
        between clusters when there is but one cluster. Values that the columns take, see `Density.snap`.
        Where the density jumps, as from one code to another, a row lies below the depth asked for.
    """
    normals = Normals.of(density.sample(_NORMAL_ROWS, rng))
    return density.snap(family.rows(density, normals, density.levels.at_depth(np.sort(depth)), rng))


def matched_rows(family: Family, density: Density, depth: Array, rng: np.random.Generator) -> Array:
    """Return the rows of `rows_at_depth` that lie no lower than the greatest depth asked for.

    Parameters
    ----------
    family, density, depth, rng
        As for `rows_at_depth`.

    Returns
    -------
    ndarray, shape (m, d)
        At most n rows, whose depths lie from the least one asked for to a quarter below the greatest.
    """
    rows = rows_at_depth(family, density, depth, rng)
    reached = density.levels.depth(density.log_density(rows))
    matched: Array = rows[reached <= depth.max() + _OVERSHOOT]
    return matched
