"""What made rows are judged by in one toy scenario: the same rows for every program.

All that does not depend on a program is made once: rows in the classifier's view, and how surprised the
detector is at each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from .measures import auroc, average_precision
from .scenarios import Scenario
from .usefulness import Classifier, NormalView, joined, surprise

__all__ = ["Learned", "Yardstick"]

Array = NDArray[np.float64]

_NORMAL = 300
_EACH_KIND = 60
_BROAD = 100
_RAYS = 60
_REACH = 2.0
_STRETCH = (1.3, 3.0)
_NOISE = (0.1, 3.0)
_FAR = 10.0
_SEEDS = (0, 1)


@dataclass(frozen=True, slots=True)
class Learned:
    """What a classifier learns from made rows, and what it adds to the detector. Means over two seeds.

    Attributes
    ----------
    alone : dict of float
        AUC-PR of the classifier by kind of true anomaly.
    joined : dict of float
        AUC-PR of the detector joined with the classifier, by kind.
    outward : float
        Probability that a row twice as far from the centre as a normal one scores above a normal row.
    agreement : float
        Spearman correlation of its scores with −log density, over rows from the densest to improbable ones.
    """

    alone: dict[str, float]
    joined: dict[str, float]
    outward: float
    agreement: float


class Yardstick:
    """A toy scenario as rows made in it are judged.

    Parameters
    ----------
    scenario : Scenario
        The known density.
    X_train : ndarray, shape (n, d)
        The rows that the detector is fitted on.
    score : callable
        The fitted detector's scores, shape (m,), of rows of shape (m, d), scored as one batch.
    rng : numpy.random.Generator
        Draws the rows.

    Attributes
    ----------
    base : dict of float
        AUC-PR of the detector by kind of true anomaly.
    """

    def __init__(
        self, scenario: Scenario, X_train: Array, score: Callable[[Array], Array], rng: np.random.Generator
    ) -> None:
        self._scenario = scenario
        self._X = X_train
        self._view = NormalView(X_train, _SEEDS[0])
        held, normal = scenario.sample(_NORMAL, rng), scenario.sample(_NORMAL, rng)
        kinds = scenario.anomalies(_EACH_KIND, rng) | {"scale": self._stretched(rng)}
        kinds = {kind: rows for kind, rows in kinds.items() if len(rows)}
        self._surprise = {
            kind: _base_surprise(score(np.vstack([held, normal, rows]))) for kind, rows in kinds.items()
        }
        self.base = {kind: average_precision(*pair) for kind, pair in self._surprise.items()}
        broad, near = self._broad(rng), scenario.sample(_RAYS, rng)
        self._improbability = -scenario.log_density(broad)
        judged = kinds | {
            "held out": held,
            "normal": normal,
            "broad": broad,
            "near": near,
            "twice as far": self._pushed(near, _REACH),
        }
        self._names, self._ends = list(judged), np.cumsum([len(rows) for rows in judged.values()])
        self._judged = self._view(np.vstack(list(judged.values())))
        noise = _FAR * X_train.std(axis=0) * rng.normal(size=(_EACH_KIND, scenario.d))
        self._far = scenario.snap(X_train[rng.integers(len(X_train), size=_EACH_KIND)] + noise)

    @cached_property
    def far_noise(self) -> Learned:
        """What is learned from far noise, which any program must beat."""
        return self.learned(self._far)

    def learned(self, rows: Array) -> Learned:
        """Fit the classifier on made rows, shape (n, d), and measure it."""
        return _average([self._learned_once(self._view(rows), seed) for seed in _SEEDS])

    def _learned_once(self, made: Array, seed: int) -> Learned:
        scores = Classifier(self._view, seed).fit(made).score(self._judged)
        by_name = dict(zip(self._names, np.split(scores, self._ends[:-1]), strict=True))
        normal = surprise(by_name["held out"], by_name["normal"])
        alone, with_base = {}, {}
        for kind, (base_normal, base_anomalous) in self._surprise.items():
            anomalous = surprise(by_name["held out"], by_name[kind])
            alone[kind] = average_precision(normal, anomalous)
            with_base[kind] = average_precision(
                joined(base_normal, normal), joined(base_anomalous, anomalous)
            )
        broad = by_name["broad"]
        agreement = float(spearmanr(broad, self._improbability).statistic) if np.ptp(broad) > 0 else 0.0
        return Learned(alone, with_base, auroc(by_name["near"], by_name["twice as far"]), agreement)

    def _pushed(self, rows: Array, factor: Array | float) -> Array:
        """Return rows pushed away from the centre of the training rows."""
        center = self._X.mean(axis=0)
        return self._scenario.snap(center + factor * (rows - center))

    def _stretched(self, rng: np.random.Generator) -> Array:
        """Return improbable rows that are normal ones at a larger scale, at most 60."""
        factor = rng.uniform(*_STRETCH, size=(5 * _EACH_KIND, 1))
        rows = self._pushed(self._scenario.sample(5 * _EACH_KIND, rng), factor)
        return rows[self._scenario.log_density(rows) < self._scenario.levels.low][:_EACH_KIND]

    def _broad(self, rng: np.random.Generator) -> Array:
        """Return normal rows, rows with noise of all sizes, and recombined rows, 100 of each."""
        normal, noisy, one = (self._scenario.sample(_BROAD, rng) for _ in range(3))
        low, high = np.log(_NOISE)
        size = np.exp(rng.uniform(low, high, size=(_BROAD, 1)))
        noisy = noisy + size * self._X.std(axis=0) * rng.normal(size=noisy.shape)
        recombined = np.where(rng.random(one.shape) < 0.5, one, one[rng.permutation(_BROAD)])
        return self._scenario.snap(np.vstack([normal, noisy, recombined]))


def _base_surprise(scores: Array) -> tuple[Array, Array]:
    held, normal, anomalous = np.split(scores, [_NORMAL, 2 * _NORMAL])
    return surprise(held, normal), surprise(held, anomalous)


def _average(found: list[Learned]) -> Learned:
    def each(values: list[dict[str, float]]) -> dict[str, float]:
        return {kind: float(np.mean([value[kind] for value in values])) for kind in values[0]}

    return Learned(
        each([one.alone for one in found]),
        each([one.joined for one in found]),
        float(np.mean([one.outward for one in found])),
        float(np.mean([one.agreement for one in found])),
    )
