"""A synthesis program: source text that makes hard anomalies, known by its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["ENTRY_POINT", "Proposal", "SynthesisProgram"]

ENTRY_POINT = "generate_hard_anomalies"
"""The function every program defines: ``(n_samples, model, X_train, rng) -> (n_samples, d)``."""


@dataclass(frozen=True, slots=True)
class SynthesisProgram:
    r"""Source text that defines `ENTRY_POINT`.

    Attributes
    ----------
    source : str
        Python text in the sandbox's dialect; line ends are ``\\n``.
    """

    source: str

    def __post_init__(self) -> None:
        text = self.source.replace("\r\n", "\n").replace("\r", "\n")
        object.__setattr__(self, "source", text.rstrip("\n") + "\n")

    @property
    def digest(self) -> str:
        """SHA-256 of the source as UTF-8, 64 hexadecimal digits."""
        return hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Proposal:
    """A program with the reasons its proposer gives for it.

    Attributes
    ----------
    program : SynthesisProgram
        What is proposed.
    blind_spot : str
        Which of the detector's blind spots the program aims at, in words.
    borderline : str
        Which normal rows it takes as borderline, in words.
    strategy : str
        Short name of the way rows are made.
    strength : float
        How far the rows leave the normal ones; the unit is the strategy's own, 1 where it has none.
    problem : str
        Why no program could be taken from what the proposer answered, which `program` then holds; empty
        otherwise.
    """

    program: SynthesisProgram
    blind_spot: str
    borderline: str
    strategy: str
    strength: float = 1.0
    problem: str = ""
