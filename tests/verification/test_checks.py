"""Each check refuses what it is there for, bad programs fail, good ones pass, and the hints lead there."""

from __future__ import annotations

import dataclasses
import importlib
import os
from functools import cache
from typing import Any

import numpy as np
import pytest
from good_programs import good_program
from pyod.models.base import BaseDetector
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.gmm import GMM
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.loda import LODA
from pyod.models.ocsvm import OCSVM
from pyod.models.pca import PCA
from sklearn.svm import OneClassSVM

from llmdas_agent.config import SandboxLimits
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import DetectorError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry
from llmdas_agent.report import Verdict, VerificationReport
from llmdas_agent.verification import SCENARIOS, ToyBench, admit, verify
from llmdas_agent.verification.checks import CHECKS, Evidence, ToyRun

CODES = [
    "parse",
    "dialect",
    "signature",
    "query_budget",
    "run",
    "result",
    "determinism",
    "inputs_unchanged",
    "novelty",
    "informed",
    "diversity",
    "validity",
    "hardness",
    "specificity",
    "outward",
    "agreement",
    "no_harm",
    "usefulness",
]


class Mahalanobis(BaseDetector):  # type: ignore[misc]
    """A detector that this package has never heard of."""

    def __init__(self, contamination: float = 0.1) -> None:
        super().__init__(contamination=contamination)

    def fit(self, X: np.ndarray, y: None = None) -> Mahalanobis:
        self._set_n_classes(y)
        self.center_ = X.mean(axis=0)
        self.inverse_ = np.linalg.pinv(np.cov(X.T))
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        offset = X - self.center_
        return np.einsum("ij,jk,ik->i", offset, self.inverse_, offset)


DETECTORS = (PCA, IForest, OCSVM, ECOD, HBOS, COPOD, LODA, GMM, KNN, Mahalanobis)


@cache
def bench(kind: type) -> ToyBench:
    return ToyBench(DetectorSource.from_object(kind()))


def written(body: str) -> SynthesisProgram:
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    head = "import numpy as np\n\n\ndef generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    start = "    n, d = X_train.shape\n    scale = X_train.std(axis=0)\n"
    return SynthesisProgram(head + start + "    picked = X_train[rng.integers(n, size=n_samples)]\n" + lines)


def good_but(last: str, name: str = "step") -> SynthesisProgram:
    """A good program whose rows pass through one more statement."""
    source = good_program(name, 1.7).source
    kept = "    return C[kept]"
    assert kept in source
    return SynthesisProgram(source.replace(kept, f"    rows = C[kept]\n{last}"))


def failed(report: VerificationReport) -> list[str]:
    return [verdict.code for verdict in report.failures()]


BROKEN_OFF = {
    "parse": SynthesisProgram("def generate_hard_anomalies(:"),
    "dialect": written("import os\nreturn picked"),
    "signature": SynthesisProgram("def make_anomalies(n_samples, model, X_train, rng):\n    return X_train"),
    "query_budget": written("for _ in range(1000):\n    model.predict_score(np.tile(picked, (100, 1)))"),
    "run": written("return picked @ picked"),
    "result": written("return picked[1:]"),
}


@pytest.mark.parametrize("code", BROKEN_OFF)
def test_a_program_that_breaks_its_contract_is_broken_off_there(code: str) -> None:
    report = verify(BROKEN_OFF[code], bench(PCA))
    assert failed(report) == [code]
    assert [verdict.code for verdict in report.verdicts] == CODES[: CODES.index(code) + 1]
    assert not report.complete
    assert not report.accepted
    assert report.score is None
    verdict = report.verdicts[-1]
    assert verdict.evidence["cause"] == code
    if code not in {"signature", "result", "query_budget"}:
        assert "line" in verdict.message
    if code in {"run", "result", "query_budget"}:
        assert "30 rows and 5 columns" in verdict.message


def test_rows_too_far_out_for_arithmetic_are_refused() -> None:
    report = verify(written("return picked * 1e200"), bench(PCA))
    assert failed(report) == ["result"]
    assert "values beyond 1e+50" in report.verdicts[-1].message


def test_a_program_that_does_not_end_is_said_to_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("llmdas_agent.verification.verify")
    monkeypatch.setattr(module, "_LIMITS", SandboxLimits(wall_seconds=1.0))
    report = verify(written("while True:\n    pass"), bench(PCA))
    assert failed(report) == ["run"]
    assert report.verdicts[-1].evidence["cause"] == "timeout"


ONE_FAULT = {
    "inputs_unchanged": good_but("    X_train[0, 0] += 1.0\n    return rows"),
    "novelty": good_but(
        "    rows[: n_samples * 15 // 100] = X_train[: n_samples * 15 // 100]\n    return rows"
    ),
    "informed": written(
        "low, high = X_train.min(axis=0), X_train.max(axis=0)\n"
        "return low + (high - low) * rng.random((n_samples, d))"
    ),
    "hardness": written("return X_train.mean(axis=0) + 10.0 * scale * rng.normal(size=(n_samples, d))"),
    "validity": written("return picked + 0.3 * scale * rng.normal(size=picked.shape)"),
    "diversity": good_but("    return np.repeat(rows[::4], 4, axis=0)"),
}


@pytest.mark.parametrize("code", ONE_FAULT)
def test_one_fault_fails_one_check(code: str) -> None:
    report = verify(ONE_FAULT[code], bench(ECOD))
    assert report.complete
    assert failed(report) == [code]
    verdict = report.verdict(code)
    assert verdict is not None
    assert verdict.hint
    directions = {"novelty": "away", "hardness": "nearer", "validity": "away"}
    assert verdict.evidence.get("direction") == directions.get(code)


def test_rows_that_ignore_the_seed_are_not_diverse() -> None:
    source = good_program("step", 1.7).source.replace(
        "center, scale =", "rng = np.random.default_rng(3)\n    center, scale =", 1
    )
    report = verify(SynthesisProgram(source), bench(ECOD))
    assert failed(report) == ["diversity"]
    verdict = report.verdict("diversity")
    assert verdict is not None
    assert verdict.evidence["repeated"] == 1.0


def test_other_rows_under_the_same_seed_are_not_deterministic() -> None:
    toy = next(bench(PCA).toys())
    rows = toy.X_held_out[:60]
    determinism = CHECKS[0]
    runs = (ToyRun(toy, rows, 0, True),)
    assert determinism(Evidence(runs, rows.copy(), rows)).passed
    assert not determinism(Evidence(runs, rows + 1e-12 * toy.X_train.std(), rows)).passed


BAD = {
    "copies": ("return picked", {"novelty", "validity"}),
    "jittered copies": ("return picked + 0.02 * scale * rng.normal(size=picked.shape)", {"validity"}),
    "one repeated row": ("return np.repeat(picked[:1], n_samples, axis=0)", {"diversity", "novelty"}),
    "one repeated far row": (
        "return np.repeat(picked[:1] + 5.0 * scale * rng.normal(size=(1, d)), n_samples, axis=0)",
        {"diversity"},
    ),
    "noise in the box": (
        "low, high = X_train.min(axis=0), X_train.max(axis=0)\n"
        "return low + (high - low) * rng.random((n_samples, d))",
        {"informed"},
    ),
    "far box": (
        "return X_train.mean(axis=0) + 3.0 * np.ptp(X_train, axis=0) * (rng.random((n_samples, d)) - 0.5)",
        {"hardness"},
    ),
    "far noise": ("return picked + 10.0 * scale * rng.normal(size=picked.shape)", {"hardness"}),
    "half copies, half far": (
        "far = picked + 10.0 * scale * rng.normal(size=picked.shape)\n"
        "return np.where(np.arange(n_samples)[:, None] % 2 == 0, picked, far)",
        {"novelty"},
    ),
    "the middle": ("return X_train.mean(axis=0) + 0.3 * scale * rng.normal(size=picked.shape)", {"validity"}),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kind", [ECOD, GMM], ids=lambda kind: kind.__name__)
def test_bad_programs_are_refused_for_the_right_reason(kind: type, name: str) -> None:
    body, reasons = BAD[name]
    report = verify(written(body), bench(kind))
    assert report.complete
    assert reasons <= set(failed(report))


@pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.__name__)
def test_for_every_detector_a_good_program_passes(kind: type) -> None:
    report = verify(good_program("step", 1.7), bench(kind))
    assert failed(report) == []
    assert report.accepted
    assert [verdict.code for verdict in report.verdicts] == CODES
    assert all(verdict.hint == "" for verdict in report.verdicts)


@pytest.mark.parametrize("name", ["step", "complement"])
def test_what_a_detector_does_not_see_passes_and_promises_more_than_what_it_sees(name: str) -> None:
    report = verify(good_program(name, 1.7), bench(IForest))
    far = verify(ONE_FAULT["hardness"], bench(IForest))
    copies = verify(written(BAD["copies"][0]), bench(IForest))
    assert failed(report) == []
    assert report.score is not None and far.score is not None and copies.score is not None
    assert 1 >= report.score > far.score > copies.score >= 0


def test_specificity_is_told_and_never_refuses() -> None:
    """Wrong pairs of ordinary values: single columns miss them, distances and the covariance do not."""
    program = good_program("recombination", 1.7)
    for_ecod, for_neighbours = (evidence(verify(program, bench(kind)), "specificity") for kind in (ECOD, KNN))
    assert for_ecod["others"]["columns"] < for_ecod["others"]["distances"]
    assert for_ecod["margin"] > for_neighbours["margin"]
    assert all(verify(ONE_FAULT[code], bench(ECOD)).verdict("specificity").passed for code in ONE_FAULT)  # type: ignore[union-attr]


def test_rows_between_normal_ones_are_refused_for_the_harm_they_do() -> None:
    midpoints = "other = X_train[rng.integers(n, size=n_samples)]\nreturn (picked + other) / 2"
    report = verify(written(midpoints), bench(IForest))
    assert {"outward", "agreement", "no_harm", "usefulness"} <= set(failed(report))
    assert directions(report) == {"away"}


def test_the_report_is_the_same_for_any_number_of_cores() -> None:
    program, source = good_program("step", 1.7), DetectorSource.from_object(PCA())
    given = os.sched_getaffinity(0)
    reports = []
    try:
        for cores in ({min(given)}, given):
            os.sched_setaffinity(0, cores)
            reports.append(verify(program, ToyBench(source, 3, SCENARIOS[:6])))
    finally:
        os.sched_setaffinity(0, given)
    one, all_of_them = reports
    assert one.verdicts == all_of_them.verdicts
    assert one.score == all_of_them.score is not None


def directions(report: VerificationReport) -> set[str]:
    return {v.evidence["direction"] for v in report.failures() if v.evidence.get("direction")}


@pytest.mark.parametrize("kind", [GMM, KNN], ids=lambda kind: kind.__name__)
def test_the_directions_alone_lead_to_acceptance(kind: type) -> None:
    """From far too weak and far too strong noise, halving the interval where the report says so."""

    def noise(strength: float) -> SynthesisProgram:
        return written(f"return picked + {strength} * scale * rng.normal(size=picked.shape)")

    nearer, away = 10.0, 0.02
    assert directions(verify(noise(nearer), bench(kind))) == {"nearer"}
    assert directions(verify(noise(away), bench(kind))) == {"away"}
    for _ in range(6):
        strength = (nearer * away) ** 0.5
        report = verify(noise(strength), bench(kind))
        if report.accepted:
            return
        assert len(directions(report)) == 1
        if directions(report) == {"nearer"}:
            nearer = strength
        else:
            away = strength
    pytest.fail(f"no strength accepted between {away} and {nearer}")


def test_evidence_moves_with_the_strength() -> None:
    reports = [verify(good_program("step", s), bench(IForest)) for s in (0.5, 1.0, 2.0, 4.0)]
    improbable = [evidence(r, "validity")["improbable"] for r in reports]
    overlap = [evidence(r, "hardness")["overlap"] for r in reports]
    aurocs = [evidence(r, "hardness")["auroc"] for r in reports]
    assert improbable == sorted(improbable)
    assert overlap == sorted(overlap, reverse=True)
    assert aurocs == sorted(aurocs)


def evidence(report: VerificationReport, code: str) -> dict[str, Any]:
    verdict = report.verdict(code)
    assert verdict is not None
    return verdict.evidence


def test_rows_are_judged_at_every_size() -> None:
    report = verify(good_program("complement", 1.7), bench(IForest))
    for code in ("novelty", "validity", "hardness", "outward", "no_harm", "usefulness"):
        assert set(evidence(report, code)["scenarios"]) == {scenario.name for scenario in SCENARIOS}


def test_a_report_is_reproducible_heard_in_order_and_survives_json() -> None:
    source = DetectorSource.from_object(IForest(n_estimators=20))
    heard: list[Verdict] = []
    program = good_program("step", 1.0)
    report = verify(program, ToyBench(source, 5, SCENARIOS[:4]), on_verdict=heard.append)
    again = verify(program, ToyBench(source, 5, SCENARIOS[:4]))
    other = verify(program, ToyBench(source, 6, SCENARIOS[:4]))
    assert report.verdicts == again.verdicts == tuple(heard)
    assert report.verdicts != other.verdicts
    assert report.model_copy(update={"seconds": 0.0}) == again.model_copy(update={"seconds": 0.0})
    assert VerificationReport.model_validate_json(report.model_dump_json()) == report
    assert report.program_digest == program.digest
    assert {"numpy", "pyod", "llmdas-agent"} <= set(report.versions)


def test_a_scenario_that_does_not_fit_is_left_out_by_name() -> None:
    class NeedsRows(Mahalanobis):
        def fit(self, X: np.ndarray, y: None = None) -> Mahalanobis:
            if len(X) < 50:
                raise ValueError("too few rows")
            return super().fit(X)

    source = DetectorSource("needs_rows", lambda seed: NeedsRows(), None, "tests.NeedsRows")
    report = verify(good_program("step", 1.7), ToyBench(source, 0, SCENARIOS[:5]))
    assert report.complete
    assert evidence(report, "run")["left_out"] == [
        "few_rows (30 rows, 5 columns) left out: ValueError: too few rows"
    ]
    assert "few_rows" not in evidence(report, "hardness")["scenarios"]
    with pytest.raises(DetectorError, match="fits only 2 of 3"):
        verify(good_program("step", 1.7), ToyBench(source, 0, SCENARIOS[:3]))


def test_scores_that_are_not_finite_count_as_most_abnormal() -> None:
    class Broken:
        def decision_function(self, X: np.ndarray) -> np.ndarray:
            return np.where(X[:, 0] > 0, np.nan, X[:, 0])

    toy = dataclasses.replace(next(bench(PCA).toys()), detector=Broken())
    scores = toy.score(np.array([[-3.0], [1.0], [-2.0]]))
    assert scores.tolist() == [-3.0, -2.0, -2.0]


def test_a_plugins_detector_is_tried_out_before_its_program() -> None:
    far_is_normal = DetectorSource.from_object(OneClassSVM(kernel="poly", degree=2), "ecod")
    with pytest.raises(DetectorError, match="is its sign turned"):
        admit(Registry().get("ecod"), far_is_normal)
