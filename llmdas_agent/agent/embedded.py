"""The proposer that needs no language model: strategies as text, chosen and revised by evidence.

Each file in ``strategies/`` defines one function that makes candidate rows. A program is the text of one
or more of them under a frame (``strategies/frame.py``) that drops candidates too near to normal rows and
prefers those that the detector scores like normal ones. ``STRENGTH`` says how far is far enough, in
multiples of the normal rows' own spacing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from ..programs import Proposal, SynthesisProgram
from .proposers import Attempt, Brief

__all__ = ["STRATEGIES", "EmbeddedProposer", "Strategy", "compose"]

HIDDEN_SHARE = 0.6
FIRST_STRENGTH = 1.25
WEAKEST, STRONGEST = 0.25, 8.0
BROAD = ("local_step", "outward")
"""Make rows on all sides of the normal ones, whatever a detector misses."""

RESERVE = "local_step"
"""Makes rows where a strategy's own candidates are too probable, as between halves of one dense region."""

_WIDTH = 110
"""Letters in a line of a program, as in a line of this package."""

_HEADER = '''"""Hard anomalies by {makers}; by {reserve} where those would be too probable."""

import numpy as np

# least distance from normal rows, in multiples of their own spacing
STRENGTH = {strength!r}
# share of the rows that the detector is to take for normal, where there are so many
HIDDEN_SHARE = {hidden_share!r}
'''


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way of making rows.

    Attributes
    ----------
    name : str
        The function, and its file in ``strategies/``.
    families : tuple of str
        Families of the blind-spot profile that it exploits. No strategy has ``masked_cluster``: what lies
        among the rows that a detector is fitted on, no program can change.
    blind_spot, borderline : str
        What a person is told.
    """

    name: str
    families: tuple[str, ...]
    blind_spot: str
    borderline: str


STRATEGIES = (
    Strategy(
        "recombine",
        ("recombination", "sign_flip", "ghost"),
        "wrong combinations of values that are each ordinary in their own column",
        "rows whose columns depend on each other: exchanging some of them keeps every single value normal",
    ),
    Strategy(
        "components",
        ("inside_subspace",),
        "rows inside the principal subspace whose components never occur together",
        "rows along the leading components, where the variance is largest and distances count least",
    ),
    Strategy(
        "complement",
        ("complement",),
        "small steps off the subspace that normal rows keep to",
        "rows close to the subspace, from which a step is short in the columns but improbable in the data",
    ),
    Strategy(
        "local_step",
        ("local_dip",),
        "rows in the thin places around dense regions, as far out as sparse normal rows lie elsewhere",
        "rows in dense regions, from which a few times their own spacing is still a short way",
    ),
    Strategy(
        "between",
        ("between", "void"),
        "empty places inside the hull of the data, between regions that normal rows come from",
        "rows on the inner edges of separate regions",
    ),
    Strategy(
        "tail",
        ("axis_tail", "few_columns"),
        "values just past the end of one or a few columns, outvoted by all the ordinary ones beside them",
        "rows with one value near the end of its column's range",
    ),
    Strategy(
        "cluster",
        ("tight_cluster",),
        "tight groups of abnormal rows, each with near neighbours of its own",
        "rows at the edge of the data, where a small group can form beside them",
    ),
    Strategy(
        "outward",
        ("far",),
        "rows far out, where a bounded score no longer rises",
        "rows at the rim of the data, seen from its centre",
    ),
)


class EmbeddedProposer:
    """Proposes from the library of strategies; the same brief always gives the same proposal.

    The strategy whose families the detector sees least goes first, and with it those that make rows on all
    sides of the normal ones: what a classifier learns from a blind spot alone leaves the outside open. The
    strength is bisected on the report's evidence: too easy moves nearer to the normal rows, not improbable
    enough moves away. When a plan cannot satisfy both, the next one is tried.
    """

    name = "embedded"
    tries_per_plan = 4

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next program to try, or None when every plan has been tried."""
        for plan in self._plans(brief):
            tried = [attempt for attempt in brief.attempts if attempt.proposal.strategy == _plan_name(plan)]
            strength = _next_strength(tried) if len(tried) < self.tries_per_plan else None
            if strength is not None:
                return compose(plan, strength)
        return None

    def _plans(self, brief: Brief) -> list[tuple[Strategy, ...]]:
        """Return what is tried, each plan once: blind spots one by one, then together, then alone."""
        seen = {score.family: score.auroc for score in brief.profile.families}

        def blindness(strategy: Strategy) -> float:
            return min((seen[family] for family in strategy.families if family in seen), default=math.inf)

        ranked = sorted(STRATEGIES, key=blindness)
        broad = tuple(strategy for strategy in STRATEGIES if strategy.name in BROAD)
        first, second = ranked[:2]
        plans = [_joined(strategy, *broad) for strategy in ranked[:3]]
        plans += [_joined(first, second, *broad), broad, _joined(first, broad[0])]
        plans += [(strategy,) for strategy in ranked]
        return list(dict.fromkeys(plans))


def _joined(*strategies: Strategy) -> tuple[Strategy, ...]:
    return tuple(dict.fromkeys(strategies))


def compose(plan: Sequence[Strategy], strength: float, *, hidden_share: float = HIDDEN_SHARE) -> Proposal:
    """Return the proposal that makes rows by these strategies at this strength.

    Parameters
    ----------
    plan : sequence of Strategy
        At least one; one that is named twice makes twice as many candidates.
    strength : float
        Least distance of a made row to the normal ones, in multiples of their own spacing, above 0.
    hidden_share : float
        Share of the rows that the detector is to take for normal, in [0, 1].

    Returns
    -------
    Proposal
    """
    needed = dict.fromkeys([strategy.name for strategy in plan] + [RESERVE])
    named = ", ".join(dict.fromkeys(strategy.name for strategy in plan))
    parts = [
        _HEADER.format(makers=named, reserve=RESERVE, strength=strength, hidden_share=hidden_share),
        *(_read(name) for name in needed),
        _assigned([strategy.name for strategy in plan]),
        _read("frame"),
    ]
    return Proposal(
        program=SynthesisProgram("\n\n".join(parts)),
        blind_spot="; ".join(dict.fromkeys(strategy.blind_spot for strategy in plan)),
        borderline="; ".join(dict.fromkeys(strategy.borderline for strategy in plan)),
        strategy=_plan_name(plan),
        strength=strength,
    )


def _assigned(makers: Sequence[str]) -> str:
    """Return the line that names the makers, or the lines, as a formatter leaves them."""
    line = f"MAKERS = ({', '.join(makers)}{',' if len(makers) == 1 else ''})\n"
    if len(line) <= _WIDTH + 1:
        return line
    return "MAKERS = (\n" + "".join(f"    {name},\n" for name in makers) + ")\n"


def _plan_name(plan: Sequence[Strategy]) -> str:
    times = Counter(strategy.name for strategy in plan)
    return "+".join(name if count == 1 else f"{count} {name}" for name, count in times.items())


def _next_strength(tried: Sequence[Attempt]) -> float | None:
    """Bisect, on a logarithmic scale, between the strongest too near and the weakest too far."""
    if not tried:
        return FIRST_STRENGTH
    directions = _directions(tried[-1])
    if len(directions) != 1:
        return None
    floor = max((a.proposal.strength for a in tried if "away" in _directions(a)), default=0.0)
    ceiling = min((a.proposal.strength for a in tried if "nearer" in _directions(a)), default=math.inf)
    if floor == 0.0:
        proposed = max(ceiling / 2, WEAKEST)
    elif math.isinf(ceiling):
        proposed = min(floor * 2, STRONGEST)
    else:
        proposed = math.sqrt(floor * ceiling)
    return round(proposed, 4) if 1.02 * floor < proposed < ceiling / 1.02 else None


def _directions(attempt: Attempt) -> set[str]:
    found = (verdict.evidence.get("direction") for verdict in attempt.report.failures())
    return {direction for direction in found if direction}


def _read(name: str) -> str:
    text = (resources.files(__package__) / "strategies" / f"{name}.py").read_text(encoding="utf-8")
    return text.strip() + "\n"
