"""The densities are what they claim to be: normalized, and those of the rows sampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_t

from llmdas_agent.verification import FAMILIES, SCENARIOS, Scenario
from llmdas_agent.verification.families import rows_at_depth
from llmdas_agent.verification.scenarios import Bend, Scale, SinhArcsinh, Warp

by_name = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


def test_the_scenarios_span_what_tables_are_like() -> None:
    assert {2, 30, 200} <= {scenario.d for scenario in SCENARIOS}
    assert min(scenario.n_train for scenario in SCENARIOS) == 30
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 6
    deviations = [s.sample(500, np.random.default_rng(0)).std(axis=0) for s in SCENARIOS]
    assert max(d.max() / d.min() for d in deviations) > 1e6


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.d <= 8], ids=lambda scenario: scenario.name)
def test_density_integrates_to_one(scenario: Scenario) -> None:
    """Importance sampling from a wide Student t, in the columns' own units."""
    rows = scenario.sample(5000, np.random.default_rng(1))
    unit = rows.std(axis=0)
    proposal = multivariate_t((rows / unit).mean(axis=0), 1.5 * np.cov((rows / unit).T), df=4, seed=2)
    X = proposal.rvs(300_000)
    weights = np.exp(scenario.log_density(X * unit) + np.log(unit).sum() - proposal.logpdf(X))
    assert weights.mean() == pytest.approx(1.0, abs=5 * weights.std() / len(X) ** 0.5)
    assert weights.std() / len(X) ** 0.5 < 0.02


@by_name
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None, derandomize=True)
def test_samples_follow_the_density(scenario: Scenario, seed: int) -> None:
    """For any shift, the mean of p(x + shift) / p(x) over rows of p is 1."""
    rng = np.random.default_rng(seed)
    X = scenario.sample(3000, rng)
    shift = rng.normal(size=scenario.d) * X.std(axis=0)
    log_p = scenario.log_density(X)

    def log_ratio(length: float) -> NDArray[np.float64]:
        return scenario.log_density(X + length * shift) - log_p

    length = next(step for step in np.geomspace(1, 1e-4, 60) if np.std(log_ratio(step)) < 0.4)
    ratio = np.exp(log_ratio(length))
    assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / len(X) ** 0.5)


@by_name
def test_log_density_is_finite_far_away_and_sampling_is_seeded(scenario: Scenario) -> None:
    X = scenario.sample(50, np.random.default_rng(3))
    assert np.array_equal(X, scenario.sample(50, np.random.default_rng(3)))
    for factor in (-1.0, 0.0, 10.0, 1000.0):
        assert np.isfinite(scenario.log_density(factor * X)).all()


@by_name
def test_true_anomalies_are_improbable(scenario: Scenario) -> None:
    kinds = scenario.anomalies(60, np.random.default_rng(4))
    assert {"local", "global", "dependency", "clustered"} <= set(kinds)
    normal = scenario.sample(2000, np.random.default_rng(5))
    threshold = np.quantile(scenario.log_density(normal), 0.02)
    for rows in kinds.values():
        assert rows.shape[1] == scenario.d
        assert (scenario.log_density(rows) < threshold).all()


@by_name
def test_families_are_matched_in_log_density(scenario: Scenario) -> None:
    depth = np.linspace(1.5, 2.5, 40)
    for family in FAMILIES:
        rows = rows_at_depth(family, scenario, depth, np.random.default_rng(6))
        levels = scenario.levels
        reached = (levels.median - scenario.log_density(rows)) / (levels.median - levels.low)
        assert np.all(np.diff(reached) > -0.02)
        assert np.all((reached > 1.45) & (reached < 2.55)), family.name


def test_every_family_exists_somewhere() -> None:
    """And only rows between clusters, or of wrong combinations, may be missing."""
    for family in FAMILIES:
        counts = [
            len(rows_at_depth(family, s, np.full(30, 2.0), np.random.default_rng(7))) for s in SCENARIOS
        ]
        assert max(counts) == 30
        assert family.name in {"between", "recombination"} or min(counts) == 30


def test_tight_clusters_are_tight() -> None:
    scenario = SCENARIOS[1]
    family = next(family for family in FAMILIES if family.name == "tight_cluster")
    rows = rows_at_depth(family, scenario, np.full(20, 2.0), np.random.default_rng(8))
    assert np.all(np.ptp(rows, axis=0) < 0.2 * scenario.sample(500, np.random.default_rng(9)).std(axis=0))


@pytest.mark.parametrize(
    "warp",
    [
        Scale(np.array([1e-3, 1.0, 1e6])),
        Bend(1.5),
        SinhArcsinh(np.array([-0.6, 0.0, 0.6]), np.array([0.6, 1.0, 0.8])),
    ],
    ids=lambda warp: type(warp).__name__,
)
@given(row=st.lists(st.floats(-4, 4), min_size=3, max_size=3))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_warp_is_undone_and_says_how_it_stretches(warp: Warp, row: list[float]) -> None:
    z = np.array([row])
    x = warp.forward(z)
    back, log_slope = warp.inverse(x)
    assert np.allclose(back, z, atol=1e-8)
    step = 1e-5
    jacobian = np.column_stack(
        [(warp.forward(z + step * e) - warp.forward(z - step * e))[0] / (2 * step) for e in np.eye(3)]
    )
    assert log_slope[0] == pytest.approx(-np.linalg.slogdet(jacobian)[1], abs=1e-5)
