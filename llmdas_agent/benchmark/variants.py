"""What of an enhanced detector is measured: its base with numerical faults cured, its parts, the whole."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cards import DetectorCard
from ..detectors import DetectorSource
from ..enhance import EnhancedDetector
from ..enhance.bases import TREATMENTS, CuredBase
from ..errors import DetectorError
from .programs import Candidate, as_synthesizer
from .protocol import Split

__all__ = [
    "ABLATIONS",
    "AS_GIVEN",
    "CURED",
    "ENHANCED",
    "WITHOUT_SYNTHESIS",
    "Enhanced",
    "calibrated_scores",
    "cured_scores",
]

Array = NDArray[np.float64]

AS_GIVEN = "base"
CURED = "base, cured"
ENHANCED = "enhanced"

WITHOUT_SYNTHESIS = "base + neighbours + tails"
ABLATIONS = ("base + classifier", "base + neighbours", WITHOUT_SYNTHESIS)
"""Parts of an enhanced detector, measured in every benchmark."""

_SOUND = 0.9


@dataclass(frozen=True)
class Enhanced:
    """Scores of the test rows by an enhanced detector and by parts of it.

    Attributes
    ----------
    scores : dict
        For each variant an array of shape (m,).
    weights : dict
        Weight of each part in the whole.
    note : str
        What the detector says of itself on this table; empty when nothing.
    """

    scores: dict[str, Array]
    weights: dict[str, float]
    note: str


def calibrated_scores(card: DetectorCard, candidate: Candidate, split: Split, seed: int) -> Enhanced:
    """Return the scores of an `EnhancedDetector`, with its one setting for all data sets.

    Parameters
    ----------
    card : DetectorCard
        The base.
    candidate : Candidate
        The program that makes its hard anomalies.
    split : Split
        Its labels are not looked at.
    seed : int
        Seeds everything.
    """
    detector = EnhancedDetector(card, synthesizer=as_synthesizer(candidate, card), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(split.X_train)
        scores = {ENHANCED: detector.decision_function(split.X_test)}
    return Enhanced(scores, dict(detector.weights_), detector.contribution_.reason)


def cured_scores(source: DetectorSource, split: Split, seed: int) -> Array:
    """Return the base's scores of the test rows with its numerical faults cured, shape (m,).

    The columns are treated as under the first of `TREATMENTS` that lets every other training row, not
    fitted, have a finite score of its own, or else under the soundest.

    Raises
    ------
    DetectorError
        When the base refuses the rows under every treatment.
    """
    fitted, held = split.X_train[::2], split.X_train[1::2]
    best, soundest, failure = TREATMENTS[0], -1.0, None
    for treatment in TREATMENTS:
        try:
            found = CuredBase(seed, treatment).fit(source, fitted).soundness(held)
        except DetectorError as error:  # another treatment may suit it; if none does, this is raised
            failure = failure or error
            continue
        if found > soundest:
            best, soundest = treatment, found
        if found >= _SOUND:
            break
    if soundest < 0 and failure is not None:
        raise failure
    return CuredBase(seed, best).fit(source, split.X_train).score(split.X_test)
