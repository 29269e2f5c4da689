"""The embedded proposer finds a program that passes for every card, and for a class that nobody knew."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from llmdas_agent.agent import graph
from llmdas_agent.agent.embedded import EmbeddedProposer
from llmdas_agent.cards import DetectorCard, load_card
from llmdas_agent.registry import Registry
from llmdas_agent.verification import ToyBench, verify

ROOT = Path(__file__).resolve().parents[2]
CARDS = [
    *sorted((ROOT / "detector_cards").glob("*.yaml")),
    *sorted((ROOT / "examples" / "cards").glob("*.yaml")),
]
SHIPPED = [path.stem for path in CARDS if path.parent.name == "detector_cards"]


class MedianDistance:
    """Scores a row by its distance to the median, in units of each column's median deviation."""

    def fit(self, X: NDArray[np.float64], y: None = None) -> Self:
        self.center_ = np.median(X, axis=0)
        self.width_ = np.maximum(np.median(np.abs(X - self.center_), axis=0), 1e-12)
        return self

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs((X - self.center_) / self.width_).max(axis=1)


OWN = DetectorCard.model_validate(
    {
        "name": "median",
        "full_name": "Distance to the median",
        "build": {"class": f"{__name__}.MedianDistance"},
    }
)


SLOW = {"abod", "cd", "cof", "inne", "kpca", "sod", "sos"}
"""They take one to five minutes each; benchmarks/embedded_proposer.py runs them all."""

QUICK = [card for card in map(load_card, CARDS) if card.name not in SLOW]


@pytest.mark.parametrize("card", [*QUICK, OWN], ids=lambda card: card.name)
def test_a_program_is_found_for_every_card(card: DetectorCard) -> None:
    proposer = EmbeddedProposer()
    folder = graph.begin(card, proposer=proposer.name)
    result = graph.run(folder, proposer)
    assert result.status == "accepted", result.reason
    assert Registry().get(card.name).origin == "registered"


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_passes_as_it_says(name: str) -> None:
    synthesizer = Registry().get(name)
    assert synthesizer.origin == "shipped"
    assert synthesizer.card == load_card(ROOT / "detector_cards" / f"{name}.yaml")
    from llmdas_agent.registry import resolve

    report = verify(synthesizer.proposal.program, ToyBench(resolve(name), seed=synthesizer.report.seed))
    assert report.accepted, [verdict.message for verdict in report.failures()]
    assert {v.code: v.passed for v in report.verdicts} == {
        v.code: v.passed for v in synthesizer.report.verdicts
    }
