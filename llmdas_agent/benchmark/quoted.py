"""Figures of others, read from a file and marked as quoted wherever they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..enhance import read_table
from ..errors import TableError

__all__ = ["Quoted", "read_quoted"]


@dataclass(frozen=True)
class Quoted:
    """A method that was not measured here.

    Attributes
    ----------
    method : str
    auc_pr : array, shape (n,)
        One value a data set; empty where only the mean is known.
    mean : float
    """

    method: str
    auc_pr: NDArray[np.float64]
    mean: float


def read_quoted(path: Path) -> list[Quoted]:
    """Read a table with the columns ``method``, ``set`` and ``auc_pr``.

    A method has one row for each data set, or a single one without a set: its mean.

    Raises
    ------
    TableError
        When the columns are others, a method has no name, a value is none, or a method has both kinds of
        rows, or two of a set.
    """
    frame = read_table(path, words=("method", "set")).frame
    if set(frame.columns) != {"method", "set", "auc_pr"}:
        raise TableError(
            f"has the columns {', '.join(frame.columns)}",
            where=str(path),
            hint="Quoted figures have method, set and auc_pr",
        )
    frame = frame.with_columns(pl.col("auc_pr").cast(pl.Float64, strict=False))
    if not frame["auc_pr"].is_between(0, 1).fill_null(False).all():
        raise TableError("has an auc_pr that is no number from 0 to 1", where=str(path))
    if frame["method"].null_count():
        raise TableError("has a row without a method", where=str(path), hint="Name the method in every row")
    found = []
    for (method,), rows in frame.group_by("method", maintain_order=True):
        whole = rows["set"].is_null()
        if whole.any() and rows.height > 1:
            raise TableError(
                f"gives '{method}' both a mean and single sets, or two means",
                where=str(path),
                hint="Leave out one kind",
            )
        if rows["set"].is_duplicated().any():
            raise TableError(
                f"gives '{method}' two values on one set", where=str(path), hint="Leave out one of them"
            )
        values = rows["auc_pr"].to_numpy()
        found.append(Quoted(str(method), values[:0] if whole.any() else values, float(values.mean())))
    return found
