"""The published protocol: the first half of the normal rows trains, all other rows test.

Ye et al., "LLM as an Algorithmist", ICLR 2026: rows in file order, no preprocessing, average precision.
Test labels enter the metrics below and nothing else.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from ..detectors import Detector, DetectorSource
from .datasets import Dataset

__all__ = ["Metrics", "Split", "finite_scores", "fitted_as_given", "one_class_split", "score_as_given"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """How well scores of test rows tell the anomalies; each in [0, 1].

    Attributes
    ----------
    auc_pr : float
        Average precision.
    auc_roc : float
        Probability that an anomaly scores above a normal row, ties counting half.
    f1 : float
        F1 of the rows that score at least as high as the k-th highest, k the number of anomalies.
    """

    auc_pr: float
    auc_roc: float
    f1: float


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

    def metrics(self, scores: Array) -> Metrics:
        """Return all metrics of scores of the test rows, shape (m,)."""
        k = int(self.y_test.sum())
        threshold = np.partition(scores, -k)[-k]
        return Metrics(
            auc_pr=self.average_precision(scores),
            auc_roc=float(roc_auc_score(self.y_test, scores)),
            f1=float(f1_score(self.y_test, scores >= threshold)),
        )


def one_class_split(dataset: Dataset) -> Split:
    """Split a data set by file order."""
    normal, anomalous = dataset.X[dataset.y == 0], dataset.X[dataset.y == 1]
    half = len(normal) // 2
    labels = np.repeat([0, 1], [len(normal) - half, len(anomalous)])
    return Split(normal[:half], np.vstack([normal[half:], anomalous]), labels)


def fitted_as_given(source: DetectorSource, X_train: Array, seed: int) -> Detector:
    """Return a detector fitted as its library fits it; its warnings are not shown."""
    detector = source.make(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        detector.fit(X_train)
    return detector


def finite_scores(detector: Detector, X: Array) -> Array:
    """Return a fitted detector's scores exactly as its library gives them, shape (m,).

    Scores that are not finite are put at zero; the rows are scored in one call, which a detector that
    pools them with its training rows profits or suffers from.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        scores = np.asarray(detector.decision_function(X), dtype=np.float64).ravel()
    return np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)


def score_as_given(source: DetectorSource, split: Split, seed: int) -> Array:
    """Return the scores of the test rows by a detector as its library gives it, shape (m,)."""
    return finite_scores(fitted_as_given(source, split.X_train, seed), split.X_test)
