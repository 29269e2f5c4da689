"""The improver that needs no language model: it mutates and recombines the settings of embedded programs.

A program that `embedded.compose` wrote says in constants of its own what it is made of: ``MAKERS``,
``STRENGTH`` and ``HIDDEN_SHARE``. They are its genome. Holland (1975) named the operators.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ...programs import Proposal, SynthesisProgram
from ..embedded import FIRST_STRENGTH, HIDDEN_SHARE, STRATEGIES, STRONGEST, WEAKEST, compose
from .improvers import Task
from .together import parts_of

__all__ = ["Breeder", "Genome"]

_BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}
_MOST_MAKERS = 6
_STRENGTH_STEP = 0.3
_SHARE_STEP = 0.15
_NEWCOMERS = 0.1
_RECOMBINED = 0.4
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Genome:
    """What an embedded program is made of.

    Attributes
    ----------
    makers : tuple of str
        Names of strategies, sorted; one that is there twice makes twice as many candidates.
    strength : float
        As in `compose`.
    hidden_share : float
        As in `compose`.
    """

    makers: tuple[str, ...]
    strength: float
    hidden_share: float

    @classmethod
    def read(cls, program: SynthesisProgram) -> list[Self]:
        """Return the genomes of a program: one, of a program put together one for each part, or none."""
        try:
            parts = list(parts_of(program))
        except (SyntaxError, ValueError):  # a null byte is the one or the other, by Python's version
            return []
        return [genome for body in parts if (genome := cls._of_part(body)) is not None]

    @classmethod
    def _of_part(cls, body: list[ast.stmt]) -> Self | None:
        found: dict[str, ast.expr] = {}
        for node in body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
        try:
            makers = tuple(sorted(ast.unparse(found["MAKERS"]).strip("(),").replace(" ", "").split(",")))
            strength, share = (ast.literal_eval(found[name]) for name in ("STRENGTH", "HIDDEN_SHARE"))
        except (KeyError, ValueError, TypeError):
            return None  # the program is not one of compose's
        if type(strength) is not float or type(share) is not float or not set(makers) <= set(_BY_NAME):
            return None
        return cls(makers, strength, share)

    @classmethod
    def newcomer(cls, rng: np.random.Generator) -> Self:
        """Return a genome of one to three strategies that owes nothing to any other."""
        names = rng.choice(list(_BY_NAME), size=int(rng.integers(1, 4)), replace=False)
        strength = FIRST_STRENGTH * math.exp(rng.normal(scale=2 * _STRENGTH_STEP))
        return cls(tuple(sorted(map(str, names))), strength, HIDDEN_SHARE)._rounded()

    def mutated(self, rng: np.random.Generator) -> Self:
        """Return this genome with one or two of its settings changed."""
        child = self
        for change in rng.choice(5, size=int(rng.integers(1, 3)), replace=False):
            child = child._changed(int(change), rng)
        return child._rounded()

    def recombined(self, other: Genome, rng: np.random.Generator) -> Self:
        """Return a genome with settings of this one and of another."""
        pool = [*self.makers, *other.makers]
        size = int(rng.integers(1, min(len(pool), _MOST_MAKERS) + 1))
        makers = tuple(pool[k] for k in rng.choice(len(pool), size=size, replace=False))
        weight = rng.random()
        strength = self.strength**weight * other.strength ** (1 - weight)
        share = self.hidden_share if rng.random() < 0.5 else other.hidden_share
        return replace(self, makers=makers, strength=strength, hidden_share=share)._rounded()

    def proposal(self) -> Proposal:
        """Return the program."""
        plan = [_BY_NAME[name] for name in self.makers]
        return compose(plan, self.strength, hidden_share=self.hidden_share)

    def _changed(self, change: int, rng: np.random.Generator) -> Self:
        makers = list(self.makers)
        if change == 0:
            return replace(self, strength=self.strength * math.exp(rng.normal(scale=_STRENGTH_STEP)))
        if change == 1:
            return replace(self, hidden_share=self.hidden_share + rng.normal(scale=_SHARE_STEP))
        if change in (2, 4) and len(makers) > 1:
            makers.pop(int(rng.integers(len(makers))))
        if change in (3, 4) and len(makers) < _MOST_MAKERS:
            makers.append(str(rng.choice(list(_BY_NAME))))
        return replace(self, makers=tuple(makers))

    def _rounded(self) -> Self:
        """Return it within its bounds, in numbers that a person can read."""
        return replace(
            self,
            makers=tuple(sorted(self.makers)),
            strength=round(float(np.clip(self.strength, WEAKEST, STRONGEST)), 3),
            hidden_share=round(float(np.clip(self.hidden_share, 0.0, 1.0)), 2),
        )


class Breeder:
    """Improves by mutation and recombination.

    Of a parent that holds several programs, one is changed, by itself. A parent without a genome, such as a
    chat model's program, gives way to newcomers.
    """

    name = "embedded"

    def improve(self, task: Task) -> Proposal | None:
        """Return a program that was not tried yet, or None where none is found in 20 tries."""
        parents = Genome.read(task.parent.proposal.program)
        others = Genome.read(task.other.proposal.program) if task.other else []
        for _ in range(_TRIES):
            proposal = _child(parents, others, task.rng).proposal()
            if proposal.program.digest not in task.known:
                return proposal
        return None


def _child(parents: list[Genome], others: list[Genome], rng: np.random.Generator) -> Genome:
    if not parents or rng.random() < _NEWCOMERS:
        return Genome.newcomer(rng)
    parent = parents[rng.integers(len(parents))]
    if others and rng.random() < _RECOMBINED:
        child = parent.recombined(others[rng.integers(len(others))], rng)
        return child.mutated(rng) if rng.random() < 0.5 else child
    return parent.mutated(rng)
