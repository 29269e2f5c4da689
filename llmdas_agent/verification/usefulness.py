"""One light enhanced detector, the same for every program, to tell what a program's rows are good for.

A detector's score is joined with that of one classifier, fitted on normal rows against made ones. It stands
apart from the estimator of `llmdas_agent.enhance` on purpose: a change to what users are given does not move
what programs are judged by.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ..enhance.landmarks import kernel_features, median_squared_distance
from ..enhance.spaces import Quantile, Standard, usable_columns

__all__ = ["Classifier", "NormalView", "joined", "surprise"]

Array = NDArray[np.float64]

_LANDMARKS = 150
_WIDTH = 1.0
_INVERSE_PENALTY = 10.0
_TAIL = 0.9


class NormalView:
    """Standardized columns beside their normal quantiles, both as normal rows have them.

    It depends on the normal rows alone: rows that many programs are judged by are brought into it once.

    Parameters
    ----------
    X : ndarray, shape (n, d)
        Normal rows.
    seed : int
        Chooses the pairs that the kernel's width is measured on.

    Attributes
    ----------
    normal : ndarray, shape (n, k)
        The normal rows in view.
    gamma : float
        1 / (median squared distance between two of them).
    """

    def __init__(self, X: Array, seed: int) -> None:
        self._columns = usable_columns(X)
        chosen = X[:, self._columns]
        self._spaces = (Standard().fit(chosen), Quantile().fit(chosen))
        self.normal = self(X)
        self.gamma = _WIDTH / median_squared_distance(self.normal, seed)

    def __call__(self, X: Array) -> Array:
        """Return rows in view, shape (m, k)."""
        return np.hstack([space.transform(X[:, self._columns]) for space in self._spaces])


class Classifier:
    """Logistic regression of made rows against normal ones, on a Gaussian kernel's Nystroem features.

    Williams and Seeger (2001); at most 150 landmarks, drawn from the rows of both classes, which weigh the
    same.

    Parameters
    ----------
    view : NormalView
        Of the normal rows.
    seed : int
        Chooses the landmarks.
    """

    def __init__(self, view: NormalView, seed: int) -> None:
        self._view = view
        self._seed = seed

    def fit(self, made: Array) -> Self:
        """Fit on made rows in view, shape (m, k)."""
        normal = self._view.normal
        rows = np.vstack([normal, made])
        self._features = kernel_features(rows, self._view.gamma, _LANDMARKS, self._seed)
        self._model = LogisticRegression(C=_INVERSE_PENALTY, class_weight="balanced", max_iter=200)
        self._model.fit(self._features.transform(rows), np.repeat([0, 1], [len(normal), len(made)]))
        return self

    def score(self, rows: Array) -> Array:
        """Return the log odds of being made, shape (m,), of rows in view."""
        return np.asarray(self._model.decision_function(self._features.transform(rows)), dtype=np.float64)


def surprise(normal: Array, scores: Array) -> Array:
    """Return −log of the upper-tail probability of scores among those of held-out normal rows.

    Beyond their 90 % quantile the tail is that of a generalized Pareto law of shape 1/2 (Pickands 1975), so
    that far rows stay in order.

    Parameters
    ----------
    normal : ndarray, shape (n,)
        Scores of normal rows that nothing was fitted on.
    scores : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (m,)
        In nats, above 0.
    """
    ordered = np.sort(normal)
    size = max(float(np.abs(ordered).max()), 1e-9)
    start = float(np.quantile(ordered, _TAIL))
    excess = max(float(np.mean(ordered[ordered >= start] - start)), 1e-6 * size)
    at_or_above = len(ordered) - np.searchsorted(ordered, np.minimum(scores, start), "left")
    within = -np.log((at_or_above + 0.5) / (len(ordered) + 1))
    return np.asarray(within + 2.0 * np.log1p(np.maximum(scores - start, 0.0) / (2.0 * excess)))


def joined(base: Array, classifier: Array) -> Array:
    """Return the joined score of two surprises, shape (m,): their geometric mean.

    Above the normal rows only where both are, so that a classifier shows as soon as it takes normal rows for
    abnormal or does not see what the detector does. Under a sum (Fisher, 1925) or a soft maximum, a strong
    detector or a far row hides that, and gains on some sets tell less of those on others.
    """
    return np.sqrt(base * classifier)
