"""The densities are what they claim to be: normalized, and those of the rows sampled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t, norm
from threadpoolctl import threadpool_limits

from llmdas_agent.verification import FAMILIES, SCENARIOS, Scenario
from llmdas_agent.verification.matching import matched_rows, rows_at_depth
from llmdas_agent.verification.scenarios import (
    Bend,
    Linear,
    MixtureScenario,
    RoundedMixtureScenario,
    Scale,
    SinhArcsinh,
    Warp,
)

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many small products: threads would only wait for each other."""
    with threadpool_limits(1):
        yield


ROUNDED = [s for s in SCENARIOS if isinstance(s, RoundedMixtureScenario)]
SMOOTH = [s for s in SCENARIOS if s not in ROUNDED]


def each(scenarios: list[Scenario]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", scenarios, ids=lambda scenario: scenario.name)


by_name = each(list(SCENARIOS))


def test_the_scenarios_span_what_tables_are_like() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 12
    assert {2, 20, 200} <= {scenario.d for scenario in SCENARIOS}
    assert min(scenario.n_train for scenario in SCENARIOS) == 30
    assert any(scenario.d > scenario.n_train for scenario in SCENARIOS if scenario.d < 100)
    tables = {s.name: s.sample(500, np.random.default_rng(0)) for s in SCENARIOS}
    deviations = [X.std(axis=0) for X in tables.values()]
    assert max(d.max() / d.min() for d in deviations if d.min() > 0) > 1e6
    levels = [len(np.unique(column)) for column in tables["integers"].T]
    assert levels[0] < 5 < levels[2] < levels[3] < 100
    assert np.ptp(tables["collinear"][:, 5]) == 0
    assert np.linalg.matrix_rank(tables["collinear"] - tables["collinear"].mean(axis=0)) == 3
    codes = tables["one_hot"][:, :7]
    assert set(np.unique(codes)) == {0, 1}
    assert (codes[:, :4].sum(axis=1) == 1).all()
    assert (codes[:, 4:].sum(axis=1) == 1).all()


def importance_weights_mean_to_one(weights: Array) -> None:
    error = weights.std() / len(weights) ** 0.5
    assert error < 0.03
    assert weights.mean() == pytest.approx(1.0, abs=5 * error)


@each([s for s in SMOOTH if s.d <= 8])
def test_density_integrates_to_one(scenario: Scenario) -> None:
    """Importance sampling from a wide Student t, in the columns' own units."""
    rows = scenario.sample(5000, np.random.default_rng(1))
    unit = rows.std(axis=0)
    proposal = multivariate_t((rows / unit).mean(axis=0), 1.5 * np.cov((rows / unit).T), df=4, seed=2)
    X = proposal.rvs(300_000)
    importance_weights_mean_to_one(
        np.exp(scenario.log_density(X * unit) + np.log(unit).sum() - proposal.logpdf(X))
    )


@each(ROUNDED)
def test_density_of_rounded_columns_integrates_to_one_with_uniform_noise_on_them(
    scenario: RoundedMixtureScenario,
) -> None:
    """Importance sampling around normal rows, before the warps, with the noise spread over whole cells."""
    rng = np.random.default_rng(2)
    centers = scenario.flat_sample(300, rng)
    width = 0.8 * np.sqrt(scenario.covariances.max(axis=0).diagonal())
    whole = np.isin(np.arange(scenario.d), scenario.rounded)
    Z = centers[rng.integers(len(centers), size=20_000)]
    Z = Z + width * rng.normal(size=Z.shape)
    Z = np.where(whole, np.rint(Z) + rng.uniform(-0.5, 0.5, size=Z.shape), Z)
    log_kernels = np.empty((len(centers), len(Z)))
    for kernel, center in zip(log_kernels, centers, strict=True):
        cell = np.abs(np.rint(Z) - center)
        in_cell = norm.cdf((0.5 - cell) / width) - norm.cdf((-0.5 - cell) / width)
        kernel[:] = np.where(whole, np.log(in_cell + 1e-300), norm.logpdf(Z, center, width)).sum(axis=1)
    log_proposal = logsumexp(log_kernels, axis=0) - np.log(len(centers))
    importance_weights_mean_to_one(np.exp(scenario.flat_log_density(Z) - log_proposal))


@each([s for s in SMOOTH if isinstance(s, MixtureScenario)])
def test_a_mixture_is_normalized_in_any_number_of_columns(scenario: MixtureScenario) -> None:
    """For any density q, the mean of q / p over rows of p is 1: here scipy's Gaussian, within a component."""
    Z = scenario.flat_sample(40_000, np.random.default_rng(3))
    heaviest = int(np.argmax(scenario.weights))
    inner = multivariate_normal(scenario.means[heaviest], 0.9 * scenario.covariances[heaviest])
    importance_weights_mean_to_one(np.exp(inner.logpdf(Z) - scenario.flat_log_density(Z)))


@by_name
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None, derandomize=True)
def test_samples_follow_the_density(scenario: Scenario, seed: int) -> None:
    """For any shift and any half of space, both sides of a bridge weigh the same (Meng and Wong 1996).

    With q(x) = p(x - shift), the mean of 2 q / (p + q) over rows of p in the half is that of 2 p / (p + q)
    over rows of q in it. Weights lie between 0 and 2, so that their means are exact to a few per cent.
    """
    rng = np.random.default_rng(seed)
    X = scenario.sample(4000, rng)
    log_p = scenario.log_density(X)

    def weights(shift: Array) -> Array:
        return 2 / (1 + np.exp(np.clip(log_p - scenario.log_density(X + shift), -700, 700)))

    # differences of normal rows lead from code to code, and along a plane that all rows keep to
    shifts = X[:20] - X[20:40]
    if scenario in SMOOTH:
        shifts = shifts[:1] * np.geomspace(1, 1e-3, 20)[:, None]
    shift = max(shifts, key=lambda one: min(weights(one).mean(), 0.6))
    normal = rng.normal(size=scenario.d) / (X.std(axis=0) + 1e-9)
    bound = np.median(X @ normal)
    of_p = weights(-shift) * (X @ normal > bound)
    of_q = weights(shift) * ((X + shift) @ normal > bound)
    assert of_p.mean() > 0.01
    error = np.hypot(of_p.std(), of_q.std()) / len(X) ** 0.5
    assert of_p.mean() == pytest.approx(of_q.mean(), abs=5 * error)


@by_name
def test_snapping_leaves_the_density_and_normal_rows_as_they_are(scenario: Scenario) -> None:
    X = scenario.sample(200, np.random.default_rng(3))
    assert np.allclose(scenario.snap(X), X, rtol=0, atol=1e-9 * np.abs(X).max())
    stray = X + 0.3 * np.random.default_rng(4).normal(size=X.shape)
    assert np.allclose(scenario.log_density(scenario.snap(stray)), scenario.log_density(stray), rtol=1e-6)
    if isinstance(scenario, RoundedMixtureScenario) and not scenario.warps:
        snapped = scenario.snap(stray)[:, scenario.rounded]
        assert np.array_equal(snapped, np.rint(snapped))


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
        rows = matched_rows(family, scenario, depth, np.random.default_rng(6))
        reached = scenario.levels.depth(scenario.log_density(rows))
        assert np.all((reached > 1.45) & (reached < 2.8)), family.name
        assert np.allclose(scenario.snap(rows), rows, rtol=0, atol=1e-9 * np.abs(rows).max(initial=0))


def test_every_family_exists_in_several_scenarios() -> None:
    depth = np.linspace(1.5, 2.5, 30)
    for family in FAMILIES:
        counts = [len(matched_rows(family, s, depth, np.random.default_rng(7))) for s in SCENARIOS]
        assert sum(count >= 15 for count in counts) >= 5, family.name


@by_name
def test_steps_along_principal_axes_exist_wherever_columns_vary(scenario: Scenario) -> None:
    for family in FAMILIES:
        if family.name in {"local_dip", "far", "tight_cluster"}:
            assert len(rows_at_depth(family, scenario, np.full(30, 2.0), np.random.default_rng(7))) == 30


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
        Linear(np.array([[1.0, 0.0, 0.0], [2.0, 0.5, 0.0], [0.0, -1.0, 3.0]])),
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
