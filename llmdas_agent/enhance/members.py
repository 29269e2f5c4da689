"""One member of an enhanced detector: base and classifier, fitted on the same part of the normal rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..detectors import DetectorSource
from ..programs import SynthesisProgram
from ..sandbox import run_program
from .background import background_rows, recombined_rows
from .bases import CuredBase, Treatment
from .classifiers import MadeRowClassifier
from .spaces import usable_columns

__all__ = ["Member", "Snap", "hard_anomalies"]

Array = NDArray[np.float64]

Snap = Callable[[Array], Array]
"""Carries made rows to values that such a table can hold, shape kept."""

_N_MADE = 600
_PROGRAM_SHARE = 0.25


class Member:
    """Base and classifier, fitted on some normal rows and gauged on others.

    Parameters
    ----------
    seed : int
        Seeds the base, the program, the background rows and the classifier.

    Attributes
    ----------
    base_ : CuredBase
        Fitted.
    soundness_ : float
        Distinct scores for each distinct held-out row.
    classifier_ : MadeRowClassifier or None
        Fitted, once `learn` has run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.classifier_: MadeRowClassifier | None = None

    def fit(self, source: DetectorSource, treatment: Treatment, normal: Array, held: Array) -> Self:
        """Fit the base.

        Parameters
        ----------
        source : DetectorSource
            Builds it.
        treatment : Treatment
            What is done to the columns first.
        normal : array, shape (n, d)
            Rows to be fitted, finite.
        held : array, shape (m, d)
            Rows that show how it scores what it has not seen.

        Raises
        ------
        DetectorError
            When the base refuses the rows.
        """
        self.base_ = CuredBase(self.seed, treatment).fit(source, normal)
        self.soundness_ = self.base_.soundness(held)
        scores = self.base_.score(held)
        # units differ with the rows fitted (OCSVM's scores grow with their number)
        self.middle_ = float(np.median(scores))
        self.width_ = float(np.mean(np.abs(scores - self.middle_))) or 1.0
        return self

    def learn(self, program: SynthesisProgram, normal: Array, snap: Snap) -> Self:
        """Fit the classifier on the same rows against the program's and the background's.

        The background weighs three quarters of all made rows, the program's one quarter, and made rows as
        much as normal ones.

        Raises
        ------
        ProgramError
            When the program breaks its contract on these rows.
        SandboxError
            When the sandbox cannot work on this machine.
        """
        hard = snap(hard_anomalies(program, self.base_, normal, _N_MADE, self.seed))
        rng = np.random.default_rng(self.seed)
        broad = snap(_in_usable_columns(normal, lambda part: background_rows(part, _N_MADE, rng)))
        shares = np.repeat([1 - _PROGRAM_SHARE, _PROGRAM_SHARE], [len(broad), len(hard)])
        sizes = np.repeat([len(broad), len(hard)], [len(broad), len(hard)])
        weights = np.concatenate([np.ones(len(normal)), shares / sizes * len(normal)])
        # one thread: the result then does not depend on the number of cores, and small matrices gain nothing
        with threadpool_limits(1):
            self.classifier_ = MadeRowClassifier(self.seed).fit(normal, np.vstack([broad, hard]), weights)
        return self

    def base_scores(self, Z: Array) -> Array:
        """Return the base's scores in the unit of this member's held-out rows, shape (m,)."""
        return np.asarray((self.base_.score(Z) - self.middle_) / self.width_)

    def log_odds(self, Z: Array) -> Array:
        """Return the classifier's log odds, shape (2, m)."""
        if self.classifier_ is None:
            raise ValueError("this member has not learnt a classifier")
        return self.classifier_.score(Z)

    def recombined(self, held: Array, snap: Snap) -> Array:
        """Return as many recombinations of held-out rows as there are rows, shape (m, d)."""
        rng = np.random.default_rng(self.seed + 1)
        return snap(_in_usable_columns(held, lambda part: recombined_rows(part, len(part), rng)))


def hard_anomalies(program: SynthesisProgram, base: CuredBase, Z: Array, n_samples: int, seed: int) -> Array:
    """Run a program on normal rows, in the sandbox.

    Parameters
    ----------
    program : SynthesisProgram
        What is run.
    base : CuredBase
        Fitted; answers the program's questions.
    Z : array, shape (n, d)
        Normal rows, finite.
    n_samples : int
        Rows to be made.
    seed : int
        The same seed makes the same rows.

    Returns
    -------
    array, shape (n_samples, d)

    Raises
    ------
    ProgramError
        When it breaks its contract on these rows.
    SandboxError
        When the sandbox cannot work on this machine.
    """
    return run_program(program, n_samples=n_samples, X_train=Z, score=base.score, seed=seed).rows


def _in_usable_columns(Z: Array, make: Callable[[Array], Array]) -> Array:
    """Return rows made from the columns that vary, the others at their constant."""
    usable = usable_columns(Z)
    made = make(Z[:, usable])
    rows = np.repeat(Z[:1], len(made), axis=0)
    rows[:, usable] = made
    return rows
