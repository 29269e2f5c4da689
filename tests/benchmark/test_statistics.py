"""Paired comparisons and rankings, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, wilcoxon

from llmdas_agent.benchmark.statistics import compare, rank


def test_a_comparison_counts_and_tests_what_it_says() -> None:
    other = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    found = compare(other + np.array([0.1, 0.004, 0.0, -0.03, -0.06]), other)
    assert (found.wins, found.losses) == (2, 2)
    assert (found.better, found.worse, found.much_worse, found.sets) == (1, 2, 1, 5)
    assert found.gain == pytest.approx(0.0028)
    assert found.relative_gain == pytest.approx(0.004)
    expected = ttest_1samp([0.1, 0.004, 0.0, -0.03, -0.06], 0.0, alternative="greater")
    assert (found.t, found.p_t) == pytest.approx((expected.statistic, expected.pvalue))


def test_a_steady_gain_is_significant_and_its_reverse_is_not() -> None:
    other = np.linspace(0.3, 0.8, 20)
    gained = other + np.linspace(0.01, 0.03, 20)
    assert compare(gained, other).p_t < 0.001
    assert compare(gained, other).p_wilcoxon < 0.001
    assert compare(other, gained).p_t > 0.999


def test_nothing_can_be_tested_where_nothing_differs() -> None:
    same = compare(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    assert same.gain == 0
    assert math.isnan(same.p_t)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 7), st.integers(5, 40), st.floats(0, 0.2))
def test_runs_of_alike_methods_hold_no_pair_that_differs(seed: int, k: int, n: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    values = {f"m{i}": rng.normal(spread * i, 0.1, size=n) for i in range(k)}
    found = rank(values)
    assert list(found.mean_ranks) == sorted(found.mean_ranks)
    assert sum(found.mean_ranks) == pytest.approx(k * (k + 1) / 2)
    if found.p_friedman >= 0.05:
        assert found.alike == ((0, k - 1),)
        return
    table = [values[name] for name in found.methods]
    pairs = sorted((wilcoxon(table[i] - table[j]).pvalue, i, j) for i in range(k) for j in range(i + 1, k))
    m = len(pairs)
    adjusted, highest = {}, 0.0
    for step, (p, i, j) in enumerate(pairs):
        highest = max(highest, p * (m - step))
        adjusted[i, j] = highest
    for first, last in found.alike:
        for i in range(first, last + 1):
            for j in range(i + 1, last + 1):
                assert adjusted[i, j] > 0.05
    for i in range(k - 1):
        if adjusted[i, i + 1] > 0.05:
            assert any(first <= i and last >= i + 1 for first, last in found.alike)


def test_the_best_method_comes_first() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.3, 0.8, size=30)
    found = rank({"poor": base - 0.1, "good": base + 0.1, "middle": base})
    assert found.methods == ("good", "middle", "poor")
    assert found.mean_ranks == (1.0, 2.0, 3.0)
    assert found.p_friedman < 1e-6
    assert found.alike == ()
