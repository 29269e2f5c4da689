"""How well scores tell abnormal rows from normal ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

__all__ = ["auroc", "average_precision"]

Array = NDArray[np.float64]


def auroc(normal: Array, abnormal: Array) -> float:
    """Return the probability that an abnormal row scores above a normal one, ties counting half."""
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, abnormal, "left") + np.searchsorted(ordered, abnormal, "right")
    return float(np.mean(below) / (2 * len(normal)))


def average_precision(normal: Array, abnormal: Array) -> float:
    """Return the area under precision over recall of the scores of normal and of abnormal rows."""
    truth = np.repeat([0, 1], [len(normal), len(abnormal)])
    return float(average_precision_score(truth, np.concatenate([normal, abnormal])))
