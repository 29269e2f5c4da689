"""Families of improbable rows, each leaving the normal rows in its own way and all equally improbable.

A family is a way to leave a normal row: a start and a direction. Every row walks its path until the known
log-density has fallen to a depth asked for, so that a detector that saw the density would rank the rows of
all families alike, and what it ranks low is its blind spot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAMILIES", "Density", "Family", "LogDensityLevels", "rows_at_depth"]

Array = NDArray[np.float64]

_STEPS = np.geomspace(1e-2, 1e2, 33)
_BISECTIONS = 12
_CLUSTER_SIZE = 20


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


class Density(Protocol):
    """Normal rows whose density is known."""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""

    def log_density(self, X: Array) -> Array:
        """Return the natural logarithm of the density, shape (m,)."""

    @property
    def levels(self) -> LogDensityLevels:
        """Where the log-density of normal rows lies."""


@dataclass(frozen=True, slots=True)
class _Normals:
    """A sample of normal rows, standardized, with the axes of its correlation matrix."""

    Z: Array
    center: Array
    scale: Array
    axes: Array  # columns, by falling variance
    variances: Array

    @classmethod
    def of(cls, X: Array) -> _Normals:
        center, scale = X.mean(axis=0), X.std(axis=0)
        Z = (X - center) / scale
        variances, axes = np.linalg.eigh(Z.T @ Z / len(Z))
        return cls(Z, center, scale, axes[:, ::-1], np.maximum(variances[::-1], 0.0))

    def pick(self, n: int, rng: np.random.Generator) -> Array:
        return self.Z[rng.integers(len(self.Z), size=n)]


Paths = tuple[Array, Array]
"""Starts and directions in standardized columns, each of shape (n, d)."""


@dataclass(frozen=True, slots=True)
class Family:
    """One way to leave the normal rows.

    Attributes
    ----------
    name : str
        Such as ``recombination``.
    words : str
        What its rows look like, for people and for prompts.
    paths : callable
        From normal rows, a count and a generator to starts and directions.
    longest : float
        The longest step along a direction; 1 where the direction ends at another row.
    tries : int
        Paths tried for each row, since not every path leads to improbable rows.
    """

    name: str
    words: str
    paths: Callable[[_Normals, int, np.random.Generator], Paths]
    longest: float = 100.0
    tries: int = 2


def rows_at_depth(family: Family, density: Density, depth: Array, rng: np.random.Generator) -> Array:
    """Return rows of a family whose log-density has fallen to the depths asked for.

    Parameters
    ----------
    family : Family
        The way to leave the normal rows.
    density : Density
        The normal rows.
    depth : ndarray, shape (n,)
        One depth for each row; see `LogDensityLevels.at_depth`.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ndarray, shape (m, d)
        At most n rows, by rising depth: fewer where the family has no rows so improbable, such as between
        clusters when there is but one cluster.
    """
    normals = _Normals.of(density.sample(1000, rng))
    target = np.tile(density.levels.at_depth(np.sort(depth)), family.tries)
    start, direction = family.paths(normals, len(target), rng)

    def log_density(step: Array, rows: NDArray[np.intp]) -> Array:
        Z = start[rows] + step[:, None] * direction[rows]
        return density.log_density(normals.center + normals.scale * Z)

    everyone = np.arange(len(target))
    reached = np.full(len(target), np.inf)
    for step in _STEPS[family.longest >= _STEPS][::-1]:
        below = log_density(np.full(len(target), step), everyone) < target
        reached[below] = step
    rows = np.flatnonzero(np.isfinite(reached))
    high = reached[rows]
    low = high * (_STEPS[0] / _STEPS[1])
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = log_density(middle, rows) < target[rows]
        high, low = np.where(below, middle, high), np.where(below, low, middle)
    _, first = np.unique(rows % len(depth), return_index=True)
    Z = start[rows[first]] + high[first, None] * direction[rows[first]]
    return normals.center + normals.scale * Z


def _recombination(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    start, other = normals.pick(n, rng), normals.pick(n, rng)
    d = start.shape[1]
    swapped = rng.random((n, d)) < 0.5
    swapped[np.arange(n), rng.integers(d, size=n)] = True
    return start, np.where(swapped, other - start, 0.0)


def _along_axes(normals: _Normals, axes: Array, n: int, rng: np.random.Generator) -> Paths:
    direction = rng.normal(size=(n, axes.shape[1])) @ axes.T
    return normals.pick(n, rng), direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _inside_subspace(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    share = np.cumsum(normals.variances) / normals.variances.sum()
    kept = min(int(np.searchsorted(share, 0.5)) + 1, len(share) - 1)
    return _along_axes(normals, normals.axes[:, :kept], n, rng)


def _complement(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    share = np.cumsum(normals.variances) / normals.variances.sum()
    kept = min(int(np.searchsorted(share, 0.9)) + 1, len(share) - 1)
    return _along_axes(normals, normals.axes[:, kept:], n, rng)


def _between(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    start = normals.pick(n, rng)
    return start, normals.pick(n, rng) - start


def _local_dip(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    return _along_axes(normals, np.eye(normals.Z.shape[1]), n, rng)


def _axis_tail(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    # A row that is already extreme in the column: elsewhere the step would break the dependency first.
    d = normals.Z.shape[1]
    column, side = rng.integers(d, size=n), rng.choice([-1.0, 1.0], size=n)
    order = np.argsort(normals.Z, axis=0)
    rank = rng.integers(len(normals.Z) // 50, size=n)
    start = normals.Z[order[np.where(side > 0, -1 - rank, rank), column]]
    return start, side[:, None] * np.eye(d)[column]


def _far(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    start = normals.pick(n, rng)
    return start, start


def _tight_cluster(normals: _Normals, n: int, rng: np.random.Generator) -> Paths:
    clusters = -(-n // _CLUSTER_SIZE)
    start, direction = _along_axes(normals, np.eye(normals.Z.shape[1]), clusters, rng)
    start, direction = (np.repeat(part, _CLUSTER_SIZE, axis=0)[:n] for part in (start, direction))
    return start + 0.01 * rng.normal(size=start.shape), direction


FAMILIES = (
    Family("recombination", "ordinary values in combinations that do not occur", _recombination, 1.0, 16),
    Family("inside_subspace", "steps along the directions in which normal rows vary most", _inside_subspace),
    Family("complement", "small steps along the directions in which normal rows hardly vary", _complement),
    Family("between", "rows between normal rows, in gaps and hollows", _between, 1.0, 16),
    Family("local_dip", "a step in any direction, just out of the neighbourhood", _local_dip),
    Family("axis_tail", "one column far out in its tail, the others ordinary", _axis_tail),
    Family("far", "rows pushed outwards from the centre, all columns together", _far),
    Family("tight_cluster", "improbable rows that lie close together in small groups", _tight_cluster),
)
"""The families of improbable rows that a detector is probed with."""
