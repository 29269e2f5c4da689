"""How good a program is: its usefulness on toy data that no proposer is told of.

The scenarios are dealt out. A proposer reads reports on the *shown* ones. Quality is measured on the others,
held *apart*, under seeds of its own: a program can be better there only by being better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Literal

import numpy as np

from ...detectors import DetectorSource
from ...errors import ProgramError
from ...programs import SynthesisProgram
from ...verification import FittedToy, Scenario, ToyBench, all_scenarios
from ...verification.checks import CHECKS
from ...verification.evidence import Evidence, ToyRun
from ...verification.score import NEEDED, verification_score
from ...verification.threads import side_by_side
from ...verification.verify import made_in

__all__ = ["Arena", "HeldApart", "Quality"]

Scenarios = tuple[Scenario, ...]

Purpose = Literal["search", "runoff", "duel"]


@dataclass(frozen=True, slots=True)
class Arena:
    """Where programs meet: the toy scenarios, dealt out, and how often each is measured.

    Attributes
    ----------
    scenarios : tuple of Scenario
        All of them, at least two; `all_scenarios` when left out.
    search_pairs, duel_pairs : int
        Fewest pairs of scenario and seed that quality is measured on, in the search and after it.
    """

    scenarios: Scenarios = field(default_factory=all_scenarios)
    search_pairs: int = 20
    duel_pairs: int = 40

    @property
    def shown(self) -> Scenarios:
        """The scenarios that a proposer is told of: every other one."""
        return self.scenarios[::2]

    @property
    def apart(self) -> Scenarios:
        """The scenarios that it is not told of."""
        return self.scenarios[1::2]

    def held_apart(self, source: DetectorSource, seed: int, purpose: Purpose, earlier: int = 0) -> HeldApart:
        """Return the pairs that programs are measured on.

        Parameters
        ----------
        source : DetectorSource
            The detector.
        seed : int
            The run's.
        purpose : {"search", "runoff", "duel"}
            What for; purposes share no seed.
        earlier : int
            How many duels the run has seen; each has seeds of its own.
        """
        which = ("search", "duel", "runoff").index(purpose) + 1
        pairs = self.search_pairs if purpose == "search" else self.duel_pairs
        return HeldApart(source, self.apart, np.random.default_rng([seed, which, earlier]), pairs)


@dataclass(frozen=True, slots=True)
class Quality:
    """What a program reached.

    Attributes
    ----------
    values : dict of float
        The verification score of its rows by pair, ``SCENARIO/SEED``, each in [0, 1].
    failure : str
        Why it has none: it broke off in one of them; empty otherwise.
    """

    values: dict[str, float]
    failure: str = ""

    @property
    def mean(self) -> float:
        """The mean over the pairs."""
        return fmean(self.values.values())


class HeldApart:
    """Pairs of scenario and seed, each with the detector fitted, that programs are measured on.

    Parameters
    ----------
    source : DetectorSource
        The detector.
    scenarios : tuple of Scenario
        Those held apart.
    seeds : numpy.random.Generator
        Draws the seeds.
    pairs : int
        Fewest pairs; every seed goes with every scenario that the detector fits.
    """

    def __init__(
        self, source: DetectorSource, scenarios: Scenarios, seeds: np.random.Generator, pairs: int
    ) -> None:
        self._source = source
        self._scenarios = scenarios
        self._seeds = seeds
        self._pairs = pairs

    @cached_property
    def _places(self) -> dict[str, tuple[ToyBench, FittedToy]]:
        """The pairs; fitted when they are first needed.

        Raises
        ------
        DetectorError
            When the detector fits too few of the scenarios.
        """
        places: dict[str, tuple[ToyBench, FittedToy]] = {}
        while len(places) < self._pairs:
            seed = int(self._seeds.integers(2**31))
            bench = ToyBench(self._source, seed, self._scenarios)
            for toy in bench.on_each(_made_ready):
                places[f"{toy.scenario.name}/{seed}"] = (bench, toy)
        return places

    def measure(self, programs: Sequence[SynthesisProgram]) -> list[Quality]:
        """Return the quality of each program.

        It depends on nothing but the program and the pairs, whatever runs beside it.

        Raises
        ------
        DetectorError
            When the detector fits too few of the scenarios.
        SandboxError
            When the sandbox cannot do its work on this machine.
        """
        items = [(program, pair) for program in programs for pair in self._places]
        if not items:
            return []
        found = iter(side_by_side(self._measured, items))
        return [_collected({pair: next(found) for pair in self._places}) for _ in programs]

    def _measured(self, item: tuple[SynthesisProgram, str]) -> float | str:
        program, pair = item
        try:
            return _score(made_in(program, *self._places[pair]))
        except ProgramError as error:
            return error.what


def _made_ready(toy: FittedToy) -> FittedToy:
    """Make what all programs share before threads ask for it at once."""
    _ = toy.yardstick, toy.yardstick.far_noise, toy.references
    return toy


def _score(run: ToyRun) -> float:
    """Return the verification score of one run; its checks ask for no second one under another seed."""
    evidence = Evidence((run,), run.rows, run.rows)
    score = verification_score(check(evidence) for check in CHECKS if check.__name__ in NEEDED)
    assert score is not None
    return score


def _collected(found: dict[str, float | str]) -> Quality:
    values = {pair: value for pair, value in found.items() if isinstance(value, float)}
    failures = (f"{pair}: {value}" for pair, value in found.items() if isinstance(value, str))
    return Quality(values, next(failures, ""))
