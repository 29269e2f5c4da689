"""Features of a Gaussian kernel, by landmarks, and the distance that its width is measured in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem

__all__ = ["kernel_features", "median_squared_distance"]

Array = NDArray[np.float64]

_TRIES = 10
_PAIRS = 2000


def kernel_features(rows: Array, gamma: float, n_landmarks: int, random_state: int) -> Nystroem:
    """Return Nystroem features of the kernel exp(−gamma · ‖u − v‖²), fitted on rows.

    Williams and Seeger (2001). Where many landmarks are equal and some are far, LAPACK's singular value
    decomposition gives up on about one kernel in a hundred; other landmarks are drawn then.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        Among which the landmarks are drawn, finite.
    gamma : float
        Above 0.
    n_landmarks : int
        As many features; all rows where there are fewer.
    random_state : int
        Draws the landmarks.

    Raises
    ------
    numpy.linalg.LinAlgError
        When it gives up on ten draws of landmarks.
    """

    def drawn(seed: int) -> Nystroem:
        count = min(n_landmarks, len(rows))
        return Nystroem(gamma=gamma, n_components=count, random_state=seed).fit(rows)

    for seed in range(random_state, random_state + _TRIES - 1):
        try:
            return drawn(seed)
        except np.linalg.LinAlgError:
            continue
    return drawn(random_state + _TRIES - 1)


def median_squared_distance(rows: Array, random_state: int) -> float:
    """Return the median squared distance between 2,000 random pairs of different rows, shape (n, d); or 1."""
    one, other = np.random.default_rng(random_state).integers(len(rows), size=(2, _PAIRS))
    squared = np.sum((rows[one] - rows[other]) ** 2, axis=1)
    positive = squared[squared > 0]
    return float(np.median(positive)) if len(positive) else 1.0
