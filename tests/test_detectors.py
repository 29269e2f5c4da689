"""Base detectors from cards and objects: one contract, and every way to break it named."""

from __future__ import annotations

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyod.models.iforest import IForest
from pyod.models.loda import LODA
from pyod.models.pca import PCA
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, OneClassSVM

from llmdas_agent.cards import DetectorCard
from llmdas_agent.detectors import DetectorSource, SklearnDetector, import_class
from llmdas_agent.errors import DetectorError

STRANGERS = """
import numpy as np
print("a module that talks")

class Norm:
    def __init__(self, scale=1.0, random_state=None):
        print("a constructor that talks")
        self.scale, self.random_state = scale, random_state
    def fit(self, X, y=None):
        print("a fit that talks")
        return self
    def decision_function(self, X):
        return self.scale * np.linalg.norm(X, axis=1)

class Turned(Norm):
    def decision_function(self, X):
        return -super().decision_function(X)

class Constant(Norm):
    def decision_function(self, X):
        return np.zeros(len(X))

class NotFinite(Norm):
    def decision_function(self, X):
        scores = super().decision_function(X)
        scores[0], scores[1] = np.inf, np.nan
        return scores

class Column(Norm):
    def decision_function(self, X):
        return super().decision_function(X)[:, None]

class TooFew(Norm):
    def decision_function(self, X):
        return super().decision_function(X)[:-1]

class Words(Norm):
    def decision_function(self, X):
        return ["high"] * len(X)

class RaisesInInit(Norm):
    def __init__(self):
        raise RuntimeError("no licence\\n   found")

class RaisesInFit(Norm):
    def fit(self, X, y=None):
        raise MemoryError

class Exits(Norm):
    def fit(self, X, y=None):
        raise SystemExit(3)

class NoScores:
    def fit(self, X):
        return self

def function(X):
    return X
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "strangers.py").write_text(STRANGERS)
    (tmp_path / "raises_on_import.py").write_text("raise ValueError('half installed')")
    (tmp_path / "exits_on_import.py").write_text("import sys; sys.exit('bye')")
    (tmp_path / "needs_more.py").write_text("import surely_not_installed")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("strangers", "raises_on_import", "exits_on_import", "needs_more"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "strangers"


def card(class_path: str, **params: Any) -> DetectorCard:
    return DetectorCard.model_validate(
        {"name": "mine", "full_name": "Mine", "build": {"class": class_path, "params": params}}
    )


def refusal(class_path: str, **params: Any) -> str:
    with pytest.raises(DetectorError) as caught:
        DetectorSource.from_card(card(class_path, **params)).try_out()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- what cannot be built ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("class_path", "says"),
    [
        (
            "pyod.models.hboss.HBOS",
            "there is no module 'pyod.models.hboss' for class 'pyod.models.hboss.HBOS'. Did you mean",
        ),
        ("pyod.models.hbos.HBS", "module 'pyod.models.hbos' has no class 'HBS'. Did you mean 'HBOS'?"),
        ("pyod.models.hbos.HBOS.fit", "there is no module 'pyod.models.hbos.HBOS'"),
        ("nopackage.detectors.Mine", "there is no module 'nopackage'"),
        (
            "subprocess.Popen",
            "'subprocess.Popen' is no detector. It must be a class with fit(X) and decision",
        ),
        ("math.sin", "'math.sin' is no detector"),
        ("sklearn.svm.SVC", "'sklearn.svm.SVC' is no detector"),
        ("pyod.models.base.BaseDetector", "'pyod.models.base.BaseDetector' is no detector"),
        ("strangers.NoScores", "'strangers.NoScores' is no detector"),
        ("strangers.function", "'strangers.function' is no detector"),
        ("raises_on_import.Mine", "module 'raises_on_import' fails to import: ValueError: half installed"),
        ("exits_on_import.Mine", "module 'exits_on_import' fails to import: SystemExit: bye"),
        (
            "needs_more.Mine",
            "needs the package 'surely_not_installed', which is not installed. `pip install surely",
        ),
    ],
)
def test_a_class_that_cannot_be_used_is_named_with_the_card_s_field(
    strangers: str, class_path: str, says: str
) -> None:
    message = refusal(class_path)
    assert message.startswith("card 'mine': field 'build.class': ")
    assert says in message


@pytest.mark.parametrize(
    ("class_path", "params", "says"),
    [
        (
            "pyod.models.hbos.HBOS",
            {"nbins": 3},
            "unexpected keyword argument 'nbins'. Did you mean 'n_bins'?",
        ),
        ("pyod.models.hbos.HBOS", {"contamination": 0.9}, "contamination must be in (0, 0.5]"),
        ("pyod.models.iforest.IForest", {"n_estimators": "many"}, "must be an int in the range [1, inf)"),
        (
            "sklearn.ensemble.IsolationForest",
            {"n_estimators": "many"},
            "must be an int in the range [1, inf)",
        ),
        ("sklearn.neighbors.LocalOutlierFactor", {}, "For LocalOutlierFactor set novelty: true"),
        ("strangers.RaisesInInit", {}, "refuses its parameters: RuntimeError: no licence found"),
        ("strangers.RaisesInFit", {}, "fails on a toy table of 200 rows and 5 columns: MemoryError"),
        ("strangers.Exits", {}, "fails on a toy table of 200 rows and 5 columns: SystemExit: 3"),
        ("strangers.Words", {}, "could not convert string to float"),
        ("strangers.Column", {}, "returned an array of shape (120, 1) for 120 rows"),
        ("strangers.TooFew", {}, "returned an array of shape (119,) for 120 rows"),
        ("strangers.NotFinite", {}, "returned 2 scores that are not finite, of 120"),
        ("strangers.Turned", {}, "does not score rows far from the data above rows inside it (AUROC 0.03)"),
        ("strangers.Constant", {}, "gives all of 120 rows the same score. It must rise with abnormality"),
    ],
)
def test_a_detector_that_breaks_the_contract_is_named(
    strangers: str, class_path: str, params: dict[str, Any], says: str
) -> None:
    message = refusal(class_path, **params)
    assert says in message
    assert "mine" in message


@pytest.mark.parametrize(
    "value",
    [
        IForest,
        3,
        None,
        "pca",
        SVC(),
        RandomForestClassifier(),
        make_pipeline(StandardScaler(), SVC()),
        StandardScaler(),
    ],
    ids=repr,
)
def test_an_object_that_is_no_detector_is_refused(value: object) -> None:
    with pytest.raises(DetectorError, match="is no detector"):
        DetectorSource.from_object(value)


def test_what_strangers_print_never_reaches_stdout(strangers: str, capfd: pytest.CaptureFixture[str]) -> None:
    DetectorSource.from_card(card("strangers.Norm")).try_out()
    with pytest.raises(DetectorError):
        # PyOD prints advice when a package that it needs is missing
        DetectorSource.from_card(card("pyod.models.auto_encoder.AutoEncoder", epoch_num="x")).try_out()
    assert capfd.readouterr().out == ""


def test_two_at_work_at_once_are_both_silent_and_afterwards_all_is_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = DetectorSource.from_object(PCA())
    stdout, filters = sys.stdout, list(warnings.filters)
    both_in, first_out = threading.Barrier(2), threading.Event()

    def first() -> None:
        with source.guarded("fails"):
            both_in.wait(10)
        first_out.set()

    def second() -> None:
        with source.guarded("fails"):
            both_in.wait(10)
            first_out.wait(10)
            print("a fit that talks")
            warnings.warn("and warns", stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(first), pool.submit(second)]:
            one.result()
    assert (sys.stdout, list(warnings.filters)) == (stdout, filters)
    assert capsys.readouterr().out == ""


# -- what can ------------------------------------------------------------------------------------------------


def test_a_class_of_one_s_own_needs_no_base_class(strangers: str) -> None:
    source = DetectorSource.from_card(card("strangers.Norm", scale=2.0))
    source.try_out()
    made = source.make(5)
    assert made.decision_function(np.array([[3.0, 4.0]])) == pytest.approx([10.0])
    assert getattr(made, "random_state") == 5  # noqa: B009


@pytest.mark.parametrize(
    "base",
    [
        IForest(),
        PCA(),
        IsolationForest(),
        OneClassSVM(),
        EllipticEnvelope(),
        LocalOutlierFactor(novelty=True),
        make_pipeline(StandardScaler(), IsolationForest()),
    ],
    ids=lambda base: type(base).__name__,
)
def test_an_object_is_copied_tried_out_and_left_as_it_was(base: Any) -> None:
    before = repr(base.get_params())
    source = DetectorSource.from_object(base)
    source.try_out()
    assert repr(base.get_params()) == before
    assert not [name for name in vars(base) if name.endswith("_") and name not in ("detector_",)]


@pytest.mark.parametrize(
    "base",
    [IForest(), LODA(), IsolationForest(), make_pipeline(StandardScaler(), IsolationForest())],
    ids=lambda base: type(base).__name__,
)
def test_a_seed_decides_the_scores_and_only_where_none_was_given(base: Any) -> None:
    X = np.random.default_rng(0).normal(size=(80, 4))

    def scores(source: DetectorSource, seed: int | None) -> Any:
        detector = source.make(seed)
        detector.fit(X)
        return detector.decision_function(X)

    source = DetectorSource.from_object(base)
    assert np.array_equal(scores(source, 1), scores(source, 1))
    assert not np.array_equal(scores(source, 1), scores(source, 2))
    key = next(name for name in base.get_params() if name.endswith("random_state"))
    seeded = DetectorSource.from_object(clone(base).set_params(**{key: 7}))
    assert np.array_equal(scores(seeded, 1), scores(seeded, 2))


@pytest.mark.parametrize(
    "source",
    [
        DetectorSource.from_object(IForest()),
        DetectorSource.from_card(card("pyod.models.iforest.IForest")),
    ],
    ids=["object", "card"],
)
def test_a_seed_that_follows_the_largest_one_is_taken(source: DetectorSource) -> None:
    seeds = [2**32 - 1, 2**32, 2**32 + 7]
    made = [getattr(source.make(seed), "random_state") for seed in seeds]  # noqa: B009
    assert made == [2**32 - 1, 0, 7]


def test_a_seed_in_the_card_wins_and_cards_stay_as_they_were() -> None:
    described = card("pyod.models.iforest.IForest", random_state=3)
    made = DetectorSource.from_card(described).make(1)
    assert getattr(made, "random_state") == 3  # noqa: B009
    assert described.build.params == {"random_state": 3}
    unseeded = DetectorSource.from_card(card("pyod.models.iforest.IForest")).make(None)
    assert getattr(unseeded, "random_state") is None  # noqa: B009


@pytest.mark.parametrize(
    "estimator",
    [
        IsolationForest(random_state=0),
        OneClassSVM(),
        LocalOutlierFactor(novelty=True),
        EllipticEnvelope(random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learn_s_scores_are_turned_and_nothing_else(estimator: Any) -> None:
    X, _ = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:, :8]
    detector = SklearnDetector(estimator, contamination=0.2).fit(X[:300])
    plain = clone(estimator).fit(X[:300])
    assert np.array_equal(detector.decision_function(X), -plain.decision_function(X))
    assert detector.labels_.mean() == pytest.approx(0.2)
    assert set(detector.predict(X)) == {0, 1}
    assert not hasattr(estimator, "n_features_in_")


def test_a_turned_detector_can_be_cloned_and_set() -> None:
    detector = SklearnDetector(IsolationForest(n_estimators=10, random_state=0), contamination=0.2)
    twin = clone(detector)
    assert twin is not detector and twin.estimator is not detector.estimator
    assert (twin.contamination, twin.estimator.n_estimators) == (0.2, 10)
    twin.set_params(estimator__n_estimators=20)
    assert detector.estimator.n_estimators == 10


def test_a_name_is_made_from_the_class() -> None:
    assert DetectorSource.from_object(IForest()).name == "iforest"
    assert DetectorSource.from_object(IForest(), "mine").name == "mine"
    assert DetectorSource.from_card(card("pyod.models.iforest.IForest")).name == "mine"


def test_import_class_gives_the_class_itself() -> None:
    assert import_class("pyod.models.iforest.IForest", where="here") is IForest
    with pytest.raises(DetectorError, match=r"^here: "):
        import_class("pyod.models.iforest.Nothing", where="here")
