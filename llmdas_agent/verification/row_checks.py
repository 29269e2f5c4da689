"""Checks on the made rows alone: that they are the program's own, new, and many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ..report import Verdict
from .evidence import Evidence, ToyRun, by_scenario, mean, rounded, verdict

__all__ = ["determinism", "diversity", "informed", "inputs_unchanged", "novelty"]

Array = NDArray[np.float64]

COPY_DISTANCE = 0.1
"""A made row is a copy when it is nearer to a training row than this share of that row's fifth neighbour."""

MOST_COPIES = 0.1
"""Largest share of copies, mean over scenarios; normal rows themselves show up to .05 in two columns."""

LEAST_FROM_UNIFORM = 0.15
"""Least Kolmogorov-Smirnov distance to uniform noise; noise itself, 100 rows of it, shows about .09."""

DISTINCT = 0.75
"""Least share of distinct rows, mean over scenarios."""

SPREAD = 0.1
"""Least distance between neighbouring made rows, as a share of that between as many normal rows; median."""

MOST_REPEATED = 0.5
"""Largest share of rows that come back under another seed."""


def determinism(evidence: Evidence) -> Verdict:
    """Whether the same seed gives the same rows."""
    first = evidence.runs[0].rows
    same = first.shape == evidence.same_seed.shape and np.array_equal(first, evidence.same_seed)
    return verdict(
        "determinism",
        same,
        "The same seed gives the same rows." if same else "The same seed gives other rows.",
        {"scenario": evidence.runs[0].name},
        "Draw every random number from rng, and let nothing else vary from run to run.",
    )


def inputs_unchanged(evidence: Evidence) -> Verdict:
    """Whether the program leaves the training rows as they were."""
    changed = [run.name for run in evidence.runs if not run.inputs_unchanged]
    message = (
        f"It changes X_train in {len(changed)} scenarios." if changed else "It leaves X_train unchanged."
    )
    return verdict(
        "inputs_unchanged",
        not changed,
        message,
        {"changed_in": changed},
        "Work on X_train.copy(); in-place operations such as X_train -= mean change the caller's table.",
    )


def novelty(evidence: Evidence) -> Verdict:
    """Whether the made rows are more than copies of training rows."""
    away = {run.name: _away_from_training(run) for run in evidence.runs}
    copies = {name: rounded(np.mean(ratio <= COPY_DISTANCE)) for name, ratio in away.items()}
    distance = {name: rounded(np.median(ratio)) for name, ratio in away.items()}
    passed = mean(copies) <= MOST_COPIES
    worst = max(copies, key=copies.__getitem__)
    return verdict(
        "novelty",
        passed,
        f"{mean(copies):.0%} of the rows are copies or near-copies of training rows (at most "
        f"{MOST_COPIES:.0%}).",
        {
            "direction": None if passed else "away",
            "copies": mean(copies),
            "scenarios": by_scenario(copies=copies, distance=distance),
        },
        f"Too close to training rows: move away from them. Most in {worst} ({copies[worst]:.0%}). Drop "
        "candidates whose nearest training row is much closer than that row's own fifth neighbour.",
    )


def informed(evidence: Evidence) -> Verdict:
    """Whether the made rows are more than uniform noise in the box around the training rows."""
    distance = {run.name: _from_uniform(run) for run in evidence.runs}
    return verdict(
        "informed",
        mean(distance) >= LEAST_FROM_UNIFORM,
        f"The columns' distributions are {mean(distance):.2f} from uniform noise in the box around the "
        f"training rows (Kolmogorov-Smirnov distance; at least {LEAST_FROM_UNIFORM}).",
        {
            "direction": None,
            "from_uniform": mean(distance),
            "scenarios": by_scenario(from_uniform=distance),
        },
        "Uniform noise knows nothing of the detector or of the data. Start from training rows, and change "
        "them in the way that the detector does not see.",
    )


def diversity(evidence: Evidence) -> Verdict:
    """Whether the made rows differ from each other, and from those of another seed."""
    distinct = {run.name: rounded(len(np.unique(run.rows, axis=0)) / len(run.rows)) for run in evidence.runs}
    spread = {run.name: _spread(run) for run in evidence.runs}
    known = {row.tobytes() for row in evidence.runs[0].rows}
    repeated = rounded(np.mean([row.tobytes() in known for row in evidence.other_seed]))
    alike = mean(distinct) < DISTINCT or float(np.median(list(spread.values()))) < SPREAD
    if alike:
        narrow = ", ".join(sorted(spread, key=lambda name: (spread[name], distinct[name]))[:4])
        hint = f"Too alike: the rows repeat or crowd together, most of all in {narrow}. Start from many rows."
    else:
        hint = f"{repeated:.0%} of the rows come back under another seed. Draw starts and steps from rng."
    return verdict(
        "diversity",
        not alike and repeated <= MOST_REPEATED,
        f"{mean(distinct):.0%} of the rows are distinct, {mean(spread):.2f} times as far apart as normal "
        f"rows; {repeated:.0%} come back under another seed.",
        {
            "direction": None,
            "distinct": mean(distinct),
            "spread": mean(spread),
            "repeated": repeated,
            "scenarios": by_scenario(distinct=distinct, spread=spread),
        },
        hint,
    )


def _away_from_training(run: ToyRun) -> Array:
    """Return each row's distance to the nearest training row, over that row's own to its fifth neighbour."""
    Z, made, _ = _standardized(run)
    fifth = min(5, len(Z) - 1)
    neighbours = NearestNeighbors().fit(Z)
    own = neighbours.kneighbors(n_neighbors=fifth)[0][:, -1]
    distance, nearest = neighbours.kneighbors(made, n_neighbors=1)
    # where five training rows are alike, only an exact copy is one
    return np.asarray(distance[:, 0] / np.maximum(own[nearest[:, 0]], 1e-9))


def _from_uniform(run: ToyRun) -> float:
    """Return the Kolmogorov-Smirnov distance to uniform noise in the box, mean over the columns that vary."""
    low, high = run.toy.X_train.min(axis=0), run.toy.X_train.max(axis=0)
    varies = high > low
    inside = np.clip((run.rows[:, varies] - low[varies]) / (high - low)[varies], 0.0, 1.0)
    n = len(inside)
    ranks = np.arange(n)[:, None] / n
    ordered = np.sort(inside, axis=0)
    return rounded(np.maximum(ordered - ranks, ranks + 1 / n - ordered).max(axis=0).mean())


def _spread(run: ToyRun) -> float:
    _, made, normal = _standardized(run)
    if len(made) < 2:
        return 1.0
    made_apart, normal_apart = (
        np.median(NearestNeighbors(n_neighbors=1).fit(rows).kneighbors()[0])
        for rows in (made, normal[: len(made)])
    )
    return rounded(made_apart / normal_apart)


def _standardized(run: ToyRun) -> tuple[Array, Array, Array]:
    X = run.toy.X_train
    center, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale == 0] = 1.0
    return (X - center) / scale, (run.rows - center) / scale, (run.toy.X_held_out - center) / scale
