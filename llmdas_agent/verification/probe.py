"""The blind-spot profile: which families of improbable rows a detector was measured to miss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import t as student_t
from threadpoolctl import threadpool_limits

from ..report import BlindSpotProfile, FamilyScore
from .bench import FittedToy, ToyBench, auroc
from .families import FAMILIES
from .matching import matched_rows

__all__ = ["probe"]

_ROWS = 60
_DEPTHS = np.linspace(1.5, 2.5, _ROWS)
_FEWEST_ROWS = 15
_SEEDS = 2


def probe(bench: ToyBench, *, on_progress: Callable[[str], None] | None = None) -> BlindSpotProfile:
    """Measure what a detector misses, on families of rows that are all equally improbable.

    Parameters
    ----------
    bench : ToyBench
        The detector on the toy scenarios; its fits are used, and those of the next seed.
    on_progress : callable, optional
        Called with the name of each scenario before its rows are made.

    Returns
    -------
    BlindSpotProfile
        The AUROC by family, mean over scenarios and seeds, the blindest first.

    Raises
    ------
    DetectorError
        When the detector fits fewer than three scenarios.
    """
    found: dict[str, list[float]] = {}
    benches = [bench, *(ToyBench(bench.source, bench.seed + k, bench.scenarios) for k in range(1, _SEEDS))]
    # many small products: threads would only wait for each other
    with threadpool_limits(1):
        for one in benches:
            for toy in one.toys():
                if on_progress is not None:
                    on_progress(toy.scenario.name)
                for family, value in _family_aurocs(one, toy):
                    found.setdefault(family, []).append(value)
    families = sorted((_family_score(name, values) for name, values in found.items()), key=lambda f: f.auroc)
    notes = tuple(dict.fromkeys(note for one in benches for note in one.notes))
    return BlindSpotProfile(
        detector=bench.source.name, seed=bench.seed, families=tuple(families), notes=notes
    )


def _family_aurocs(bench: ToyBench, toy: FittedToy) -> Iterator[tuple[str, float]]:
    rows = {
        family.name: matched_rows(family, toy.scenario, _DEPTHS, bench.rng(toy.scenario, family.name))
        for family in FAMILIES
    }
    for name, made in rows.items():
        if len(made) >= _FEWEST_ROWS:
            yield name, auroc(*toy.score_beside_normals(made))


def _family_score(name: str, values: list[float]) -> FamilyScore:
    mean = float(np.mean(values))
    margin = 0.5
    if len(values) > 1:
        error = float(np.std(values, ddof=1)) / len(values) ** 0.5
        margin = float(student_t.ppf(0.975, len(values) - 1)) * error
    return FamilyScore(family=name, auroc=mean, low=max(mean - margin, 0.0), high=min(mean + margin, 1.0))
