"""What of an enhanced detector is measured: its base with numerical faults cured, its parts, the whole."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cards import DetectorCard
from ..detectors import DetectorSource
from ..enhance import EnhancedDetector
from ..enhance.bases import CuredBase, soundest
from ..enhance.ensemble import EXPERTS
from .programs import Candidate, as_synthesizer
from .protocol import Split

__all__ = [
    "ABLATIONS",
    "AS_GIVEN",
    "CURED",
    "ENHANCED",
    "PAPER_FORM",
    "WITHOUT_SYNTHESIS",
    "Scored",
    "cured_scores",
    "paper_form",
    "whole_and_parts",
]

Array = NDArray[np.float64]

AS_GIVEN = "base"
CURED = "base, cured"
ENHANCED = "enhanced"

PAPER_FORM = "base + classifier"
WITHOUT_SYNTHESIS = "base + neighbours + tails"
ABLATIONS = {
    PAPER_FORM: ("base", "classifier"),
    "base + neighbours": ("base", "neighbours"),
    WITHOUT_SYNTHESIS: ("base", "neighbours", "tails"),
}
"""Parts of an enhanced detector that every benchmark measures, each with its experts."""

_CHUNK = 20_000


@dataclass(frozen=True)
class Scored:
    """Scores of the test rows.

    Attributes
    ----------
    scores : array, shape (m,)
    weight : float or None
        The classifier's in the joined score; None where there is no join.
    note : str
        What the detector says of the classifier on this table.
    """

    scores: Array
    weight: float | None = None
    note: str = ""


def paper_form(card: DetectorCard, candidate: Candidate, split: Split, seed: int) -> Scored:
    """Return the scores of base and classifier alone, joined as an `EnhancedDetector` joins them.

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
    detector = _fitted(card, candidate, ABLATIONS[PAPER_FORM], split, seed)
    found = detector.contribution_
    return Scored(detector.decision_function(split.X_test), found.weight, found.reason)


def whole_and_parts(card: DetectorCard, candidate: Candidate, split: Split, seed: int) -> dict[str, Scored]:
    """Return the scores of an `EnhancedDetector`, with its one setting for all sets, and of its parts.

    Parameters are those of `paper_form`, which is the one part that is left out here, since its classifier
    is judged otherwise and has to be fitted for itself.
    """
    detector = _fitted(card, candidate, EXPERTS, split, seed)
    ensemble, rows = detector.ensemble_, detector.encoder_.transform(split.X_test)
    chunks = [ensemble.surprises(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK)]
    told = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    found = detector.contribution_
    scored = {ENHANCED: Scored(ensemble.join(told), found.weight, found.reason)}
    silent = copy.copy(ensemble)
    silent.weights_ = {**ensemble.weights_, "classifier": 0.0}
    for name, experts in ABLATIONS.items():
        if name != PAPER_FORM:
            scores = silent.join({expert: told[expert] for expert in experts})
            scored[name] = Scored(scores, 0.0, "")
    return scored


def cured_scores(source: DetectorSource, split: Split, seed: int) -> Array:
    """Return the base's scores of the test rows with its numerical faults cured, shape (m,).

    The columns are treated as `soundest` finds best.

    Raises
    ------
    DetectorError
        When the base refuses the rows under every treatment.
    """
    treatment = soundest(source, split.X_train, seed)
    return CuredBase(seed, treatment).fit(source, split.X_train).score(split.X_test)


def _fitted(
    card: DetectorCard, candidate: Candidate, experts: Sequence[str], split: Split, seed: int
) -> EnhancedDetector:
    detector = EnhancedDetector(
        card, synthesizer=as_synthesizer(candidate, card), experts=experts, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is said in `contribution_`
        return detector.fit(split.X_train)
