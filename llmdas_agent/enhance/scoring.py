"""Scoring tables in files with a saved model: one of them, or each in a folder as a job of its own."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from ..errors import LlmdasError, TableError
from .estimator import EnhancedDetector
from .files import named_in_errors, read_table, scores_table, write_table
from .persistence import load_model

__all__ = ["FileJob", "FileScored", "score_file", "scores_of", "tables_in"]

_SUFFIXES = (".parquet", ".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class FileJob:
    """A table to be scored, wherever the job is done.

    Attributes
    ----------
    model, table, output : Path
        The model's folder, the table, and where its scores go; absolute.
    id_column : str or None
        A column to be carried along and not looked at.
    drop : tuple of str
        Columns to be left out.
    """

    model: Path
    table: Path
    output: Path
    id_column: str | None
    drop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileScored:
    """What came of it.

    Attributes
    ----------
    table : str
        The file's name.
    rows, anomalies : int
        How many were scored, and labelled as anomalies.
    problem : str
        Why it was not scored; empty when it was.
    exit_code : int
        The problem's; 0 when it was scored.
    """

    table: str
    rows: int = 0
    anomalies: int = 0
    problem: str = ""
    exit_code: int = 0


def scores_of(
    detector: EnhancedDetector, table: Path, *, id_column: str | None = None, drop: Sequence[str] = ()
) -> pl.DataFrame:
    """Return score, label and p_value for every row of a table in a file.

    Parameters
    ----------
    detector : EnhancedDetector
        Fitted.
    table : Path
        As `read_table` takes it.
    id_column : str, optional
        A column to be carried along and not looked at.
    drop : sequence of str
        Columns to be left out.

    Raises
    ------
    TableError
        When the table cannot be read, or its columns are not those fitted.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own are not for those who score
        words, times = (
            set(map(str, names)) for names in (detector.encoder_.words_, detector.encoder_.times_)
        )
        read = read_table(table, id_column=id_column, drop=drop, words=words, times=times)
        with named_in_errors(table):
            scores = detector.decision_function(read.frame)
    labels = (scores > detector.threshold_).astype("int64")
    return scores_table(scores=scores, labels=labels, p_values=detector.p_values_of(scores), ids=read.ids)


def tables_in(folder: Path) -> list[Path]:
    """Return the tables of a folder, sorted by name.

    Raises
    ------
    TableError
        When there is none.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise TableError("holds no .parquet, .csv or .tsv file", where=str(folder))
    return found


def score_file(job: FileJob) -> FileScored:
    """Score one table and write its scores; what is wrong with it becomes the result.

    The model is loaded once in every process.
    """
    try:
        result = scores_of(_model(job.model), job.table, id_column=job.id_column, drop=job.drop)
        write_table(job.output, result)
    except LlmdasError as error:
        return FileScored(job.table.name, problem=str(error), exit_code=error.exit_code)
    return FileScored(job.table.name, result.height, int(result["label"].sum()))


def _model(folder: Path) -> EnhancedDetector:
    return _loaded(folder, (folder / "manifest.json").stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _loaded(folder: Path, stamp: int) -> EnhancedDetector:
    """Return a model; another `stamp` is another state of its folder."""
    return load_model(folder)
