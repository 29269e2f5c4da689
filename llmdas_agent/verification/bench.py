"""A detector on the toy scenarios: fitted once on each, and shared by everything that asks about it."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ..detectors import Detector, DetectorSource
from ..errors import DetectorError
from ..plugins import BUILTIN, joined, load_plugins
from .scenarios import SCENARIOS, Scenario

__all__ = ["FittedToy", "ToyBench", "all_scenarios", "auroc"]

Array = NDArray[np.float64]

_HELD_OUT = 300
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class FittedToy:
    """A detector fitted on normal rows of one scenario.

    Attributes
    ----------
    scenario : Scenario
        Where the rows come from.
    X_train : ndarray, shape (n_train, d)
        The rows it was fitted on.
    X_held_out : ndarray, shape (300, d)
        Normal rows that it has not seen.
    detector : Detector
        The fitted detector.
    """

    scenario: Scenario
    X_train: Array
    X_held_out: Array
    detector: Detector

    def score(self, X: Array) -> Array:
        """Return the detector's scores, shape (m,), higher for more abnormal rows.

        A score that is not finite counts as the most abnormal of the batch.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = np.asarray(self.detector.decision_function(X), dtype=np.float64).ravel()
        finite = np.isfinite(scores)
        worst = scores[finite].max() if finite.any() else 0.0
        return np.where(finite, scores, worst)

    def score_beside_normals(self, X: Array) -> tuple[Array, Array]:
        """Return the scores of the held-out normal rows and of `X`, scored in one batch.

        Some detectors (PyOD's ECOD and COPOD) score a row by its rank among the rows scored with it, so that
        only scores of one batch compare.
        """
        scores = self.score(np.vstack([self.X_held_out, X]))
        return scores[: len(self.X_held_out)], scores[len(self.X_held_out) :]


class ToyBench:
    """A detector, to be fitted on the toy scenarios when they are first asked for.

    Parameters
    ----------
    source : DetectorSource
        The detector.
    seed : int
        The seed that all rows and fits derive from.
    scenarios : tuple of Scenario, optional
        The scenarios, the cheapest first; `all_scenarios` when left out.

    Attributes
    ----------
    notes : list of str
        One line for each scenario that the detector was found not to fit.
    """

    def __init__(
        self, source: DetectorSource, seed: int = 0, scenarios: tuple[Scenario, ...] | None = None
    ) -> None:
        self.source = source
        self.seed = seed
        self.scenarios = all_scenarios() if scenarios is None else scenarios
        self.notes: list[str] = []
        self._fitted: dict[str, FittedToy | None] = {}

    def toys(self) -> Iterator[FittedToy]:
        """Yield the scenarios that the detector fits, each with its fit; the others become notes.

        Raises
        ------
        DetectorError
            At the end, when the detector fits fewer than three.
        """
        found = 0
        for scenario in self.scenarios:
            if scenario.name not in self._fitted:
                self._fitted[scenario.name] = self._fit(scenario)
            toy = self._fitted[scenario.name]
            if toy is not None:
                found += 1
                yield toy
        if found < min(_FEWEST, len(self.scenarios)):
            raise DetectorError(
                f"it fits only {found} of {len(self.scenarios)} toy scenarios: {'; '.join(self.notes)}",
                where=f"detector '{self.source.name}'",
                hint=f"It must fit at least {_FEWEST}; check the parameters in its card",
            )

    def rng(self, scenario: Scenario, purpose: str) -> np.random.Generator:
        """Return a generator that depends on the seed, the scenario and the purpose alone."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{scenario.name}/{purpose}".encode())])

    def _fit(self, scenario: Scenario) -> FittedToy | None:
        rng = self.rng(scenario, "normal rows")
        X_train, X_held_out = scenario.sample(scenario.n_train, rng), scenario.sample(_HELD_OUT, rng)
        detector = self.source.make(self.seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                detector.fit(X_train.copy())
                scores = np.asarray(detector.decision_function(X_held_out.copy()), dtype=np.float64)
            if not np.isfinite(scores).all():
                raise ValueError(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite")
        except Exception as error:  # a stranger's detector may raise anything; the note names the cause
            size = f"{scenario.n_train} rows, {scenario.d} columns"
            self.notes.append(f"{scenario.name} ({size}) left out: {type(error).__name__}: {error}")
            return None
        return FittedToy(scenario, X_train, X_held_out, detector)


def all_scenarios() -> tuple[Scenario, ...]:
    """Return the toy scenarios of the package, then those of plugins; unsound ones are left out and named.

    Raises
    ------
    PluginError
        When two have the same name.
    """
    plugins = load_plugins()
    named = joined("toy scenario", {scenario.name: scenario for scenario in SCENARIOS}, plugins.scenarios)
    found = []
    for owner, scenario in named.values():
        fault = "" if owner == BUILTIN else _fault(scenario)
        if fault:
            plugins.blame(owner, f"its toy scenario '{scenario.name}' is left out: {fault}")
        else:
            found.append(scenario)
    return tuple(found)


def _fault(scenario: Scenario) -> str:
    """Return what is wrong with a plugin's scenario, in a line; empty when nothing is."""
    try:
        rows = scenario.sample(20, np.random.default_rng(0))
        again = scenario.sample(20, np.random.default_rng(0))
        density = scenario.log_density(rows)
        ordered = scenario.levels.low < scenario.levels.median
    except Exception as error:  # a stranger's scenario may raise anything; it is named
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if rows.shape != (20, scenario.d) or not np.isfinite(rows).all():
        return f"20 rows of {scenario.d} columns were asked for, and sample returned {rows.shape}"
    if not np.array_equal(rows, again):
        return "sample gives other rows under the same seed"
    if np.shape(density) != (20,) or not np.isfinite(density).all() or not ordered:
        return "log_density must give one finite number per row, and not the same for all"
    return ""


def auroc(normal: Array, abnormal: Array) -> float:
    """Return the probability that an abnormal row scores above a normal one, ties counting half."""
    truth = np.repeat([0, 1], [len(normal), len(abnormal)])
    return float(roc_auc_score(truth, np.concatenate([normal, abnormal])))
