"""Tables of any library as columns: arrays, and pandas, polars or pyarrow frames."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..errors import TableError

__all__ = ["Table", "TableColumns", "Values", "columns_of", "is_missing"]

Values = NDArray[Any]

Table: TypeAlias = Any
"""An array of shape (n, d), or a pandas, polars or pyarrow frame."""


@dataclass(frozen=True)
class TableColumns:
    """A table's columns: float64 with NaN, fixed-width text, or objects with None.

    What a column of text or objects becomes is for the encoder to say: the rows at hand alone may look like
    numbers where those fitted did not.

    Attributes
    ----------
    names : list or None
        In order; None for an array.
    columns : list of array, each of shape (n,)
    kinds : list of str
        "time" or "truth" where the numbers alone do not show it, else empty.
    """

    names: list[Hashable] | None
    columns: list[Values]
    kinds: list[str]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0]) if self.columns else 0


def columns_of(X: Table) -> TableColumns:
    """Return a table's columns.

    Raises
    ------
    TableError
        When it is no table, or holds what is neither number nor text.
    """
    if nw.dependencies.is_into_dataframe(X):
        return _read_frame(X)
    if issparse(X):
        raise TableError("is a sparse matrix, which is not supported", where="table", hint="Give X.toarray()")
    if nw.dependencies.is_polars_lazyframe(X):
        raise TableError("is a lazy frame, which holds no rows yet", where="table", hint="Give X.collect()")
    array = np.asarray(X)
    if isinstance(X, np.ma.MaskedArray):  # numpy drops the mask, and what lies behind it would be taken
        array = array.astype(object)
        array[np.ma.getmaskarray(X)] = None
    if array.ndim != 2:
        raise TableError(
            f"has {array.ndim} dimensions, not rows and columns",
            where="table",
            hint="Reshape your data: X.reshape(1, -1) for a single row, X.reshape(-1, 1) for a single column",
        )
    if not array.shape[1]:
        raise TableError(
            f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required to fit", where="table"
        )
    columns = [_from_array(array[:, j], f"column {j}") for j in range(array.shape[1])]
    return TableColumns(None, columns, [_kind(array.dtype)] * len(columns))


def _read_frame(X: Any) -> TableColumns:
    try:
        frame = nw.from_native(X, eager_only=True)
    except nw.exceptions.NarwhalsError as error:
        raise TableError(f"cannot be read: {error}", where="table") from None
    return TableColumns(
        list(frame.columns),
        [_from_series(column, f"column '{column.name}'") for column in frame.iter_columns()],
        [_kind(column.dtype) for column in frame.iter_columns()],
    )


def _from_series(series: nw.Series[Any], label: str) -> Values:
    dtype = series.dtype
    if dtype.is_numeric():
        return np.asarray(series.cast(nw.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    if dtype.is_temporal():
        return _from_array(series.to_numpy(), label)
    if dtype.is_nested() or dtype == nw.Binary:
        raise TableError(f"holds {dtype}, which is neither number nor text", where=label, hint="Leave it out")
    return _from_objects(series.to_list())


def _from_array(column: Values, label: str) -> Values:
    kind = column.dtype.kind
    if kind in "fiu":
        return column.astype(np.float64)
    if kind in "mM":
        numbers = column.astype(f"{kind}8[us]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(column), np.nan, numbers)
    if kind in "US":
        return column.astype(np.str_)
    if kind in "Ob":
        return _from_objects(column.tolist())
    if kind == "c":
        raise TableError("Complex data not supported", where=label, hint="Give real and imaginary parts")
    raise TableError(
        f"holds {column.dtype}, which is neither number nor text", where=label, hint="Leave it out"
    )


def _from_objects(values: list[Any]) -> Values:
    column = np.empty(len(values), dtype=object)
    column[:] = [None if is_missing(value) else value for value in values]
    return column


def is_missing(value: Any) -> bool:
    """Return whether a value stands for one that is not known, in any library's way."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and value != value


def _kind(dtype: Any) -> str:
    """Return "time" or "truth" for a column that is not seen to be one once it is numbers."""
    if isinstance(dtype, np.dtype):  # to numpy, any class equals the type of objects
        return {"M": "time", "b": "truth"}.get(dtype.kind, "")
    return "time" if dtype in (nw.Date, nw.Datetime) else "truth" if dtype == nw.Boolean else ""
