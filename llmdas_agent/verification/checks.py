"""The checks on what a program made: each a small function from evidence to a verdict.

The gates below are calibrated on good programs (recombination, steps, steps into the complement of the
covariance, rows between clusters, mixtures of these) for ten detectors, and on bad ones (copies, jittered
copies, one repeated row, far noise, noise in a wide box, half copies and half far noise).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from ..report import Verdict
from .bench import FittedToy, auroc

__all__ = ["CHECKS", "Check", "Evidence", "ToyRun"]

Array = NDArray[np.float64]

COPY_DISTANCE = 0.1
"""A made row is a copy when it is nearer to a training row than this share of that row's fifth neighbour."""

MOST_COPIES = 0.1
"""Largest share of copies, mean over scenarios; normal rows themselves show up to .05 in two columns."""

HARD_OVERLAP = 0.2
"""A scenario is hard when at least this share of the made rows scores no higher than 95 % of normal rows."""

HARD_SCENARIOS = 0.5
"""Least share of hard scenarios: a detector that matches a scenario sees all improbable rows of it."""

LOWEST_AUROC = 0.2
"""Least mean AUROC: below, the rows hide where normal rows are densest. Hardness is a band, not a score."""

IMPROBABLE_MEAN = 0.8
"""Least share of made rows below the normal rows' 1 % density quantile, mean over scenarios."""

IMPROBABLE_EACH = 0.5
"""Least such share in every scenario."""

DISTINCT = 0.75
"""Least share of distinct rows."""

SPREAD = 0.1
"""Least distance between neighbouring made rows, as a share of that between as many normal rows."""

MOST_REPEATED = 0.5
"""Largest share of rows that come back under another seed."""


@dataclass(frozen=True, eq=False)
class ToyRun:
    """What a program made in one scenario.

    Attributes
    ----------
    toy : FittedToy
        The scenario and the fitted detector.
    rows : ndarray, shape (n, d)
        The made rows.
    scored : int
        Rows that the program had scored.
    inputs_unchanged : bool
        Whether it left the training rows as they were.
    """

    toy: FittedToy
    rows: Array
    scored: int
    inputs_unchanged: bool

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.toy.scenario.name


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the checks look at.

    Attributes
    ----------
    runs : tuple of ToyRun
        One for each scenario that the detector fits.
    same_seed : ndarray
        Rows of the first scenario, made again under the same seed.
    other_seed : ndarray
        Rows of the first scenario, made under another seed.
    """

    runs: tuple[ToyRun, ...]
    same_seed: Array
    other_seed: Array


Check = Callable[[Evidence], Verdict]
"""From evidence to a verdict, whose code is the function's name."""


def determinism(evidence: Evidence) -> Verdict:
    """Whether the same seed gives the same rows."""
    first = evidence.runs[0].rows
    same = first.shape == evidence.same_seed.shape and np.array_equal(first, evidence.same_seed)
    return _verdict(
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
    return _verdict(
        "inputs_unchanged",
        not changed,
        message,
        {"changed_in": changed},
        "Work on X_train.copy(); in-place operations such as X_train -= mean change the caller's table.",
    )


def novelty(evidence: Evidence) -> Verdict:
    """Whether the made rows are more than copies of training rows."""
    shares = {run.name: _copies(run) for run in evidence.runs}
    mean, worst = _mean(shares), max(shares, key=shares.__getitem__)
    passed = mean <= MOST_COPIES
    return _verdict(
        "novelty",
        passed,
        f"{mean:.0%} of the rows are copies or near-copies of training rows (at most {MOST_COPIES:.0%}).",
        {"direction": None if passed else "away", "copies": mean, "scenarios": _by_scenario(copies=shares)},
        f"Too close to training rows: move away from them. Most in {worst} ({shares[worst]:.0%}). Drop "
        "candidates whose nearest training row is much closer than that row's own fifth neighbour.",
    )


def hardness(evidence: Evidence) -> Verdict:
    """Whether the detector fails to see the made rows, in enough scenarios and not too well hidden."""
    overlaps, aurocs = {}, {}
    for run in evidence.runs:
        normal, made = run.toy.score_beside_normals(run.rows)
        overlaps[run.name] = _rounded(np.mean(made <= np.quantile(normal, 0.95)))
        aurocs[run.name] = _rounded(auroc(normal, made))
    hard = sum(overlap >= HARD_OVERLAP for overlap in overlaps.values())
    needed = int(np.ceil(HARD_SCENARIOS * len(overlaps)))
    too_easy, hidden = hard < needed, _mean(aurocs) < LOWEST_AUROC
    seen = ", ".join(f"{name} ({1 - value:.0%})" for name, value in overlaps.items() if value < HARD_OVERLAP)
    if too_easy:
        hint = (
            f"Too easy: move nearer to normal rows. Share of the rows that score above 95% of normal rows: "
            f"{seen}; it must be at most {1 - HARD_OVERLAP:.0%}. Take smaller steps, and keep the candidates "
            "that model.predict_score ranks lowest."
        )
    else:
        hint = (
            f"Hidden too deep: move away from dense regions. A made row scores below a normal one in "
            f"{1 - _mean(aurocs):.0%} of all pairs. Take larger steps, or do not keep the lowest-scoring "
            "candidates alone."
        )
    return _verdict(
        "hardness",
        not (too_easy or hidden),
        f"Hard for the detector in {hard} of {len(overlaps)} scenarios (at least {needed}); its AUROC on the "
        f"rows is {_mean(aurocs):.2f} (at least {LOWEST_AUROC}).",
        {
            "direction": "nearer" if too_easy else "away" if hidden else None,
            "hard_scenarios": hard,
            "needed": needed,
            "overlap": _mean(overlaps),
            "auroc": _mean(aurocs),
            "scenarios": _by_scenario(overlap=overlaps, auroc=aurocs),
        },
        hint,
    )


def validity(evidence: Evidence) -> Verdict:
    """Whether the made rows are improbable under the known density."""
    shares = {
        run.name: _rounded(np.mean(run.toy.scenario.log_density(run.rows) < run.toy.scenario.levels.low))
        for run in evidence.runs
    }
    low = {name: share for name, share in shares.items() if share < IMPROBABLE_EACH}
    mean = _mean(shares)
    passed = mean >= IMPROBABLE_MEAN and not low
    poorest = ", ".join(f"{name} ({shares[name]:.0%})" for name in sorted(shares, key=shares.__getitem__)[:3])
    return _verdict(
        "validity",
        passed,
        f"{mean:.0%} of the rows are less probable than 99% of normal rows (at least {IMPROBABLE_MEAN:.0%}, "
        f"and {IMPROBABLE_EACH:.0%} in every scenario; {len(low)} below that).",
        {
            "direction": None if passed else "away",
            "improbable": mean,
            "scenarios": _by_scenario(improbable=shares),
        },
        f"Not improbable enough: move away from dense regions. Poorest in {poorest}. Take larger steps, or "
        "drop more candidates close to training rows, measuring along the columns' correlations.",
    )


def diversity(evidence: Evidence) -> Verdict:
    """Whether the made rows differ from each other, and from those of another seed."""
    distinct = {run.name: _rounded(len(np.unique(run.rows, axis=0)) / len(run.rows)) for run in evidence.runs}
    spread = {run.name: _spread(run) for run in evidence.runs}
    known = {row.tobytes() for row in evidence.runs[0].rows}
    repeated = _rounded(np.mean([row.tobytes() in known for row in evidence.other_seed]))
    narrow = [name for name in spread if distinct[name] < DISTINCT or spread[name] < SPREAD]
    if narrow:
        hint = (
            f"Too alike: the rows repeat or crowd together in {', '.join(narrow)}. "
            "Start from many different training rows."
        )
    else:
        hint = f"{repeated:.0%} of the rows come back under another seed. Draw starts and steps from rng."
    return _verdict(
        "diversity",
        not narrow and repeated <= MOST_REPEATED,
        f"{_mean(distinct):.0%} of the rows are distinct, {_mean(spread):.2f} times as far apart as normal "
        f"rows; {repeated:.0%} come back under another seed.",
        {
            "direction": None,
            "distinct": _mean(distinct),
            "spread": _mean(spread),
            "repeated": repeated,
            "scenarios": _by_scenario(distinct=distinct, spread=spread),
        },
        hint,
    )


CHECKS: tuple[Check, ...] = (
    determinism,
    inputs_unchanged,
    novelty,
    hardness,
    validity,
    diversity,
)
"""The checks on made rows, the cheapest first; they all run, so that a report says everything at once."""


def _verdict(code: str, passed: bool, message: str, evidence: dict[str, Any], hint: str) -> Verdict:
    return Verdict(code=code, passed=passed, message=message, evidence=evidence, hint="" if passed else hint)


def _copies(run: ToyRun) -> float:
    Z, made, _ = _standardized(run)
    fifth = min(5, len(Z) - 1)
    neighbours = NearestNeighbors().fit(Z)
    own = neighbours.kneighbors(n_neighbors=fifth)[0][:, -1]
    distance, nearest = neighbours.kneighbors(made, n_neighbors=1)
    return _rounded(np.mean(distance[:, 0] <= COPY_DISTANCE * own[nearest[:, 0]]))


def _spread(run: ToyRun) -> float:
    _, made, normal = _standardized(run)
    if len(made) < 2:
        return 1.0
    made_apart, normal_apart = (
        np.median(NearestNeighbors(n_neighbors=1).fit(rows).kneighbors()[0])
        for rows in (made, normal[: len(made)])
    )
    return _rounded(made_apart / normal_apart)


def _standardized(run: ToyRun) -> tuple[Array, Array, Array]:
    X = run.toy.X_train
    center, scale = X.mean(axis=0), X.std(axis=0)
    scale[scale == 0] = 1.0
    return (X - center) / scale, (run.rows - center) / scale, (run.toy.X_held_out - center) / scale


def _by_scenario(**measures: dict[str, float]) -> dict[str, dict[str, float]]:
    names = next(iter(measures.values()))
    return {name: {measure: values[name] for measure, values in measures.items()} for name in names}


def _mean(values: dict[str, float]) -> float:
    return _rounded(np.mean(list(values.values())))


def _rounded(value: Any) -> float:
    return round(float(value), 4)
