"""Features of a Gaussian kernel, by landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem

__all__ = ["kernel_features"]

_TRIES = 10


def kernel_features(rows: NDArray[np.float64], gamma: float, n_landmarks: int, random_state: int) -> Nystroem:
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
