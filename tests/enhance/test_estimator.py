from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyod.models.base import BaseDetector
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.pca import PCA
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from llmdas_agent.enhance import EnhancedDetector
from llmdas_agent.errors import DetectorError, InputError, NotAcceptedError, TableError, UnknownNameError
from llmdas_agent.registry import Registry
from llmdas_agent.synthesizer import Synthesizer

BASES = ("pca", "iforest", "ocsvm", "ecod")


@pytest.fixture(scope="module")
def fitted(normal: np.ndarray, synthesizer_of: Callable[..., Synthesizer]) -> EnhancedDetector:
    return EnhancedDetector("ecod", synthesizer=synthesizer_of("ecod"), random_state=0).fit(normal)


@pytest.mark.parametrize("name", BASES)
def test_keeps_pyods_contract(
    name: str, normal: np.ndarray, new: tuple, synthesizer_of: Callable[..., Synthesizer]
) -> None:
    detector = EnhancedDetector(name, synthesizer=synthesizer_of(name), contamination=0.2, random_state=0)
    assert isinstance(detector, BaseDetector)
    detector.fit(normal)
    assert detector.decision_scores_.shape == (len(normal),)
    assert detector.labels_.mean() == pytest.approx(0.2, abs=0.01)
    rows, wrong = new
    scores = detector.decision_function(rows)
    assert scores.shape == (len(rows),)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(detector.predict(rows), (scores > detector.threshold_).astype(int))
    for method in ("linear", "unify"):
        chances = detector.predict_proba(rows, method=method)
        np.testing.assert_allclose(chances.sum(axis=1), 1.0)
        assert chances.min() >= 0.0
    labels, confidence = detector.predict(rows, return_confidence=True)
    assert labels.shape == confidence.shape
    assert detector.decision_function(wrong).mean() > scores.mean()
    assert detector.n_features_in_ == 4


def test_sees_what_the_base_is_blind_to(fitted: EnhancedDetector, normal: np.ndarray, new: tuple) -> None:
    rows, wrong = new
    X, y = np.vstack([rows, wrong]), np.repeat([0, 1], [len(rows), len(wrong)])
    base = roc_auc_score(y, ECOD().fit(normal).decision_function(X))
    assert base < 0.8
    assert roc_auc_score(y, fitted.decision_function(X)) > base + 0.1
    assert fitted.weights_["neighbours"] == pytest.approx(320 / 350)
    assert fitted.weights_["base"] == pytest.approx(1 - 160 / 350)
    assert "held-out" in fitted.contribution_.reason


@pytest.mark.parametrize(
    ("experts", "weighty"),
    [
        ((), {"base"}),
        (("neighbours",), {"base", "neighbours"}),
        (("tails", "neighbours", "base"), {"base", "neighbours", "tails"}),
        (("classifier",), {"base", "classifier"}),
    ],
)
def test_only_the_experts_named_take_part(
    experts: tuple[str, ...], weighty: set[str], normal: np.ndarray, new: tuple, synthesizer: Synthesizer
) -> None:
    detector = EnhancedDetector("pca", synthesizer=synthesizer, experts=experts, random_state=0).fit(normal)
    assert {name for name, weight in detector.weights_.items() if weight} == weighty
    rows = new[0]
    if not experts:
        base = detector.ensemble_.base_.detector_.decision_function(rows)
        assert (np.argsort(detector.decision_function(rows)) == np.argsort(base)).mean() > 0.95


def test_an_unknown_expert_is_named(normal: np.ndarray, synthesizer: Synthesizer) -> None:
    for experts in (("neighbors",), "tails"):
        with pytest.raises(UnknownNameError, match=r"neighbors|tails"):
            EnhancedDetector("pca", synthesizer=synthesizer, experts=experts).fit(normal)


def test_says_when_synthesis_is_not_used(synthesizer: Synthesizer) -> None:
    # independent columns: a recombination of normal rows is a normal row, so there is nothing to learn
    X = np.random.default_rng(3).normal(size=(200, 3))
    detector = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(X)
    assert detector.weights_["classifier"] == 0.0
    assert detector.contribution_.reason.startswith("synthesis not used here")
    far = np.vstack([X.mean(axis=0), 50 + X[0]])
    assert np.argmax(detector.decision_function(far)) == 1


def test_a_program_that_fails_on_the_table_is_told_and_the_base_serves(
    normal: np.ndarray, synthesizer_of: Callable[..., Synthesizer]
) -> None:
    source = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n    return X_train[0] / 0\n"
    detector = EnhancedDetector("pca", synthesizer=synthesizer_of("pca", source), random_state=0)
    with pytest.warns(UserWarning, match="synthesis not used here: the program failed"):
        detector.fit(normal)
    assert detector.weights_["classifier"] == 0.0
    assert np.isfinite(detector.decision_scores_).all()


@given(st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rows_score_does_not_depend_on_its_batch(
    fitted: EnhancedDetector, new: tuple, data: st.DataObject
) -> None:
    rows = np.vstack(new)
    whole = fitted.decision_function(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=30))
    np.testing.assert_allclose(fitted.decision_function(rows[chosen]), whole[chosen], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["pca", "iforest", "ocsvm"])
def test_same_seed_same_scores(
    name: str, normal: np.ndarray, new: tuple, synthesizer_of: Callable[..., Synthesizer]
) -> None:
    detector = EnhancedDetector(name, synthesizer=synthesizer_of(name), random_state=7)
    first = detector.fit(normal).decision_function(new[0])
    again = clone(detector).fit(normal).decision_function(new[0])
    np.testing.assert_array_equal(first, again)
    other = clone(detector).set_params(random_state=8).fit(normal).decision_function(new[0])
    assert not np.allclose(first, other)


def test_fitting_leaves_the_input_and_the_base_alone(normal: np.ndarray, synthesizer: Synthesizer) -> None:
    base, before = PCA(n_components=2), normal.copy()
    EnhancedDetector(base, synthesizer=synthesizer, random_state=0).fit(normal)
    np.testing.assert_array_equal(normal, before)
    assert not hasattr(base, "components_")


def test_any_layout_and_float32(fitted: EnhancedDetector, new: tuple) -> None:
    rows = new[0].astype(np.float32)
    plain = fitted.decision_function(rows.astype(np.float64))
    for layout in (rows, np.asfortranarray(rows), rows.tolist(), np.repeat(rows, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(fitted.decision_function(layout), plain, rtol=1e-6)


def test_can_be_pickled_for_parallel_work(fitted: EnhancedDetector, new: tuple) -> None:
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.decision_function(new[0]), fitted.decision_function(new[0]))


def test_works_in_a_pipeline(normal: np.ndarray, new: tuple, synthesizer: Synthesizer) -> None:
    pipeline = make_pipeline(RobustScaler(), EnhancedDetector("pca", synthesizer=synthesizer, random_state=0))
    pipeline.fit(normal)
    scores = pipeline.decision_function(np.vstack(new))
    assert roc_auc_score(np.repeat([0, 1], [len(part) for part in new]), scores) > 0.8
    assert set(pipeline.predict(new[0])) <= {0, 1}
    assert clone(pipeline).get_params()["enhanceddetector__base"] == "pca"


def test_looks_up_the_synthesizer_by_name_and_by_class(normal: np.ndarray, synthesizer: Synthesizer) -> None:
    Registry().add(synthesizer)
    for base in ("pca", PCA(n_components=3), synthesizer.card):
        detector = EnhancedDetector(base, random_state=0).fit(normal)
        assert detector.synthesizer_.proposal == synthesizer.proposal
    by_name = EnhancedDetector("iforest", synthesizer="pca", random_state=0).fit(normal)
    assert by_name.synthesizer_.name == "pca"


class PCALike(PCA):
    """Another class under a name that is not registered."""


def test_refuses_what_is_not_verified(normal: np.ndarray, synthesizer_of: Callable[..., Synthesizer]) -> None:
    for synthesizer in (synthesizer_of(passed=False), synthesizer_of(digest="0" * 64)):
        with pytest.raises(NotAcceptedError, match="pca"):
            EnhancedDetector("pca", synthesizer=synthesizer).fit(normal)
    with pytest.raises(UnknownNameError, match="pcalike"):
        EnhancedDetector(PCALike()).fit(normal)
    with pytest.raises(UnknownNameError, match="iforest"):
        EnhancedDetector("ifroest").fit(normal)


def test_refuses_a_synthesizer_that_is_about_another_class_of_the_same_name(
    normal: np.ndarray, synthesizer: Synthesizer
) -> None:
    Registry().add(synthesizer)
    namesake = type("PCA", (IForest,), {"__module__": __name__})
    with pytest.raises(NotAcceptedError, match=r"pyod\.models\.pca\.PCA"):
        EnhancedDetector(namesake()).fit(normal)


def test_scikit_learn_detectors_are_bases_too(
    normal: np.ndarray, new: tuple, synthesizer: Synthesizer
) -> None:
    base = IsolationForest(n_estimators=30)
    detector = EnhancedDetector(base, synthesizer=synthesizer, random_state=0).fit(normal)
    rows, wrong = new
    assert detector.decision_function(wrong).mean() > detector.decision_function(rows).mean()


def test_p_values_are_honest_on_new_normal_rows(synthesizer_of: Callable[..., Synthesizer]) -> None:
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(5, 5))
    for name in ("pca", "iforest"):
        detector = EnhancedDetector(name, synthesizer=synthesizer_of(name), random_state=0)
        detector.fit(rng.normal(size=(900, 5)) @ mixing)
        p = detector.p_value(rng.normal(size=(4000, 5)) @ mixing)
        assert 0.0 < p.min() <= p.max() <= 1.0
        for level in (0.05, 0.1, 0.3, 0.5):
            # three standard errors of the 900 held-out rows' own quantile
            slack = 3 * np.sqrt(level * (1 - level) / 900)
            # the experts fitted on all rows do a little better on new ones than those the yardstick is from
            assert 0.75 * level - slack <= np.mean(p <= level) <= level + slack
        assert detector.p_value(np.full((1, 5), 40.0))[0] == pytest.approx(1 / 901)


def test_p_values_follow_the_scores(fitted: EnhancedDetector, new: tuple) -> None:
    rows = np.vstack(new)
    order = np.argsort(fitted.decision_function(rows))
    assert (np.diff(fitted.p_value(rows)[order]) <= 0).all()


def test_real_table_with_a_constant_and_a_repeated_column(synthesizer: Synthesizer) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    benign = X[y == 1]
    train = np.column_stack([benign[:200], np.ones(200), benign[:200, 0] * 2])
    test, labels = (
        np.vstack([benign[200:], X[y == 0]]),
        np.repeat([0, 1], [len(benign) - 200, int((y == 0).sum())]),
    )
    test = np.column_stack([test, np.ones(len(test)), test[:, 0] * 2])
    assert PCA().fit(train).decision_function(test).min() > 1e30
    detector = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(train)
    assert detector.treatment_ == "independent columns"
    assert roc_auc_score(labels, detector.decision_function(test)) > 0.9


@pytest.mark.parametrize("name", BASES)
def test_what_departs_from_a_column_that_never_varied_is_rare(
    name: str, normal: np.ndarray, new: tuple, synthesizer_of: Callable[..., Synthesizer]
) -> None:
    frame = pl.DataFrame(normal).with_columns(state=pl.lit("ok"), limit=pl.lit(5.0))
    detector = EnhancedDetector(name, synthesizer=synthesizer_of(name), random_state=0).fit(frame)
    ordinary = pl.DataFrame(new[0]).with_columns(state=pl.lit("ok"), limit=pl.lit(5.0))
    row = ordinary[[int(detector.decision_function(ordinary).argmin())]]
    odd = pl.concat([row.with_columns(limit=pl.lit(5.5)), row.with_columns(state=pl.lit("failed"))])
    assert detector.p_value(row)[0] > 0.5
    assert detector.p_value(odd).max() < 0.05
    told = detector.explain(odd)
    assert [told.columns[j] for j in told.contributions.argmax(axis=1)] == ["limit", "state"]


def test_columns_of_very_different_scale_do_not_blind_ocsvm(
    normal: np.ndarray, new: tuple, synthesizer_of: Callable[..., Synthesizer]
) -> None:
    scale = np.array([1e4, 1e4, 1e3, 1e3])
    detector = EnhancedDetector("ocsvm", synthesizer=synthesizer_of("ocsvm"), random_state=0).fit(
        normal * scale
    )
    assert detector.treatment_ == "independent columns, standardized"
    rows, wrong = new
    assert detector.decision_function(wrong * scale).mean() > detector.decision_function(rows * scale).mean()


def test_far_and_infinite_values_get_finite_high_scores(fitted: EnhancedDetector, new: tuple) -> None:
    far = np.repeat(new[0][:1], 4, axis=0)
    far[0, 0], far[1, 0], far[2, 0], far[3, 0] = np.inf, -np.inf, 1e300, -1e300
    scores = fitted.decision_function(far)
    assert np.isfinite(scores).all()
    assert (scores > np.quantile(fitted.decision_scores_, 0.99)).all()


@pytest.mark.parametrize(
    "table",
    [
        np.random.default_rng(0).normal(size=(10, 1)),
        np.random.default_rng(0).normal(size=(30, 200)),
        np.random.default_rng(0).normal(size=(50, 2)) * 1e-50,
        np.random.default_rng(0).normal(size=(50, 2)) * 1e50,
        np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 15, axis=0),
        np.eye(40)[:, :3],
        pl.DataFrame({"a": list("abbaabbaba") * 4, "b": list("xxxxyyyyxy") * 4}),
    ],
    ids=[
        "one column",
        "more columns than rows",
        "tiny values",
        "huge values",
        "repeated rows",
        "nearly constant",
        "words alone",
    ],
)
@pytest.mark.parametrize("name", ["pca", "ecod"])
def test_odd_tables_are_fitted(name: str, table: object, synthesizer_of: Callable[..., Synthesizer]) -> None:
    detector = EnhancedDetector(name, synthesizer=synthesizer_of(name), random_state=0).fit(table)
    scores = detector.decision_function(table)
    assert np.isfinite(scores).all()
    assert ((detector.p_value(table) > 0) & (detector.p_value(table) <= 1)).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((1, 3)), "n_samples=1; at least 10"),
        (np.zeros((0, 3)), "has no rows"),
        (np.full((50, 2), np.nan), "no column with a value"),
        (np.zeros(50), "dimensions"),
        (np.ones((50, 3)), "no column that varies"),
        (np.random.default_rng(0).normal(size=(50, 2)) * 1e-310, "no column that varies"),
        (np.full((50, 2), 1e300), "no column with a value"),
        (pl.DataFrame({"id": [f"r{i}" for i in range(50)]}), "no column that varies"),
    ],
)
def test_tables_that_cannot_be_fitted(table: object, message: str, synthesizer: Synthesizer) -> None:
    with pytest.raises(TableError, match=message):
        EnhancedDetector("pca", synthesizer=synthesizer).fit(table)


@pytest.mark.parametrize("contamination", ["auto", None, 0.6, float("nan"), np.float32(0.1)])
def test_a_contamination_that_is_no_share_is_told_before_anything_is_fitted(
    contamination: object, normal: np.ndarray, synthesizer: Synthesizer
) -> None:
    detector = EnhancedDetector("pca", synthesizer=synthesizer).set_params(contamination=contamination)
    with pytest.raises(InputError, match="contamination: is"):
        detector.fit(normal)
    assert not hasattr(detector, "ensemble_")


def test_a_fit_that_fails_leaves_what_was_fitted_before(
    normal: np.ndarray, new: tuple, synthesizer: Synthesizer
) -> None:
    detector = EnhancedDetector("iforest", synthesizer=synthesizer, random_state=0).fit(normal)
    before = detector.decision_function(new[0])
    # as many columns in other units, refused by the table, then by the base
    with pytest.raises(TableError):
        detector.fit(1000.0 + normal[:5])
    detector.set_params(base=IForest(n_estimators=-1))
    with pytest.raises(DetectorError):
        detector.fit(1000.0 + normal)
    np.testing.assert_array_equal(detector.decision_function(new[0]), before)
    assert detector.card_ is not None, "the base that was fitted, and not the one that refused"


def test_a_base_that_refuses_the_table_is_named(normal: np.ndarray, synthesizer: Synthesizer) -> None:
    with pytest.raises(DetectorError, match=r"pyod\.models\.pca\.PCA cannot be fitted on this table"):
        EnhancedDetector(PCA(n_components=1000), synthesizer=synthesizer, random_state=0).fit(normal)


def test_frames_fit_as_they_are(mixed: pl.DataFrame, synthesizer: Synthesizer) -> None:
    detector = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(mixed)
    assert list(detector.feature_names_in_) == mixed.columns
    scores = detector.decision_function(mixed)
    np.testing.assert_allclose(detector.decision_function(mixed.to_pandas()), scores)
    np.testing.assert_allclose(detector.decision_function(mixed.to_numpy()), scores)
    np.testing.assert_allclose(detector.decision_function(mixed.select(mixed.columns[::-1])), scores)
    # red ones are small: a big red one is a wrong combination
    odd = pl.DataFrame({"size": [3.0, 1.0], "colour": ["red", "red"], "old": [False] * 2, "code": [1] * 2})
    big, small = detector.decision_function(odd)
    assert big > small


def test_a_table_of_thousands_is_fitted_on_a_sample_of_it(
    monkeypatch: pytest.MonkeyPatch, new: tuple, synthesizer: Synthesizer
) -> None:
    import llmdas_agent.enhance.estimator as estimator

    monkeypatch.setattr(estimator, "_MAX_REFERENCE", 100)
    monkeypatch.setattr(estimator, "_CHUNK", 64)
    detector = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(new[0])
    assert len(detector.ensemble_.held_scores_) == 100
    assert detector.decision_scores_.shape == (len(new[0]),)
    assert np.isfinite(detector.decision_scores_).all()
    assert detector.labels_.mean() == pytest.approx(0.1, abs=0.02)


def test_nothing_that_talks_is_loaded() -> None:
    code = (
        "import sys; from llmdas_agent.enhance import EnhancedDetector, read_table, save_model; "
        "talking = ('langgraph', 'langchain_core', 'langchain', 'openai'); "
        "print([m for m in sys.modules if m.split('.')[0] in talking or m.startswith('llmdas_agent.agent')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = "import sys, llmdas_agent.enhance; print('sklearn' in sys.modules, 'polars' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False False"
