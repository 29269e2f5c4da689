"""What a toy scenario is: seeded normal rows whose density is known, and true anomalies of known kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..families import FAMILIES
from ..matching import Family, LogDensityLevels, rows_at_depth

__all__ = ["Scenario"]

Array = NDArray[np.float64]

_KINDS = {
    "local": "local_dip",
    "global": "far",
    "dependency": "recombination",
    "clustered": "tight_cluster",
    "void": "void",
}
_DEPTHS = (1.2, 5.0)
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Scenario(ABC):
    """Normal rows with a known density, and true anomalies of known kinds.

    Attributes
    ----------
    name : str
        Short name.
    d : int
        Columns.
    n_train : int
        Rows that a detector is fitted on.
    """

    name: str
    d: int
    n_train: int

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` normal rows, shape (n, d)."""

    @abstractmethod
    def log_density(self, X: Array) -> Array:
        """Return the exact natural logarithm of the density, shape (m,), finite for finite rows."""

    def snap(self, X: Array) -> Array:
        """Return rows with every value moved to the nearest one that its column takes, shape (m, d).

        The log-density stays the same. Here every column takes all numbers, and the rows stay as they are.
        """
        return X

    @cached_property
    def levels(self) -> LogDensityLevels:
        """Where the log-density of normal rows lies, from 4,000 of them."""
        values = self.log_density(self.sample(4000, np.random.default_rng(0)))
        low, median = np.quantile(values, [0.01, 0.5])
        return LogDensityLevels(float(low), float(median))

    def anomalies(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Return true anomalies by kind, all below the 1 % quantile of the normal rows' log-density.

        Parameters
        ----------
        n : int
            Rows of each kind.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        dict of ndarray
            Rows by kind, at most `n` of each: ``local``, ``global``, ``dependency``, ``clustered`` and
            ``void``; a kind of which the scenario has not even half as many is left out.
        """
        by_name = {family.name: family for family in FAMILIES}
        kinds = {kind: self._rows_of(by_name[name], n, rng) for kind, name in _KINDS.items()}
        return {kind: rows for kind, rows in kinds.items() if 2 * len(rows) >= n}

    def _rows_of(self, family: Family, n: int, rng: np.random.Generator) -> Array:
        rows = np.empty((0, self.d))
        for _ in range(_ROUNDS):
            # where the family's rows are not so improbable as asked, shallower ones make up the number
            depth = rng.uniform(*_DEPTHS, size=n - len(rows))
            rows = np.vstack([rows, rows_at_depth(family, self, depth, rng)])
            if len(rows) == n:
                break
        return rows
