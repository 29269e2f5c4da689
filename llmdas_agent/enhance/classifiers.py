"""The classifiers that tell normal rows from made ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel

from .landmarks import kernel_features, median_squared_distance
from .spaces import Quantile, Space, Standard, Whitened, usable_columns

__all__ = ["KernelClassifiers", "MadeRowClassifiers"]

Array = NDArray[np.float64]

_LANDMARKS = 300
_INVERSE_PENALTY = 10.0
_MAX_ITERATIONS = 300
_WIDTHS = (3.0, 1.0)


class KernelClassifiers:
    """A logistic regression for each family, on one Gaussian kernel's Nystroem features.

    Williams and Seeger (2001). The families share the landmarks, so that a row meets the kernel once.

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

    def fit(self, normal: Array, families: Sequence[Array]) -> Self:
        """Fit on normal rows, shape (n, k), and made ones, each (m, k), which weigh the same in all."""
        rows = np.vstack([normal, *families])
        self.gamma_ = self.width / median_squared_distance(normal, self.random_state)
        features = kernel_features(rows, self.gamma_, _LANDMARKS, self.random_state)
        of_normal = features.transform(normal)
        models = [_told_apart(of_normal, features.transform(made)) for made in families]
        self.landmarks_ = features.components_
        self.weights_ = features.normalization_.T @ np.vstack([model.coef_ for model in models]).T
        self.intercepts_ = np.concatenate([model.intercept_ for model in models])
        return self

    def score(self, rows: Array) -> Array:
        """Return log odds of being made, shape (families, m)."""
        kernel = rbf_kernel(rows, self.landmarks_, gamma=self.gamma_)
        return np.asarray((kernel @ self.weights_ + self.intercepts_).T)


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
        self.classifiers_ = [
            KernelClassifiers(width, self.random_state).fit(
                _view(space, chosen), [_view(space, made[:, self.columns_]) for made in families]
            )
            for space, width in zip(self.spaces_, _WIDTHS, strict=True)
        ]
        return self

    def score(self, Z: Array) -> Array:
        """Return log odds of being made, shape (2 · families, m)."""
        chosen = Z[:, self.columns_]
        pairs = zip(self.spaces_, self.classifiers_, strict=True)
        return np.vstack([classifiers.score(_view(space, chosen)) for space, classifiers in pairs])


def _told_apart(normal: Array, made: Array) -> LogisticRegression:
    labels = np.repeat([0, 1], [len(normal), len(made)])
    weights = np.repeat([1.0, len(normal) / len(made)], [len(normal), len(made)])
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS)
    return model.fit(np.vstack([normal, made]), labels, sample_weight=weights)


def _view(space: Sequence[Space], Z: Array) -> Array:
    return np.hstack([part.transform(Z) for part in space])
