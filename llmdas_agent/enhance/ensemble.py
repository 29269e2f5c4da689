"""The experts of an enhanced detector, how they are gauged, and how they become one score."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..detectors import DetectorSource
from ..errors import ProgramError
from ..programs import SynthesisProgram
from .bases import CuredBase, soundest
from .classifiers import MadeRowClassifiers
from .constants import Constants
from .gate import Contribution, Judged, contribution_of, trust
from .joining import TailSurprise, power_mean, soft_maximum
from .members import Member, Snap
from .neighbours import Neighbours
from .tails import Tails

__all__ = ["EXPERTS", "Ensemble"]

Array = NDArray[np.float64]
Fold = NDArray[np.intp]

EXPERTS = ("base", "neighbours", "tails", "classifier")

_FEW_ROWS = 300
_MAX_NEIGHBOURS = 3000
_NOT_ASKED = Contribution(0.0, 0.5, 0.5, "synthesis not used here: the classifier was left out")


class Ensemble:
    """Base, neighbours, tails and classifiers, each turned into tail surprise on rows it has not seen.

    Base and tails are fitted on all rows, and once for every fold on the others to see what they make of rows
    that they were not fitted on; neighbours leave each row out of its own; of the classifiers one stays per
    fold, and their mean is used. What departs from a column that never varied lies in its tail.

    Parameters
    ----------
    seed : int
        Deals the folds (3, or 5 below 300 rows) and seeds everything.
    experts : sequence of str
        Those of `EXPERTS` that take part; the base always does.

    Attributes
    ----------
    weights_ : dict of str to float
        Each expert's weight.
    contribution_ : Contribution
        The classifier's weight, and why.
    rows_ : array, shape (n, d), or None
        The rows fitted; None in a model that was loaded without them.
    held_scores_ : array, shape (n,)
        Joined score of every row fitted, by experts that have not seen it.
    """

    def __init__(self, seed: int, experts: Sequence[str] = EXPERTS) -> None:
        self.seed = seed
        self.experts = tuple(experts)

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
        members = self._fitted(source, Z, folds)
        self.base_ = CuredBase(members[0].seed, members[0].base_.treatment).fit(source, Z)
        held = {"base": self._gauge_base(members, Z, folds)}
        if "neighbours" in self.experts:
            held["neighbours"] = self._gauge_neighbours(Z)
        if "tails" in self.experts:
            held["tails"] = self._gauge_tails(Z, folds)
        self.classifiers_: list[MadeRowClassifiers] = []
        self.contribution_ = _NOT_ASKED
        if "classifier" in self.experts:
            held |= self._learn(members, program, Z, folds, snap)
        self.weights_ = {name: weight for name, weight in _weights(len(Z)).items() if name in held}
        self.weights_["classifier"] = self.contribution_.weight
        self.held_scores_ = self.join(held)
        return self

    def surprises(self, Z: Array) -> dict[str, Array]:
        """Return each weighty expert's surprise at rows that were not fitted, shape (m,), in nats."""
        told = {"base": self.base_surprise_(self.base_.unit_score(Z))}
        if "neighbours" in self.experts:
            told["neighbours"] = self.neighbours_(Z)
        if "tails" in self.experts:
            along = _mean_surprise(self.tail_surprises_, self.tails_.score(Z))
            told["tails"] = np.maximum(along, self.constants_(Z))
        if self.classifiers_:
            log_odds = np.mean([classifiers.score(Z) for classifiers in self.classifiers_], axis=0)
            told["classifier"] = _mean_surprise(self.classifier_surprises_, log_odds)
        return told

    def join(self, surprises: Mapping[str, Array]) -> Array:
        """Return one score from the experts' surprises, shape (m,), in nats."""
        calm = [name for name in surprises if name != "classifier"]
        evidence = power_mean([surprises[name] for name in calm], [self.weights_[name] for name in calm])
        if not self.weights_["classifier"]:
            return evidence
        return soft_maximum(evidence, surprises["classifier"], self.weights_["classifier"])

    def score(self, Z: Array) -> Array:
        """Return joined scores, shape (m,), of rows that were not fitted."""
        return self.join(self.surprises(Z))

    def folds(self, n: int) -> list[Fold]:
        """Return the indices of each fold of `n` rows."""
        n_folds = 5 if n < _FEW_ROWS else 3
        order = np.random.default_rng(self.seed).permutation(n)
        return [np.sort(order[k::n_folds]) for k in range(n_folds)]

    def _gauge_base(self, members: Sequence[Member], Z: Array, folds: Sequence[Fold]) -> Array:
        held = np.empty(len(Z))
        for member, fold in zip(members, folds, strict=True):
            held[fold] = member.base_.unit_score(Z[fold])
        self.base_surprise_ = TailSurprise().fit(held)
        return self.base_surprise_(held)

    def _gauge_neighbours(self, Z: Array) -> Array:
        kept = np.zeros(len(Z), dtype=bool)
        kept[np.random.default_rng(self.seed).permutation(len(Z))[:_MAX_NEIGHBOURS]] = True
        self.neighbours_ = Neighbours().fit(Z[kept])
        held = np.empty(len(Z))
        held[kept] = self.neighbours_.own_
        if not kept.all():
            held[~kept] = self.neighbours_(Z[~kept])
        return held

    def _gauge_tails(self, Z: Array, folds: Sequence[Fold]) -> Array:
        held = np.empty((2, len(Z)))
        for fold in folds:
            held[:, fold] = Tails().fit(Z[_others(fold, len(Z))]).score(Z[fold])
        self.tails_ = Tails().fit(Z)
        self.tail_surprises_ = [TailSurprise().fit(row) for row in held]
        self.constants_ = Constants().fit(Z)
        return np.maximum(_mean_surprise(self.tail_surprises_, held), self.constants_.own_)

    def _learn(
        self,
        members: Sequence[Member],
        program: SynthesisProgram,
        Z: Array,
        folds: Sequence[Fold],
        snap: Snap,
    ) -> dict[str, Array]:
        """Fit the classifiers, judge them on rows not fitted, and return their surprise where they serve."""
        held: list[Array] = []
        made: list[Array] = []
        rivals: list[Judged] = []
        try:
            for member, fold in zip(members, folds, strict=True):
                normal = Z[_others(fold, len(Z))]
                member.learn(program, normal, snap)
                recombined = member.recombined(Z[fold], snap)
                held.append(member.classifiers_.score(Z[fold]))
                made.append(member.classifiers_.score(recombined))
                if "neighbours" in self.experts:
                    rival = member.rival(normal)
                    rivals.append(Judged(rival(Z[fold]), rival(recombined)))
        except ProgramError as error:
            # the other experts still serve, so the user is warned and not stopped
            reason = f"synthesis not used here: the program failed: {error}"
            warnings.warn(reason, stacklevel=4)
            self.contribution_ = Contribution(0.0, 0.5, 0.5, reason)
            return {}
        surprises = [TailSurprise().fit(row) for row in np.hstack(held)]
        told = [_mean_surprise(surprises, part) for part in held]
        recombined_told = _mean_surprise(surprises, np.hstack(made))
        self.contribution_ = contribution_of(
            Judged(np.concatenate(told), recombined_told), _together(rivals), len(Z)
        )
        if self.contribution_.weight == 0:
            return {}
        self.classifiers_ = [member.classifiers_ for member in members]
        self.classifier_surprises_ = surprises
        own = np.empty(len(Z))
        own[np.concatenate(folds)] = np.concatenate(told)
        return {"classifier": own}

    def _fitted(self, source: DetectorSource, Z: Array, folds: Sequence[Fold]) -> list[Member]:
        treatment = soundest(source, Z, self.seed)
        seeds = [int(seed) >> 1 for seed in np.random.SeedSequence(self.seed).generate_state(len(folds))]
        return [
            Member(seed).fit(source, treatment, Z[_others(fold, len(Z))])
            for seed, fold in zip(seeds, folds, strict=True)
        ]


def _weights(n: int) -> dict[str, float]:
    """Return what each expert weighs: with few rows the base speaks nearly alone, with many half as loud.

    Chosen on the toy scenarios, among the settings that half of the benchmark sets cannot tell apart.
    """
    trusted = trust(n)
    return {"base": 1.0 - trusted / 2, "neighbours": trusted, "tails": 0.75 * trusted}


def _others(fold: Fold, n: int) -> NDArray[np.bool_]:
    """Return a mask of the `n` rows that are not in the fold, those that its member is fitted on."""
    chosen = np.ones(n, dtype=bool)
    chosen[fold] = False
    return chosen


def _mean_surprise(surprises: Sequence[TailSurprise], scores: Array) -> Array:
    told = [surprise(row) for surprise, row in zip(surprises, scores, strict=True)]
    return np.asarray(np.mean(told, axis=0))


def _together(parts: Sequence[Judged]) -> Judged | None:
    if not parts:
        return None
    return Judged(
        np.concatenate([part.normal for part in parts]), np.concatenate([part.recombined for part in parts])
    )
