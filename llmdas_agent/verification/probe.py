"""The blind-spot profile: which families of improbable rows a detector was measured to miss."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from ..errors import DetectorError
from ..report import BlindSpotProfile, FamilyScore
from .bench import FittedToy, ToyBench, auroc
from .families import FAMILIES
from .matching import Family, matched_rows

__all__ = ["probe"]

Array = NDArray[np.float64]
Aurocs = dict[str, dict[str, list[float]]]
"""One AUROC for each seed, by family and scenario."""

_ROWS = 60
_DEPTHS = np.linspace(1.5, 2.5, _ROWS)
_FEWEST_ROWS = 15
_SEEDS = 2
_PLANTED = 30
_MOST_PLANTED = 0.1
"""Largest share of planted rows in a table: the contamination that detectors count on by default."""


def probe(bench: ToyBench) -> BlindSpotProfile:
    """Measure what a detector misses, on families of rows that are all equally improbable.

    Parameters
    ----------
    bench : ToyBench
        The detector on the toy scenarios; its fits are used, and those of the next seed.

    Returns
    -------
    BlindSpotProfile
        The AUROC by family, mean over scenarios and seeds, the blindest first.

    Raises
    ------
    DetectorError
        When the detector fits fewer than three scenarios.
    """
    found: Aurocs = {}
    benches = [bench, *(ToyBench(bench.source, bench.seed + k, bench.scenarios) for k in range(1, _SEEDS))]
    for one in benches:
        for scenario, aurocs in one.on_each(partial(_aurocs, one)):
            for family, value in aurocs.items():
                found.setdefault(family, {}).setdefault(scenario, []).append(value)
    families = sorted((_family_score(name, values) for name, values in found.items()), key=lambda f: f.auroc)
    notes = tuple(dict.fromkeys(note for one in benches for note in one.notes))
    return BlindSpotProfile(
        detector=bench.source.name, seed=bench.seed, families=tuple(families), notes=notes
    )


def _aurocs(bench: ToyBench, toy: FittedToy) -> tuple[str, dict[str, float]]:
    """Return the scenario's name, and the AUROC of each family that it has."""
    found = {}
    for family in FAMILIES:
        rng = bench.rng(toy.scenario, family.name)
        if family.planted:
            judge, made = _with_planted(bench, toy, family, rng)
        else:
            judge, made = toy, matched_rows(family, toy.scenario, _DEPTHS, rng)
        if len(made) >= _FEWEST_ROWS:
            found[family.name] = auroc(*judge.score_beside_normals(made))
    return toy.scenario.name, found


def _with_planted(
    bench: ToyBench, toy: FittedToy, family: Family, rng: np.random.Generator
) -> tuple[FittedToy, Array]:
    """Return the detector fitted on half of the rows as well, and the other half; no rows where it cannot."""
    nothing = np.empty((0, toy.scenario.d))
    if _MOST_PLANTED * len(toy.X_train) < _PLANTED:
        return toy, nothing
    made = matched_rows(family, toy.scenario, np.full(2 * _PLANTED, _DEPTHS.mean()), rng)
    X_train = np.vstack([toy.X_train, made[:_PLANTED]])
    detector = bench.source.make(bench.seed)
    try:
        with bench.source.guarded("cannot be fitted with planted rows"):
            detector.fit(X_train.copy())
    except DetectorError:  # without those rows it did fit
        return toy, nothing
    return replace(toy, X_train=X_train, detector=detector), made[_PLANTED:]


def _family_score(name: str, by_scenario: dict[str, list[float]]) -> FamilyScore:
    """Return the mean over scenarios with its 95 % interval over seeds.

    The scenarios are given, the seeds are drawn: the mean's variance is that of a stratified sample, and so
    comes from the spread over seeds within scenarios alone (Cochran 1977, section 5.3).
    """
    means = [np.mean(values) for values in by_scenario.values()]
    mean = float(np.mean(means))
    repeated = [values for values in by_scenario.values() if len(values) > 1]
    margin = 0.5
    if repeated:
        spread = np.mean([np.var(values, ddof=1) for values in repeated])
        freedom = sum(len(values) - 1 for values in repeated)
        error = np.sqrt(sum(spread / len(values) for values in by_scenario.values())) / len(means)
        margin = float(student_t.ppf(0.975, freedom) * error)
    return FamilyScore(family=name, auroc=mean, low=max(mean - margin, 0.0), high=min(mean + margin, 1.0))
