"""The figures of a benchmark, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from .portrait import Portrait
from .statistics import Ranking

__all__ = ["Box", "draw_boxes", "draw_portrait", "draw_programs", "draw_ranking", "drawn"]

Array = NDArray[np.float64]

# Okabe and Ito's colours, which people of all kinds of colour vision tell apart
_INK, _FAINT = "#222222", "#8a8a8a"
_COLOURS = {
    "enhanced": "#0072B2",
    "base": "#E69F00",
    "peer": "#999999",
    "quoted": "#ffffff",
}
_MEAN = "#D00000"
_KINDS = {"normal": "#7f9fbf", "real": "#D55E00", "made": "#009E73"}
_NAMED = {"normal": "normal rows", "real": "real anomalies", "made": "made anomalies"}
_SERIES = ("#222222", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_MARKS = ("_", "D", "o", "s", "^", "v", "P")

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.hashsalt": "llmdas",
    "text.color": _INK,
    # names are drawn as they are: a dollar sign in one begins no formula
    "text.parse_math": False,
    "xtick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.color": _FAINT,
    "ytick.labelcolor": _INK,
}


@dataclass(frozen=True)
class Box:
    """One method of the box plots.

    Attributes
    ----------
    label : str
    kind : {"enhanced", "base", "peer", "quoted"}
    values : array, shape (n,)
        One value a data set; empty where only a mean is known.
    mean : float
    """

    label: str
    kind: str
    values: Array
    mean: float


def drawn(figure: Figure) -> dict[str, bytes]:
    """Return a figure as the content of a file for each of ``png`` and ``svg``."""
    content = {}
    with mpl.rc_context(_STYLE):
        for suffix, canvas in (("png", FigureCanvasAgg(figure)), ("svg", FigureCanvasSVG(figure))):
            stream = io.BytesIO()
            # without a date the same figures give the same files
            about: dict[str, Any] = {"Date": None} if suffix == "svg" else {}
            canvas.figure.savefig(stream, format=suffix, dpi=160, metadata=about)
            content[suffix] = stream.getvalue()
    return content


def draw_boxes(boxes: Sequence[Box], metric: str) -> Figure:
    """Draw one box for each method over the data sets, the mean as a red triangle, the best on top."""
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(7.2, 0.9 + 0.27 * len(boxes))
        ordered = sorted(boxes, key=lambda box: box.mean)
        for place, box in enumerate(ordered):
            if len(box.values):
                drawn_box = axes.boxplot(
                    [box.values],
                    positions=[place],
                    orientation="horizontal",
                    widths=0.62,
                    patch_artist=True,
                    boxprops={"facecolor": _COLOURS[box.kind], "alpha": 0.75, "linewidth": 0.8},
                    medianprops={"color": _INK, "linewidth": 1.2},
                    whiskerprops={"linewidth": 0.8},
                    capprops={"linewidth": 0.8},
                    flierprops={"marker": ".", "markersize": 3, "markeredgecolor": _FAINT},
                )
                drawn_box["boxes"][0].set_hatch(_hatch(box.kind))
            axes.plot(box.mean, place, "^", color=_MEAN, markersize=7.5, markeredgecolor="white", zorder=5)
            axes.text(1.02, place, _short(box.mean), va="center", color=_MEAN, fontsize=8.5)
        axes.set_yticks(range(len(ordered)), [_quoted(box) for box in ordered])
        axes.set_xlim(0, 1.01)
        axes.set_xlabel(f"{metric} over data sets")
        axes.grid(axis="x", linewidth=0.4, alpha=0.5)
        axes.set_axisbelow(True)
        _legend_of_boxes(figure, {box.kind for box in boxes})
    return figure


def draw_ranking(ranking: Ranking) -> Figure:
    """Draw mean ranks on a line, best at the right, and bars over methods that do not differ."""
    count = len(ranking.methods)
    half = (count + 1) // 2
    with mpl.rc_context(_STYLE):
        bars = len(ranking.alike)
        height = 0.9 + 0.14 * bars + 0.24 * half
        figure = Figure(figsize=(7.2, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axis_off()
        low, high = int(np.floor(min(ranking.mean_ranks))), int(np.ceil(max(ranking.mean_ranks)))
        high = max(high, low + 1)
        room = 0.55 * (high - low)
        axes.set_xlim(high + room, low - room)
        bottom = 0.1 + 0.5 * bars + 0.9 * half
        axes.set_ylim(-bottom, 1.2)
        axes.plot([low, high], [0, 0], color=_INK, linewidth=1)
        for tick in range(low, high + 1):
            axes.plot([tick, tick], [0, 0.18], color=_INK, linewidth=0.8)
            axes.text(tick, 0.35, str(tick), ha="center", fontsize=8.5)
        axes.text((low + high) / 2, 0.95, "mean rank", ha="center", fontsize=8.5, color=_FAINT)
        for number, (first, last) in enumerate(ranking.alike):
            y = -0.45 - 0.5 * number
            ends = [ranking.mean_ranks[first], ranking.mean_ranks[last]]
            axes.plot(ends, [y, y], color=_INK, linewidth=3.5, solid_capstyle="round")
        for place, (name, value) in enumerate(zip(ranking.methods, ranking.mean_ranks, strict=True)):
            best_half = place < half
            row = place if best_half else count - 1 - place
            y = -0.5 - 0.5 * bars - 0.9 * row
            end = low - 0.04 * room if best_half else high + 0.04 * room
            axes.plot([value, value, end], [0, y, y], color=_FAINT, linewidth=0.8)
            axes.text(
                end,
                y,
                f" {name}  {value:.2f} ",
                va="center",
                ha="left" if best_half else "right",
                fontsize=8.5,
            )
    return figure


def draw_programs(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw for each detector its mean AUC-PR alone and with each program, one mark a program.

    Parameters
    ----------
    rows : sequence of dict
        ``detector``, then one number (or None) for each label; ``base`` first.
    """
    labels = [label for label in rows[0] if label != "detector"]
    with mpl.rc_context(_STYLE):
        figure, axes = _panel(7.2, 3.6)
        offsets = np.linspace(-0.3, 0.3, len(labels) - 1)
        for k, label in enumerate(labels):
            values = [np.nan if row[label] is None else row[label] for row in rows]
            places = np.arange(len(rows)) + (0.0 if k == 0 else offsets[k - 1])
            colour, mark = _SERIES[k % len(_SERIES)], _MARKS[k % len(_MARKS)]
            if k == 0:
                axes.hlines(
                    values, places - 0.4, places + 0.4, color=colour, linewidth=1, linestyle=(0, (4, 2))
                )
                continue
            axes.plot(places, values, mark, color=colour, markersize=7.5 if k == 1 else 6.5, label=label)
            base = [np.nan if row[labels[0]] is None else row[labels[0]] for row in rows]
            axes.vlines(places, base, values, color=colour, linewidth=1, alpha=0.6)
        axes.set_xticks(range(len(rows)), [row["detector"] for row in rows])
        axes.set_xlim(-0.6, len(rows) - 0.4)
        axes.set_ylabel("mean AUC-PR")
        axes.grid(axis="y", linewidth=0.4, alpha=0.5)
        axes.set_axisbelow(True)
        base_line = Line2D([], [], color=_INK, linewidth=1, linestyle=(0, (4, 2)), label=labels[0])
        handles = [base_line, *axes.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    return figure


def draw_portrait(portrait: Portrait, title: str) -> Figure:
    """Draw a set's rows in a plane, and the density of scores before and after enhancing."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.4, 3.3), layout="constrained")
        plane, before, after = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        for kind, size in (("normal", 9), ("made", 13), ("real", 16)):
            places = np.array(portrait.plane[kind]).reshape(-1, 2)
            marker = {"normal": "o", "made": "x", "real": "^"}[kind]
            edges = {} if kind == "made" else {"edgecolors": "white", "linewidths": 0.3}
            plane.scatter(
                *places.T, s=size, marker=marker, color=_KINDS[kind], alpha=0.85, label=_NAMED[kind], **edges
            )
        plane.set_xticks([])
        plane.set_yticks([])
        plane.set_title("rows, by t-SNE", loc="left")
        _densities(before, portrait.before, "scores of the detector alone")
        _densities(after, portrait.after, "scores of the enhanced detector")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        handles = plane.get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, markerscale=1.5)
    return figure


def _densities(axes: Axes, scores: dict[str, list[float]], title: str) -> None:
    """Draw the density of scores by kind; the farthest hundredth of them may lie beyond the frame."""
    together = np.concatenate([np.array(part) for part in scores.values()])
    low, high = np.quantile(together, [0.0, 0.99])
    room = 0.06 * (high - low) or 1.0
    places = np.linspace(low - room, high + room, 300)
    for kind, part in scores.items():
        values = np.clip(np.array(part), low, high)
        if len(values) > 1 and np.ptp(values) > 0:
            density = gaussian_kde(values)(places)
            axes.fill_between(places, density, color=_KINDS[kind], alpha=0.35, linewidth=0)
            axes.plot(places, density, color=_KINDS[kind], linewidth=1.2)
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("score")
    axes.set_title(title, loc="left")


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _legend_of_boxes(figure: Figure, kinds: set[str]) -> None:
    patch = mpl.patches.Patch
    named = {
        "enhanced": "enhanced",
        "base": "base alone",
        "peer": "peers",
        "quoted": "quoted, not measured here",
    }
    handles: list[Any] = [
        patch(
            facecolor=_COLOURS[kind],
            alpha=0.75,
            edgecolor=_INK,
            hatch=_hatch(kind),
            label=text,
        )
        for kind, text in named.items()
        if kind in kinds
    ]
    mean = Line2D([], [], marker="^", color=_MEAN, linestyle="", markersize=7, label="mean")
    figure.legend(handles=[*handles, mean], loc="outside lower center", ncols=5)


def _quoted(box: Box) -> str:
    return f"{box.label} (quoted)" if box.kind == "quoted" else box.label


def _short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def _hatch(kind: str) -> str:
    return "////" if kind == "quoted" else ""
