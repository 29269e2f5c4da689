"""The pictures of a refinement, in the style of the verification report."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from ....verification.html.pictures import COLOURS, as_svg, drawing
from ..archive import Entry
from ..duel import Duel
from ..search import Round

__all__ = ["draw_duel", "draw_search"]

_WIDE = (7.4, 3.0)
_SPREAD = 0.5


def draw_search(entries: Sequence[Entry], rounds: Sequence[Round], line: Collection[int]) -> Markup:
    """Draw quality over rounds: a dot for each valid program, a line from it to its parent or parents.

    Parameters
    ----------
    entries : sequence of Entry
        All programs.
    rounds : sequence of Round
        All rounds.
    line : collection of int
        Numbers of the programs that led to the challenger, drawn in colour.

    Returns
    -------
    Markup
        SVG.
    """
    at = {one.number: (one.round + _shift(one), one.mean) for one in entries if one.valid}
    with drawing(_WIDE) as figure:
        axes = figure.add_axes((0.07, 0.15, 0.92, 0.82))
        for one in entries:
            own = one.number in line
            colour = COLOURS["made" if own else "faint"]
            for parent in one.parents[: 2 if one.together else 1]:
                if one.number in at and parent in at:
                    x, y = zip(at[parent], at[one.number], strict=True)
                    axes.plot(x, y, color=colour, linewidth=1.3 if own else 0.5, zorder=2 if own else 1)
        for own, colour, size in ((False, "normal", 3.6), (True, "made", 5.0)):
            dots = np.array([place for number, place in at.items() if (number in line) == own])
            if len(dots):
                axes.plot(*dots.T, "o", color=COLOURS[colour], markersize=size, zorder=3)
        best = [(one.number, one.quality) for one in rounds if one.quality is not None]
        if best:
            x, y = zip(*best, strict=True)
            axes.step(x, y, where="post", color=COLOURS["anomalous"], linewidth=1.0, zorder=2)
        axes.set_xlabel("round", labelpad=3)
        axes.set_ylabel("quality, held apart", labelpad=3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return as_svg(figure, "search")


def draw_duel(met: Duel) -> Markup:
    """Draw what the challenger gains over the incumbent: a dot for each seed, a line for each scenario.

    Parameters
    ----------
    met : Duel
        One in which neither broke off.

    Returns
    -------
    Markup
        SVG.
    """
    gains: dict[str, list[float]] = {}
    for pair, value in met.incumbent.items():
        gains.setdefault(pair.rpartition("/")[0], []).append(met.challenger[pair] - value)
    with drawing((_WIDE[0], 0.7 + 0.3 * len(gains))) as figure:
        axes = figure.add_axes((0.17, 0.25, 0.81, 0.72))
        for place, values in enumerate(gains.values()):
            axes.plot(values, [place] * len(values), "o", color=(COLOURS["made"], 0.5), markersize=4.5)
            axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=COLOURS["ink"], linewidth=1.4)
        axes.axvline(0, color=COLOURS["ink"], linewidth=0.6)
        axes.set_yticks(range(len(gains)), list(gains))
        axes.set_ylim(len(gains) - 0.5, -0.5)
        axes.set_xlabel("quality of the challenger less that of the incumbent", labelpad=3)
        return as_svg(figure, "duel")


def _shift(entry: Entry) -> float:
    """Return how far a program stands beside its round, so that those of one can be told apart."""
    return _SPREAD * (entry.child - 1) / 4 if entry.round else 0.0
