"""The base detector made fit to be joined: finite, not constant, and the same for a row whatever its batch.

Three faults are common enough to be cured here, by what the scores show and never by a detector's name.

* Constant and linearly dependent columns make some detectors divide by zero or nearly (PyOD's PCA), and
  columns of very different scale make others score every new row alike (OCSVM with the default kernel
  width). The columns are therefore taken as they are, or the independent ones alone, or those standardized:
  the first of these treatments under which held-out normal rows get finite and distinct scores.
* Some detectors pool the rows being scored with the training rows (PyOD's ECOD and COPOD). They are
  recognised by scoring a few rows together and alone, and from then on score each row alone.
* A row so far out that its score is not finite gets one beyond all that were seen.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from ..detectors import DetectorSource, guarded
from ..errors import DetectorError
from .pooling import PooledTails
from .spaces import Standard, usable_columns

__all__ = ["TREATMENTS", "CuredBase", "Treatment", "independent_columns", "soundest", "thinned"]

Array = NDArray[np.float64]
Treatment = Literal["as given", "independent columns", "independent columns, standardized"]
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)

_PROBED = 3
_SETTLED = 1000
_REACH = 1e6
_BLOWN_UP = 1e15
_SOUND = 0.9
_MAX_TRIED = 4000
_OTHERWISE = "Try it on these rows on its own, or choose another base"


def independent_columns(Z: Array) -> NDArray[np.intp]:
    """Return columns that span what all columns span, constants left out.

    Parameters
    ----------
    Z : array, shape (n, d)

    Returns
    -------
    array of int, shape (r,)
        Ascending indices, by QR with column pivoting of the standardized table.
    """
    usable = usable_columns(Z)
    S = Standard().fit(Z[:, usable]).transform(Z[:, usable])
    _, triangle, order = qr(S, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = max(1, int(np.sum(size > 1e-7 * size[0])))
    return np.sort(usable[order[:rank]])


def thinned(Z: Array, limit: int) -> Array:
    """Return every k-th row, k the least that leaves no more than `limit`."""
    return Z[:: -(-len(Z) // limit) or 1]


class CuredBase:
    """A base detector whose scores are finite and independent of their batch.

    Parameters
    ----------
    random_state : int
        Seeds the detector, where it takes a seed.
    treatment : Treatment
        What is done to the columns first.

    Attributes
    ----------
    detector_ : Detector
        Fitted.
    pools_ : bool
        Whether the detector pools the rows that it scores; each is then scored alone.
    """

    def __init__(self, random_state: int, treatment: Treatment = "as given") -> None:
        self.random_state = random_state
        self.treatment = treatment

    def fit(self, source: DetectorSource, Z: Array) -> Self:
        """Fit on normal rows.

        Parameters
        ----------
        source : DetectorSource
            Builds the detector.
        Z : array, shape (n, d)
            Finite.

        Raises
        ------
        DetectorError
            When the detector refuses the rows.
        """
        # values so far out that a detector's arithmetic overflows are as far out as it can tell
        reach = _REACH * np.maximum(np.ptp(Z, axis=0), 1.0 + np.abs(Z).max(axis=0))
        self.low_, self.high_ = Z.min(axis=0) - reach, Z.max(axis=0) + reach
        as_given = self.treatment == "as given"
        self.columns_ = np.arange(Z.shape[1]) if as_given else independent_columns(Z)
        self.standard_ = (
            Standard().fit(Z[:, self.columns_]) if self.treatment.endswith("standardized") else None
        )
        self.detector_ = source.make(self.random_state)
        failure, where = f"{source.class_path} cannot be fitted on this table", f"detector '{source.name}'"
        with guarded(failure, where=where, hint=_OTHERWISE), np.errstate(all="ignore"):
            self.detector_.fit(self._prepared(Z))
            self._settle(Z)
        return self

    def unit_score(self, Z: Array) -> Array:
        """Return scores, shape (m,), less the fitted rows' median, in multiples of their mean deviation.

        Units differ with the rows fitted (OCSVM's scores grow with their number); so measured, scores of the
        same detector fitted on different rows can be set side by side.
        """
        return np.asarray((self.score(Z) - self.middle_score_) / self.deviation_)

    def score(self, Z: Array) -> Array:
        """Return scores, shape (m,), finite, higher for more abnormal rows.

        Raises
        ------
        DetectorError
            When the detector fails on them.
        """
        return np.nan_to_num(
            self._scored(Z), nan=self.middle_score_, posinf=self.highest_score_, neginf=self.lowest_score_
        )

    def soundness(self, held: Array) -> float:
        """Return how many distinct scores there are for each distinct row, or 0.

        It is 0 when one is not finite, or all are so large that they must have been divided by a rounding
        error where zero was meant.

        Parameters
        ----------
        held : array, shape (m, d)
            Normal rows that were not fitted.
        """
        scores = self._scored(held)
        if not np.isfinite(scores).all():
            return 0.0
        if np.median(np.abs(scores)) > _BLOWN_UP * (1.0 + np.abs(held).max()):
            return 0.0
        size = float(np.abs(scores).max()) or 1.0
        return len(np.unique(np.round(scores / size, 9))) / len(np.unique(held, axis=0))

    def _settle(self, Z: Array) -> None:
        probe = self._prepared(Z[:_PROBED])
        alone = [self._detector_scores(row[None]) for row in probe]
        self.pools_ = not np.allclose(
            self._detector_scores(probe), np.concatenate(alone), rtol=1e-6, atol=1e-9, equal_nan=True
        )
        scores = self._raw(thinned(Z, _SETTLED))
        finite = scores[np.isfinite(scores)] if np.isfinite(scores).any() else np.zeros(1)
        spread = float(np.ptp(finite)) or 1.0
        self.middle_score_ = float(np.median(finite))
        self.deviation_ = float(np.mean(np.abs(finite - self.middle_score_))) or 1.0
        self.highest_score_, self.lowest_score_ = float(finite.max()) + spread, float(finite.min()) - spread

    def _scored(self, Z: Array) -> Array:
        where = f"detector {type(self.detector_).__name__}"
        with guarded("cannot score these rows", where=where, hint=_OTHERWISE), np.errstate(all="ignore"):
            return self._raw(Z)

    def _raw(self, Z: Array) -> Array:
        prepared = self._prepared(Z)
        if not self.pools_:
            return self._detector_scores(prepared)
        tails = PooledTails.of(self.detector_)
        if tails is not None:
            return tails.score(prepared)
        return np.concatenate([self._detector_scores(row[None]) for row in prepared])

    def _prepared(self, Z: Array) -> Array:
        chosen = np.clip(Z, self.low_, self.high_)[:, self.columns_]
        return np.ascontiguousarray(chosen if self.standard_ is None else self.standard_.transform(chosen))

    def _detector_scores(self, prepared: Array) -> Array:
        return np.asarray(self.detector_.decision_function(prepared), dtype=np.float64).ravel()


def soundest(source: DetectorSource, Z: Array, random_state: int) -> Treatment:
    """Return the first treatment under which rows not fitted score soundly, or else the soundest.

    Sound is a finite score of its own for nine in ten distinct rows of every other one, held out. Of a long
    table at most 4,000 rows are looked at.

    Parameters
    ----------
    source : DetectorSource
        Builds the detector.
    Z : array, shape (n, d)
        Normal rows, finite, at least two.
    random_state : int
        Seeds the detector.

    Raises
    ------
    DetectorError
        When the detector refuses the rows under every treatment.
    """
    rows = thinned(Z, _MAX_TRIED)
    found: dict[Treatment, float] = {}
    failures: list[DetectorError] = []
    for treatment in TREATMENTS:
        try:
            base = CuredBase(random_state, treatment).fit(source, rows[::2])
        except DetectorError as error:  # another treatment may suit it; if none does, this is raised
            failures.append(error)
            continue
        found[treatment] = round(base.soundness(rows[1::2]), 1)
        if found[treatment] >= _SOUND:
            return treatment
    if not found:
        raise failures[0]
    return max(found, key=found.__getitem__)
