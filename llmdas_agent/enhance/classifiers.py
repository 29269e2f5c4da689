"""The classifier that tells normal rows from made ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression

from .spaces import Quantile, Space, Standard, Whitened, usable_columns

__all__ = ["KernelClassifier", "MadeRowClassifier"]

Array = NDArray[np.float64]

_LANDMARKS = 300
_INVERSE_PENALTY = 10.0
_MAX_ITERATIONS = 300


class KernelClassifier:
    """Logistic regression on a Gaussian kernel's Nystroem features (Williams and Seeger, 2001).

    Parameters
    ----------
    width : float
        The kernel is exp(−width · ‖u − v‖² / m), m the median squared distance between normal rows.
    random_state : int
        Chooses the landmarks.
    """

    def __init__(self, width: float, random_state: int) -> None:
        self.width = width
        self.random_state = random_state

    def fit(self, normal: Array, made: Array, weights: Array) -> Self:
        """Fit on normal rows, shape (n, k), and made ones, shape (m, k), with one weight per row of both."""
        rows = np.vstack([normal, made])
        self.features_ = Nystroem(
            gamma=self.width / _median_squared_distance(normal, self.random_state),
            n_components=min(_LANDMARKS, len(normal)),
            random_state=self.random_state,
        ).fit(rows)
        self.model_ = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS).fit(
            self.features_.transform(rows),
            np.repeat([0, 1], [len(normal), len(made)]),
            sample_weight=weights,
        )
        return self

    def score(self, rows: Array) -> Array:
        """Return log odds of being made, shape (m,)."""
        return np.asarray(self.model_.decision_function(self.features_.transform(rows)))


class MadeRowClassifier:
    """Two kernel classifiers, one on standardized and normal-quantile columns, one on whitened ones.

    Parameters
    ----------
    random_state : int
        Seeds both.
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def fit(self, normal: Array, made: Array, weights: Array) -> Self:
        """Fit on normal rows, shape (n, d), and made ones, shape (m, d).

        Parameters
        ----------
        normal, made : array
            Finite. The spaces are fitted on `normal` alone.
        weights : array, shape (n + m,)
            One per row, normal ones first.
        """
        self.columns_ = usable_columns(normal)
        normal, made = normal[:, self.columns_], made[:, self.columns_]
        self.spaces_: list[list[Space]] = [
            [Standard().fit(normal), Quantile().fit(normal)],
            [Whitened().fit(normal)],
        ]
        self.classifiers_ = [
            KernelClassifier(width, self.random_state).fit(_view(space, normal), _view(space, made), weights)
            for space, width in zip(self.spaces_, (3.0, 1.0), strict=True)
        ]
        return self

    def score(self, Z: Array) -> Array:
        """Return log odds of being made, shape (2, m), one row per classifier."""
        chosen = Z[:, self.columns_]
        pairs = zip(self.spaces_, self.classifiers_, strict=True)
        return np.stack([classifier.score(_view(space, chosen)) for space, classifier in pairs])


def _view(space: Sequence[Space], Z: Array) -> Array:
    return np.hstack([part.transform(Z) for part in space])


def _median_squared_distance(V: Array, random_state: int) -> float:
    one, other = np.random.default_rng(random_state).integers(len(V), size=(2, 2000))
    squared = np.sum((V[one] - V[other]) ** 2, axis=1)
    positive = squared[squared > 0]
    return float(np.median(positive)) if len(positive) else 1.0
