"""A blind-spot profile as a picture: one bar for each family of improbable rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import write_whole
from ..report import BlindSpotProfile
from .families import FAMILIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_format", "draw_profile", "save_profile"]

_FORMATS = (".pdf", ".png", ".svg")
_INK, _FAINT, _BAR, _WHISKER = "#222222", "#9a9a9a", "#7aa6c2", "#20485e"


def draw_profile(profile: BlindSpotProfile) -> Figure:
    """Draw a profile as horizontal bars, the blindest family on top, each with its 95 % interval.

    Parameters
    ----------
    profile : BlindSpotProfile
        At least one family.

    Returns
    -------
    matplotlib.figure.Figure
        It belongs to no window and to no state of pyplot.
    """
    from matplotlib.figure import Figure

    scores = profile.families
    words = {family.name: family.words for family in FAMILIES}
    figure = Figure(figsize=(8.4, 1.0 + 0.36 * len(scores)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(scores))
    values = [score.auroc for score in scores]
    below = [score.auroc - score.low for score in scores]
    above = [score.high - score.auroc for score in scores]
    axes.barh(places, values, height=0.62, color=_BAR)
    axes.errorbar(
        values, places, xerr=[below, above], fmt="none", ecolor=_WHISKER, elinewidth=1.2, capsize=2.5
    )
    axes.axvline(0.5, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [score.family.replace("_", " ") for score in scores])
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("AUROC against normal rows: .5 is blind, 1 sees all")
    for place, score in zip(places, scores, strict=True):
        axes.annotate(
            words.get(score.family, ""),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            verticalalignment="center",
            fontsize=7.5,
            color=_INK,
        )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"What {profile.detector} sees of equally improbable rows", fontsize=11, loc="left")
    return figure


def save_profile(profile: BlindSpotProfile, path: Path) -> None:
    """Draw a profile into a file.

    Parameters
    ----------
    profile : BlindSpotProfile
        At least one family.
    path : Path
        Ends in ``.png``, ``.svg`` or ``.pdf``; a file that is there is replaced.

    Raises
    ------
    InputError
        As `check_format`.
    StorageError
        When it cannot be written.
    """
    check_format(path)
    out = io.BytesIO()
    draw_profile(profile).savefig(out, format=path.suffix.lower().removeprefix("."), dpi=160)
    write_whole(path, out.getvalue())


def check_format(path: Path) -> None:
    """Check that a file's name says which kind of picture it is to be, before anything is measured.

    Raises
    ------
    InputError
        When it ends in none of ``.png``, ``.svg`` and ``.pdf``.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(
            f"is no picture's name (it ends in '{path.suffix}')",
            where=str(path),
            hint=f"Let it end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}",
        )
