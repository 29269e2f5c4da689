"""One member of an enhanced detector: every expert, fitted on the same part of the normal rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..detectors import DetectorSource
from ..programs import SynthesisProgram
from ..sandbox import run_program
from .background import background_families, recombined_rows
from .bases import CuredBase, Treatment, thinned
from .classifiers import MadeRowClassifiers
from .neighbours import Neighbours
from .spaces import usable_columns

__all__ = ["Member", "Snap", "hard_anomalies"]

Array = NDArray[np.float64]

Snap = Callable[[Array], Array]
"""Carries made rows to values that such a table can hold, shape kept."""

_N_MADE = 600
_MAX_LEARNT = 2500
_MAX_JUDGED = 600
_LEAST_JUDGED = 100
_MAX_RIVAL = 2000


class Member:
    """Experts fitted on some normal rows, to be gauged on others.

    Parameters
    ----------
    seed : int
        Seeds the base, the program, the background rows and the classifiers.

    Attributes
    ----------
    base_ : CuredBase
        Fitted.
    classifiers_ : MadeRowClassifiers
        Fitted, once `learn` has run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, source: DetectorSource, treatment: Treatment, normal: Array) -> Self:
        """Fit the base.

        Parameters
        ----------
        source : DetectorSource
            Builds it.
        treatment : Treatment
            What is done to the columns first.
        normal : array, shape (n, d)
            Rows to be fitted, finite.

        Raises
        ------
        DetectorError
            When the base refuses the rows.
        """
        self.base_ = CuredBase(self.seed, treatment).fit(source, normal)
        return self

    def learn(self, program: SynthesisProgram, normal: Array, snap: Snap) -> Self:
        """Fit the classifiers on normal rows against three background families and the program's rows.

        Raises
        ------
        ProgramError
            When the program breaks its contract on these rows.
        SandboxError
            When the sandbox cannot work on this machine.
        """
        hard = snap(hard_anomalies(program, self.base_, normal, _N_MADE, self.seed))
        rng = np.random.default_rng(self.seed)
        broad = [
            snap(made) for made in _in_usable_columns(normal, lambda Z: background_families(Z, _N_MADE, rng))
        ]
        self.classifiers_ = MadeRowClassifiers(self.seed).fit(thinned(normal, _MAX_LEARNT), [*broad, hard])
        return self

    def recombined(self, held: Array, snap: Snap) -> Array:
        """Return recombinations of held-out rows, shape (m, d), m from 100 to 600."""
        rng = np.random.default_rng(self.seed + 1)
        count = min(max(len(held), _LEAST_JUDGED), _MAX_JUDGED)
        return snap(_in_usable_columns(held, lambda Z: [recombined_rows(Z, count, rng)])[0])

    def rival(self, normal: Array) -> Neighbours:
        """Return the neighbours as the classifier's rival knows them: from this member's rows alone."""
        return Neighbours().fit(thinned(normal, _MAX_RIVAL))


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


def _in_usable_columns(Z: Array, make: Callable[[Array], list[Array]]) -> list[Array]:
    """Return families of rows made from the columns that vary, the others at their constant."""
    usable = usable_columns(Z)
    families = []
    for made in make(Z[:, usable]):
        rows = np.repeat(Z[:1], len(made), axis=0)
        rows[:, usable] = made
        families.append(rows)
    return families
