"""What the checks look at: the rows that a program made in each toy scenario."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import Verdict
from .bench import FittedToy
from .yardstick import Learned

__all__ = ["Check", "Evidence", "ToyRun", "by_scenario", "mean", "rounded", "verdict"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToyRun:
    """What a program made in one scenario.

    Attributes
    ----------
    toy : FittedToy
        The scenario and the fitted detector.
    rows : ndarray, shape (n, d)
        The made rows.
    scored : int
        Rows that the program had scored.
    inputs_unchanged : bool
        Whether it left the training rows as they were.
    """

    toy: FittedToy
    rows: Array
    scored: int
    inputs_unchanged: bool

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.toy.scenario.name

    @cached_property
    def learned(self) -> Learned:
        """What a classifier learns from the rows."""
        return self.toy.yardstick.learned(self.rows)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the checks look at.

    Attributes
    ----------
    runs : tuple of ToyRun
        One for each scenario that the detector fits.
    same_seed : ndarray
        Rows of the first scenario, made again under the same seed.
    other_seed : ndarray
        Rows of the first scenario, made under another seed.
    """

    runs: tuple[ToyRun, ...]
    same_seed: Array
    other_seed: Array


Check = Callable[[Evidence], Verdict]
"""From evidence to a verdict, whose code is the function's name."""


def verdict(code: str, passed: bool, message: str, evidence: dict[str, Any], hint: str) -> Verdict:
    """Return a verdict; only one that failed gives a hint."""
    return Verdict(code=code, passed=passed, message=message, evidence=evidence, hint="" if passed else hint)


def by_scenario(**measures: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return measures by scenario, each of them given by scenario: for a verdict's evidence."""
    names = next(iter(measures.values()))
    return {name: {measure: values[name] for measure, values in measures.items()} for name in names}


def mean(values: dict[str, float]) -> float:
    """Return the mean over scenarios, rounded."""
    return rounded(np.mean(list(values.values())))


def rounded(value: Any) -> float:
    """Return a plain number of four decimals, for a verdict's evidence."""
    return round(float(value), 4)
