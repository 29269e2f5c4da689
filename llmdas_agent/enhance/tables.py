"""Tables of users to tables of numbers.

What a column becomes is learnt from the rows fitted and then stays fixed, so that a row is encoded the same
way whatever rows it comes with.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import TableError, did_you_mean
from .columns import CategoryColumn, NumberColumn
from .frames import Table, TableColumns, Values, columns_of, is_missing

__all__ = ["TableEncoder"]

Array = NDArray[np.float64]


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
    words_ : tuple of str
        Columns taken as words: categories, not numbers.
    times_ : tuple of str
        Columns of dates and times.
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
        table = columns_of(X)
        if not table.n_rows:
            raise TableError("has no rows", where="table", hint="Give at least 10 normal rows")
        self.names_ = table.names
        self.n_columns_ = len(table.columns)
        self.encoders_: list[NumberColumn | CategoryColumn | None] = [
            _fitted(column) for column in table.columns
        ]
        self.kinds_ = table.kinds
        pairs = [(_label(table.names, j), encoder) for j, encoder in enumerate(self.encoders_)]
        self.ignored_ = tuple(label for label, encoder in pairs if encoder is None)
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
            When there is no row, columns are missing or too many, or one holds text where numbers were
            fitted, or times where none were.
        """
        table = self._in_fitted_order(columns_of(X))
        if not table.n_rows:
            raise TableError("has no rows", where="table", hint="Give at least one row")
        parts = []
        for j, (column, encoder) in enumerate(zip(table.columns, self.encoders_, strict=True)):
            label = _label(self.names_, j)
            if encoder is not None and (table.kinds[j] == "time") != (self._held(j) == "times"):
                _refuse_values(column, self._held(j), table.kinds[j], label)
            if isinstance(encoder, NumberColumn):
                parts.append(encoder.transform(_as_numbers(column, label)))
            elif isinstance(encoder, CategoryColumn):
                parts.append(encoder.transform(_words(column)))
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
        pairs = zip(self.encoders_, self.kinds_, strict=True)
        kept = [(encoder, kind) for encoder, kind in pairs if encoder is not None]
        return {
            name: _of_kind(encoder.decode(Z[:, block]), kind)
            for (name, block), (encoder, kind) in zip(self.blocks_.items(), kept, strict=True)
        }

    @property
    def words_(self) -> tuple[Hashable, ...]:
        """Names, or numbers, of the columns taken as words."""
        return self._that_hold("text")

    @property
    def times_(self) -> tuple[Hashable, ...]:
        """Names, or numbers, of the columns of dates and times."""
        return self._that_hold("times")

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

    def _that_hold(self, kind: str) -> tuple[Hashable, ...]:
        names = self.names_ if self.names_ is not None else list(range(self.n_columns_))
        return tuple(name for j, name in enumerate(names) if self._held(j) == kind)

    def _held(self, j: int) -> str:
        """Return what a column held when it was fitted: "text", "times", "numbers", or nothing."""
        encoder = self.encoders_[j]
        if isinstance(encoder, CategoryColumn):
            return "text"
        return "" if encoder is None else "times" if self.kinds_[j] == "time" else "numbers"

    def _in_fitted_order(self, table: TableColumns) -> TableColumns:
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
        return TableColumns(self.names_, [table.columns[j] for j in order], [table.kinds[j] for j in order])


def _of_kind(values: Values, kind: str) -> Values:
    if kind == "time":
        return values.astype("M8[us]")
    if kind == "truth":
        return np.array([None if np.isnan(value) else value > 0.5 for value in values], dtype=object)
    return values


def _fitted(column: Values) -> NumberColumn | CategoryColumn | None:
    numbers = _numbers(column)
    if numbers is None:
        return CategoryColumn().fit(_words(column))
    return NumberColumn().fit(numbers) if NumberColumn.holds(numbers).any() else None


def _as_numbers(column: Values, label: str) -> Array:
    numbers = _numbers(column)
    if numbers is not None:
        return numbers
    row, word = next(
        ((row, value) for row, value in enumerate(column, 1) if not _is_spelled(value)), (1, column[0])
    )
    raise TableError(
        f"held numbers when it was fitted and holds text now: '{word!s:.40}' in row {row}",
        where=label,
        hint="Correct the value, or leave it empty when it is not known",
    )


def _refuse_values(column: Values, held: str, kind: str, label: str) -> None:
    """Refuse a column of times where none were fitted, or the other way round, unless nothing is in it."""
    numbers = _numbers(column)
    if numbers is not None and np.isnan(numbers).all():
        return
    holds = "times" if kind == "time" else "text" if numbers is None else "numbers"
    raise TableError(
        f"held {held} when it was fitted and holds {holds} now",
        where=label,
        hint="Give it the type that it had, or fit again",
    )


def _numbers(column: Values) -> Array | None:
    """Return a column as float64, NaN where missing; None where some value is no number."""
    if column.dtype.kind == "f":
        return column
    if column.dtype.kind == "U":
        try:
            return column.astype(np.float64)
        except ValueError:
            return None
    if not all(map(_is_number, column)):
        return None
    return np.array([np.nan if value is None else float(value) for value in column])


def _words(column: Values) -> NDArray[np.object_]:
    """Return a column as words, None where missing; a number is spelled the same in every type."""
    return np.array([_word(value) for value in column.tolist()], dtype=object)


def _word(value: Any) -> str | None:
    if is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (Real, Decimal)):
        number = float(value)
        return f"{value:.0f}" if number.is_integer() else repr(number)
    return str(value)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (Real, Decimal, np.bool_))


def _is_spelled(value: Any) -> bool:
    """Return whether a value is a number, or text that reads as one."""
    if _is_number(value):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _label(names: list[Hashable] | None, j: int) -> str:
    return f"column {j}" if names is None else f"column '{names[j]}'"


def _listed(names: list[Hashable]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
