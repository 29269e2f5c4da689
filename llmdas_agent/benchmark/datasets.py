"""Labelled data sets in a folder: ``.npz`` (ADBench), ``.mat`` (ODDS), CSV, TSV and Parquet files."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ..enhance import read_table
from ..errors import TableError

__all__ = ["LABELS", "Dataset", "digest_of", "find_datasets", "load_dataset"]

_ARRAYS = (".npz", ".mat")
_TABLES = (".csv", ".tsv", ".parquet")
_UNREADABLE = (
    *(EOFError, KeyError, OSError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error, MatReadError),
)
"""What reading a file of arrays raises when it is empty, damaged or holds something else."""

LABELS = ("label", "y")
"""Names that the column of labels may have in a table, without regard to case."""


@dataclass(frozen=True)
class Dataset:
    """A table with labels, rows in file order.

    Attributes
    ----------
    name : str
        The file's stem.
    X : array, shape (n, d), float64
        Rounded to float32, as the published protocol has it.
    y : array of int, shape (n,)
        1 = anomaly.
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[np.intp]


def find_datasets(folder: Path) -> list[Path]:
    """Return the data files of a folder, sorted by name without regard to case.

    Raises
    ------
    TableError
        When there is no such folder, no data file in it, or two of the same stem, without regard to case.
    """
    found = [
        path for path in folder.glob("*") if path.suffix.lower() in (*_ARRAYS, *_TABLES) and path.is_file()
    ]
    if not found:
        raise TableError(
            "holds no .npz, .mat, .csv, .tsv or .parquet file" if folder.is_dir() else "is no folder",
            where=str(folder),
            hint=f"`llmdas-agent bench fetch {folder}` brings the public ones",
        )
    found.sort(key=lambda path: path.name.lower())
    by_name: dict[str, Path] = {}
    for path in found:
        first = by_name.setdefault(path.stem.lower(), path)
        if first is not path:
            raise TableError(
                f"holds {first.name} and {path.name}, two sets of one name",
                where=str(folder),
                hint="Rename one of them",
            )
    return found


def load_dataset(path: Path) -> Dataset:
    """Read one data file.

    Arrays are named ``X`` and ``y``; in a table the column named as in `LABELS` holds the labels, and all
    others are numbers, true or false.

    Raises
    ------
    TableError
        When it cannot be read, holds no rows and labels that fit each other, or values that are no numbers.
    """
    X, y = _from_arrays(path) if path.suffix.lower() in _ARRAYS else _from_table(path)
    if X.ndim != 2 or len(X) != len(y):
        raise TableError(f"has X of shape {X.shape} and {len(y)} labels", where=str(path))
    if not np.isin(y, (0, 1)).all():
        raise TableError("has labels that are neither 0 nor 1", where=str(path), hint="1 marks an anomaly")
    if not np.isfinite(X).all():
        raise TableError(
            "holds values that are missing, infinite or beyond what float32 holds",
            where=str(path),
            hint="The published protocol knows none: fill or leave out such rows and columns first",
        )
    if np.sum(y == 0) < 4 or not np.any(y == 1):
        raise TableError(
            f"has {np.sum(y == 0)} normal rows and {np.sum(y == 1)} anomalies",
            where=str(path),
            hint="At least 4 normal rows, half of which train, and an anomaly are needed",
        )
    return Dataset(path.stem, X.astype(np.float64), y.astype(np.intp))


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits.

    Raises
    ------
    TableError
        When it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise TableError(
            f"cannot be read ({os.strerror(error.errno or 0).lower()})", where=str(path)
        ) from error


def _from_arrays(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    try:
        content = loadmat(path) if path.suffix.lower() == ".mat" else np.load(path, allow_pickle=False)
        if not isinstance(content, Mapping):
            raise ValueError("it holds a single array without a name")
        with np.errstate(over="ignore"):
            X = np.asarray(content["X"], dtype=np.float32)
        return X, np.asarray(content["y"], dtype=np.float64).ravel()
    except _UNREADABLE as error:
        raise TableError(f"is no data set with X and y: {error}", where=str(path)) from error


def _from_table(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    frame = read_table(path).frame
    named = [name for name in frame.columns if name.lower() in LABELS]
    if len(named) != 1:
        raise TableError(
            f"has {len(named)} columns named {' or '.join(LABELS)}",
            where=str(path),
            hint="One column of 0 and 1 says which rows are anomalies",
        )
    for name, dtype in frame.schema.items():
        if not dtype.is_numeric() and dtype != pl.Boolean:
            raise TableError(
                f"column '{name}' is not of numbers",
                where=str(path),
                hint="The published protocol knows numbers alone: encode it, or leave it out",
            )
    with np.errstate(over="ignore"):
        X = frame.drop(named).cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float32)
    return X, frame[named[0]].cast(pl.Float64).fill_null(float("nan")).to_numpy()
