"""The paper's own form: base and classifier added up after min-max scaling on training scores.

Ye et al., "LLM as an Algorithmist", ICLR 2026: hard anomalies number a tenth of the training rows, and
F(x) = minmax(f(x)) + λ · minmax(f̃(x)), f the detector, f̃ the classifier, both scaled by their scores of the
normal training rows. λ is 1 throughout, where the published code sets it for each data set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from ..detectors import Detector, DetectorSource
from ..errors import UnknownNameError, did_you_mean
from ..programs import SynthesisProgram
from ..sandbox import run_program
from .protocol import Split, finite_scores, fitted_as_given

__all__ = ["CLASSIFIERS", "made_rows", "paper_scores"]

Array = NDArray[np.float64]

CLASSIFIERS = ("forest", "svc")
"""Those of the published code: a random forest, the paper's default, and a support vector machine."""

_SHARE = 0.1
_FEWEST = 2


def made_rows(program: SynthesisProgram, detector: Detector, X_train: Array, seed: int) -> Array:
    """Return a program's rows for a fitted detector, a tenth as many as training rows, at least two."""

    def score(rows: Array) -> Array:
        return finite_scores(detector, rows)

    n_samples = max(_FEWEST, int(_SHARE * len(X_train)))
    return run_program(program, n_samples=n_samples, X_train=X_train, score=score, seed=seed).rows


def paper_scores(
    source: DetectorSource, program: SynthesisProgram, classifier: str, split: Split, seed: int
) -> Array:
    """Return the test rows' scores of a detector enhanced in the paper's own form, shape (m,).

    Parameters
    ----------
    source : DetectorSource
        Builds the detector, which is fitted and scored as its library gives it.
    program : SynthesisProgram
        Makes the hard anomalies, in the sandbox.
    classifier : str
        One of `CLASSIFIERS`.
    split : Split
        Its labels are not looked at.
    seed : int
        Seeds detector, program and classifier.

    Raises
    ------
    ProgramError
        When the program breaks its contract on these rows.
    SandboxError
        When the sandbox cannot work on this machine.
    UnknownNameError
        When there is no such classifier.
    """
    detector = fitted_as_given(source, split.X_train, seed)
    hard = made_rows(program, detector, split.X_train, seed)
    model = _made(classifier, len(hard), seed).fit(
        np.vstack([split.X_train, hard]), np.repeat([0, 1], [len(split.X_train), len(hard)])
    )
    base_train, base_test = (finite_scores(detector, X) for X in (split.X_train, split.X_test))
    made_train, made_test = (model.predict_proba(X)[:, 1] for X in (split.X_train, split.X_test))
    return _scaled(made_train, made_test) + _scaled(base_train, base_test)


def _scaled(train: Array, test: Array) -> Array:
    return np.asarray(MinMaxScaler().fit(train[:, None]).transform(test[:, None]).ravel())


def _made(classifier: str, n_hard: int, seed: int) -> RandomForestClassifier | CalibratedClassifierCV:
    if classifier == "forest":
        return RandomForestClassifier(random_state=seed)
    if classifier == "svc":
        # what SVC's own option of probabilities does, which newer releases of scikit-learn give up
        return CalibratedClassifierCV(SVC(random_state=seed), ensemble=False, cv=min(5, n_hard))
    raise UnknownNameError(
        f"there is no classifier '{classifier}'",
        where="--classifiers",
        hint=did_you_mean(classifier, CLASSIFIERS),
    )
