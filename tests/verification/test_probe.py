"""What the probe measures is what the textbooks say, for detectors whose assumptions are known."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyod.models.ecod import ECOD
from pyod.models.gmm import GMM
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.ocsvm import OCSVM
from pyod.models.pca import PCA
from sklearn import decomposition
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import DetectorError, InputError
from llmdas_agent.report import BlindSpotProfile, FamilyScore
from llmdas_agent.verification import FAMILIES, SCENARIOS, Scenario, ToyBench, probe
from llmdas_agent.verification.probe import _family_score
from llmdas_agent.verification.profile_picture import draw_profile, save_profile
from places import ROOT

SHAPED = tuple(s for s in SCENARIOS if s.name in {"clusters", "ring", "grid", "low_rank"})
"""Rows around empty places."""
SOME = SCENARIOS[:8]


def aurocs(detector: Any, scenarios: tuple[Scenario, ...] = SOME) -> dict[str, float]:
    profile = probe(ToyBench(DetectorSource.from_object(detector), 0, scenarios))
    return {score.family: score.auroc for score in profile.families}


def own(make: Any, scenarios: tuple[Scenario, ...] = SOME) -> dict[str, float]:
    """Probe a detector made in this file, which no class path leads to."""
    profile = probe(ToyBench(DetectorSource("own", lambda seed: make(), None, "tests.own"), 0, scenarios))
    return {score.family: score.auroc for score in profile.families}


def test_ecod_is_blind_to_recombination_and_voids_but_sees_tails() -> None:
    found = aurocs(ECOD(), SCENARIOS)
    assert found["recombination"] < 0.65
    assert found["sign_flip"] < 0.65
    assert found["void"] < found["between"] < 0.5
    assert found["axis_tail"] > 0.85
    assert found["far"] > 0.85


def test_hbos_judges_columns_alone() -> None:
    found = aurocs(HBOS())
    assert max(found["recombination"], found["sign_flip"], found["ghost"]) < 0.7
    assert found["inside_subspace"] > 0.85


class Reconstruction:
    """PCA as in the textbooks: squared distance from the subspace of three quarters of the variance.

    Jolliffe (2002), Principal Component Analysis, section 10.1.
    """

    def fit(self, X: np.ndarray, y: None = None) -> Reconstruction:
        self.unit = StandardScaler().fit(X)
        self.axes = decomposition.PCA(0.75).fit(self.unit.transform(X))
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        Z = self.unit.transform(X)
        return ((Z - self.axes.inverse_transform(self.axes.transform(Z))) ** 2).sum(axis=1)


def test_pca_is_blind_to_its_principal_subspace() -> None:
    found = own(Reconstruction)
    assert found["inside_subspace"] < 0.65
    assert found["complement"] > 0.85
    # empty places lie inside the subspace, too
    elsewhere = set(found) - {"inside_subspace", "void", "between", "masked_cluster"}
    assert all(found[family] > found["inside_subspace"] + 0.1 for family in elsewhere)


def test_pyods_pca_sees_length_not_direction() -> None:
    """PyOD's PCA is another detector.

    It keeps all components and adds up the distances to the tips of the eigenvectors, each divided by its
    share of the variance (``decision_function`` of pyod.models.pca): close to a distance from the centre,
    in which steps inside the principal subspace count like any others. So what it misses is the middle,
    and whatever keeps a row's length.
    """
    found = aurocs(PCA())
    assert found["void"] < 0.5
    assert found["between"] < 0.5
    assert max(found["recombination"], found["sign_flip"]) < 0.7
    assert found["complement"] < found["inside_subspace"]
    assert min(found["far"], found["inside_subspace"], found["axis_tail"]) > 0.8


def test_one_gaussian_cannot_see_into_empty_places_but_sees_dependencies() -> None:
    found = aurocs(GMM(n_components=1), SCENARIOS)
    assert max(found["void"], found["between"]) < 0.5
    assert min(found["recombination"], found["sign_flip"], found["complement"]) > 0.85


def test_iforest_is_blind_to_ghosts_and_voids_where_neighbours_are_not() -> None:
    """It cuts along single columns, so that a crossing of full bands looks full (Hariri et al. 2021)."""
    shaped = tuple(s for s in SCENARIOS if s.name in {"banana", "ring", "grid"})
    forest, neighbours = aurocs(IForest(random_state=0), shaped), aurocs(KNN(), shaped)
    assert forest["void"] < 0.75
    assert neighbours["void"] > 0.95
    grid = tuple(s for s in SCENARIOS if s.name == "grid")
    forest, neighbours = aurocs(IForest(random_state=0), grid), aurocs(KNN(), grid)
    assert max(forest["ghost"], forest["void"]) < 0.8
    assert min(forest["local_dip"], forest["far"]) > 0.9
    assert min(neighbours["ghost"], neighbours["void"]) > 0.98


def test_iforest_misses_combinations_more_than_distance() -> None:
    found = aurocs(IForest(random_state=0))
    assert max(found["recombination"], found["sign_flip"]) < found["far"] - 0.05


def ocsvm(width: float) -> Any:
    """Return a one-class SVM whose kernel reaches over `width` standard deviations in every column."""

    class Standardized:
        def fit(self, X: np.ndarray, y: None = None) -> Any:
            self.model = make_pipeline(StandardScaler(), OCSVM(gamma=0.5 / (width**2 * X.shape[1])))
            self.model.fit(X)
            return self

        def decision_function(self, X: np.ndarray) -> np.ndarray:
            return np.asarray(self.model.decision_function(X))

    return Standardized


def test_ocsvm_is_as_blind_as_its_kernel_is_wide() -> None:
    wide, narrow = own(ocsvm(5.0), SHAPED), own(ocsvm(0.25), SHAPED)
    for family in ("void", "between"):
        assert wide[family] < 0.4
        assert narrow[family] > 0.9


def test_lof_is_blind_to_a_tight_cluster_that_it_was_fitted_on_and_only_then() -> None:
    """Its neighbourhoods lie among the rows fitted.

    A group of test rows lends its members no density, and so hides nobody; a group with more than
    ``n_neighbors`` of its rows in the training table does (masking; Goldstein and Uchida 2016).
    """
    found = aurocs(LOF())
    assert found["masked_cluster"] < 0.5
    assert found["tight_cluster"] > 0.8
    # the distance to the fifth neighbour is hidden even deeper
    found = aurocs(KNN())
    assert found["masked_cluster"] < 0.1
    assert found["tight_cluster"] > 0.8


class Seeing:
    """Sees the true density of any scenario: the detector that has no blind spot."""

    def fit(self, X: np.ndarray, y: None = None) -> Seeing:
        fitting = [s for s in SCENARIOS if s.d == X.shape[1]]
        self.scenario = max(fitting, key=lambda s: np.median(s.log_density(X)))
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return -self.scenario.log_density(X)


def test_one_who_sees_the_density_sees_all_families_alike() -> None:
    profile = probe(ToyBench(DetectorSource("density", lambda seed: Seeing(), None, "tests.Seeing")))
    assert all(score.low > 0.99 for score in profile.families)
    assert {score.family for score in profile.families} == {family.name for family in FAMILIES}


class NeedsRows(Seeing):
    def fit(self, X: np.ndarray, y: None = None) -> NeedsRows:
        if len(X) < 50:
            raise ValueError("too few rows")
        super().fit(X)
        return self


def test_a_scenario_that_does_not_fit_is_a_note_and_fewer_than_three_an_error() -> None:
    source = DetectorSource("needs rows", lambda seed: NeedsRows(), None, "tests.NeedsRows")
    profile = probe(ToyBench(source, 0, SOME))
    assert profile.notes == ("few_rows (30 rows, 5 columns) left out: ValueError: too few rows",)
    with pytest.raises(DetectorError, match=r"fits only 2 of 3 toy scenarios.*too few rows"):
        probe(ToyBench(source, scenarios=SCENARIOS[:3]))


class Later(Seeing):
    """Scores as it should ten times, and from then on does what it is told to."""

    def __init__(self, then: Callable[[np.ndarray], np.ndarray]) -> None:
        self.then, self.calls = then, 0

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        self.calls += 1
        scores = super().decision_function(X)
        return scores if self.calls <= 10 else self.then(scores)


def raises(error: BaseException) -> Callable[[np.ndarray], np.ndarray]:
    def then(scores: np.ndarray) -> np.ndarray:
        raise error

    return then


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (raises(ValueError("not\n today")), "ValueError: not today"),
        (raises(SystemExit(0)), "SystemExit: 0"),
        (lambda scores: scores[:-1], "ValueError: cannot reshape array of size"),
        (lambda scores: ["high"] * len(scores), "could not convert string to float"),
    ],
    ids=["raises", "exits", "one too few", "words"],
)
def test_a_detector_that_fails_while_it_is_probed_is_named(
    then: Callable[[np.ndarray], np.ndarray], says: str
) -> None:
    source = DetectorSource("later", lambda seed: Later(then), None, "tests.Later")
    with pytest.raises(DetectorError) as caught:
        probe(ToyBench(source, 0, SOME))
    message = str(caught.value)
    assert message.startswith("detector 'later': tests.Later fails on rows of the toy scenario '")
    assert says in message and "\n" not in message


class Exits(Seeing):
    def fit(self, X: np.ndarray, y: None = None) -> Exits:
        if len(X) < 50:
            sys.exit(0)
        super().fit(X)
        return self


def test_an_exit_while_fitting_is_a_note() -> None:
    profile = probe(ToyBench(DetectorSource("exits", lambda seed: Exits(), None, "tests.Exits"), 0, SOME))
    assert profile.notes == ("few_rows (30 rows, 5 columns) left out: SystemExit: 0",)


def test_what_a_detector_prints_while_it_is_probed_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def talks(scores: np.ndarray) -> np.ndarray:
        print("HELLO")
        return scores

    probe(ToyBench(DetectorSource("talks", lambda seed: Later(talks), None, "tests.Later"), 0, SOME))
    print("and after it all is shown")
    assert capsys.readouterr().out == "and after it all is shown\n"


class RefusesClumps(Seeing):
    """Takes the scenarios' own rows and no group of almost equal ones."""

    def fit(self, X: np.ndarray, y: None = None) -> RefusesClumps:
        if np.linalg.norm(np.diff(X[-20:], axis=0) / X.std(axis=0), axis=1).max() < 0.5:
            raise ValueError("a clump")
        super().fit(X)
        return self


def test_a_detector_that_does_not_take_planted_rows_is_probed_on_the_others() -> None:
    source = DetectorSource("refuses clumps", lambda seed: RefusesClumps(), None, "tests.RefusesClumps")
    profile = probe(ToyBench(source, 0, SCENARIOS[:4]))
    names = {score.family for score in profile.families}
    assert names == {family.name for family in FAMILIES} - {"masked_cluster"}
    assert profile.notes == ()


def test_a_profile_is_reproducible_ordered_and_survives_json() -> None:
    source = DetectorSource.from_object(IForest(n_estimators=20))
    some = SCENARIOS[:4]
    profile = probe(ToyBench(source, 3, some))
    assert profile == probe(ToyBench(source, 3, some))
    assert profile != probe(ToyBench(source, 4, some))
    scores = [score.auroc for score in profile.families]
    assert scores == sorted(scores)
    assert all(score.low <= score.auroc <= score.high for score in profile.families)
    assert BlindSpotProfile.model_validate_json(profile.model_dump_json()) == profile


def test_the_interval_covers_the_mean_over_seeds_as_often_as_it_says() -> None:
    """Thirteen scenarios that differ much, each measured under two seeds that differ little."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.4, 0.8, size=13)
    covered = 0
    for _ in range(400):
        values = truth[:, None] + 0.05 * rng.normal(size=(13, 2))
        score = _family_score("any", {str(k): list(row) for k, row in enumerate(values)})
        assert score.auroc == pytest.approx(values.mean())
        assert score.high - score.low < 0.1
        covered += score.low <= truth.mean() <= score.high
    assert 0.92 < covered / 400 < 0.98


def test_one_value_alone_says_nothing_of_chance() -> None:
    score = _family_score("any", {"ring": [0.7]})
    assert (score.low, score.high) == (pytest.approx(0.2), 1.0)


@cache
def a_profile() -> BlindSpotProfile:
    scores = (
        FamilyScore(family="void", auroc=0.31, low=0.2, high=0.42),
        FamilyScore(family="of a plugin", auroc=0.9, low=0.85, high=0.95),
    )
    return BlindSpotProfile(detector="mine", seed=0, families=scores)


def test_a_picture_has_one_bar_for_each_family_with_its_interval() -> None:
    axes = draw_profile(a_profile()).axes[0]
    bars = [patch.get_width() for patch in axes.patches]
    assert bars == pytest.approx([0.31, 0.9])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["void", "of a plugin"]
    (whiskers,) = axes.collections
    assert whiskers.get_segments()[0][:, 0] == pytest.approx([0.2, 0.42])
    low, high = axes.get_ylim()
    assert low > high, "the blindest on top"


@pytest.mark.parametrize(("name", "magic"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml"), ("p.PDF", b"%PDF")])
def test_a_picture_is_saved_as_its_name_says(tmp_path: Path, name: str, magic: bytes) -> None:
    save_profile(a_profile(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_a_name_that_is_no_picture_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.pdf, \.png or \.svg"):
        save_profile(a_profile(), tmp_path / "p.txt")
    assert list(tmp_path.iterdir()) == []


def test_the_page_on_blind_spots_names_every_family_and_scenario_as_it_is() -> None:
    page = (ROOT / "docs" / "blind-spots.md").read_text(encoding="utf-8")
    families = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", page, flags=re.MULTILINE)
    assert sorted(families) == sorted(family.name for family in FAMILIES)
    scenarios = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page, flags=re.MULTILINE)
    assert scenarios == [(s.name, str(s.d), str(s.n_train)) for s in SCENARIOS]
