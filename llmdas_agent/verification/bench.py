"""A detector on the toy scenarios: fitted once on each, and shared by everything that asks about it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..detectors import Detector, DetectorSource
from ..errors import DetectorError
from .measures import auroc
from .references import References
from .scenarios import Scenario, all_scenarios
from .threads import side_by_side
from .yardstick import Yardstick

__all__ = ["FittedToy", "ToyBench", "all_scenarios", "auroc"]

Array = NDArray[np.float64]
Found = TypeVar("Found")

_HELD_OUT = 300
_FEWEST = 3


@dataclass(frozen=True, eq=False)
class FittedToy:
    """A detector fitted on normal rows of one scenario.

    Attributes
    ----------
    source : DetectorSource
        Where the detector comes from.
    scenario : Scenario
        Where the rows come from.
    X_train : ndarray, shape (n_train, d)
        The rows it was fitted on.
    X_held_out : ndarray, shape (300, d)
        Normal rows that it has not seen.
    detector : Detector
        The fitted detector.
    seed : int
        The bench's.
    """

    source: DetectorSource
    scenario: Scenario
    X_train: Array
    X_held_out: Array
    detector: Detector
    seed: int

    @cached_property
    def yardstick(self) -> Yardstick:
        """What made rows are judged by here."""
        rng = _generator(self.seed, self.scenario, "yardstick")
        return Yardstick(self.scenario, self.X_train, self.score, rng)

    @cached_property
    def references(self) -> References:
        """Other, simple detectors fitted on the same rows."""
        return References(self.X_train, self.X_held_out)

    def score(self, X: Array) -> Array:
        """Return the detector's scores, shape (m,), higher for more abnormal rows.

        A score that is not finite counts as the most abnormal of the batch.

        Raises
        ------
        DetectorError
            When the detector fails, or does not give one number per row.
        """
        failure = f"{self.source.class_path} fails on rows of the toy scenario '{self.scenario.name}'"
        with self.source.guarded(failure):
            scores = np.asarray(self.detector.decision_function(X), dtype=np.float64).reshape(len(X))
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
    """

    def __init__(
        self, source: DetectorSource, seed: int = 0, scenarios: tuple[Scenario, ...] | None = None
    ) -> None:
        self.source = source
        self.seed = seed
        self.scenarios = all_scenarios() if scenarios is None else scenarios
        self._fitted: dict[str, FittedToy | str] = {}

    @property
    def notes(self) -> list[str]:
        """One line for each scenario that the detector was found not to fit."""
        found = [self._fitted.get(scenario.name) for scenario in self.scenarios]
        return [note for note in found if isinstance(note, str)]

    def toys(self) -> Iterator[FittedToy]:
        """Yield the scenarios that the detector fits, each with its fit; the others become notes.

        Raises
        ------
        DetectorError
            At the end, when the detector fits fewer than three.
        """
        found = 0
        for scenario in self.scenarios:
            toy = self._toy(scenario)
            if toy is not None:
                found += 1
                yield toy
        self._require_enough(found)

    def on_each(self, work: Callable[[FittedToy], Found]) -> list[Found]:
        """Return what `work` finds in each scenario that the detector fits, in order; see `side_by_side`.

        Raises
        ------
        DetectorError
            When the detector fits fewer than three.
        Exception
            What `work` raises.
        """

        def here(scenario: Scenario) -> list[Found]:
            toy = self._toy(scenario)
            return [] if toy is None else [work(toy)]

        found = list(chain.from_iterable(side_by_side(here, self.scenarios)))
        self._require_enough(len(found))
        return found

    def rng(self, scenario: Scenario, purpose: str) -> np.random.Generator:
        """Return a generator that depends on the seed, the scenario and the purpose alone."""
        return _generator(self.seed, scenario, purpose)

    def _require_enough(self, found: int) -> None:
        if found < min(_FEWEST, len(self.scenarios)):
            raise DetectorError(
                f"it fits only {found} of {len(self.scenarios)} toy scenarios: {'; '.join(self.notes)}",
                where=f"detector '{self.source.name}'",
                hint=f"It must fit at least {_FEWEST}; check the parameters in its card",
            )

    def _toy(self, scenario: Scenario) -> FittedToy | None:
        if scenario.name not in self._fitted:
            self._fitted[scenario.name] = self._fit(scenario)
        fitted = self._fitted[scenario.name]
        return None if isinstance(fitted, str) else fitted

    def _fit(self, scenario: Scenario) -> FittedToy | str:
        rng = self.rng(scenario, "normal rows")
        X_train, X_held_out = scenario.sample(scenario.n_train, rng), scenario.sample(_HELD_OUT, rng)
        detector = self.source.make(self.seed)
        size = f"{scenario.n_train} rows, {scenario.d} columns"
        try:
            with self.source.guarded(f"{scenario.name} ({size}) left out"):
                detector.fit(X_train.copy())
                scores = np.asarray(detector.decision_function(X_held_out.copy()), dtype=np.float64)
                if not np.isfinite(scores).all():
                    raise ValueError(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite")
        except DetectorError as error:
            return error.what
        return FittedToy(self.source, scenario, X_train, X_held_out, detector, self.seed)


def _generator(seed: int, scenario: Scenario, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(f"{scenario.name}/{purpose}".encode())])
