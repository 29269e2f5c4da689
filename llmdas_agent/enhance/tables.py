"""Tables of users to tables of numbers.

What a column becomes is learnt from the rows fitted and then stays fixed, so that a row is encoded the same
way whatever rows it comes with.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..errors import TableError, did_you_mean
from .columns import CategoryColumn, NumberColumn

__all__ = ["Table", "TableEncoder"]

Array = NDArray[np.float64]
Values = NDArray[Any]

Table: TypeAlias = Any
"""An array of shape (n, d), or a pandas, polars or pyarrow frame."""


@dataclass(frozen=True)
class _Read:
    """A table's columns: float64 with NaN, or objects with str and None."""

    names: list[Hashable] | None
    columns: list[Values]

    @property
    def n_rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0


class TableEncoder:
    """Numbers for a table of numbers, categories, booleans, times and missing values.

    Attributes
    ----------
    names_ : list or None
        Names of the columns fitted, in order; None for an array.
    n_columns_ : int
        How many they were.
    ignored_ : tuple of str
        Columns without a single value, which are left out.
    width_ : int
        Columns of the encoded table.
    """

    def fit(self, X: Table) -> Self:
        """Learn how each column becomes numbers.

        Parameters
        ----------
        X : array or frame, shape (n, d)

        Raises
        ------
        TableError
            When there is no row, or no column with a value.
        """
        table = _read(X)
        if not table.n_rows:
            raise TableError("has no rows", where="table", hint="Give at least 10 normal rows")
        self.names_ = table.names
        self.n_columns_ = len(table.columns)
        self.encoders_: list[NumberColumn | CategoryColumn | None] = [
            _fitted(column) for column in table.columns
        ]
        labels = [_label(table.names, j) for j in range(self.n_columns_)]
        self.ignored_ = tuple(
            label for label, encoder in zip(labels, self.encoders_, strict=True) if encoder is None
        )
        if len(self.ignored_) == self.n_columns_:
            raise TableError("has no column with a value in it", where="table")
        widths = [encoder.width if encoder else 0 for encoder in self.encoders_]
        self.starts_ = [int(start) for start in np.cumsum([0, *widths])]
        self.width_ = self.starts_[-1]
        return self

    def transform(self, X: Table) -> Array:
        """Return the table's numbers, shape (m, width_), finite, C-contiguous.

        Raises
        ------
        TableError
            When columns are missing, too many, or hold text where numbers were fitted.
        """
        table = self._in_fitted_order(_read(X))
        parts = []
        for j, (column, encoder) in enumerate(zip(table.columns, self.encoders_, strict=True)):
            label = _label(self.names_, j)
            if isinstance(encoder, NumberColumn):
                parts.append(encoder.transform(_as_numbers(column, label)))
            elif isinstance(encoder, CategoryColumn):
                parts.append(encoder.transform(_as_words(column)))
        return np.ascontiguousarray(np.hstack(parts))

    def snap(self, Z: Array) -> Array:
        """Return made rows, shape (m, width_), with the values that such columns can hold."""
        parts = [
            encoder.snap(Z[:, start : start + encoder.width])
            for encoder, start in zip(self.encoders_, self.starts_, strict=False)
            if encoder is not None
        ]
        return np.ascontiguousarray(np.hstack(parts))

    def decode(self, Z: Array) -> dict[str, Values]:
        """Return encoded rows as the columns fitted, by name; those without a single value are left out."""
        encoders = [encoder for encoder in self.encoders_ if encoder is not None]
        pairs = zip(self.blocks_.items(), encoders, strict=True)
        return {name: encoder.decode(Z[:, block]) for (name, block), encoder in pairs}

    @property
    def blocks_(self) -> dict[str, slice]:
        """Where each column lies in the encoded table; those without a single value are left out."""
        named = self.names_ is not None and len(set(map(str, self.names_))) == self.n_columns_
        names = self.names_ if named and self.names_ else [f"column_{j}" for j in range(self.n_columns_)]
        return {
            str(name): slice(start, start + encoder.width)
            for name, encoder, start in zip(names, self.encoders_, self.starts_, strict=False)
            if encoder is not None
        }

    def _in_fitted_order(self, table: _Read) -> _Read:
        if self.names_ is None or table.names is None:
            if len(table.columns) != self.n_columns_:
                # scikit-learn's own words, which its tools look for
                raise TableError(
                    f"X has {len(table.columns)} features, but EnhancedDetector is expecting "
                    f"{self.n_columns_} features as input",
                    where="table",
                )
            return table
        if table.names == self.names_:
            return table
        missing = [name for name in self.names_ if name not in table.names]
        extra = [name for name in table.names if name not in self.names_]
        if missing:
            near = did_you_mean(str(missing[0]), [str(name) for name in extra]) if extra else ""
            hint = f"It has {_listed(extra)}, which was not fitted. {near}".strip() if extra else ""
            raise TableError(f"lacks {_listed(missing)}, which was fitted", where="table", hint=hint)
        if extra:
            raise TableError(
                f"has {_listed(extra)}, which was not fitted",
                where="table",
                hint=f"Leave it out: `--drop {extra[0]}`, or drop it from the frame",
            )
        order = [table.names.index(name) for name in self.names_]
        return _Read(self.names_, [table.columns[j] for j in order])


def _fitted(column: Values) -> NumberColumn | CategoryColumn | None:
    if column.dtype == object:
        return CategoryColumn().fit(column) if any(word is not None for word in column) else None
    return NumberColumn().fit(column) if np.isfinite(column).any() else None


def _as_numbers(column: Values, label: str) -> Array:
    if column.dtype != object:
        return column
    found = next(((row, word) for row, word in enumerate(column, 1) if word is not None), None)
    if found is None:
        return np.full(len(column), np.nan)
    row, word = found
    raise TableError(
        f"held numbers when it was fitted and holds text now: '{word:.40}' in row {row}",
        where=label,
        hint="Correct the value, or leave it empty when it is not known",
    )


def _as_words(column: Values) -> NDArray[np.object_]:
    if column.dtype == object:
        return column
    # a file's column of codes such as 1, 2, 3a is read as numbers where no letter happens to occur
    words = [
        None if np.isnan(v) else str(int(v)) if float(v).is_integer() else repr(float(v)) for v in column
    ]
    return np.array(words, dtype=object)


def _read(X: Table) -> _Read:
    if nw.dependencies.is_into_dataframe(X):
        return _read_frame(X)
    if issparse(X):
        raise TableError("is a sparse matrix, which is not supported", where="table", hint="Give X.toarray()")
    array = np.asarray(X)
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
    return _Read(None, [_from_array(array[:, j], f"column {j}") for j in range(array.shape[1])])


def _read_frame(X: Any) -> _Read:
    try:
        frame = nw.from_native(X, eager_only=True)
    except nw.exceptions.NarwhalsError as error:
        raise TableError(f"cannot be read: {error}", where="table") from None
    return _Read(
        list(frame.columns),
        [_from_series(column, f"column '{column.name}'") for column in frame.iter_columns()],
    )


def _from_series(series: nw.Series[Any], label: str) -> Values:
    dtype = series.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        return np.asarray(series.cast(nw.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    if dtype.is_temporal():
        return _from_array(series.to_numpy(), label)
    if dtype.is_nested() or dtype == nw.Binary:
        raise TableError(f"holds {dtype}, which is neither number nor text", where=label, hint="Leave it out")
    return _from_objects(series.to_list())


def _from_array(column: Values, label: str) -> Values:
    kind = column.dtype.kind
    if kind in "fiub":
        return column.astype(np.float64)
    if kind in "mM":
        numbers = column.astype(f"{kind}8[us]").astype(np.int64).astype(np.float64)
        return np.where(np.isnat(column), np.nan, numbers)
    if kind in "US":
        try:
            return column.astype(np.float64)
        except ValueError:
            return np.array([str(word) for word in column], dtype=object)
    if kind == "O":
        return _from_objects(column.tolist())
    if kind == "c":
        raise TableError("Complex data not supported", where=label, hint="Give real and imaginary parts")
    raise TableError(
        f"holds {column.dtype}, which is neither number nor text", where=label, hint="Leave it out"
    )


def _from_objects(values: Sequence[Any]) -> Values:
    known = [value for value in values if not _is_missing(value)]
    if all(isinstance(value, (bool, int, float, np.number, np.bool_)) for value in known):
        return np.array([np.nan if _is_missing(value) else float(value) for value in values])
    return np.array([None if _is_missing(value) else str(value) for value in values], dtype=object)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _label(names: list[Hashable] | None, j: int) -> str:
    return f"column {j}" if names is None else f"column '{names[j]}'"


def _listed(names: list[Hashable]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
