"""The light join: a classifier that learns made rows, and scores that combine by their tail probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import average_precision_score, roc_auc_score

from llmdas_agent.verification.measures import auroc, average_precision
from llmdas_agent.verification.references import References
from llmdas_agent.verification.usefulness import Classifier, NormalView, joined, surprise

scores = st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=40).map(np.array)


@given(scores, scores)
@settings(max_examples=100, deadline=None)
def test_measures_are_those_of_scikit_learn(normal: np.ndarray, abnormal: np.ndarray) -> None:
    truth = np.repeat([0, 1], [len(normal), len(abnormal)])
    together = np.concatenate([normal, abnormal])
    assert auroc(normal, abnormal) == pytest.approx(roc_auc_score(truth, together))
    assert average_precision(normal, abnormal) == pytest.approx(average_precision_score(truth, together))


@given(scores, scores)
@settings(max_examples=100, deadline=None)
def test_surprise_keeps_the_order_and_is_finite(normal: np.ndarray, asked: np.ndarray) -> None:
    found = surprise(normal, np.sort(asked))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-9).all()
    assert (found >= -np.log((len(normal) + 0.5) / (len(normal) + 1)) - 1e-9).all()


def test_surprise_of_normal_rows_is_that_of_their_tail_probability() -> None:
    rng = np.random.default_rng(0)
    for unit in (1e-6, 1.0, 1e6):
        found = surprise(unit * rng.normal(size=2000), unit * rng.normal(size=2000))
        # -log of a uniform number is exponential: half of them above log 2, a tenth above log 10
        assert np.mean(found > np.log(2)) == pytest.approx(0.5, abs=0.05)
        assert np.mean(found > np.log(10)) == pytest.approx(0.1, abs=0.03)


def test_far_rows_stay_in_order_beyond_all_that_was_seen() -> None:
    found = surprise(np.random.default_rng(0).normal(size=300), np.array([4.0, 10.0, 100.0]))
    assert (np.diff(found) > 0.5).all()


def test_a_join_with_noise_costs_and_one_with_a_good_second_opinion_pays() -> None:
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.normal(size=500), rng.normal(2.0, size=50)])
    second = np.concatenate([rng.normal(size=500), rng.normal(2.0, size=50)])
    noise = rng.normal(size=550)

    def precision(*parts: np.ndarray) -> float:
        told = [surprise(part[:250], part[250:]) for part in parts]
        total = told[0] if len(told) == 1 else joined(told[0], told[1])
        return average_precision(total[:250], total[250:])

    assert precision(first, second) > precision(first) + 0.05
    assert precision(first, noise) < precision(first)


@given(scores, scores, scores)
@settings(max_examples=100, deadline=None)
def test_the_join_lies_between_its_two_and_rises_with_each(
    normal: np.ndarray, one: np.ndarray, other: np.ndarray
) -> None:
    n = min(len(one), len(other))
    first, second = surprise(normal, one[:n]), surprise(normal, np.sort(other[:n]))
    both = joined(first, second)
    assert (both >= np.minimum(first, second) * (1 - 1e-9)).all()
    assert (both <= np.maximum(first, second) * (1 + 1e-9)).all()
    assert (np.diff(joined(np.full(n, first[0]), second)) >= 0).all()


def test_a_classifier_that_sees_nothing_outside_shows_beside_a_detector_that_sees_all() -> None:
    rng = np.random.default_rng(0)
    detector = np.concatenate([rng.normal(size=500), rng.normal(6.0, size=50)])
    blind = np.concatenate([rng.normal(size=500), rng.normal(-2.0, size=50)])
    told, unseen = (surprise(part[:250], part[250:]) for part in (detector, blind))
    together = joined(told, unseen)
    assert average_precision(told[:250], told[250:]) > 0.99
    assert average_precision(together[:250], together[250:]) < 0.7


def test_the_classifier_learns_what_shifted_rows_have_in_common_on_real_data() -> None:
    X, benign = load_breast_cancer(return_X_y=True)
    normal, malignant = X[benign == 1], X[benign == 0]
    rng = np.random.default_rng(0)
    fitted, held = normal[:250], normal[250:]
    view = NormalView(fitted, 0)
    steps = 2.0 * rng.normal(size=fitted.shape) * fitted.std(axis=0)
    classifier = Classifier(view, 0).fit(view(fitted + steps))
    assert auroc(classifier.score(view(held)), classifier.score(view(malignant))) > 0.9
    again = Classifier(view, 0).fit(view(fitted + steps))
    assert np.array_equal(again.score(view(held)), classifier.score(view(held)))


def test_the_view_does_not_care_for_units_and_drops_constant_columns() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(80, 3)), np.full(80, 7.0)])
    unit = np.array([1e-6, 1.0, 1e6, 3.0])
    one, other = NormalView(X, 0), NormalView(X * unit, 0)
    assert one.normal.shape == (80, 6)
    assert np.allclose(one.normal, other.normal)
    assert one.gamma == pytest.approx(other.gamma)


def test_each_reference_sees_what_it_is_made_for() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.95], [0.95, 1.0]])
    X, held = (rng.multivariate_normal([0, 0], mixing, size=400) for _ in range(2))
    references = References(X, held)
    wrong_pairs = np.column_stack([held[:100, 0], -held[:100, 0]])[np.abs(held[:100, 0]) > 0.7]
    found = references.aurocs(wrong_pairs)
    assert found["covariance"] > 0.95 > 0.8 > found["columns"]
    assert min(references.aurocs(held + 20.0).values()) > 0.99
    assert all(value == pytest.approx(0.5) for value in references.aurocs(held).values())
