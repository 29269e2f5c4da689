"""What was found out about a program or a detector: plain data that both halves read and write as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["BlindSpotProfile", "FamilyScore", "Verdict", "VerificationReport"]


class _PlainData(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_PlainData):
    """What one check says of a program.

    Attributes
    ----------
    code : str
        The check's name, such as ``hardness``.
    passed : bool
        Whether the program passes it.
    message : str
        One sentence with the finding, for a person.
    evidence : dict
        The numbers behind it, JSON-plain; per scenario where the check ran on several.
    hint : str
        What to change in the program; empty when it passed.
    """

    code: str
    passed: bool
    message: str
    evidence: dict[str, Any] = {}
    hint: str = ""


class VerificationReport(_PlainData):
    """All verdicts on one program for one detector, in the order of the checks.

    Attributes
    ----------
    detector : str
        The detector's name.
    program_digest : str
        SHA-256 of the program's source.
    seed : int
        The seed that all scenarios and runs derive from.
    verdicts : tuple of Verdict
        One per check that ran; checks after a fatal failure do not run.
    complete : bool
        Whether every check ran.
    seconds : float
        How long it took, seconds.
    versions : dict
        Versions of the packages that the findings depend on.
    score : float or None
        How useful the rows promise to be on real data, in [0, 1]; None where they were not judged.
    """

    detector: str
    program_digest: str
    seed: int
    verdicts: tuple[Verdict, ...]
    complete: bool
    seconds: float
    versions: dict[str, str]
    score: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether every check ran and passed."""
        return self.complete and all(verdict.passed for verdict in self.verdicts)

    def failures(self) -> Iterator[Verdict]:
        """Yield the verdicts that did not pass."""
        return (verdict for verdict in self.verdicts if not verdict.passed)

    def verdict(self, code: str) -> Verdict | None:
        """Return the verdict of the check named `code`, or None when it did not run."""
        return next((verdict for verdict in self.verdicts if verdict.code == code), None)


class FamilyScore(_PlainData):
    """How well a detector sees one family of improbable rows.

    Attributes
    ----------
    family : str
        The family's name, such as ``recombination``.
    auroc : float
        Probability that such a row scores above a held-out normal row, mean over scenarios and seeds; 0.5
        is blind, 1 sees all.
    low, high : float
        95 % interval of that mean over seeds, for the scenarios as they are.
    """

    family: str
    auroc: float
    low: float
    high: float


class BlindSpotProfile(_PlainData):
    """What a detector was measured to miss, from probing it on toy scenarios.

    Attributes
    ----------
    detector : str
        The detector's name.
    seed : int
        The seed of the scenarios.
    families : tuple of FamilyScore
        The blindest first.
    notes : tuple of str
        What could not be measured, such as a scenario that the detector does not fit.
    """

    detector: str
    seed: int
    families: tuple[FamilyScore, ...]
    notes: tuple[str, ...] = ()
