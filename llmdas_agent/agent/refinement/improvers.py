"""What whoever improves a program is given; a chat model and the embedded breeder alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...cards import DetectorCard
from ...programs import Proposal
from ...report import BlindSpotProfile
from .archive import Entry

__all__ = ["Improver", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """A program to be improved.

    Attributes
    ----------
    card : DetectorCard
        The detector, described.
    profile : BlindSpotProfile
        The detector, measured.
    parent : Entry
        The program, with the report on the scenarios shown.
    other : Entry or None
        One that does better where the parent is weak, if there is any.
    known : frozenset of str
        Digests of the programs that were tried.
    rng : numpy.random.Generator
        Source of chance.
    asking : str
        Name of this asking, unique in the run's folder; see `Brief`.
    until : float
        When the time of the search is over, by `time.monotonic`.
    """

    card: DetectorCard
    profile: BlindSpotProfile
    parent: Entry
    other: Entry | None
    known: frozenset[str]
    rng: np.random.Generator
    asking: str
    until: float


class Improver(Protocol):
    """Writes a program out of one that exists."""

    name: str
    """Named in the provenance."""

    def improve(self, task: Task) -> Proposal | None:
        """Return a program that may be better, or None where none comes to mind."""
