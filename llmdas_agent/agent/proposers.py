"""What every proposer is given and what it must answer; a language model and the embedded proposer alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from ..cards import DetectorCard
from ..programs import Proposal
from ..report import BlindSpotProfile, VerificationReport

__all__ = ["Attempt", "Brief", "Proposer"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A proposal that was verified, and what was found.

    Attributes
    ----------
    proposal : Proposal
        What was proposed.
    report : VerificationReport
        What the checks say of it.
    """

    proposal: Proposal
    report: VerificationReport


@dataclass(frozen=True, slots=True)
class Brief:
    """All that a proposer may know: the card and what was measured on toy data, never a user's row.

    Attributes
    ----------
    card : DetectorCard
        The detector, described.
    profile : BlindSpotProfile
        The detector, measured.
    attempts : tuple of Attempt
        What was tried in this run, the oldest first.
    asking : str
        Name of this asking, unique in the run's folder: a brief that comes again under the same name, as
        after an interruption, is answered by what was answered then.
    until : float
        When the run's time is over, by `time.monotonic`; whoever asks somebody else waits no longer.
    """

    card: DetectorCard
    profile: BlindSpotProfile
    attempts: tuple[Attempt, ...]
    asking: str = ""
    until: float = math.inf


class Proposer(Protocol):
    """Writes synthesis programs."""

    name: str
    """Named in the provenance, such as ``embedded``."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next program to try, or None when there is nothing left to try."""
