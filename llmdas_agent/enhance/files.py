"""Tables in files: CSV, TSV and Parquet with a header, and the scores that go back into one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..errors import TableError, did_you_mean
from ..files import write_whole
from .spelling import typed

__all__ = ["TableFile", "as_csv", "named_in_errors", "read_table", "scores_table", "write_table"]

_SUFFIXES = (".csv", ".tsv", ".parquet")
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class TableFile:
    """What was read.

    Attributes
    ----------
    frame : polars.DataFrame
        The columns to be fitted or scored, rows in file order.
    ids : polars.Series or None
        The column that was asked for as identifier, as it stands in the file.
    """

    frame: pl.DataFrame
    ids: pl.Series | None


def read_table(
    path: str | Path,
    *,
    id_column: str | None = None,
    drop: Sequence[str] = (),
    words: Collection[str] = (),
    times: Collection[str] = (),
) -> TableFile:
    """Read a table with a header.

    A column is a number where every value in the whole file is one, true or false where every value is, a
    time where every value is one in ISO 8601 (``2024-01-31``, ``2024-01-31T23:59:59+01:00``), and text
    otherwise. Empty fields and the usual spellings of a missing value (`NULL_SPELLINGS`) are missing; blank
    lines are skipped. A ``.csv`` may be separated by commas, semicolons, tabs or bars; where it is by
    semicolons, a comma is a decimal point.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.parquet``; text in UTF-8, with or without a byte order mark.
    id_column : str, optional
        A column to be carried along and not looked at.
    drop : sequence of str
        Columns to be left out.
    words : collection of str
        Columns of text that stay text whatever this file's rows look like, as those fitted were.
    times : collection of str
        Columns that have to be times, as those fitted were.

    Returns
    -------
    TableFile

    Raises
    ------
    TableError
        With file and line or column.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise TableError(what, where=str(path), hint="Give a .csv, .tsv or .parquet file with a header")
    with _reading(path):
        frame, separator = (
            (pl.read_parquet(path, glob=False), "") if _suffix(path) == ".parquet" else _read_text(path)
        )
    if frame.is_empty():
        raise TableError("has a header and no rows", where=str(path))
    carried = [] if id_column is None else [id_column]
    _check_names(path, [*drop, *carried], frame.columns)
    ids = frame[id_column] if id_column is not None else None
    frame = frame.drop({*drop, *carried})
    if not frame.width:
        raise TableError("has no column left to look at", where=str(path), hint="Drop fewer columns")
    if separator:
        with named_in_errors(path):
            frame = typed(frame, words=words, times=times, comma_is_point=separator == ";")
    return TableFile(frame, ids)


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Let what is wrong with a table say which file it came from."""
    try:
        yield
    except TableError as error:
        column = "" if error.where == "table" else f": {error.where}"
        raise TableError(error.what, where=f"{path}{column}", hint=error.hint) from None


def scores_table(
    *,
    scores: NDArray[np.float64],
    labels: NDArray[np.integer],
    p_values: NDArray[np.float64],
    ids: pl.Series | None = None,
) -> pl.DataFrame:
    """Return one row of ``score``, ``label`` and ``p_value`` for each row scored.

    Parameters
    ----------
    scores, labels, p_values : array, shape (m,)
        In the order of the rows.
    ids : polars.Series, optional
        Put before them under its own name.

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    TableError
        When the identifier has the name of another column.
    """
    columns = {"score": scores, "label": labels, "p_value": p_values}
    if ids is not None and ids.name in columns:
        raise TableError(
            "is also a column of the output", where=f"column '{ids.name}'", hint="Rename it in the table"
        )
    return pl.DataFrame(({} if ids is None else {ids.name: ids}) | columns)


def as_csv(frame: pl.DataFrame, separator: str = ",") -> str:
    """Return a table as the text of a CSV.

    Parameters
    ----------
    frame : polars.DataFrame
        The table.
    separator : str
        What stands between its fields.

    Returns
    -------
    str

    Raises
    ------
    TableError
        When a column is of a kind that has no text, such as lists.
    """
    try:
        return frame.write_csv(separator=separator)
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"cannot be written as text: {_first_line(error)}",
            where="output",
            hint="Write it to a .parquet file, or leave out the identifier",
        ) from None


def write_table(path: str | Path, frame: pl.DataFrame) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.parquet``; replaced when it is there.
    frame : polars.DataFrame
        The table.

    Raises
    ------
    TableError
        When the suffix is none of these, or a column has no text.
    StorageError
        When it cannot be written; what was there before stays as it was.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix != ".parquet":
        write_whole(path, as_csv(frame, "\t" if suffix == ".tsv" else ","))
        return
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    write_whole(path, buffer.getvalue())


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise TableError(
            f"has the suffix '{path.suffix}'", where=str(path), hint=f"Known: {', '.join(_SUFFIXES)}"
        )
    return suffix


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the libraries and the system say of a file that cannot be read into a `TableError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        told = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
        what = "is no Parquet file" if _suffix(path) == ".parquet" else "cannot be read as a table"
        raise TableError(f"{what}: {told}", where=str(path)) from None


def _read_text(path: Path) -> tuple[pl.DataFrame, str]:
    """Return a file's fields as they stand, an empty one missing, and what separates them."""
    separator, blank = _checked_lines(path)
    frame = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
    if blank:
        rows = pl.int_range(frame.height, eager=True)
        frame = frame.filter(~rows.is_in(blank))
    return frame, separator


def _checked_lines(path: Path) -> tuple[str, list[int]]:
    """Return separator and indices of blank rows, having seen that every line has as many fields."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            separator = "\t" if _suffix(path) == ".tsv" else _separator(stream.readline())
            stream.seek(0)
            records = _records(path, stream, separator)
            _, header = next(records, ("", []))
            _check_header(path, header)
            blank = []
            for row, (where, fields) in enumerate(records):
                if not fields:
                    blank.append(row)
                elif len(fields) != len(header):
                    raise TableError(
                        f"has {len(fields)} fields where the header has {len(header)}",
                        where=where,
                        hint="Correct the line; text that holds the separator belongs in double quotes",
                    )
            return separator, blank
    except UnicodeDecodeError:
        raise TableError(
            "is not UTF-8 text", where=_line_of_bad_byte(path), hint="Save it as UTF-8"
        ) from None


def _records(path: Path, stream: TextIO, separator: str) -> Iterator[tuple[str, list[str]]]:
    """Yield file and line, and the fields, of each record, having seen that polars will read the same.

    Python's reader takes quotes within a field for letters and a lone CR for a line end, polars does not.
    """
    part = re.escape(separator)
    field = rf'(?:"[^"]*(?:""[^"]*)*"|[^"{part}]*)'
    sound = re.compile(rf"{field}(?:{part}{field})*")
    lines: list[str] = []
    reader = csv.reader(_kept(stream, lines), delimiter=separator, strict=True)
    while True:
        where = f"{path}:{reader.line_num + 1}"
        lines.clear()
        try:
            fields = next(reader, None)
        except csv.Error:
            raise _stray_quote(where) from None
        if fields is None:
            return
        text = "".join(lines)
        if text.endswith("\r"):
            raise TableError("ends in a CR without LF", where=where, hint="Save it with LF or CRLF line ends")
        if '"' in text and not sound.fullmatch(text.rstrip("\r\n")):
            raise _stray_quote(where)
        yield where, fields


def _stray_quote(where: str) -> TableError:
    hint = 'Enclose the whole field in double quotes, and write "" for each within it'
    return TableError("has a quote that opens or closes no field", where=where, hint=hint)


def _kept(stream: TextIO, lines: list[str]) -> Iterator[str]:
    """Yield lines, each after it was put into a list."""
    for line in stream:
        lines.append(line)
        yield line


def _check_names(path: Path, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise TableError(f"has no column '{name}'", where=str(path), hint=did_you_mean(name, known))


def _check_header(path: Path, header: list[str]) -> None:
    if not any(header):
        what = "has nothing in its first line" if path.stat().st_size else "is empty"
        raise TableError(what, where=str(path), hint="Give a table with a header and rows")
    if any("\x00" in name for name in header):
        raise TableError("is not a table of text", where=str(path), hint="Give CSV, TSV or Parquet")
    for position, name in enumerate(header, 1):
        if not name:
            raise TableError(
                f"column {position} has no name in the header",
                where=f"{path}:1",
                hint="Name it; pandas writes the index so unless it is told index=False",
            )
        if header.index(name) != position - 1:
            raise TableError(f"has two columns named '{name}'", where=f"{path}:1", hint="Rename one of them")


def _separator(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_SEPARATORS, key=bare.count)


def _line_of_bad_byte(path: Path) -> str:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8-sig")
            except UnicodeDecodeError:
                return f"{path}:{number}"
    return str(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
