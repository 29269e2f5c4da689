"""The learnability gate: whether the classifier was seen to add, on this table, to what its rival knows.

Normal rows that no expert was fitted on are set against recombinations of them, whose every value is normal
and whose combination is not. No label enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .joining import soft_maximum

__all__ = ["Contribution", "Judged", "contribution_of", "trust"]

Array = NDArray[np.float64]

_SURE_OF_MORE = 2.0
_SURE_OF_ANY = 3.0
_BESIDE_NEIGHBOURS = 0.6
_BESIDE_BASE_ALONE = 1.5
_ROWS_TO_TRUST = 30


@dataclass(frozen=True)
class Contribution:
    """What the classifier adds to the joined score, and why.

    Attributes
    ----------
    weight : float
        In [0, 1.5). Zero means that synthesis is not used on this table.
    learnability : float
        Probability that a recombination of held-out normal rows ranks above a held-out normal row: by the
        neighbours joined with the classifier, or by the classifier where they do not take part.
    rival : float
        The same by the neighbours alone, or by chance, 0.5, where they do not take part.
    reason : str
        One sentence for the user.
    """

    weight: float
    learnability: float
    rival: float
    reason: str


@dataclass(frozen=True)
class Judged:
    """An expert's surprise at rows that it was not fitted on, in nats.

    Attributes
    ----------
    normal : array, shape (n,)
        Of normal rows.
    recombined : array, shape (m,)
        Of recombinations of them.
    """

    normal: Array
    recombined: Array


def trust(n: int) -> float:
    """Return how much the other experts, fitted on `n` rows, are trusted beside the base: n / (n + 30)."""
    return n / (n + _ROWS_TO_TRUST)


def contribution_of(classifier: Judged, rival: Judged | None, n: int) -> Contribution:
    """Decide the classifier's weight from rows that it was not fitted on.

    It speaks where recombined rows rank above normal ones better by the rival joined with it than by the
    rival alone, by more than two standard errors of the difference (DeLong, DeLong and Clarke-Pearson, 1988);
    without a rival, where they rank better by it than by chance, by more than three. The fewer the rows, the
    quieter; and quieter beside a rival, since what it takes for abnormal and is not then ranks before what
    the rival has found. How loud it is, in both cases, was chosen on half of the benchmark sets.

    Parameters
    ----------
    classifier : Judged
        The classifier's surprise.
    rival : Judged or None
        The neighbours' at the same rows.
    n : int
        Normal rows fitted.
    """
    if rival is None:
        weight, sure = _BESIDE_BASE_ALONE * trust(n), _SURE_OF_ANY
        above, below = _placements(classifier)
        learnability, rival_value = float(above.mean()), 0.5
        above, below = above - 0.5, below - 0.5
        told = f"with probability {learnability:.2f} by the classifier, {rival_value:.2f} by chance"
    else:
        weight, sure = _BESIDE_NEIGHBOURS * trust(n), _SURE_OF_MORE
        above, below = _placements(_joined(rival, classifier, weight))
        rival_above, rival_below = _placements(rival)
        learnability, rival_value = float(above.mean()), float(rival_above.mean())
        above, below = above - rival_above, below - rival_below
        told = (
            f"with probability {learnability:.3f} by neighbours and classifier, "
            f"{rival_value:.3f} by the neighbours alone"
        )
    error = float(np.sqrt(above.var() / len(above) + below.var() / len(below)))
    told = f"recombined rows rank above held-out normal ones {told}"
    if float(above.mean()) <= sure * error:
        return Contribution(0.0, learnability, rival_value, f"synthesis not used here: {told}")
    return Contribution(weight, learnability, rival_value, told)


def _joined(evidence: Judged, classifier: Judged, weight: float) -> Judged:
    return Judged(
        soft_maximum(evidence.normal, classifier.normal, weight),
        soft_maximum(evidence.recombined, classifier.recombined, weight),
    )


def _placements(judged: Judged) -> tuple[Array, Array]:
    """Return the shares of normal rows below each recombined one, and of recombined above each normal one."""
    return _share_below(judged.normal, judged.recombined), 1.0 - _share_below(
        judged.recombined, judged.normal
    )


def _share_below(reference: Array, values: Array) -> Array:
    ordered = np.sort(reference)
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(twice / (2 * len(ordered)))
