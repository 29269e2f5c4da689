"""How the columns of a table become what a network is given: three views, each fitted as plain arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["VIEWS", "fit_view", "seen_in"]

Array = NDArray[np.float64]

VIEWS = ("standardized", "anchored", "gaussian")

_ANCHOR = 3.0
_KNOTS = 1000
_TAIL = 4.0
"""What one standard deviation beyond the values seen counts among normal quantiles."""
_RIDGE = 0.2
"""Added to every direction's variance before it is made one, in multiples of the mean variance."""


def fit_view(view: str, X: Array) -> dict[str, Array]:
    """Return the arrays of a view of training rows.

    Parameters
    ----------
    view : {'standardized', 'anchored', 'gaussian'}
        ``anchored`` adds a constant to the standardized columns: layers without biases would score a row that
        lies c times as far from the centre c² times as high, and so could see nothing near it. ``gaussian``
        columns are normal quantiles, going on straight beyond the values seen, and then whitened.
    X : array, shape (n, d)
        Finite.

    Raises
    ------
    ValueError
        Where there is no such view.
    """
    if view not in VIEWS:
        raise ValueError(f"there is no view {view!r}; the views are {', '.join(VIEWS)}")
    arrays = {"constant": np.full(int(view == "anchored"), _ANCHOR)}
    numbers = X
    if view == "gaussian":
        levels = np.linspace(0, 1, min(len(X), _KNOTS))
        arrays["knots"] = np.quantile(X, levels, axis=0, method="nearest")
        arrays["spread"] = _positive(X.std(axis=0))
        numbers = _normal_quantiles(arrays, X)
    arrays["center"] = numbers.mean(axis=0)
    arrays["axes"] = np.diag(1 / _positive(numbers.std(axis=0)))
    if view == "gaussian":
        arrays["axes"] = arrays["axes"] @ _whitening((numbers - arrays["center"]) @ arrays["axes"])
    return arrays


def seen_in(arrays: dict[str, Array], X: Array) -> Array:
    """Return rows as a fitted view shows them, shape (m, d), or (m, d + 1) with the constant."""
    numbers = _normal_quantiles(arrays, X) if "knots" in arrays else X
    constant = np.tile(arrays["constant"], (len(X), 1))
    return np.hstack([(numbers - arrays["center"]) @ arrays["axes"], constant])


def _normal_quantiles(arrays: dict[str, Array], X: Array) -> Array:
    knots = arrays["knots"]
    below = np.column_stack([_share_below(known, column) for known, column in zip(knots.T, X.T, strict=True)])
    beyond = np.maximum(X - knots[-1], 0) - np.maximum(knots[0] - X, 0)
    return np.asarray(norm.ppf(below) + _TAIL * beyond / arrays["spread"])


def _share_below(knots: Array, values: Array) -> Array:
    """Return the share of sorted knots below values, equal ones counting half, always within (0, 1)."""
    twice = np.searchsorted(knots, values, side="left") + np.searchsorted(knots, values, side="right")
    return np.asarray((twice + 1) / (2 * len(knots) + 2))


def _positive(spread: Array) -> Array:
    return np.where(spread > 0, spread, 1.0)


def _whitening(Z: Array) -> Array:
    """Return the map, shape (d, d), that makes all directions of centred rows about equally wide.

    Directions with next to no variance stay narrow.
    """
    variance, directions = np.linalg.eigh(Z.T @ Z / len(Z))
    return np.asarray(directions / np.sqrt(np.maximum(variance, 0) + _RIDGE * (variance.mean() or 1.0)))
