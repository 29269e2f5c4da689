"""The duel: whether a challenger is better than the incumbent beyond chance.

The best of many programs looks better than it is on what it was chosen by. So the two meet once, on seeds
that the search has never used, and the differences on the same pairs of scenario and seed are tested.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_rel, wilcoxon

from ...errors import InputError
from ...files import write_whole
from ...programs import SynthesisProgram
from ..runs import RunFolder
from .quality import HeldApart, Quality

__all__ = ["LEVEL", "Duel", "duel", "p_value"]

LEVEL = 0.05
"""A challenger wins below this p-value."""


@dataclass(frozen=True, slots=True)
class Duel:
    """How two programs compare.

    Attributes
    ----------
    incumbent, challenger : dict of float
        Their values by pair; see `Quality`.
    gain : float
        Mean of the challenger's value less the incumbent's.
    p_value : float
        Of Student's paired t test that the challenger is not better, one-sided; what decides.
    p_wilcoxon : float
        The same of Wilcoxon's signed-rank test, which asks for no normal law; told, not used.
    failure : str
        Where one of them broke off, so that nothing was tested; empty otherwise.
    won : bool
        Whether the challenger is better beyond chance.
    """

    incumbent: dict[str, float]
    challenger: dict[str, float]
    gain: float
    p_value: float
    p_wilcoxon: float
    failure: str
    won: bool

    @classmethod
    def read(cls, folder: RunFolder) -> Duel | None:
        """Return the duel of a run, or None where there was none."""
        path = folder.path / "duel.json"
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    @staticmethod
    def set_aside(folder: RunFolder) -> None:
        """Keep the duel of a run that goes on under another name: its seeds are used."""
        path = folder.path / "duel.json"
        if path.exists():
            path.rename(folder.path / f"duel-{Duel.earlier(folder) + 1}.json")

    @staticmethod
    def earlier(folder: RunFolder) -> int:
        """Return how many duels of a run were set aside."""
        return len(list(folder.path.glob("duel-*.json")))

    def write(self, folder: RunFolder) -> None:
        """Keep it in the run folder."""
        write_whole(folder.path / "duel.json", json.dumps(asdict(self), indent=1) + "\n")

    def __str__(self) -> str:
        if self.failure:
            return f"was not compared: {self.failure}"
        word = "is better" if self.won else "is not better beyond chance"
        return (
            f"{word}: {np.mean(list(self.challenger.values())):.4f} against "
            f"{np.mean(list(self.incumbent.values())):.4f} on {len(self.incumbent)} pairs "
            f"(p = {self.p_value:.2g}, Wilcoxon {self.p_wilcoxon:.2g})"
        )


def duel(challenger: SynthesisProgram, incumbent: SynthesisProgram, apart: HeldApart) -> Duel:
    """Let two programs meet.

    Parameters
    ----------
    challenger, incumbent : SynthesisProgram
        The programs.
    apart : HeldApart
        Pairs on seeds that neither was chosen by.

    Returns
    -------
    Duel
        A program that breaks off on one of the pairs loses.

    Raises
    ------
    InputError
        When they are the same program.
    """
    if challenger.digest == incumbent.digest:
        raise InputError("the challenger is the incumbent itself", where=f"program {challenger.digest[:12]}")
    new, old = apart.measure([challenger, incumbent])
    for one, name in ((new, "challenger"), (old, "incumbent")):
        if one.failure:
            failure = f"the {name} breaks off: {one.failure}"
            return Duel(old.values, new.values, 0.0, 1.0, 1.0, failure, won=name == "incumbent")
    gains, p = _gains(new, old), p_value(new, old)
    p_wilcoxon = float(wilcoxon(gains, alternative="greater").pvalue) if gains.any() else 1.0
    gain = float(gains.mean())
    return Duel(old.values, new.values, gain, p, p_wilcoxon, "", won=p < LEVEL)


def p_value(new: Quality, old: Quality) -> float:
    """Return the p-value of Student's paired t test that one program is not better than another.

    Parameters
    ----------
    new, old : Quality
        Neither broke off.

    Returns
    -------
    float
        One-sided; 1 where the two are the same on every pair.
    """
    gains = _gains(new, old)
    found = float(ttest_rel(gains, np.zeros_like(gains), alternative="greater").pvalue)
    return found if np.isfinite(found) else 1.0


def _gains(new: Quality, old: Quality) -> NDArray[np.float64]:
    return np.array([new.values[pair] - value for pair, value in old.values.items()])
