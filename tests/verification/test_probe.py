"""What the probe measures is what the textbooks say, for detectors whose assumptions are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyod.models.ecod import ECOD
from pyod.models.gmm import GMM
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.pca import PCA

from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import DetectorError
from llmdas_agent.report import BlindSpotProfile
from llmdas_agent.verification import SCENARIOS, ToyBench, probe


def aurocs(detector: Any) -> dict[str, float]:
    profile = probe(ToyBench(DetectorSource.from_object(detector)))
    return {score.family: score.auroc for score in profile.families}


def test_ecod_is_blind_to_recombination_but_sees_tails() -> None:
    found = aurocs(ECOD())
    assert found["recombination"] < 0.65
    assert found["axis_tail"] > 0.8
    assert found["far"] > 0.8


def test_hbos_judges_columns_alone() -> None:
    found = aurocs(HBOS())
    assert found["recombination"] < 0.7 < 0.8 < found["inside_subspace"]


def test_pyods_pca_sees_length_not_direction() -> None:
    """Its score is close to a distance from the centre: small steps out of the subspace escape it."""
    found = aurocs(PCA())
    assert found["between"] < 0.5
    assert found["recombination"] < 0.7
    assert found["complement"] < found["inside_subspace"] < found["far"] + 0.1


def test_one_gaussian_cannot_see_between_clusters_but_sees_dependencies() -> None:
    found = aurocs(GMM(n_components=1))
    assert min(found, key=found.__getitem__) == "between"
    assert found["between"] < 0.5 < 0.75 < found["recombination"]


def test_neighbours_see_between_clusters() -> None:
    assert aurocs(KNN())["between"] > 0.7


def test_iforest_misses_combinations_more_than_distance() -> None:
    found = aurocs(IForest(random_state=0))
    assert found["recombination"] < found["far"] - 0.1


class _Density:
    """Sees the true density of any scenario: the detector that has no blind spot."""

    def fit(self, X: np.ndarray, y: None = None) -> _Density:
        self.scenario = next(s for s in SCENARIOS if s.d == X.shape[1])
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return -self.scenario.log_density(X)


def test_one_who_sees_the_density_sees_all_families_alike() -> None:
    source = DetectorSource("density", lambda seed: _Density(), None, "tests.Density")
    profile = probe(ToyBench(source))
    assert all(score.low > 0.99 for score in profile.families)
    assert len(profile.families) == 8


class _NeedsRows(_Density):
    def fit(self, X: np.ndarray, y: None = None) -> _NeedsRows:
        if len(X) < 50:
            raise ValueError("too few rows")
        super().fit(X)
        return self


def test_a_scenario_that_does_not_fit_is_a_note_and_fewer_than_three_an_error() -> None:
    source = DetectorSource("needs rows", lambda seed: _NeedsRows(), None, "tests.NeedsRows")
    profile = probe(ToyBench(source))
    assert profile.notes == ("few_rows (30 rows, 5 columns) left out: ValueError: too few rows",)
    with pytest.raises(DetectorError, match=r"fits only 2 of 3 toy scenarios.*too few rows"):
        probe(ToyBench(source, scenarios=SCENARIOS[:3]))


def test_a_profile_is_reproducible_ordered_and_survives_json() -> None:
    source = DetectorSource.from_object(IForest(n_estimators=20))
    some = SCENARIOS[:4]
    heard: list[str] = []
    profile = probe(ToyBench(source, 3, some), on_progress=heard.append)
    assert profile == probe(ToyBench(source, 3, some))
    assert profile != probe(ToyBench(source, 4, some))
    assert heard[:4] == [scenario.name for scenario in some]
    scores = [score.auroc for score in profile.families]
    assert scores == sorted(scores)
    assert all(score.low <= score.auroc <= score.high for score in profile.families)
    assert BlindSpotProfile.model_validate_json(profile.model_dump_json()) == profile
