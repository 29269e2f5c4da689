"""The model as a program sees it: rows go out to the parent, scores come back, and there is nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmdas_agent.sandbox import wire

__all__ = ["ScoreModel"]


class ScoreModel:
    """Asks the parent for scores.

    Parameters
    ----------
    fd : int
        The descriptor of the run's socket.
    columns : int
        Columns of the detector's training rows.
    """

    __slots__ = ("_columns", "_fd")

    def __init__(self, fd: int, columns: int) -> None:
        self._fd = fd
        self._columns = columns

    def __repr__(self) -> str:
        return "<model with predict_score(X)>"

    def predict_score(self, X: Any) -> NDArray[np.float64]:
        """Return one score per row, higher = more abnormal.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Finite rows with the columns of ``X_train``.

        Returns
        -------
        ndarray of shape (m,), float64

        Raises
        ------
        ValueError
            When `X` has another number of dimensions or columns, or holds NaN or infinity.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self._columns:
            advice = "; for a single row pass x.reshape(1, -1)" if rows.ndim == 1 else ""
            raise ValueError(f"predict_score takes shape (m, {self._columns}), not {rows.shape}{advice}")
        scores = np.empty(rows.shape[0])
        if not rows.shape[0]:
            return scores
        wire.write_all(self._fd, wire.SCORE + wire.SHAPE.pack(*rows.shape))
        if rows.size:
            wire.write_all(self._fd, rows.data)
        bad = wire.read_count(self._fd)
        if bad:
            raise ValueError(
                f"predict_score takes finite rows; {bad} of {rows.shape[0]} hold NaN or infinity"
            )
        wire.read_exactly(self._fd, scores.data)
        return scores
