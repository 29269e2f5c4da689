"""Broad background rows: what a classifier sees of the outside besides a program's own rows.

A program aims at one detector's blind spots. Rows spread all around the normal ones, added to the
program's, keep the classifier from calling everything normal that the program did not think of.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from .spaces import Standard

__all__ = ["background_families", "recombined_rows"]

Array = NDArray[np.float64]

_NEIGHBOURS = 5
_MAX_SEEDS = 2000
_LONGEST_STEP = 4.0


def background_families(Z: Array, n_each: int, rng: np.random.Generator) -> list[Array]:
    """Return families of rows around normal ones: steps in all columns, steps in some, and recombinations.

    Parameters
    ----------
    Z : array, shape (n, d)
        Normal rows, finite, no column constant.
    n_each : int
        Rows of each family.
    rng : numpy.random.Generator
        Decides everything drawn.

    Returns
    -------
    list of three arrays, each of shape (n_each, d)
    """
    standard = Standard().fit(Z)
    S = standard.transform(Z)
    seeds = S if len(S) <= _MAX_SEEDS else S[rng.choice(len(S), _MAX_SEEDS, replace=False)]
    reach = _own_distances(seeds)
    families = [
        _stepped(seeds, reach, n_each, _all_columns, rng),
        _stepped(seeds, reach, n_each, _some_columns, rng),
        _recombined(seeds, n_each, rng),
    ]
    return [made * standard.scale_ + standard.mean_ for made in families]


def recombined_rows(Z: Array, n: int, rng: np.random.Generator) -> Array:
    """Return rows whose values are all normal and whose combinations are not, shape (n, d).

    A third each: every column drawn from its own row; a block of columns taken from one other row; every
    principal-component score drawn from its own row.
    """
    standard = Standard().fit(Z)
    return np.asarray(_recombined(standard.transform(Z), n, rng) * standard.scale_ + standard.mean_)


def _own_distances(S: Array) -> Array:
    """Return each row's mean distance to its five nearest others, never below a tenth of the median."""
    k = min(_NEIGHBOURS, len(S) - 1)
    distances, _ = NearestNeighbors(n_neighbors=k + 1).fit(S).kneighbors(S)
    own = distances[:, 1:].mean(axis=1)
    positive = own[own > 0]
    median = float(np.median(positive)) if len(positive) else 1.0
    return np.asarray(np.maximum(own, 0.1 * median))


def _stepped(
    S: Array,
    reach: Array,
    n: int,
    columns: Callable[[tuple[int, int], np.random.Generator], NDArray[np.bool_]],
    rng: np.random.Generator,
) -> Array:
    """Return normal rows moved by 1 to 4 times (log-uniform) their own neighbour distance."""
    seeds = rng.integers(len(S), size=n)
    direction = rng.normal(size=(n, S.shape[1])) * columns((n, S.shape[1]), rng)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = np.exp(rng.uniform(0.0, np.log(_LONGEST_STEP), size=n)) * reach[seeds]
    return np.asarray(S[seeds] + direction * length[:, None])


def _all_columns(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    return np.ones(shape, dtype=bool)


def _some_columns(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.bool_]:
    return _random_mask(shape, 0.05, 0.6, rng)


def _random_mask(
    shape: tuple[int, int], low: float, high: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return masks that each choose a share, uniform in [low, high], of the columns, and at least one."""
    n, d = shape
    mask = rng.random(shape) < rng.uniform(low, high, size=(n, 1))
    mask[np.arange(n), rng.integers(d, size=n)] = True
    return mask


def _recombined(S: Array, n: int, rng: np.random.Generator) -> Array:
    third = n // 3
    d = S.shape[1]
    one = rng.integers(len(S), size=third)
    other = (one + rng.integers(1, max(2, len(S)), size=third)) % len(S)
    swapped = np.where(_random_mask((third, d), 0.1, 0.5, rng), S[other], S[one])
    mean = S.mean(axis=0)
    _, size, axes = np.linalg.svd(S - mean, full_matrices=False)
    axes = axes[size > 1e-8 * size[0]]
    scores = (S - mean) @ axes.T
    rotated = _each_column_shuffled(scores, n - 2 * third, rng) @ axes + mean
    return np.vstack([_each_column_shuffled(S, third, rng), swapped, rotated])


def _each_column_shuffled(S: Array, n: int, rng: np.random.Generator) -> Array:
    rows = rng.integers(len(S), size=(n, S.shape[1]))
    return np.asarray(np.take_along_axis(S, rows, axis=0))
