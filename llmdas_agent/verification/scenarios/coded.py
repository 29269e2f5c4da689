"""Scenarios of columns that take few values: integers and levels, one-hot codes, constants and totals."""

from __future__ import annotations

import numpy as np

from .mixture import RoundedMixtureScenario
from .scenario import Scenario
from .warps import Linear, Scale

__all__ = ["collinear", "integers", "one_hot"]

_EXACT = 0.1
"""Deviation that leaves a rounded column at its component's whole number."""


def integers() -> Scenario:
    """Return a flag, a grade and two counts beside two measurements, for five kinds of rows."""
    weights = np.array([0.35, 0.25, 0.2, 0.15, 0.05])
    #        flag grade count  age  two measurements
    means = np.array(
        [
            [0.0, 1.0, 2.0, 22.0, 0.0, 0.0],
            [0.0, 2.0, 5.0, 35.0, 1.5, -0.5],
            [1.0, 2.0, 9.0, 44.0, 2.0, 1.5],
            [1.0, 3.0, 14.0, 58.0, 3.5, 1.0],
            [0.0, 4.0, 3.0, 71.0, 0.5, 2.5],
        ]
    )
    deviations = np.array(
        [
            [0.2, 0.4, 1.2, 3.0, 0.6, 0.5],
            [0.2, 0.5, 1.5, 5.0, 0.6, 0.5],
            [0.2, 0.5, 2.0, 6.0, 0.5, 0.7],
            [0.2, 0.5, 3.0, 5.0, 0.7, 0.6],
            [0.2, 0.5, 1.0, 4.0, 0.4, 0.4],
        ]
    )
    covariances = np.stack([np.diag(row**2) for row in deviations])
    return RoundedMixtureScenario("integers", 6, 300, weights, means, covariances, rounded=np.arange(4))


def one_hot() -> Scenario:
    """Return one-hot blocks of four and three codes that depend on each other, and three measurements."""
    shares = np.array([[0.26, 0.06, 0.02], [0.03, 0.2, 0.05], [0.02, 0.03, 0.16], [0.08, 0.005, 0.085]])
    first, second = (index.ravel() for index in np.indices(shares.shape))
    numbers = np.array([[0.0, 0.0], [2.0, 0.5], [3.0, 2.5], [-0.5, 3.0]])[first]
    third = np.array([0.0, 2.0, 4.5])[second]
    means = np.column_stack([np.eye(4)[first], np.eye(3)[second], numbers, third])
    covariance = np.diag([_EXACT**2] * 7 + [1.0] * 3)
    covariance[7:, 7:] = [[0.5, 0.3, 0.0], [0.3, 0.5, 0.2], [0.0, 0.2, 0.6]]
    covariances = np.repeat(covariance[None], len(means), axis=0)
    return RoundedMixtureScenario(
        "one_hot", 10, 300, shares.ravel(), means, covariances, rounded=np.arange(7)
    )


def collinear() -> Scenario:
    """Return three measurements, two columns made up of them and a constant.

    The fourth and fifth columns are kept to a hundredth: a row that is further than half of that from the
    sum or the difference that they stand for is as good as impossible.
    """
    covariance = np.diag([1.0] * 3 + [_EXACT**2] * 3)
    covariance[:3, :3] = [[1.0, 0.6, 0.3], [0.6, 1.0, -0.2], [0.3, -0.2, 1.0]]
    combined = np.eye(6)
    combined[3, :2] = [1.0, 1.0]
    combined[4, 1:3] = [2.0, -1.0]
    return RoundedMixtureScenario(
        "collinear",
        6,
        300,
        np.ones(1),
        np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 7.0]]),
        covariance[None],
        rounded=np.array([3, 4, 5]),
        warps=(Scale(np.array([1.0, 1.0, 1.0, 0.01, 0.01, 1.0])), Linear(combined)),
    )
