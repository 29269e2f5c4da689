"""Labelled data sets in a folder: ``.npz`` (ADBench) and ``.mat`` (ODDS) files with ``X`` and ``y``."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from ..errors import TableError

__all__ = ["Dataset", "find_datasets", "load_dataset"]

_SUFFIXES = (".npz", ".mat")


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
        When there is no such folder, or no data file in it.
    """
    found = [path for path in folder.glob("*") if path.suffix in _SUFFIXES]
    if not found:
        raise TableError(
            "holds no .npz or .mat file",
            where=str(folder),
            hint="Set LLMDAS_DATASETS to the folder of data sets",
        )
    return sorted(found, key=lambda path: path.name.lower())


def load_dataset(path: Path) -> Dataset:
    """Read one data file.

    Raises
    ------
    TableError
        When it cannot be read, or holds no `X` and `y` that fit each other.
    """
    try:
        content = loadmat(path) if path.suffix == ".mat" else np.load(path, allow_pickle=False)
        X, y = np.asarray(content["X"], dtype=np.float32), np.asarray(content["y"]).ravel()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, MatReadError) as error:
        raise TableError(f"is no data set with X and y: {error}", where=str(path)) from error
    if X.ndim != 2 or len(X) != len(y):
        raise TableError(f"has X of shape {X.shape} and {len(y)} labels", where=str(path))
    return Dataset(path.stem, X.astype(np.float64), y.astype(np.intp))
