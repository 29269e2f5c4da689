"""How the base's and the classifier's scores become one, without labels.

Each is turned into *tail surprise*: −log of the share of held-out normal rows that score as high or
higher. On normal rows every surprise then has the same law, whatever unit its score had, so that two of
them can be set side by side; and the join is a soft maximum, so that one expert who is sure is heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Contribution", "TailSurprise", "contribution_of", "soft_maximum"]

Array = NDArray[np.float64]

_POWER = 4
_TIE = 1e-9
_LEAST_EXCESS = 0.1
_ROWS_TO_TRUST = 30
_SURE = 2.0


class TailSurprise:
    """−log of the upper-tail probability of a score among held-out normal rows.

    Scores closer than 1e-9 of the largest are tied. Between the held-out scores it is interpolated, which
    makes it continuous; beyond the highest it goes on as 2·log(1 + e / 2b), e the excess and b the mean
    excess over the 90th percentile: the tail of a generalized Pareto law of shape 1/2 (Pickands, 1975). Far
    rows stay ordered and never saturate.
    """

    def fit(self, scores: Array) -> Self:
        """Fit on the scores of held-out normal rows, shape (n,)."""
        self.size_ = float(np.abs(scores).max()) or 1.0
        rounded = np.round(scores / self.size_ / _TIE) * _TIE
        self.knots_, counts = np.unique(rounded, return_counts=True)
        at_or_above = counts[::-1].cumsum()[::-1]
        self.surprises_ = np.log((len(scores) + 1) / at_or_above)
        start = np.quantile(rounded, 0.9)
        excess = float(np.mean(rounded[rounded >= start] - start))
        # where the highest scores are tied there is no excess to measure, and the spread of all stands in
        spread = float(np.mean(np.abs(rounded - np.median(rounded))))
        self.excess_ = max(excess, _LEAST_EXCESS * spread, _TIE)
        return self

    def __call__(self, scores: Array) -> Array:
        """Return the surprise of each score, shape (m,), from about 0 upwards, in nats."""
        scaled = scores / self.size_
        beyond = np.maximum(scaled - self.knots_[-1] - _TIE, 0.0)
        within = np.interp(scaled, self.knots_, self.surprises_)
        return np.asarray(within + 2.0 * np.log1p(beyond / (2.0 * self.excess_)))


def soft_maximum(base: Array, classifier: Array, weight: float) -> Array:
    """Return (base⁴ + (weight · classifier)⁴)^¼: near the larger of the two, above it where both are high."""
    return np.asarray((base**_POWER + (weight * classifier) ** _POWER) ** (1 / _POWER))


@dataclass(frozen=True)
class Contribution:
    """What the classifier adds to the joined score, and why.

    Attributes
    ----------
    weight : float
        In [0, 1]; the base's is 1. Zero means that synthesis is not used on this table.
    learnability : float
        Probability that the classifier ranks a recombination of held-out normal rows above a held-out
        normal row; 0.5 is chance.
    reason : str
        One sentence for the user.
    """

    weight: float
    learnability: float
    reason: str


def contribution_of(held: Array, recombined: Array) -> Contribution:
    """Decide the classifier's weight from rows that it was not fitted on.

    It speaks only where it was seen to rank recombined rows above normal ones by more than two standard
    errors of chance (Mann and Whitney, 1947), and the fewer the rows, the quieter: n / (n + 30).

    Parameters
    ----------
    held, recombined : array, shape (n,) and (m,)
        The classifier's scores of held-out normal rows and of recombinations of them.
    """
    n, m = len(held), len(recombined)
    ordered = np.sort(held)
    below = np.searchsorted(ordered, recombined, "left") + np.searchsorted(ordered, recombined, "right")
    learnability = float(np.mean(below) / (2 * n))
    chance = 0.5 + _SURE * float(np.sqrt((n + m + 1) / (12 * n * m)))
    told = f"recombined rows rank above held-out normal ones with probability {learnability:.2f}"
    if learnability <= chance:
        return Contribution(0.0, learnability, f"synthesis not used here: {told}, which may be chance")
    return Contribution(n / (n + _ROWS_TO_TRUST), learnability, told)
