"""From deliberately bad first programs, proposers reach acceptance from the report alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdas_agent.agent import graph
from llmdas_agent.agent.embedded import STRATEGIES, EmbeddedProposer, compose
from llmdas_agent.agent.proposers import Brief
from llmdas_agent.cards import load_card
from llmdas_agent.programs import Proposal, SynthesisProgram

ROOT = Path(__file__).resolve().parents[2]
ECOD = load_card(ROOT / "detector_cards" / "ecod.yaml")
BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}

SCRIPT = '''
import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Rows that stand a few times a typical gap away from a normal one, in all columns or in some."""
    n, d = X_train.shape
    scale = X_train.std(axis=0)
    scale[scale == 0] = 1.0
    Z = X_train[rng.permutation(n)[:200]] / scale
    squared = ((Z[:, None, :] - Z[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    gap = np.median(np.sqrt(np.sort(squared, axis=1)[:, : min(5, len(Z) - 1)].mean(axis=1)))
    moved = rng.random((n_samples, d)) < rng.uniform(0.1, 1.0, size=(n_samples, 1))
    moved[np.arange(n_samples), rng.integers(d, size=n_samples)] = True
    step = np.where(moved, rng.normal(size=(n_samples, d)), 0.0)
    step = step / np.linalg.norm(step, axis=1, keepdims=True) * scale
    length = STRENGTH * gap * rng.uniform(1.0, 2.0, size=(n_samples, 1))
    return X_train[rng.integers(n, size=n_samples)] + length * step * (X_train.std(axis=0) > 0)
'''


class Scripted:
    """One program whose strength follows what the last report says, and nothing else."""

    name = "scripted"

    def __init__(self, strength: float) -> None:
        self.low, self.high, self.strength = 1e-3, 1e3, strength

    def propose(self, brief: Brief) -> Proposal | None:
        if brief.attempts:
            said = {verdict.evidence.get("direction") for verdict in brief.attempts[-1].report.failures()}
            assert said - {None}, "a report that refuses must say where to go"
            if "away" in said:
                self.low = self.strength
            else:
                self.high = self.strength
            self.strength = (self.low * self.high) ** 0.5
        program = SynthesisProgram(f"STRENGTH = {self.strength}\n{SCRIPT}")
        return Proposal(program, "what it misses", "what lies near", "scripted", self.strength)


class BadStart(EmbeddedProposer):
    """The embedded proposer, but for its first program."""

    def __init__(self, first: Proposal) -> None:
        self.first = first

    def propose(self, brief: Brief) -> Proposal | None:
        return super().propose(brief) if brief.attempts else self.first


@pytest.mark.parametrize("strength", [0.01, 100.0])
def test_a_scripted_proposer_is_led_by_the_directions(strength: float) -> None:
    proposer = Scripted(strength)
    folder = graph.begin(ECOD, proposer=proposer.name)
    result = graph.run(folder, proposer)
    assert result.status == "accepted", result.reason
    assert not folder.report(1).accepted


HEAD = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"


def written(body: str) -> Proposal:
    return Proposal(SynthesisProgram(f"{HEAD}    {body}\n"), "none", "all", "written")


BAD_STARTS = {
    "copies": written("return X_train[rng.integers(len(X_train), size=n_samples)]"),
    "far": written("return 20 * X_train.std(axis=0) * rng.normal(size=(n_samples, X_train.shape[1]))"),
    "too near": compose([BY_NAME["local_step"]], 0.3),
    "between normal rows": compose([BY_NAME["between"]], 0.5),
}


@pytest.mark.parametrize("start", BAD_STARTS)
def test_the_embedded_proposer_recovers_from_a_bad_first_program(start: str) -> None:
    proposer = BadStart(BAD_STARTS[start])
    folder = graph.begin(ECOD, proposer=proposer.name)
    result = graph.run(folder, proposer)
    assert result.status == "accepted", result.reason
    assert not folder.report(1).accepted
    assert result.best is not None and folder.report(result.best).score is not None
