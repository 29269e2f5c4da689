"""The families of improbable rows that a detector is probed with, each a way to differ from normal rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .matching import Draw, Family, Normals, Walk

__all__ = ["FAMILIES"]

Array = NDArray[np.float64]
Paths = tuple[Array, Array]
"""Starts and directions in standardized columns, each of shape (n, d)."""

_CLUSTER_SIZE = 10
_CORNERS = 4
_FAR_OF = 6


def _some_columns(n: int, d: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which columns to change, shape (n, d): one to half of them, small shares and large alike."""
    share = np.exp(rng.uniform(np.log(1 / d), np.log(0.5), size=(n, 1)))
    chosen = rng.random((n, d)) < share
    chosen[np.arange(n), rng.integers(d, size=n)] = True
    return chosen


def _recombination(normals: Normals, n: int, rng: np.random.Generator) -> Array:
    columns = _some_columns(n, normals.Z.shape[1], rng)
    return np.where(columns, normals.pick(n, rng), normals.pick(n, rng))


def _ghost(normals: Normals, n: int, rng: np.random.Generator) -> Array:
    """Cross the bands of two rows that are far apart: the corners that axis-parallel cuts leave open."""
    row, others = normals.pick(n, rng), normals.pick(n * _FAR_OF, rng).reshape(n, _FAR_OF, -1)
    farthest = np.linalg.norm(others - row[:, None], axis=2).argmax(axis=1)
    d = row.shape[1]
    # half of the columns, or as near to it as their number allows
    columns = rng.permuted(np.tile(np.arange(d) < max(d // 2, 1), (n, 1)), axis=1)
    return np.where(columns, others[np.arange(n), farthest], row)


def _sign_flip(normals: Normals, n: int, rng: np.random.Generator) -> Array:
    """Exchange high and low in some columns by mirroring the ranks: every value is one that occurs."""
    order = np.argsort(normals.Z, axis=0)
    mirrored = np.empty_like(normals.Z)
    np.put_along_axis(mirrored, order, np.take_along_axis(normals.Z, order[::-1], axis=0), axis=0)
    row = rng.integers(len(normals.Z), size=n)
    return np.where(_some_columns(n, mirrored.shape[1], rng), mirrored[row], normals.Z[row])


def _void(normals: Normals, n: int, rng: np.random.Generator) -> Array:
    """Average a few rows with random weights: inside their hull, surrounded by normal rows."""
    corners = normals.pick(n * _CORNERS, rng).reshape(n, _CORNERS, -1)
    weights = rng.dirichlet(np.ones(_CORNERS), size=n)
    return np.asarray((weights[:, :, None] * corners).sum(axis=1))


def _along_axes(normals: Normals, axes: Array, n: int, rng: np.random.Generator) -> Paths:
    direction = rng.normal(size=(n, axes.shape[1])) @ axes.T
    return normals.pick(n, rng), direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _axes_up_to(normals: Normals, share: float) -> int:
    """Return how many leading axes hold a share of the variance, at most all but one."""
    shares = np.cumsum(normals.variances) / normals.variances.sum()
    return max(min(int(np.searchsorted(shares, share)) + 1, len(shares) - 1), 1)


def _inside_subspace(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    return _along_axes(normals, normals.axes[:, : _axes_up_to(normals, 0.5)], n, rng)


def _complement(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    return _along_axes(normals, normals.axes[:, _axes_up_to(normals, 0.9) :], n, rng)


def _local_dip(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    return _along_axes(normals, normals.axes, n, rng)


def _between(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    start = normals.pick(n, rng)
    return start, normals.pick(n, rng) - start


def _few_columns(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    d = normals.Z.shape[1]
    moved = rng.permuted(np.tile(np.arange(d) < max(d // 4, min(2, d - 1)), (n, 1)), axis=1)
    direction = np.where(moved, rng.normal(size=(n, d)), 0.0)
    return normals.pick(n, rng), direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _axis_tail(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    # A row that is already extreme in the column: elsewhere the step would break the dependency first.
    d = normals.Z.shape[1]
    column, side = rng.integers(d, size=n), rng.choice([-1.0, 1.0], size=n)
    order = np.argsort(normals.Z, axis=0)
    rank = rng.integers(len(normals.Z) // 50, size=n)
    start = normals.Z[order[np.where(side > 0, -1 - rank, rank), column]]
    return start, side[:, None] * np.eye(d)[column]


def _far(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    start = normals.pick(n, rng)
    return start, start


def _groups(normals: Normals, n: int, size: int, rng: np.random.Generator) -> Paths:
    start, direction = _along_axes(normals, normals.axes, -(-n // size), rng)
    start, direction = (np.repeat(part, size, axis=0)[:n] for part in (start, direction))
    return start + 0.01 * rng.normal(size=(n, len(normals.variances))) @ normals.axes.T, direction


def _tight_cluster(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    return _groups(normals, n, _CLUSTER_SIZE, rng)


def _one_cluster(normals: Normals, n: int, rng: np.random.Generator) -> Paths:
    return _groups(normals, n, n, rng)


FAMILIES: tuple[Family, ...] = (
    Draw("recombination", "ordinary values in combinations that do not occur", _recombination),
    Draw("sign_flip", "high values where low ones belong, against the sign of a dependency", _sign_flip),
    Draw("ghost", "half of the columns from one place and half from another that is far away", _ghost),
    Walk("inside_subspace", "steps along the directions in which normal rows vary most", _inside_subspace),
    Walk("complement", "small steps along the directions in which normal rows hardly vary", _complement),
    Draw("void", "rows in empty places that normal rows surround", _void),
    Walk("between", "rows between normal rows, in gaps and hollows", _between, 1.0, 16),
    Walk("local_dip", "a step in any direction, just out of the neighbourhood", _local_dip),
    Walk("few_columns", "a step in a few of the columns, the others ordinary", _few_columns),
    Walk("axis_tail", "one column far out in its tail, the others ordinary", _axis_tail),
    Walk("far", "rows pushed outwards from the centre, all columns together", _far),
    Walk("tight_cluster", "improbable rows that lie close together in small groups", _tight_cluster),
    Walk("masked_cluster", "a tight group, half of it among the rows fitted", _one_cluster, planted=True),
)
"""The families of improbable rows that a detector is probed with."""
