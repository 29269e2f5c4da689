"""Scenarios whose normal rows have a shape: clusters, a grid, a banana, a ring, a low-rank manifold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mixture import MixtureScenario
from .ring import RingScenario
from .scenario import Scenario
from .warps import Bend, Linear

__all__ = ["banana", "clusters", "grid", "low_rank", "ring"]

Array = NDArray[np.float64]


def clusters() -> Scenario:
    """Return clusters of very unequal weights and sizes, with a thin haze of rows between and around them.

    The haze, one row in a thousand, makes the gaps as improbable as the clusters' far flanks, and no more:
    so rows in the middle of a gap can be matched in density with rows anywhere else.
    """

    def disc(angle: float, long: float, short: float) -> Array:
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        covariance: Array = turn @ np.diag([long**2, short**2]) @ turn.T
        return covariance

    return MixtureScenario(
        "clusters",
        d=2,
        n_train=400,
        weights=np.array([0.55, 0.27, 0.129, 0.05, 0.001]),
        means=np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 7.0], [8.0, 8.0], [4.0, 4.0]]),
        covariances=np.stack(
            [
                disc(0.6, 1.5, 0.5),
                disc(0.0, 0.8, 0.8),
                disc(1.2, 0.9, 0.25),
                disc(0.0, 0.15, 0.15),
                disc(0.0, 4.0, 4.0),
            ]
        ),
    )


def banana() -> Scenario:
    """Return a bent cloud, tied to two further columns."""
    correlation = np.eye(4)
    correlation[2, 0] = correlation[0, 2] = 0.8
    correlation[3, 1] = correlation[1, 3] = 0.7
    return MixtureScenario(
        "banana", 4, 300, np.ones(1), np.zeros((1, 4)), correlation[None], warps=(Bend(1.5),)
    )


def ring() -> Scenario:
    """Return a tilted ring, whose middle is as improbable as its outside a little way off."""
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.3, 1.0]])
    return RingScenario("ring", 3, 300, radius=5.6, warps=(Linear(tilt),))


def grid() -> Scenario:
    """Return clusters at 12 of the 81 crossings of a grid in four columns, with a thin haze around them.

    Each band of a column holds rows of several clusters, so that cuts along single columns cannot part an
    empty crossing from one where a cluster lies.
    """
    rng = np.random.default_rng(4)
    crossings = np.stack(np.unravel_index(rng.permutation(81)[:12], (3, 3, 3, 3)), axis=1)
    haze = 0.003
    return MixtureScenario(
        "grid",
        d=4,
        n_train=300,
        weights=np.append(np.full(12, (1 - haze) / 12), haze),
        means=np.vstack([4.0 * crossings, np.full(4, 4.0)]),
        covariances=np.stack([0.25 * np.eye(4)] * 12 + [16.0 * np.eye(4)]),
    )


def low_rank() -> Scenario:
    """Return 20 columns of three clusters on three factors, with noise in every column."""
    rng = np.random.default_rng(20)
    loadings = rng.normal(size=(20, 3))
    spread = np.array([1.0, 0.6, 0.3])
    covariances = [s**2 * loadings @ loadings.T + 0.15 * np.eye(20) for s in spread]
    means = 4.5 * rng.normal(size=(3, 3)) @ loadings.T
    return MixtureScenario("low_rank", 20, 400, np.array([0.5, 0.3, 0.2]), means, np.stack(covariances))
