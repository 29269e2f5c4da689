"""The learnability gate: whether the classifier was seen to know on this table what its rivals do not.

Normal rows that no expert was fitted on are set against recombinations of them, whose every value is normal
and whose combination is not. No label enters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Contribution", "Judged", "contribution_of", "trust"]

Array = NDArray[np.float64]

_SURE = 3.0
_ROWS_TO_TRUST = 30


@dataclass(frozen=True)
class Contribution:
    """What the classifier adds to the joined score, and why.

    Attributes
    ----------
    weight : float
        In [0, 1). Zero means that synthesis is not used on this table.
    learnability : float
        Probability that the classifier ranks a recombination of held-out normal rows above a held-out
        normal row; 0.5 is chance.
    rival : float
        The same of the neighbours, or of chance where they do not take part.
    reason : str
        One sentence for the user.
    """

    weight: float
    learnability: float
    rival: float
    reason: str


@dataclass(frozen=True)
class Judged:
    """An expert's scores of rows that it was not fitted on.

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

    It speaks where it ranks recombined rows above normal ones better than the rival does (or chance, without
    one) by more than three standard errors of the difference (DeLong, DeLong and Clarke-Pearson, 1988), and
    the fewer the rows, the quieter.

    Parameters
    ----------
    classifier : Judged
        Scores by the classifier.
    rival : Judged or None
        Scores of the same rows by the neighbours.
    n : int
        Normal rows fitted.
    """
    above, below = _placements(classifier)
    learnability, rival_value, who = float(above.mean()), 0.5, "chance"
    if rival is not None:
        rival_above, rival_below = _placements(rival)
        rival_value, who = float(rival_above.mean()), "the neighbours'"
        above, below = above - rival_above, below - rival_below
    else:
        above, below = above - 0.5, below - 0.5
    error = float(np.sqrt(above.var() / len(above) + below.var() / len(below)))
    told = (
        f"recombined rows rank above held-out normal ones with probability {learnability:.2f}, "
        f"against {who} {rival_value:.2f}"
    )
    if float(above.mean()) <= _SURE * error:
        return Contribution(0.0, learnability, rival_value, f"synthesis not used here: {told}")
    return Contribution(trust(n), learnability, rival_value, told)


def _placements(judged: Judged) -> tuple[Array, Array]:
    """Return the shares of normal rows below each recombined one, and of recombined above each normal one."""
    return _share_below(judged.normal, judged.recombined), 1.0 - _share_below(
        judged.recombined, judged.normal
    )


def _share_below(reference: Array, values: Array) -> Array:
    ordered = np.sort(reference)
    twice = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(twice / (2 * len(ordered)))
