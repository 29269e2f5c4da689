"""Which programs are worth improving: good ones, and such as were seldom tried."""

from __future__ import annotations

import numpy as np

from .archive import Archive, Entry, best_of_both

__all__ = ["choose"]

_RANKS = 3.0
"""Temperature, in ranks: one this much further down is chosen e times less often."""


def choose(archive: Archive, upto: int, rng: np.random.Generator) -> tuple[Entry, Entry | None]:
    """Draw a program to improve, and one to learn from.

    A program's weight is a softmax of its rank by quality, divided by one more than the number of programs
    that were made from it. The other is drawn by how good the two would be together, taking the better of
    them on each pair of scenario and seed.

    Parameters
    ----------
    archive : Archive
        Only programs from rounds before `upto` are looked at, so that those of one round do not depend on
        which of them came first.
    upto : int
        The round that they are drawn for.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    tuple of (Entry, Entry or None)
        While no program is valid, the one that passes the most checks, and None.
    """
    before = [entry for entry in archive.entries if entry.round < upto]
    valid = [entry for entry in archive.valid if entry.round < upto]
    if not valid:
        return max(before, key=lambda entry: (entry.passed, -entry.number)), None
    made = [sum(entry.number in one.parents[:1] for one in before) for entry in valid]
    weights = np.exp(-np.arange(len(valid)) / _RANKS) / (1.0 + np.array(made))
    parent = valid[rng.choice(len(valid), p=weights / weights.sum())]
    others = [entry for entry in valid if entry is not parent]
    others.sort(key=lambda entry: (-best_of_both(parent, entry), entry.number))
    if not others:
        return parent, None
    weights = np.exp(-np.arange(len(others)) / _RANKS)
    return parent, others[rng.choice(len(others), p=weights / weights.sum())]
