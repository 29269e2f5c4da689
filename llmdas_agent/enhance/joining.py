"""How the experts' scores become one, without labels.

Each is turned into *tail surprise*: −log of the share of held-out normal rows that score as high or
higher. On normal rows every surprise then has the same law, whatever unit its score had, so that they can be
set side by side. Evidence that needs no made rows is averaged, the surest heard most; the classifier, who
speaks only where it was seen to know more, is joined by a soft maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["TailSurprise", "power_mean", "soft_maximum"]

Array = NDArray[np.float64]

_EVIDENCE_POWER = 3
_MAXIMUM_POWER = 4
_TIE = 1e-9
_LEAST_EXCESS = 0.1


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


def power_mean(surprises: Sequence[Array], weights: Sequence[float]) -> Array:
    """Return (Σ (wₑ·sₑ)³ / Σ wₑ³)^⅓ over experts: a surprise again, near that of the one who is most sure.

    Parameters
    ----------
    surprises : sequence of array, each of shape (m,)
        At least 0.
    weights : sequence of float
        One each, not all 0.
    """
    told = np.average(
        np.stack(surprises) ** _EVIDENCE_POWER, axis=0, weights=np.asarray(weights) ** _EVIDENCE_POWER
    )
    return np.asarray(told ** (1 / _EVIDENCE_POWER))


def soft_maximum(evidence: Array, classifier: Array, weight: float) -> Array:
    """Return (e⁴ + (w·c)⁴)^¼: near the larger of the two, above it where both are high."""
    return np.asarray(np.linalg.norm([evidence, weight * classifier], ord=_MAXIMUM_POWER, axis=0))
