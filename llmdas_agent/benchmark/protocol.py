"""The published protocol: the first half of the normal rows trains, all other rows test.

Ye et al., "LLM as an Algorithmist", ICLR 2026: rows in file order, no preprocessing, average precision.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ..detectors import DetectorSource
from .datasets import Dataset

__all__ = ["Split", "one_class_split", "score_as_given"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Normal rows to fit on; normal rows and all anomalies to score.

    Attributes
    ----------
    X_train : array, shape (n, d)
    X_test : array, shape (m, d)
        Normal rows first.
    y_test : array of int, shape (m,)
        1 = anomaly.
    """

    X_train: Array
    X_test: Array
    y_test: NDArray[np.intp]

    def average_precision(self, scores: Array) -> float:
        """Return the area under precision over recall of scores of the test rows."""
        return float(average_precision_score(self.y_test, scores))


def one_class_split(dataset: Dataset) -> Split:
    """Split a data set by file order."""
    normal, anomalous = dataset.X[dataset.y == 0], dataset.X[dataset.y == 1]
    half = len(normal) // 2
    labels = np.repeat([0, 1], [len(normal) - half, len(anomalous)])
    return Split(normal[:half], np.vstack([normal[half:], anomalous]), labels)


def score_as_given(source: DetectorSource, split: Split, seed: int) -> Array:
    """Return a detector's scores of the test rows exactly as its library gives them, shape (m,).

    Scores that are not finite are put at zero; the rows are scored in one call, which a detector that
    pools them with its training rows profits or suffers from.
    """
    detector = source.make(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        detector.fit(split.X_train)
        scores = np.asarray(detector.decision_function(split.X_test), dtype=np.float64).ravel()
    return np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)
