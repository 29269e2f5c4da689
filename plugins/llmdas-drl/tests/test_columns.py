"""The views: whatever the columns' shapes and units, what a network is given is centred and finite."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from llmdas_drl.columns import VIEWS, fit_view, seen_in

Rows = np.ndarray


@pytest.fixture
def rows() -> Rows:
    normal = np.random.default_rng(0).normal(size=(400, 4))
    return np.column_stack([normal, np.exp(3 * normal[:, 0]), normal[:, 1] > 1, np.full(400, 7.0)])


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_centred_and_does_not_see_units(view: str, rows: Rows) -> None:
    seen = seen_in(fit_view(view, rows), rows)
    assert np.allclose(seen[:, :7].mean(axis=0), 0, atol=1e-9)
    other = rows * 1000 + 5
    again = seen_in(fit_view(view, other), other)
    # axes of the same variance may point either way
    assert np.allclose(seen @ seen.T, again @ again.T, atol=1e-6)


def test_the_anchored_view_is_the_standardized_one_and_a_constant(rows: Rows) -> None:
    plain, anchored = (seen_in(fit_view(view, rows), rows) for view in ("standardized", "anchored"))
    assert np.array_equal(anchored[:, :-1], plain)
    assert np.array_equal(anchored[:, -1], np.full(400, 3.0))


def test_a_column_becomes_normal_quantiles_that_go_on_beyond_the_values_seen() -> None:
    """One column's are known: of the share below, ties counting half, and 4 for every deviation beyond."""
    column = np.array([1.0, 2.0, 2.0, 50.0])
    quantiles = norm.ppf([0.2, 0.5, 0.5, 0.8])
    view = fit_view("gaussian", column[:, None])
    seen = seen_in(view, np.array([[1.0], [2.0], [3.0], [50.0], [50.0 + column.std()]]))[:, 0]
    expected = np.append(norm.ppf([0.2, 0.5, 0.7, 0.8]), norm.ppf(0.9) + 4)
    scale = np.abs((seen[3] - seen[1]) / (expected[3] - expected[1]))
    assert scale == pytest.approx(1 / (quantiles.std() * np.sqrt(1.2)))
    assert np.allclose(np.abs(seen - seen[1]), scale * np.abs(expected - expected[1]))


def test_gaussian_directions_are_alike_however_the_columns_depend_on_each_other() -> None:
    chance = np.random.default_rng(0)
    X = chance.normal(size=(2000, 1)) + 0.5 * chance.normal(size=(2000, 5))
    spread = np.linalg.svd(seen_in(fit_view("gaussian", X), X), compute_uv=False)
    plain = np.linalg.svd(seen_in(fit_view("standardized", X), X), compute_uv=False)
    assert spread[0] / spread[-1] < 2 < plain[0] / plain[-1]


def test_one_row_and_constant_columns_give_finite_numbers() -> None:
    for view in VIEWS:
        assert np.isfinite(seen_in(fit_view(view, np.ones((1, 3))), np.array([[1.0, 5.0, -1e9]]))).all()


def test_a_view_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"no view 'flat'.*standardized, anchored, gaussian"):
        fit_view("flat", np.ones((3, 2)))
