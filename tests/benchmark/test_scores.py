"""What is scored: the paper's form by its formula, parts of an enhanced detector, peers; never by labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from llmdas_agent import EnhancedDetector
from llmdas_agent.benchmark.datasets import Dataset
from llmdas_agent.benchmark.paper_mode import made_rows, paper_scores
from llmdas_agent.benchmark.peers import MOST_ROWS, PEERS, Peer, peer
from llmdas_agent.benchmark.programs import from_registry
from llmdas_agent.benchmark.protocol import Split, fitted_as_given, one_class_split, score_as_given
from llmdas_agent.benchmark.variants import (
    ENHANCED,
    PAPER_FORM,
    WITHOUT_SYNTHESIS,
    cured_scores,
    paper_form,
    whole_and_parts,
)
from llmdas_agent.errors import UnknownNameError
from llmdas_agent.registry import Registry, resolve


class Untouched:
    """Labels that nobody may look at."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the labels of the test rows were looked at: {name}")

    def __array__(self, *_: Any) -> Any:
        raise AssertionError("the labels of the test rows were looked at")


@pytest.fixture(scope="module")
def split() -> Split:
    X, y = load_breast_cancer(return_X_y=True)
    whole = one_class_split(Dataset("breast", X[:, :6], 1 - y))
    return Split(whole.X_train[:100], np.vstack([whole.X_test[:60], whole.X_test[-40:]]), Untouched())  # type: ignore[arg-type]


TRUTH = np.repeat([0, 1], [60, 40])


def test_the_papers_form_is_its_formula(split: Split) -> None:
    source, program = resolve("pca"), from_registry("pca").program
    found = paper_scores(source, program, "forest", split, 5)
    detector = fitted_as_given(source, split.X_train, 5)
    hard = made_rows(program, detector, split.X_train, 5)
    assert len(hard) == 10
    forest = RandomForestClassifier(random_state=5).fit(
        np.vstack([split.X_train, hard]), [0] * 100 + [1] * 10
    )

    def scaled(score: Any) -> np.ndarray:
        low, high = score(split.X_train).min(), score(split.X_train).max()
        return (score(split.X_test) - low) / (high - low)

    expected = scaled(lambda X: forest.predict_proba(X)[:, 1]) + scaled(detector.decision_function)
    np.testing.assert_allclose(found, expected)


def test_another_classifier_gives_other_scores(split: Split) -> None:
    source, program = resolve("pca"), from_registry("pca").program
    found = paper_scores(source, program, "svc", split, 5)
    assert Split(split.X_train, split.X_test, TRUTH).metrics(found).auc_roc > 0.8
    with pytest.raises(UnknownNameError, match="forest"):
        paper_scores(source, program, "forrest", split, 5)


def test_the_whole_is_what_fit_gives_and_each_part_is_measured(split: Split) -> None:
    card = Registry().card("pca")
    found = whole_and_parts(card, from_registry("pca"), split, 0)
    detector = EnhancedDetector("pca", random_state=0).fit(split.X_train)
    np.testing.assert_allclose(found[ENHANCED].scores, detector.decision_function(split.X_test))
    assert found[ENHANCED].weight == detector.weights_["classifier"]
    assert set(found) == {ENHANCED, "base + neighbours", WITHOUT_SYNTHESIS}
    for scored in found.values():
        assert Split(split.X_train, split.X_test, TRUTH).metrics(scored.scores).auc_roc > 0.8
    alone = EnhancedDetector("pca", experts=("base", "neighbours", "tails"), random_state=0).fit(
        split.X_train
    )
    np.testing.assert_allclose(found[WITHOUT_SYNTHESIS].scores, alone.decision_function(split.X_test))
    form = paper_form(card, from_registry("pca"), split, 0)
    assert form.note
    assert PAPER_FORM not in found
    assert not np.allclose(form.scores, found[ENHANCED].scores)


def test_a_cured_base_survives_what_breaks_it_as_given() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    X[:, 3], X[:, 4] = X[:, 0], 1.0
    wrong = rng.normal(size=(20, 5)) * 6
    split = Split(X[:100], np.vstack([X[100:], wrong]), np.repeat([0, 1], [100, 20]))
    source = resolve("pca")
    assert split.metrics(cured_scores(source, split, 0)).auc_roc > 0.9
    assert (
        split.metrics(cured_scores(source, split, 0)).auc_roc
        >= split.metrics(score_as_given(source, split, 0)).auc_roc
    )


@pytest.mark.parametrize("name", [name for name, one in PEERS.items() if not one.missing])
def test_a_peer_depends_on_its_seed_and_not_on_the_units_of_columns(name: str, split: Split) -> None:
    found = peer(name).scores(split, 0)
    np.testing.assert_array_equal(peer(name).scores(split, 0), found)
    units = np.array([1.0, 1e3, 1e-3, 10.0, 5.0, 0.1])
    other = peer(name).scores(Split(split.X_train * units, split.X_test * units, split.y_test), 0)
    with_truth = Split(split.X_train, split.X_test, TRUTH)
    assert with_truth.metrics(found).auc_roc > 0.6
    assert with_truth.metrics(other).auc_roc == pytest.approx(with_truth.metrics(found).auc_roc, abs=0.02)


def test_a_peer_is_fitted_on_no_more_rows_than_all_peers() -> None:
    X = np.random.default_rng(0).normal(size=(MOST_ROWS + 500, 2))
    # to every row fitted a nearest-neighbour detector of one neighbour gives zero
    found = Peer("nearest", "pyod.models.knn.KNN").scores(Split(X, X, None), 0)  # type: ignore[arg-type]
    again = Peer("nearest", "pyod.models.knn.KNN").scores(Split(X, X, None), 0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, again)
    from pyod.models.knn import KNN

    all_rows = (
        KNN()
        .fit((X - X.mean(axis=0)) / X.std(axis=0))
        .decision_function((X - X.mean(axis=0)) / X.std(axis=0))
    )
    # fewer rows lie farther apart
    assert np.all(found >= all_rows - 1e-12)
    assert found.mean() > all_rows.mean()


def test_a_peer_that_cannot_be_used_here_says_why() -> None:
    assert (
        "needs no_such_package, which is not installed" in Peer("x", "y.Z", needs="no_such_package").missing
    )
    with pytest.raises(UnknownNameError, match="lunar"):
        peer("lunr")
