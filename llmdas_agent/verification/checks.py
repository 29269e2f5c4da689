"""The checks on what a program made, the cheapest first: each a small function from evidence to a verdict.

Their gates are calibrated: `benchmarks/fidelity` holds the programs and figures that they were chosen by.
"""

from __future__ import annotations

from .density_checks import hardness, specificity, validity
from .evidence import Check, Evidence, ToyRun
from .learned_checks import agreement, no_harm, outward, usefulness
from .row_checks import determinism, diversity, informed, inputs_unchanged, novelty

__all__ = ["CHECKS", "Check", "Evidence", "ToyRun"]

CHECKS: tuple[Check, ...] = (
    determinism,
    inputs_unchanged,
    novelty,
    informed,
    diversity,
    validity,
    hardness,
    specificity,
    outward,
    agreement,
    no_harm,
    usefulness,
)
"""The checks on made rows; they all run, so that a report says everything at once."""
