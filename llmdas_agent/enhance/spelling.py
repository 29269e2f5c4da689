"""What the text of a column stands for: numbers, truths, times, or words."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl
import polars.selectors as cs

from ..errors import TableError

__all__ = ["NULL_SPELLINGS", "counters", "slips", "typed"]

NULL_SPELLINGS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "?", "#N/A")

_TRUE_FALSE = ("true", "false")
_NEARLY = 0.9
_ENOUGH = 10
_ISO_TIME = r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$"
"""Date; hours and minutes; seconds; offset from UTC."""
_WRITTEN_OUT = r"^[$€£]? ?[+-]?\d{1,3}(?:[.,' ]\d{3})*(?:[.,]\d+)? ?[$€£%]?$"
"""A number as for a reader: 1,234.50 or 12 %."""


def typed(
    frame: pl.DataFrame, *, words: Collection[str], times: Collection[str], comma_is_point: bool
) -> pl.DataFrame:
    """Return the columns of a file as what their text stands for.

    Parameters
    ----------
    frame : polars.DataFrame
        All of it text.
    words : collection of str
        Columns that stay text.
    times : collection of str
        Columns that have to be times.
    comma_is_point : bool
        Whether a comma is a decimal point.

    Raises
    ------
    TableError
        When one of `times` holds something else.
    """
    columns = []
    for series in frame:
        known = _known(series)
        if series.name in times:
            columns.append(_all_times(known))
        else:
            columns.append(known if series.name in words else _typed_column(known, comma_is_point))
    return frame.with_columns(columns)


def slips(frame: pl.DataFrame) -> dict[str, tuple[str, str]]:
    """Return columns of text that were most likely meant as numbers or times.

    In them nine values of ten are, or all are numbers written out, as with separators or a currency.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it.

    Returns
    -------
    dict of str to (str, str)
        For each such column the first value that is none, and what the column was meant as.
    """
    found = {}
    for column in frame.select(pl.col(pl.String)):
        known = column.drop_nulls()
        written_out = known.str.contains(_WRITTEN_OUT).all()
        for kind, read in [("number", _as_numbers), ("time", _as_times)]:
            odd = known.filter(read(known).is_null())
            nearly_all = len(odd) <= (1 - _NEARLY) * len(known)
            if len(odd) and (nearly_all or (kind == "number" and written_out)):
                found[column.name] = (str(odd[0]), kind)
                break
    return found


def counters(frame: pl.DataFrame) -> list[str]:
    """Return columns that count on from row to row, as a clock or an index does.

    Rows that come later lie outside all that was fitted, whatever else is in them.

    Parameters
    ----------
    frame : polars.DataFrame
        As `read_table` gives it.

    Returns
    -------
    list of str
        Times that only rise or only fall, and numbers that do so without a tie.
    """
    found = []
    for column in frame.select(cs.numeric() | cs.date() | cs.datetime()):
        known = column.drop_nulls()
        if len(known) < _ENOUGH or not (known.is_sorted() or known.is_sorted(descending=True)):
            continue  # counting the distinct values takes far longer than this
        distinct = known.n_unique()
        if distinct == len(known) if column.dtype.is_numeric() else distinct > 1:
            found.append(column.name)
    return found


def _known(series: pl.Series) -> pl.Series:
    """Return the words of a column, None where one is missing."""
    words = series.cast(pl.String).str.strip_chars()
    return words.set(words.is_in(NULL_SPELLINGS), None)


def _typed_column(words: pl.Series, comma_is_point: bool) -> pl.Series:
    # with both, a point stands between thousands, and 1.234 is not what it seems
    pointed = comma_is_point and not words.str.contains(".", literal=True).any()
    numbers = _as_numbers(words.str.replace(",", ".", literal=True) if pointed else words)
    if numbers.null_count() == words.null_count():
        return numbers
    lowered = words.str.to_lowercase()
    if lowered.is_in(_TRUE_FALSE).all():
        return lowered == "true"
    times = _as_times(words)
    return times if times.null_count() == words.null_count() else words


def _as_numbers(words: pl.Series) -> pl.Series:
    """Return the numbers of a column, None where a value is none."""
    return words.cast(pl.Float64, strict=False)


def _all_times(words: pl.Series) -> pl.Series:
    times = _as_times(words)
    odd = (times.is_null() & words.is_not_null()).arg_true()
    if len(odd):
        row = int(odd[0])
        raise TableError(
            f"held times when it was fitted, and '{words[row]:.40}' in row {row + 1} is none like the others",
            where=f"column '{words.name}'",
            hint="Write it as 2024-01-31 or 2024-01-31T23:59:59, or leave it empty when it is not known",
        )
    return times


def _as_times(words: pl.Series) -> pl.Series:
    """Return the dates and times of a column in ISO 8601, None where a value is none.

    Those with an offset are taken in UTC. Where there are both with and without, the more frequent alone are
    times: how far apart the two lie cannot be told.
    """
    parts = words.str.extract_groups(_ISO_TIME).struct.unnest()
    hours, seconds, offset = (pl.col(n).fill_null(d) for n, d in [("2", "00:00"), ("3", ":00"), ("4", "")])
    whole = parts.select(pl.concat_str("1", pl.lit("T"), hours, seconds, offset)).to_series()
    local, in_utc = (
        whole.str.to_datetime(form, strict=False, time_unit="us") for form in ("%FT%T%.f", "%FT%T%.f%#z")
    )
    return (local if local.null_count() <= in_utc.null_count() else in_utc).alias(words.name)
