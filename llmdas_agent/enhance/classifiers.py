"""The classifier that tells normal rows from made ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression

from .spaces import Quantile, Space, Standard, Whitened, usable_columns

__all__ = ["KernelClassifier", "MadeRowClassifiers"]

Array = NDArray[np.float64]

_LANDMARKS = 300
_INVERSE_PENALTY = 10.0
_MAX_ITERATIONS = 300
_WIDTHS = (3.0, 1.0)


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

    def fit(self, normal: Array, made: Array) -> Self:
        """Fit on normal rows, shape (n, k), and made ones, shape (m, k), which weigh the same in all."""
        rows = np.vstack([normal, made])
        weights = np.repeat([1.0, len(normal) / len(made)], [len(normal), len(made)])
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


class MadeRowClassifiers:
    """Two kernel classifiers for each family of made rows.

    One sees the columns standardized and as normal quantiles side by side, the other whitened. A family of
    its own for each kind of made rows keeps the easy ones from hiding what can be learnt from the others.

    Parameters
    ----------
    random_state : int
        Seeds all.
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def fit(self, normal: Array, families: Sequence[Array]) -> Self:
        """Fit on normal rows, shape (n, d), and each family of made ones, shape (m, d).

        The spaces are fitted on `normal` alone, and made rows weigh as much as normal ones.
        """
        self.columns_ = usable_columns(normal)
        chosen = normal[:, self.columns_]
        self.spaces_: list[list[Space]] = [
            [Standard().fit(chosen), Quantile().fit(chosen)],
            [Whitened().fit(chosen)],
        ]
        self.classifiers_: list[list[KernelClassifier]] = []
        for space, width in zip(self.spaces_, _WIDTHS, strict=True):
            view = _view(space, chosen)
            self.classifiers_.append(
                [
                    KernelClassifier(width, self.random_state).fit(view, _view(space, made[:, self.columns_]))
                    for made in families
                ]
            )
        return self

    def score(self, Z: Array) -> Array:
        """Return log odds of being made, shape (2 · families, m)."""
        chosen = Z[:, self.columns_]
        rows = []
        for space, classifiers in zip(self.spaces_, self.classifiers_, strict=True):
            view = _view(space, chosen)
            rows += [classifier.score(view) for classifier in classifiers]
        return np.stack(rows)


def _view(space: Sequence[Space], Z: Array) -> Array:
    return np.hstack([part.transform(Z) for part in space])


def _median_squared_distance(V: Array, random_state: int) -> float:
    one, other = np.random.default_rng(random_state).integers(len(V), size=(2, 2000))
    squared = np.sum((V[one] - V[other]) ** 2, axis=1)
    positive = squared[squared > 0]
    return float(np.median(positive)) if len(positive) else 1.0
