"""The densities are what they claim to be: normalized, and those of the rows sampled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

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


@each([s for s in SMOOTH if s.d <= 8 and s.name != "grid"])
def test_density_integrates_to_one(scenario: Scenario) -> None:
    """Importance sampling from a wide Student t, in the columns' own units."""
    rows = scenario.sample(5000, np.random.default_rng(1))
    unit = rows.std(axis=0)
    proposal = multivariate_t((rows / unit).mean(axis=0), 1.5 * np.cov((rows / unit).T), df=4, seed=2)
    X = proposal.rvs(300_000)
    importance_weights_mean_to_one(
        np.exp(scenario.log_density(X * unit) + np.log(unit).sum() - proposal.logpdf(X))
    )


@each([*ROUNDED, *(s for s in SMOOTH if s.name == "grid")])
def test_density_of_codes_and_of_small_clusters_integrates_to_one(scenario: MixtureScenario) -> None:
    """Importance sampling around normal rows, before the warps; a code is spread over its whole cell."""
    rng = np.random.default_rng(2)
    centers = scenario.flat_sample(300, rng)
    width = 0.8 * np.sqrt(np.median(scenario.covariances, axis=0).diagonal())
    whole = np.isin(np.arange(scenario.d), getattr(scenario, "rounded", []))
    Z = centers[rng.integers(len(centers), size=8_000)]
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
    Z = scenario.flat_sample(20_000, np.random.default_rng(3))
    heaviest = int(np.argmax(scenario.weights))
    inner = multivariate_normal(scenario.means[heaviest], 0.9 * scenario.covariances[heaviest])
    importance_weights_mean_to_one(np.exp(inner.logpdf(Z) - scenario.flat_log_density(Z)))


def stein_means_to_zero(t: Array, slope: Array, inside: Array, rng: np.random.Generator) -> None:
    """Check Stein's identity for a wave: its product with the slope of log p, plus its own slope, has mean 0.

    The wave runs in the direction of the slope, and `t` is the way along it (Stein 1972).
    """
    often = np.exp(rng.uniform(np.log(0.2), np.log(5)))
    angle = often * (t - np.median(t)) + rng.uniform(-0.7, 0.7)
    values = inside * (np.sin(angle) * slope + often * np.cos(angle))
    assert values.mean() == pytest.approx(0.0, abs=5 * values.std() / len(values) ** 0.5)


@each(SMOOTH)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_samples_follow_the_slopes_of_the_density(scenario: Scenario, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = scenario.sample(30_000 if scenario.d < 100 else 3_000, rng)
    unit = X.std(axis=0)
    way = rng.normal(size=scenario.d)
    way /= np.linalg.norm(way)
    ahead, behind = (scenario.log_density(X + step * unit * way) for step in (1e-4, -1e-4))
    stein_means_to_zero(X / unit @ way, (ahead - behind) / 2e-4, np.ones(len(X)), rng)


@each(ROUNDED)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_samples_follow_the_slopes_of_the_density_within_each_code(
    scenario: RoundedMixtureScenario, seed: int
) -> None:
    """Before the warps, along the columns that are not rounded, for half of the codes."""
    rng = np.random.default_rng(seed)
    Z = scenario.flat_sample(30_000, rng)
    way = rng.normal(size=scenario.d)
    way[scenario.rounded] = 0
    way /= np.linalg.norm(way)
    code = Z[:, scenario.rounded] @ rng.normal(size=len(scenario.rounded))
    ahead, behind = (scenario.flat_log_density(Z + step * way) for step in (1e-4, -1e-4))
    stein_means_to_zero(Z @ way, (ahead - behind) / 2e-4, code >= np.median(code), rng)


@each([s for s in SCENARIOS if isinstance(s, MixtureScenario) and len(s.weights) > 1 and s.d < 100])
def test_samples_follow_the_weights_of_the_components(scenario: MixtureScenario) -> None:
    """A bridge from one component to another bears the same from both ends (Meng and Wong 1996).

    With q(z) = p(z - shift), the mean of 2 q / (p + q) over rows of p is that of 2 p / (p + q) over rows
    of q, and so it is for the share of them that lies around the second component.
    """
    Z = scenario.flat_sample(10_000, np.random.default_rng(5))
    log_p = scenario.flat_log_density(Z)

    def weights(shift: Array) -> Array:
        return 2 / (1 + np.exp(np.clip(log_p - scenario.flat_log_density(Z + shift), -700, 700)))

    means = scenario.means
    for first, second in pairwise(range(len(means))):
        shift = means[second] - means[first]
        reach = np.linalg.norm(shift) / 2
        of_p = weights(-shift) * (np.linalg.norm(Z - means[second], axis=1) < reach)
        of_q = weights(shift) * (np.linalg.norm(Z + shift - means[second], axis=1) < reach)
        error = np.hypot(of_p.std(), of_q.std()) / len(Z) ** 0.5
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
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        for far in (-9e49, -1e17, 1e17, 9e49):
            assert np.isfinite(scenario.log_density(np.full((1, scenario.d), far))).all()


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
    unit = scenario.sample(500, np.random.default_rng(9)).std(axis=0)
    for family, size in (("tight_cluster", 10), ("masked_cluster", 60)):
        found = next(one for one in FAMILIES if one.name == family)
        rows = rows_at_depth(found, scenario, np.full(60, 2.0), np.random.default_rng(8))
        for group in rows.reshape(-1, size, scenario.d):
            assert (np.ptp(group, axis=0) < 0.2 * unit).all()


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
