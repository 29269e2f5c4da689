"""Checks on what a classifier learns from the made rows, alone and joined with the detector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ..report import Verdict
from .density_checks import improbable_shares
from .evidence import Evidence, by_scenario, mean, rounded, verdict

__all__ = ["agreement", "no_harm", "outward", "usefulness"]

OUTSIDE = "global"
"""The kind of anomaly that any classifier worth joining must see: normal rows pushed outwards."""

KEPT = ("global", "scale", "local")
"""The kinds on which a loss is harm."""

AROUND = (*KEPT, "clustered")
"""The kinds on which a program is set against far noise; voids and dependencies tell nothing here."""

BLIND, SEEING = 0.5, 0.8
"""Shares of the AUC-PR that far noise gives a classifier, between which sight rises from nothing to all."""

LEAST_SIGHT = 0.6
"""Least sight, mean over scenarios."""

LEAST_AGREEMENT = 0.3
"""Least Spearman correlation of the classifier's score with −log density, mean over scenarios."""

HARM = 0.1
"""A loss of this much AUC-PR, or more, counts as nothing kept."""

LEAST_KEPT = 0.8
"""Least of what is kept, mean over scenarios, where no loss is 1."""

MOST_BEHIND = 0.05
"""Largest lag of the AUC-PR behind what far noise gives."""

FAR_ENOUGH = 0.8
"""From this share of improbable rows on, larger steps do not help a classifier that sees nothing outside."""


def outward(evidence: Evidence) -> Verdict:
    """Whether a classifier that learned from the rows sees what lies outside, on all sides, everywhere."""
    sight, rises = {}, {}
    for run in evidence.runs:
        alone, far = run.learned.alone, run.toy.yardstick.far_noise.alone
        # a scenario of a plugin may have no such anomalies
        share = alone[OUTSIDE] / far[OUTSIDE] if OUTSIDE in alone else 1.0
        sight[run.name] = rounded(np.clip((share - BLIND) / (SEEING - BLIND), 0.0, 1.0))
        rises[run.name] = rounded(run.learned.outward)
    passed = mean(sight) >= LEAST_SIGHT
    near = mean(improbable_shares(evidence)) < FAR_ENOUGH
    least = ", ".join(f"{name} ({sight[name]:.0%})" for name in sorted(sight, key=sight.__getitem__)[:4])
    what = (
        "move away from dense regions, on all sides of them"
        if near
        else "they are far enough, but not on all sides; add rows outside the normal ones in every "
        "direction, such as steps in single columns, in all, and away from the centre"
    )
    return verdict(
        "outward",
        passed,
        f"A classifier that learned from the rows has {mean(sight):.0%} of the sight of anomalies outside "
        f"that far noise gives it (at least {LEAST_SIGHT:.0%}).",
        {
            "direction": "away" if near and not passed else None,
            "sight": mean(sight),
            "outward": mean(rises),
            "scenarios": by_scenario(sight=sight, outward=rises),
        },
        f"The rows leave the outside open: {what}. Least seen in {least}.",
    )


def agreement(evidence: Evidence) -> Verdict:
    """Whether a classifier that learned from the rows ranks all kinds of rows as the known density does."""
    found = {run.name: rounded(run.learned.agreement) for run in evidence.runs}
    passed = mean(found) >= LEAST_AGREEMENT
    worst = min(found, key=found.__getitem__)
    return verdict(
        "agreement",
        passed,
        f"The score of a classifier that learned from the rows has a rank correlation of {mean(found):.2f} "
        f"with improbability (at least {LEAST_AGREEMENT}).",
        {
            "direction": None if passed else "away",
            "agreement": mean(found),
            "scenarios": by_scenario(agreement=found),
        },
        "The rows teach something else than improbability: move away from dense regions, on all sides of "
        f"the normal rows alike. Worst in {worst} ({found[worst]:.2f}).",
    )


def no_harm(evidence: Evidence) -> Verdict:
    """Whether the detector, joined with the classifier, still sees the anomalies that it saw alone."""
    base = {run.name: _average(run.toy.yardstick.base, KEPT) for run in evidence.runs}
    joined = {run.name: _average(run.learned.joined, KEPT) for run in evidence.runs}
    kept = {name: rounded(np.clip(1 + (joined[name] - base[name]) / HARM, 0.0, 1.0)) for name in base}
    passed = mean(kept) >= LEAST_KEPT
    worst = min(base, key=lambda name: joined[name] - base[name])
    return verdict(
        "no_harm",
        passed,
        f"Joined with a classifier that learned from the rows, the detector sees anomalies with an AUC-PR of "
        f"{mean(joined):.2f}, alone with {mean(base):.2f}; {mean(kept):.0%} is kept (at least "
        f"{LEAST_KEPT:.0%}; a loss of {HARM} in a scenario keeps nothing).",
        {
            "direction": None if passed else "away",
            "kept": mean(kept),
            "gain": rounded(mean(joined) - mean(base)),
            "scenarios": by_scenario(base=base, joined=joined, kept=kept),
        },
        "The rows do harm: move away from dense regions. A classifier that learned them takes normal rows "
        f"for abnormal, so rows must not lie among normal ones. Worst in {worst} "
        f"({joined[worst] - base[worst]:+.2f}).",
    )


def usefulness(evidence: Evidence) -> Verdict:
    """Whether the joined detector finds more true anomalies than one joined with far noise."""
    base = {run.name: _average(run.toy.yardstick.base, AROUND) for run in evidence.runs}
    joined = {run.name: _average(run.learned.joined, AROUND) for run in evidence.runs}
    noise = {run.name: _average(run.toy.yardstick.far_noise.joined, AROUND) for run in evidence.runs}
    margin = rounded(mean(joined) - mean(noise))
    passed = margin >= -MOST_BEHIND
    kinds = _by_kind(run.toy.yardstick.base for run in evidence.runs)
    with_rows = _by_kind(run.learned.joined for run in evidence.runs)
    near = mean(improbable_shares(evidence)) < FAR_ENOUGH
    return verdict(
        "usefulness",
        passed,
        f"Joined, the detector finds true anomalies with an AUC-PR of {mean(joined):.3f}; {mean(noise):.3f} "
        f"when the classifier learned from far noise (no more than {MOST_BEHIND} ahead), {mean(base):.3f} "
        "alone.",
        {
            "direction": None if passed else "away" if near else "nearer",
            "margin": margin,
            "gain": rounded(mean(joined) - mean(base)),
            "kinds": {kind: {"base": kinds[kind], "joined": with_rows[kind]} for kind in kinds},
            "scenarios": by_scenario(base=base, far_noise=noise, joined=joined),
        },
        "Worse than far noise: "
        + (
            "move away from dense regions, so that normal rows are not taken for abnormal."
            if near
            else "move nearer to normal rows, on all sides of them, so that what is learned is their rim."
        ),
    )


def _average(by_kind: Mapping[str, float], kinds: Iterable[str]) -> float:
    return rounded(np.mean([by_kind[kind] for kind in kinds if kind in by_kind]))


def _by_kind(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for by_kind in found:
        for kind, value in by_kind.items():
            values.setdefault(kind, []).append(value)
    return {kind: rounded(np.mean(parts)) for kind, parts in values.items()}
