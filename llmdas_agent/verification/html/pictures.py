"""The pictures of a scenario, drawn by matplotlib as SVG whose colours and fonts the page's style decides."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .scenes import Scene

__all__ = ["COLOURS", "KIND_MARKS", "as_svg", "draw_rows", "draw_scores", "drawing", "window"]

Array = NDArray[np.float64]

_SIZE = (3.1, 2.65)  # inches, of 72 CSS pixels each
_BINS = 36

COLOURS = {
    "ink": "#010101",
    "faint": "#020202",
    "paper": "#030303",
    "normal": "#040404",
    "anomalous": "#050505",
    "made": "#060606",
}
"""Stand-ins: each becomes the variable of that name in the page's style, so that a picture follows the
reader's light or dark scheme."""

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": COLOURS["faint"],
    "axes.facecolor": "none",
    "axes.labelcolor": COLOURS["ink"],
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",
}
for _axis in ("xtick", "ytick"):
    _STYLE |= {
        f"{_axis}.color": COLOURS["faint"],
        f"{_axis}.labelcolor": COLOURS["ink"],
        f"{_axis}.labelsize": 7.5,
        f"{_axis}.major.pad": 2,
        f"{_axis}.major.size": 2.5,
        f"{_axis}.major.width": 0.6,
    }

KIND_MARKS: tuple[tuple[str, str], ...] = (
    ("x", "M2,2L10,10M2,10L10,2"),
    ("^", "M6,2L10.5,10H1.5Z"),
    ("s", "M2.5,2.5H9.5V9.5H2.5Z"),
    ("D", "M6,1L11,6L6,11L1,6Z"),
    ("+", "M6,1V11M1,6H11"),
    ("v", "M6,10L10.5,2H1.5Z"),
)
"""Marks of the kinds of true anomalies, in their order: matplotlib's name, and a path in a 12 by 12 box."""

# What describes the file, and a style that would reach the whole page.
_META = re.compile(r"<metadata>.*?</metadata>\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", re.DOTALL)
# The page decides how large a picture is.
_SIZES = re.compile(r' (?:width|height)="[^"]*pt"')
# Names that matplotlib gives to groups are the same in every picture, and nothing refers to them.
_GROUP_NAMES = re.compile(r' id="[A-Za-z][\w.]*_\d+"')


def window(normal: Array, others: Array, room: float) -> tuple[float, float]:
    """Return the part of an axis that is drawn.

    Parameters
    ----------
    normal : ndarray, shape (m,)
        Always inside, but for the outermost 1 %.
    others : ndarray, shape (k,)
        Inside where they are not too far off.
    room : float
        How far the window may reach for them on each side, in widths of the normal rows.

    Returns
    -------
    tuple of float
        Its ends, the lower one first.
    """
    low, high = np.quantile(normal, [0.005, 0.995])
    width = float(high - low) or max(abs(float(high)), 1.0)
    first = max(min(low, others.min()), low - room * width)
    last = min(max(high, others.max()), high + room * width)
    margin = 0.05 * max(last - first, width)
    return float(first - margin), float(last + margin)


def draw_rows(scene: Scene, kinds: Sequence[str]) -> tuple[Markup, int]:
    """Draw the rows of a scenario on its two axes.

    Parameters
    ----------
    scene : Scene
        The scenario.
    kinds : sequence of str
        All kinds of true anomalies in the report; a kind's place decides its mark.

    Returns
    -------
    tuple of Markup and int
        SVG, and how many rows lie beyond the frame and are drawn on its edge.
    """
    others = np.vstack([scene.made, *scene.anomalous.values()])
    ends = np.array([window(scene.normal[:, k], others[:, k], room=0.6) for k in range(2)])
    middle, half = ends.mean(axis=1), np.ptp(ends, axis=1) / 2

    def put(axes: Axes, rows: Array, mark: str, size: float, colour: str, filled: float) -> int:
        # a row beyond the frame is drawn where its way from the middle leaves it
        far = np.abs((rows - middle) / half).max(axis=1, keepdims=True)
        inside = middle + (rows - middle) / np.maximum(far, 1.0)
        axes.plot(
            *inside.T,
            linestyle="",
            marker=mark,
            markersize=size,
            markerfacecolor=(COLOURS[colour], filled),
            markeredgecolor=COLOURS[colour] if filled < 0.5 else COLOURS["paper"],
            markeredgewidth=0.8 if filled < 0.5 else 0.3,
            clip_on=False,
        )
        return int((far > 1.0).sum())

    with drawing() as figure:
        axes = figure.add_axes((0.115, 0.15, 0.865, 0.83))
        beyond = put(axes, scene.normal, "o", 3.0, "normal", 0.55)
        for kind, rows in scene.anomalous.items():
            mark, _ = KIND_MARKS[list(kinds).index(kind) % len(KIND_MARKS)]
            beyond += put(axes, rows, mark, 3.8, "anomalous", 0.0)
        beyond += put(axes, scene.made, "o", 3.8, "made", 0.9)
        axes.set_xlim(*ends[0])
        axes.set_ylim(*ends[1])
        axes.set_xlabel(scene.plane.labels[0], labelpad=3)
        axes.set_ylabel(scene.plane.labels[1], labelpad=2)
        for side in (axes.xaxis, axes.yaxis):
            side.set_major_locator(MaxNLocator(4))
        axes.tick_params(axis="y", rotation=90)
        return as_svg(figure, f"rows of {scene.name}"), beyond


def draw_scores(scene: Scene) -> Markup:
    """Draw what the base detector scores normal rows, upwards, and made rows, downwards.

    Parameters
    ----------
    scene : Scene
        The scenario.

    Returns
    -------
    Markup
        SVG; each of the two is as high as there is room, and scores beyond the frame are counted in its
        outermost bars.
    """
    ends = window(scene.normal_scores, scene.made_scores, room=1.0)
    edges = np.linspace(*ends, _BINS + 1)
    with drawing() as figure:
        axes = figure.add_axes((0.03, 0.15, 0.94, 0.83))
        for scores, colour, sign in ((scene.normal_scores, "normal", 1), (scene.made_scores, "made", -1)):
            counts = np.histogram(np.clip(scores, *ends), edges)[0]
            axes.stairs(
                sign * counts / counts.max(), edges, fill=True, facecolor=(COLOURS[colour], 0.8), linewidth=0
            )
        axes.axhline(0, color=COLOURS["ink"], linewidth=0.6)
        axes.axvline(scene.gate, color=COLOURS["ink"], linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_xlim(*ends)
        axes.set_ylim(-1.12, 1.12)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(axis="x", useOffset=False, scilimits=(-3, 4))
        axes.set_xlabel("score of the base detector", labelpad=3)
        return as_svg(figure, f"scores of {scene.name}")


@contextmanager
def drawing(size: tuple[float, float] = _SIZE) -> Iterator[Figure]:
    """Give a figure of the page's style, of a size in inches, to draw on."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, facecolor="none")
        FigureCanvasSVG(figure)
        yield figure


def as_svg(figure: Figure, salt: str) -> Markup:
    """Return a figure as an element of the page; its inner names are its own and the same every time."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    # what describes the file, and a style that would reach the whole page
    text = re.sub(
        r"<metadata>.*?</metadata>\s*|<defs>\s*<style.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL
    )
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text))
    text = _GROUP_NAMES.sub("", text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text)
