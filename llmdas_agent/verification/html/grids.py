"""A verdict's evidence, whatever a check puts there, as single facts and as grids of numbers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cell", "Grid", "facts_of", "grids_of", "in_words"]

_ABBREVIATIONS = {"auroc": "AUROC", "auc_pr": "AUC-PR"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a grid.

    Attributes
    ----------
    text : str
        The value, written with as many decimals as its column.
    at : float or None
        Where it lies between its column's ends, 0 to 100; None where it is no number.
    """

    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One measure of a grid.

    Attributes
    ----------
    name : str
        What the evidence calls it.
    zero : float
        Where 0 lies between the column's ends, 0 to 100.
    """

    name: str
    zero: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Values by row, mostly by scenario.

    Attributes
    ----------
    name : str
        What the evidence calls it.
    columns : tuple of Column
        The measures.
    rows : tuple
        Each a name and one `Cell` for each column.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def facts_of(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what of the evidence is a single value or a list, as names and texts; what is None is left out.

    Parameters
    ----------
    evidence : mapping
        As in `Verdict.evidence`.

    Returns
    -------
    list of tuple
    """
    return [
        (_words(name), in_words(value))
        for name, value in evidence.items()
        if value is not None and not _is_grid(value)
    ]


def grids_of(evidence: Mapping[str, Any]) -> list[Grid]:
    """Return what of the evidence is a table of values by name, each with its numbers on a common scale.

    Parameters
    ----------
    evidence : mapping
        As in `Verdict.evidence`.

    Returns
    -------
    list of Grid
    """
    return [_grid(name, value) for name, value in evidence.items() if _is_grid(value)]


def in_words(value: Any) -> str:
    """Return a plain value as a reader would write it.

    Parameters
    ----------
    value : object
        JSON-plain.

    Returns
    -------
    str
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return _number(value, _decimals([value]))
    if isinstance(value, str):
        return value or "–"
    if isinstance(value, Sequence) and not any(isinstance(item, (Mapping, list, tuple)) for item in value):
        return ", ".join(in_words(item) for item in value) or "none"
    return json.dumps(value, default=str)


def _is_grid(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    kinds = {isinstance(item, Mapping) for item in value.values()}
    return kinds == {True} or (kinds == {False} and all(_is_number(item) for item in value.values()))


def _grid(name: str, value: Mapping[str, Any]) -> Grid:
    table: dict[str, Mapping[str, Any]] = {
        row: item if isinstance(item, Mapping) else {name: item} for row, item in value.items()
    }
    measures = list(dict.fromkeys(measure for row in table.values() for measure in row))
    columns = [_column(measure, [row.get(measure) for row in table.values()]) for measure in measures]
    rows = tuple((str(row), tuple(cells[k] for _, cells in columns)) for k, row in enumerate(table))
    return Grid(_words(name), tuple(column for column, _ in columns), rows)


def _column(measure: Any, values: Sequence[Any]) -> tuple[Column, list[Cell]]:
    numbers: list[float] = [value for value in values if _is_number(value)]
    decimals = _decimals(numbers)
    low, high = float(min([0.0, *numbers])), float(max([0.0, *numbers]))
    if low >= -1 and high <= 1:
        high = 1.0

    def place(value: float) -> float:
        # halves, since the whole width of the largest numbers overflows
        return 100 * ((value / 2 - low / 2) / (high / 2 - low / 2))

    cells = [
        Cell(_number(value, decimals), place(value)) if _is_number(value) else Cell(in_words(value))
        for value in values
    ]
    return Column(_words(measure), place(0.0)), cells


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # also of a whole number that no float can hold
    return number and abs(value) <= sys.float_info.max


def _decimals(values: Iterable[float]) -> int:
    """Return how many decimals a column needs: three figures of its largest number, two below 1."""
    numbers = [abs(value) for value in values if _is_number(value)]
    if not numbers or all(isinstance(value, int) for value in values):
        return 0
    largest = max(numbers)
    if largest == 0:
        return 2
    figures = 2 if largest < 1 else 3
    return min(max(figures - 1 - math.floor(math.log10(max(largest, 1e-8))), 0), 8)


def _number(value: float, decimals: int) -> str:
    if not _is_number(value):
        return str(value)
    return f"{value:,.{decimals}f}".replace("-", "−").replace(",", "\N{NARROW NO-BREAK SPACE}")


def _words(name: Any) -> str:
    return _ABBREVIATIONS.get(str(name), str(name).replace("_", " "))
