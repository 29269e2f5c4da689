"""The members of an enhanced detector, and how they become one score."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..detectors import DetectorSource
from ..errors import DetectorError, ProgramError
from ..programs import SynthesisProgram
from .bases import TREATMENTS, Treatment, thinned
from .joining import Contribution, TailSurprise, contribution_of, soft_maximum
from .members import Member, Snap

__all__ = ["Ensemble", "others"]

Array = NDArray[np.float64]

_FEW_ROWS = 300
_SOUND = 0.9
_MAX_TRIED = 2000


class Ensemble:
    """One member per fold of the normal rows, each gauged on the fold that it has not seen.

    Parameters
    ----------
    seed : int
        Deals the folds (3, or 5 below 300 rows) and seeds every member.

    Attributes
    ----------
    members_ : list of Member
        One per fold.
    contribution_ : Contribution
        The classifier's weight, and why.
    rows_ : array, shape (n, d), or None
        The rows fitted; None in a model that was loaded without them.
    held_scores_ : array, shape (n,)
        Joined score of every row fitted, by the member that has not seen it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, source: DetectorSource, program: SynthesisProgram, Z: Array, snap: Snap) -> Self:
        """Fit on normal rows.

        Parameters
        ----------
        source : DetectorSource
            Builds the base.
        program : SynthesisProgram
            Makes the hard anomalies.
        Z : array, shape (n, d)
            Finite.
        snap : callable
            Carries made rows to values that such a table can hold.
        """
        self.rows_: Array | None = Z
        folds = self.folds(len(Z))
        self.members_ = self._soundest(source, Z, folds)
        base = np.empty(len(Z))
        for member, fold in zip(self.members_, folds, strict=True):
            base[fold] = member.base_scores(Z[fold])
        self.base_surprise_ = TailSurprise().fit(base)
        log_odds = self._learn(program, Z, folds, snap)
        self.held_scores_ = self._joined(base, log_odds)
        return self

    def score(self, Z: Array) -> Array:
        """Return joined scores, shape (m,), in nats of surprise, of rows that were not fitted on."""
        base = np.mean([member.base_scores(Z) for member in self.members_], axis=0)
        if self.contribution_.weight == 0:
            return self._joined(base, None)
        return self._joined(base, np.mean([member.log_odds(Z) for member in self.members_], axis=0))

    def _soundest(self, source: DetectorSource, Z: Array, folds: list[NDArray[np.intp]]) -> list[Member]:
        """Return members under the first treatment whose bases score soundly, or else the soundest.

        Treatments are tried on a part of a long table.
        """
        best: list[Member] = []
        best_soundness = -1.0
        failure: DetectorError | None = None
        for treatment in TREATMENTS:
            try:
                members = self._fitted(source, treatment, Z, folds, _MAX_TRIED)
            except DetectorError as error:  # another treatment may suit it; if none does, this is raised
                failure = failure or error
                continue
            soundness = round(float(np.mean([member.soundness_ for member in members])), 1)
            if soundness > best_soundness:
                best, best_soundness = members, soundness
            if soundness >= _SOUND:
                break
        if not best and failure is not None:
            raise failure
        return (
            best if len(Z) <= _MAX_TRIED else self._fitted(source, best[0].base_.treatment, Z, folds, len(Z))
        )

    def _fitted(
        self,
        source: DetectorSource,
        treatment: Treatment,
        Z: Array,
        folds: list[NDArray[np.intp]],
        limit: int,
    ) -> list[Member]:
        seeds = [int(seed) >> 1 for seed in np.random.SeedSequence(self.seed).generate_state(len(folds))]
        return [
            Member(seed).fit(
                source, treatment, thinned(Z[others(fold, len(Z))], limit), thinned(Z[fold], limit)
            )
            for seed, fold in zip(seeds, folds, strict=True)
        ]

    def folds(self, n: int) -> list[NDArray[np.intp]]:
        """Return the indices of each fold of `n` rows."""
        n_folds = 5 if n < _FEW_ROWS else 3
        order = np.random.default_rng(self.seed).permutation(n)
        return [np.sort(order[k::n_folds]) for k in range(n_folds)]

    def _learn(
        self, program: SynthesisProgram, Z: Array, folds: list[NDArray[np.intp]], snap: Snap
    ) -> Array | None:
        """Fit the classifiers, judge them on rows not fitted, and return the log odds of all rows."""
        log_odds = np.empty((2, len(Z)))
        recombined = []
        try:
            for member, fold in zip(self.members_, folds, strict=True):
                member.learn(program, Z[others(fold, len(Z))], snap)
                log_odds[:, fold] = member.log_odds(Z[fold])
                recombined.append(member.log_odds(member.recombined(Z[fold], snap)))
        except ProgramError as error:
            # the base still serves, so the user is warned and not stopped
            reason = f"synthesis not used here: the program failed: {error}"
            warnings.warn(reason, stacklevel=4)
            self.contribution_ = Contribution(0.0, 0.5, reason)
        else:
            self.contribution_ = contribution_of(log_odds.mean(axis=0), np.hstack(recombined).mean(axis=0))
        if self.contribution_.weight == 0:
            for member in self.members_:
                member.classifier_ = None
            return None
        self.classifier_surprises_ = [TailSurprise().fit(row) for row in log_odds]
        return log_odds

    def _joined(self, base: Array, log_odds: Array | None) -> Array:
        surprise = self.base_surprise_(base)
        if log_odds is None:
            return surprise
        pairs = zip(self.classifier_surprises_, log_odds, strict=True)
        classifier = np.mean([curve(row) for curve, row in pairs], axis=0)
        return soft_maximum(surprise, classifier, self.contribution_.weight)


def others(fold: NDArray[np.intp], n: int) -> NDArray[np.bool_]:
    """Return a mask of the `n` rows that are not in the fold, those that its member is fitted on."""
    chosen = np.ones(n, dtype=bool)
    chosen[fold] = False
    return chosen
