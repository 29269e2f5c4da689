"""Checks on the made rows against the detector and the known density: hard to see, and improbable."""

from __future__ import annotations

import numpy as np

from ..report import Verdict
from .evidence import Evidence, by_scenario, mean, rounded, verdict
from .measures import auroc

__all__ = ["hardness", "improbable_shares", "specificity", "validity"]

HARD_OVERLAP = 0.2
"""A scenario is hard when at least this share of the made rows scores no higher than 95 % of normal rows."""

LEAST_OVERLAP = 0.1
"""Least such share, mean over scenarios: below, the detector sees the rows wherever it is tried."""

LOWEST_AUROC = 0.2
"""Least mean AUROC: below, the rows hide where normal rows are densest. Hardness is a band, not a score."""

IMPROBABLE = 0.5
"""Least share of made rows below the normal rows' 1 % density quantile, mean over scenarios."""


def improbable_shares(evidence: Evidence) -> dict[str, float]:
    """Return the share of made rows below the normal rows' 1 % density quantile, by scenario."""
    return {
        run.name: rounded(np.mean(run.toy.scenario.log_density(run.rows) < run.toy.scenario.levels.low))
        for run in evidence.runs
    }


def hardness(evidence: Evidence) -> Verdict:
    """Whether the detector fails to see the made rows, where they are not hidden too well."""
    overlaps, aurocs = {}, {}
    for run in evidence.runs:
        normal, made = run.toy.score_beside_normals(run.rows)
        overlaps[run.name] = rounded(np.mean(made <= np.quantile(normal, 0.95)))
        aurocs[run.name] = rounded(auroc(normal, made))
    hard = sum(overlap >= HARD_OVERLAP for overlap in overlaps.values())
    too_easy, hidden = mean(overlaps) < LEAST_OVERLAP, mean(aurocs) < LOWEST_AUROC
    seen = ", ".join(f"{name} ({1 - value:.0%})" for name, value in overlaps.items() if value < HARD_OVERLAP)
    if too_easy:
        hint = (
            f"Too easy: move nearer to normal rows. Share of the rows that score above 95% of normal rows: "
            f"{seen}; it must be at most {1 - LEAST_OVERLAP:.0%} on average. Take smaller steps, and keep "
            "the candidates that model.predict_score ranks lowest."
        )
    else:
        hint = (
            f"Hidden too deep: move away from dense regions. A made row scores below a normal one in "
            f"{1 - mean(aurocs):.0%} of all pairs. Take larger steps, or do not keep the lowest-scoring "
            "candidates alone."
        )
    return verdict(
        "hardness",
        not (too_easy or hidden),
        f"Hard for the detector in {hard} of {len(overlaps)} scenarios; {mean(overlaps):.0%} of the rows "
        f"score like normal ones (at least {LEAST_OVERLAP:.0%}), and its AUROC on them is "
        f"{mean(aurocs):.2f} (at least {LOWEST_AUROC}).",
        {
            "direction": "nearer" if too_easy else "away" if hidden else None,
            "hard_scenarios": hard,
            "overlap": mean(overlaps),
            "auroc": mean(aurocs),
            "scenarios": by_scenario(overlap=overlaps, auroc=aurocs),
        },
        hint,
    )


def validity(evidence: Evidence) -> Verdict:
    """Whether the made rows are improbable under the known density."""
    shares = improbable_shares(evidence)
    passed = mean(shares) >= IMPROBABLE
    poorest = ", ".join(f"{name} ({shares[name]:.0%})" for name in sorted(shares, key=shares.__getitem__)[:3])
    return verdict(
        "validity",
        passed,
        f"{mean(shares):.0%} of the rows are less probable than 99% of normal rows (at least "
        f"{IMPROBABLE:.0%}).",
        {
            "direction": None if passed else "away",
            "improbable": mean(shares),
            "scenarios": by_scenario(improbable=shares),
        },
        f"Not improbable enough: move away from dense regions. Poorest in {poorest}. Take larger steps, or "
        "drop more candidates close to training rows, measuring along the columns' correlations.",
    )


def specificity(evidence: Evidence) -> Verdict:
    """Whether the rows are harder for this detector than for simple others: told, never required."""
    own = {run.name: rounded(auroc(*run.toy.score_beside_normals(run.rows))) for run in evidence.runs}
    others = {run.name: run.toy.references.aurocs(run.rows) for run in evidence.runs}
    names = next(iter(others.values()))
    theirs = {name: rounded(np.mean([found[name] for found in others.values()])) for name in names}
    mean_others = rounded(np.mean(list(theirs.values())))
    margin = rounded(mean_others - mean(own))
    told = ", ".join(f"{value:.2f} by {name}" for name, value in theirs.items())
    return verdict(
        "specificity",
        True,
        f"This detector tells the rows from normal ones with an AUROC of {mean(own):.2f}; simple detectors "
        f"with {told}.",
        {"margin": margin, "own": mean(own), "others": theirs},
        "",
    )
