"""The pool of programs that the gates and the score are calibrated on: shipped, composed, naive and bad ones.

Bad programs are known by what is wrong with them; the check that must say so stands beside each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from llmdas_agent.agent.embedded import STRATEGIES, compose
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry

__all__ = ["DETECTORS", "Member", "pool"]

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "verification"))
from good_programs import good_program

DETECTORS = ("pca", "iforest", "ocsvm", "ecod")

_STRENGTHS = (0.5, 1.0, 1.5, 3.0, 6.0)
_PAIR_STRENGTHS = (0.7, 1.5, 3.0)

_HIDDEN = (
    ("recombination", 1.7),
    ("step", 1.7),
    ("complement", 1.7),
    ("between", 1.7),
    ("mixed", 0.25),
    ("mixed", 1.0),
    ("mixed", 1.7),
    ("mixed", 3.0),
)

_HEAD = """import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    n, d = X_train.shape
    center, scale = X_train.mean(axis=0), X_train.std(axis=0)
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    picked = X_train[rng.integers(n, size=n_samples)]
"""

_NAIVE = {
    "lowest of uniform": """
rows = low + (high - low) * rng.random((20 * n_samples, d))
return rows[np.argsort(model.predict_score(rows))[:n_samples]]""",
    "lowest of wide noise": """
rows = X_train[rng.integers(n, size=10 * n_samples)] + scale * rng.normal(size=(10 * n_samples, d))
return rows[np.argsort(model.predict_score(rows))[:n_samples]]""",
    "noise of one deviation": "return picked + scale * rng.normal(size=picked.shape)",
    "noise of a third": "return picked + 0.33 * scale * rng.normal(size=picked.shape)",
    "borderline and noise": """
order = np.argsort(model.predict_score(X_train))[-max(5, n // 5):]
rows = X_train[order[rng.integers(len(order), size=n_samples)]]
return rows + 0.5 * scale * rng.normal(size=rows.shape)""",
    "borderline pushed out": """
order = np.argsort(model.predict_score(X_train))[-max(5, n // 5):]
rows = X_train[order[rng.integers(len(order), size=n_samples)]]
return center + (rows - center) * rng.uniform(1.1, 2.0, size=(n_samples, 1))""",
    "columns shuffled": """
return np.column_stack([X_train[rng.integers(n, size=n_samples), j] for j in range(d)])""",
    "shuffled and jittered": """
rows = np.column_stack([X_train[rng.integers(n, size=n_samples), j] for j in range(d)])
return rows + 0.2 * scale * rng.normal(size=rows.shape)""",
    "lowest of shuffled": """
rows = np.column_stack([X_train[rng.integers(n, size=10 * n_samples), j] for j in range(d)])
return rows[np.argsort(model.predict_score(rows))[:n_samples]]""",
    "midpoints": """
other = X_train[rng.integers(n, size=n_samples)]
return picked + rng.uniform(0.3, 0.7, size=(n_samples, 1)) * (other - picked)""",
    "extrapolation": """
other = X_train[rng.integers(n, size=n_samples)]
return picked + rng.uniform(1.1, 1.8, size=(n_samples, 1)) * (other - picked)""",
    "two columns to the far end": """
rows = picked.copy()
for _ in range(2):
    column = rng.integers(d, size=n_samples)
    upper, past = rng.random(n_samples) < 0.5, 0.3 * scale[column]
    rows[np.arange(n_samples), column] = np.where(upper, high[column] + past, low[column] - past)
return rows""",
    "mirrored": "return 2.0 * center - picked + 0.1 * scale * rng.normal(size=picked.shape)",
    "score like the top tenth": """
rows = X_train[rng.integers(n, size=20 * n_samples)] + scale * rng.normal(size=(20 * n_samples, d))
level = np.quantile(model.predict_score(X_train), 0.9)
return rows[np.argsort(np.abs(model.predict_score(rows) - level))[:n_samples]]""",
}

_FAR = "far = picked + 10.0 * scale * rng.normal(size=picked.shape)\n"
_BOX = "box = low + (high - low) * rng.random((n_samples, d))\n"
_NEAR = "near = picked + 0.02 * scale * rng.normal(size=picked.shape)\n"
_ODD = "odd = np.arange(n_samples)[:, None] % 2 == 0\n"

_BAD = {
    "copies": ("return picked", {"novelty", "validity"}),
    "jittered copies": (_NEAR + "return near", {"validity"}),
    "copies jittered more": ("return picked + 0.05 * scale * rng.normal(size=picked.shape)", {"validity"}),
    "shaken copies": ("return picked + 0.1 * scale * rng.normal(size=picked.shape)", {"validity"}),
    "half-way to the centre": ("return center + 0.5 * (picked - center)", {"validity"}),
    "between neighbours": (
        """
unit = np.where(scale > 0, scale, 1.0)
squared = (((picked[:, None, :] - X_train[None, :200, :]) / unit) ** 2).sum(axis=2)
near = X_train[np.argsort(squared, axis=1)[np.arange(n_samples), rng.integers(1, 6, size=n_samples)]]
return picked + rng.random((n_samples, 1)) * (near - picked)""",
        {"validity"},
    ),
    "around one row": ("return picked[:1] + 0.1 * scale * rng.normal(size=picked.shape)", {"validity"}),
    "five repeated rows": ("return picked[rng.integers(5, size=n_samples)]", {"diversity"}),
    "the middle and far": (
        _FAR + _ODD + "return np.where(odd, center + 0.3 * scale * rng.normal(size=far.shape), far)",
        {"outward"},
    ),
    "copies, a quarter far": (
        _FAR + "return np.where(np.arange(n_samples)[:, None] % 4 > 0, picked, far)",
        {"novelty", "validity"},
    ),
    "the middle": ("return center + 0.3 * scale * rng.normal(size=picked.shape)", {"validity"}),
    "one repeated row": ("return np.repeat(picked[:1], n_samples, axis=0)", {"diversity"}),
    "one repeated far row": (
        "return np.repeat(picked[:1] + 5.0 * scale * rng.normal(size=(1, d)), n_samples, axis=0)",
        {"diversity"},
    ),
    "uniform noise": (_BOX + "return box", {"hardness", "informed"}),
    "far noise": (_FAR + "return far", {"hardness"}),
    "wide box": ("return center + 3.0 * (high - low) * (rng.random((n_samples, d)) - 0.5)", {"hardness"}),
    "copies and far": (_FAR + _ODD + "return np.where(odd, picked, far)", {"novelty"}),
    "jittered and far": (_FAR + _NEAR + _ODD + "return np.where(odd, near, far)", {"novelty"}),
    "copies and uniform": (_BOX + _ODD + "return np.where(odd, picked, box)", {"novelty"}),
    "jittered and uniform": (_BOX + _NEAR + _ODD + "return np.where(odd, near, box)", {"novelty"}),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A program of the pool.

    Attributes
    ----------
    name : str
        Unique in the pool.
    kind : str
        ``shipped``; ``composed`` by the embedded proposer; ``hidden``, the lowest-scoring of many
        candidates; ``naive``; or ``bad``.
    program : SynthesisProgram
        Its source.
    reasons : frozenset of str
        For a bad one, the checks of which one at least must fail.
    """

    name: str
    kind: str
    program: SynthesisProgram
    reasons: frozenset[str] = frozenset()


def pool() -> list[Member]:
    """Return the pool, the same for every detector; a composed program asks the detector it is run for."""
    return [*_shipped(), *_composed(), *_hidden(), *_written(_NAIVE, "naive"), *_bad()]


def _shipped() -> Iterator[Member]:
    proposals = {(found := Registry().get(name).proposal).program.digest: found for name in DETECTORS}
    for proposal in proposals.values():
        yield Member(f"shipped: {proposal.strategy} {proposal.strength:g}", "shipped", proposal.program)


def _composed() -> Iterator[Member]:
    plans = [((strategy,), strength) for strategy in STRATEGIES for strength in _STRENGTHS]
    pairs = list(combinations(STRATEGIES, 2))
    plans += [(pair, _PAIR_STRENGTHS[i % 3]) for i, pair in enumerate(pairs) if i % 2 == 0]
    plans += [(STRATEGIES[:4], 1.2), (STRATEGIES, 1.0), (STRATEGIES, 2.5)]
    for plan, strength in plans:
        proposal = compose(plan, strength)
        yield Member(f"{proposal.strategy} {strength:g}", "composed", proposal.program)


def _hidden() -> Iterator[Member]:
    for name, strength in _HIDDEN:
        yield Member(f"hidden {name} {strength:g}", "hidden", good_program(name, strength, hidden=1.0))


def _written(bodies: dict[str, str], kind: str) -> Iterator[Member]:
    for name, body in bodies.items():
        yield Member(name, kind, _program(body))


def _bad() -> Iterator[Member]:
    for name, (body, reasons) in _BAD.items():
        yield Member(name, "bad", _program(body), frozenset(reasons))


def _program(body: str) -> SynthesisProgram:
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return SynthesisProgram(_HEAD + lines)
