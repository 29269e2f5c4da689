"""How methods compare over data sets: paired tests, wins and losses, mean ranks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import friedmanchisquare, rankdata, ttest_rel, wilcoxon

__all__ = ["Comparison", "Ranking", "compare", "rank"]

Array = NDArray[np.float64]

_BETTER = 0.005
_WORSE = 0.02
_MUCH_WORSE = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """One method against another over the same data sets.

    Attributes
    ----------
    mean_other, mean : float
        Of the other, and of the method.
    gain : float
        Their difference.
    relative_gain : float
        It, over the other's mean.
    wins, losses : int
        Sets on which the method's value is the higher, the lower.
    better, worse, much_worse : int
        Sets on which it is higher by more than .005, lower by more than .02, lower by more than .05.
    sets : int
        How many there are.
    t, p_t : float
        Paired t-test, one-tailed for the method; NaN where it cannot be computed.
    p_wilcoxon : float
        Wilcoxon's signed-rank test, one-tailed for the method.
    """

    mean_other: float
    mean: float
    gain: float
    relative_gain: float
    wins: int
    losses: int
    better: int
    worse: int
    much_worse: int
    sets: int
    t: float
    p_t: float
    p_wilcoxon: float


def compare(values: Array, other: Array) -> Comparison:
    """Compare a method with another.

    Parameters
    ----------
    values, other : array, shape (n,)
        One value a data set, in the same order.
    """
    difference = values - other
    t, p_t, p_wilcoxon = float("nan"), float("nan"), float("nan")
    if len(values) > 1 and np.ptp(difference) > 0:
        found = ttest_rel(values, other, alternative="greater")
        t, p_t = float(found.statistic), float(found.pvalue)
        p_wilcoxon = float(wilcoxon(difference, alternative="greater").pvalue)
    gain = float(difference.mean())
    return Comparison(
        mean_other=float(other.mean()),
        mean=float(values.mean()),
        gain=gain,
        relative_gain=gain / float(other.mean()),
        wins=int(np.sum(difference > 0)),
        losses=int(np.sum(difference < 0)),
        better=int(np.sum(difference > _BETTER)),
        worse=int(np.sum(difference < -_WORSE)),
        much_worse=int(np.sum(difference < -_MUCH_WORSE)),
        sets=len(values),
        t=t,
        p_t=p_t,
        p_wilcoxon=p_wilcoxon,
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Methods by their mean rank over data sets, the best first.

    Attributes
    ----------
    methods : tuple of str
    mean_ranks : tuple of float
        1 is best; ties share the mean of their ranks.
    p_friedman : float
        Friedman's test of all methods being alike; NaN with fewer than three.
    alike : tuple of (int, int)
        Runs of methods, first and last index, of which no two differ by Wilcoxon's signed-rank test at .05
        after Holm's correction. A run within another is not listed.
    sets : int
        How many sets there are.
    """

    methods: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    p_friedman: float
    alike: tuple[tuple[int, int], ...]
    sets: int


def rank(values: dict[str, Array], level: float = 0.05) -> Ranking:
    """Rank methods over data sets (Demšar, 2006; Benavoli, Corani and Mangili, 2016).

    Parameters
    ----------
    values : dict
        For each method an array of shape (n,), one value a data set, in the same order, the higher the
        better.
    level : float
        Of significance.
    """
    table = np.column_stack(list(values.values()))
    ranks = rankdata(-table, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    names = [list(values)[i] for i in order]
    p_friedman = (
        float(friedmanchisquare(*table.T).pvalue) if len(names) > 2 and len(table) > 1 else float("nan")
    )
    differing = _differing(table[:, order], level) if p_friedman < level else set()
    return Ranking(
        tuple(names),
        tuple(float(ranks[i]) for i in order),
        p_friedman,
        _runs(len(names), differing),
        len(table),
    )


def _differing(table: Array, level: float) -> set[tuple[int, int]]:
    """Return the pairs of columns that differ, by Wilcoxon's test and Holm's step-down correction."""
    pairs = list(combinations(range(table.shape[1]), 2))
    found = sorted((_two_sided(table[:, i] - table[:, j]), (i, j)) for i, j in pairs)
    differing = set()
    for step, (p, pair) in enumerate(found):
        if p > level / (len(pairs) - step):
            break
        differing.add(pair)
    return differing


def _two_sided(difference: Array) -> float:
    return float(wilcoxon(difference).pvalue) if np.any(difference != 0) else 1.0


def _runs(count: int, differing: set[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the longest runs of neighbours of which no two differ."""
    runs: list[tuple[int, int]] = []
    for first in range(count):
        last = first
        while last + 1 < count and not any((i, last + 1) in differing for i in range(first, last + 1)):
            last += 1
        if last > first and not (runs and runs[-1][1] >= last):
            runs.append((first, last))
    return tuple(runs)
