from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from sklearn.datasets import load_wine

from llmdas_agent.detectors import DetectorSource
from llmdas_agent.enhance.background import background_families, recombined_rows
from llmdas_agent.enhance.bases import CuredBase, independent_columns
from llmdas_agent.enhance.constants import Constants
from llmdas_agent.enhance.gate import Judged, contribution_of
from llmdas_agent.enhance.joining import TailSurprise, power_mean, soft_maximum
from llmdas_agent.enhance.neighbours import Neighbourhood, Neighbours
from llmdas_agent.enhance.spaces import Quantile, Whitened
from llmdas_agent.enhance.tails import Tails

coarse = st.integers(-3, 3).map(float)


@given(
    hnp.arrays(np.float64, (12, 2), elements=coarse),
    hnp.arrays(np.float64, (5, 2), elements=coarse),
    st.sampled_from([ECOD, COPOD]),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_detectors_that_pool_are_scored_row_by_row(train: np.ndarray, rows: np.ndarray, kind: type) -> None:
    base = CuredBase(0).fit(DetectorSource.from_object(kind()), train)
    alone = np.concatenate([kind().fit(train).decision_function(row[None]) for row in rows])
    if not base.pools_:
        return  # the first rows happen to score alike together and alone
    # a skewness of exactly zero is a matter of rounding, and of no other
    symmetric = np.abs(_third_moments(train, rows)).min(axis=1) < 1e-9
    np.testing.assert_allclose(base.score(rows)[~symmetric], alone[~symmetric])


def _third_moments(train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    pooled = np.stack([np.vstack([train, row]) for row in rows])
    return ((pooled - pooled.mean(axis=1, keepdims=True)) ** 3).mean(axis=1)


def test_independent_columns_span_the_table() -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 4)) * [1.0, 1e6, 1e-6, 1.0]
    Z = np.column_stack([Z, np.ones(50), Z[:, 0] - Z[:, 3]])
    kept = independent_columns(Z)
    assert len(kept) == 4
    assert 4 not in kept
    assert np.linalg.matrix_rank(Z[:, kept] / Z[:, kept].std(axis=0)) == 4


@given(hnp.arrays(np.float64, st.integers(3, 60), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3))))
def test_surprise_rises_with_the_score_and_is_about_exponential(scores: np.ndarray) -> None:
    surprise = TailSurprise().fit(scores)
    grid = np.linspace(scores.min() - 1, scores.max() + 10 * (np.ptp(scores) + 1), 200)
    told = surprise(grid)
    assert np.isfinite(told).all()
    assert (np.diff(told) >= -1e-9).all()
    # the highest of n is as surprising as a chance of 1 in n + 1, more so beyond it
    assert surprise(np.array([scores.max()]))[0] <= np.log(len(scores) + 1) + 1e-4


def test_surprise_of_new_normal_scores_is_exponential() -> None:
    rng = np.random.default_rng(0)
    told = TailSurprise().fit(rng.gumbel(size=3000))(rng.gumbel(size=3000))
    assert told.mean() == pytest.approx(1.0, abs=0.08)
    assert np.mean(told > 3.0) == pytest.approx(np.exp(-3.0), abs=0.015)


def test_one_sure_expert_is_heard() -> None:
    base, classifier = np.array([8.0, 1.0, 3.0]), np.array([1.0, 8.0, 3.0])
    joined = soft_maximum(base, classifier, 1.0)
    assert joined[2] < joined[0] == pytest.approx(8.0, abs=0.01)
    np.testing.assert_array_equal(soft_maximum(base, classifier, 0.0), base)


def test_averaged_evidence_is_a_surprise_again() -> None:
    alike = np.array([0.5, 2.0, 7.0])
    np.testing.assert_allclose(power_mean([alike, alike], [1.0, 0.3]), alike)
    loud, quiet = np.array([4.0]), np.array([1.0])
    assert power_mean([loud, quiet], [1.0, 0.1]) > power_mean([loud, quiet], [0.1, 1.0])


def _judged(rng: np.random.Generator, louder: float, n: int) -> Judged:
    return Judged(rng.exponential(size=n), louder * rng.exponential(size=n))


def test_a_classifier_that_has_learnt_nothing_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    refused = [contribution_of(_judged(rng, 1.0, 50), None, 50).weight == 0 for _ in range(300)]
    assert np.mean(refused) > 0.95
    learnt = contribution_of(_judged(rng, 5.0, 50), None, 50)
    assert learnt.weight == pytest.approx(1.5 * 50 / 80)
    assert learnt.learnability > 0.7


def test_beside_the_neighbours_a_classifier_must_add_to_what_they_know() -> None:
    rng = np.random.default_rng(0)
    rival = _judged(rng, 2.0, 400)
    echo = contribution_of(rival, rival, 400)
    assert echo.weight == 0.0
    assert echo.learnability == echo.rival
    assert echo.reason.startswith("synthesis not used here")
    noise = [contribution_of(_judged(rng, 1.0, 400), rival, 400).weight == 0 for _ in range(100)]
    assert np.mean(noise) > 0.95
    # as good as the neighbours, but on its own: together they know more than either
    other = contribution_of(_judged(rng, 2.0, 400), rival, 400)
    assert other.weight == pytest.approx(0.6 * 400 / 430)
    assert other.learnability > other.rival
    assert "by the neighbours alone" in other.reason


def test_rows_are_left_out_of_their_own_neighbours() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(40, 3)), 2, axis=0)  # every row has an equal one
    hood = Neighbourhood().fit(rows)
    one = Neighbourhood().fit(np.delete(rows, 7, axis=0))
    np.testing.assert_allclose(hood.own_[0, 7], one.score(rows[7:8])[0, 0])


@given(hnp.arrays(np.float64, (30, 3), elements=coarse), st.data())
@settings(max_examples=40, deadline=None)
def test_neighbours_and_tails_see_a_row_the_same_whatever_its_batch(
    Z: np.ndarray, data: st.DataObject
) -> None:
    Z = Z + np.random.default_rng(0).normal(size=Z.shape) * [1e-3, 1.0, 1e3]
    neighbours, tails = Neighbours().fit(Z[:25]), Tails().fit(Z[:25])
    chosen = data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=8))
    np.testing.assert_allclose(neighbours(Z[chosen]), neighbours(Z)[chosen], rtol=1e-9)
    np.testing.assert_allclose(tails.score(Z[chosen]), tails.score(Z)[:, chosen], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_rows_equally_far_are_chosen_the_same_whatever_the_batch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, steps = np.eye(6)[rng.integers(6, size=700)], np.round(rng.normal(size=(700, 2)), 1)
    Z = np.hstack([codes, steps, rng.integers(5, size=(700, 2))])
    neighbours = Neighbours().fit(Z[:500])
    alone = np.concatenate([neighbours(row[None]) for row in Z[500:]])
    np.testing.assert_allclose(neighbours(Z)[500:], alone, rtol=1e-9)


def test_far_rows_surprise_neighbours_and_tails_more_the_farther_they_are() -> None:
    Z = load_wine().data
    far = Z.mean(axis=0) + np.outer([0.0, 5.0, 20.0, 100.0], Z.std(axis=0))
    assert (np.diff(Neighbours().fit(Z)(far)) > 0).all()
    assert (np.diff(Tails().fit(Z).score(far), axis=1) > 0).all()


def test_a_row_is_no_farther_than_its_neighbours_say_by_every_yardstick() -> None:
    Z = load_wine().data
    neighbours = Neighbours().fit(Z[::2])
    told = neighbours(Z[1::2])
    hoods = zip(neighbours.spaces_, neighbours.hoods_, strict=True)
    distances = np.vstack([hood.score(space.transform(Z[1::2])) for space, hood in hoods])
    by_each = np.array([told(row) for told, row in zip(neighbours.surprises_, distances, strict=True)])
    assert (by_each.max(axis=0) > 3 * by_each.min(axis=0)).any()
    assert (told <= by_each.mean(axis=0) + 1e-9).all()
    assert (told >= by_each.min(axis=0) - 1e-9).all()
    np.testing.assert_allclose(1 / told, (1 / by_each).mean(axis=0))


@given(hnp.arrays(np.float64, (12, 4), elements=st.sampled_from([1e6, 1e6, 1e6, -2.0])))
@settings(max_examples=60, deadline=None)
def test_a_row_fitted_departs_where_the_others_say_so_that_never_varied(Z: np.ndarray) -> None:
    constants = Constants().fit(Z)
    for i, own in enumerate(constants.own_):
        others = np.delete(Z, i, axis=0)
        departs = (np.ptp(others, axis=0) == 0) & (Z[i] != others[0])
        assert (own > 0) == departs.any()


def test_what_departs_from_more_columns_than_any_row_did_is_as_rare_as_can_be() -> None:
    Z = np.zeros((99, 5))
    Z[:, 0], Z[7, 1] = np.arange(99), 1.0  # one row in 99 departs alone, from one column
    rows = np.zeros((3, 5))
    rows[1, 2], rows[2, 2:4] = 1e-3, 1e9
    assert Constants().fit(Z)(rows) == pytest.approx(np.log([1, 100 / 2, 100]))


def test_many_values_somewhat_far_out_are_as_telling_as_one_that_is_very_far() -> None:
    Z = np.random.default_rng(0).normal(size=(2000, 10))
    one, all_of_them = np.zeros((2, 10))
    one[0], all_of_them[:] = 3.3, 2.0
    of_columns, of_components = Tails().fit(Z).score(np.stack([one, all_of_them]))
    assert of_columns[1] > of_columns[0]
    assert of_components[1] > of_components[0]


def test_recombinations_keep_the_values_and_lose_the_dependence() -> None:
    X = load_wine().data
    made = recombined_rows(X, 900, np.random.default_rng(0))
    assert made.shape == (900, X.shape[1])
    np.testing.assert_allclose(made.mean(axis=0), X.mean(axis=0), rtol=0.15)
    assert abs(np.corrcoef(made[:300].T)[5, 6]) < 0.3 < np.corrcoef(X.T)[5, 6]


def test_background_surrounds_the_rows() -> None:
    X = load_wine().data
    families = background_families(X, 200, np.random.default_rng(0))
    assert [made.shape for made in families] == [(200, X.shape[1])] * 3
    made = np.vstack(families)
    z = np.abs((made - X.mean(axis=0)) / X.std(axis=0)).max(axis=1)
    assert 1.0 < np.median(z) < 6.0
    rows = {tuple(row) for row in X.round(6)}
    assert np.mean([tuple(row) in rows for row in made.round(6)]) < 0.01


def test_quantiles_go_on_outside_the_training_range() -> None:
    X = np.random.default_rng(0).exponential(size=(500, 1))
    space = Quantile().fit(X)
    inside = space.transform(X)
    assert inside.mean() == pytest.approx(0.0, abs=0.02)
    assert inside.std() == pytest.approx(1.0, abs=0.05)
    far = space.transform(np.array([[X.max() + 1], [X.max() + 10], [X.min() - 5]]))[:, 0]
    assert 3.5 > inside.max() > 2.5
    assert far[1] > far[0] > inside.max()
    assert far[2] < inside.min()


def test_whitening_leaves_unit_variance_without_dependent_directions() -> None:
    X = load_wine().data
    X = np.column_stack([X, X[:, 0] + X[:, 1]])
    white = Whitened().fit(X).transform(X)
    assert white.shape[1] == load_wine().data.shape[1]
    assert np.abs(np.corrcoef(white.T) - np.eye(white.shape[1])).max() < 0.15
