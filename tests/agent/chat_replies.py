"""What a chat model may answer: programs of every kind, and the words around them."""

from __future__ import annotations

from llmdas_agent.agent.embedded import STRATEGIES, compose
from llmdas_agent.cards import load_card
from places import ROOT

CARD = load_card(ROOT / "detector_cards" / "pca.yaml").model_copy(update={"name": "mine"})

GOOD = compose([STRATEGIES[0]], 2.5).program.source
BROKEN = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n    return X_train[0] / nothing\n"
EASY = """\
import numpy as np

def generate_hard_anomalies(n_samples, model, X_train, rng):
    rows = X_train[rng.integers(len(X_train), size=n_samples)]
    return rows + 50 * (X_train.std(axis=0) + 1) * rng.choice([-1.0, 1.0], size=rows.shape)
"""
COPIES = (
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
)


def reply(source: str) -> str:
    return (
        "Of course.\n\n**BLIND SPOT:** wrong combinations of ordinary values\n"
        "- Borderline: rows with correlated columns\nSTRATEGY: exchange\n\n"
        f"```python\n{source}```\nGood luck!"
    )
