"""One number for how useful a program's rows are, made of the findings that predict gains on real data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..report import Verdict

__all__ = ["NEEDED", "verification_score"]

NEEDED = ("novelty", "outward", "no_harm")
"""Codes of the checks whose findings it is made of."""

_TOO_FAR = 2.0
_NEARNESS = 0.25


def verification_score(verdicts: Iterable[Verdict]) -> float | None:
    """Return how useful made rows promise to be on real data.

    The product of four parts, means over the scenarios:

    * what the classifier sees outside, of what far noise lets it see;
    * what is kept of the detector's own sight when they are joined;
    * the share of rows that are not copies;
    * ¾ + ¼ nearness, where nearness falls from 1 at one spacing of the training rows to 0 at e² of them:
      among rows that do no harm, near ones teach more.

    Parameters
    ----------
    verdicts : iterable of Verdict
        Those on the made rows.

    Returns
    -------
    float or None
        In [0, 1]; None where one of the checks did not run.
    """
    found = {verdict.code: verdict.evidence for verdict in verdicts}
    if any(code not in found for code in NEEDED):
        return None
    by_scenario = found["novelty"]["scenarios"].values()
    distance = np.array([measures["distance"] for measures in by_scenario])
    nearness = np.mean(np.clip(1 - np.log(np.maximum(distance, 1e-9)) / _TOO_FAR, 0.0, 1.0))
    new = 1 - found["novelty"]["copies"]
    harmless = found["outward"]["sight"] * found["no_harm"]["kept"]
    return round(float(harmless * new * (1 - _NEARNESS + _NEARNESS * nearness)), 4)
