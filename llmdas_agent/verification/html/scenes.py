"""What the pictures of a scenario show: rows on two axes, and what the detector scores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bench import auroc
from ..checks import ToyRun

__all__ = ["Plane", "Scene", "scene_of"]

Array = NDArray[np.float64]

_EACH_KIND = 15
_FARTHEST = 1e100


@dataclass(frozen=True, eq=False)
class Plane:
    """Two axes on which rows of many columns are drawn.

    Attributes
    ----------
    center, scale : ndarray, shape (d,)
        Subtracted from the columns, and divided by.
    axes : ndarray, shape (d, 2)
        The directions, in standardized columns.
    labels : tuple of str
        What each axis is.
    """

    center: Array
    scale: Array
    axes: Array
    labels: tuple[str, str]

    @classmethod
    def of(cls, normal: Array) -> Plane:
        """Return the first two principal axes of normal rows, or the columns where there are only two."""
        d = normal.shape[1]
        if d <= 2:
            names = tuple(f"column {k + 1}" if k < d else "" for k in range(2))
            return cls(np.zeros(d), np.ones(d), np.eye(d, 2), (names[0], names[1]))
        center, scale = normal.mean(axis=0), normal.std(axis=0)
        scale[scale == 0] = 1.0
        _, stretch, axes = np.linalg.svd((normal - center) / scale, full_matrices=False)
        shares = stretch[:2] ** 2 / max(float((stretch**2).sum()), np.finfo(float).tiny)
        first, second = (f"principal axis {k + 1} ({share:.0%})" for k, share in enumerate(shares))
        return cls(center, scale, axes[:2].T, (first, second))

    def project(self, rows: Array) -> Array:
        """Return rows on the two axes, shape (m, 2)."""
        # a program may make rows so far out that their products overflow
        standardized = np.clip((rows - self.center) / self.scale, -_FARTHEST, _FARTHEST)
        on_axes: Array = standardized @ self.axes
        return on_axes


@dataclass(frozen=True, eq=False)
class Scene:
    """One scenario, ready to be drawn.

    Attributes
    ----------
    name : str
        The scenario's name.
    size : tuple of int
        Training rows and columns.
    plane : Plane
        The axes of `normal`, `made` and `anomalous`.
    normal, made : ndarray, shape (m, 2)
        Held-out normal rows and made rows, on the axes.
    anomalous : dict of ndarray
        True anomalies by kind, on the axes.
    normal_scores, made_scores : ndarray, shape (m,)
        What the base detector scores the rows.
    """

    name: str
    size: tuple[int, int]
    plane: Plane
    normal: Array
    made: Array
    anomalous: Mapping[str, Array]
    normal_scores: Array
    made_scores: Array

    @property
    def gate(self) -> float:
        """The 95th percentile of the normal rows' scores."""
        return float(np.quantile(self.normal_scores, 0.95))

    @property
    def overlap(self) -> float:
        """The share of made rows that score no higher than `gate`."""
        return float(np.mean(self.made_scores <= self.gate))

    @property
    def auroc(self) -> float:
        """The probability that a made row scores above a normal one."""
        return auroc(self.normal_scores, self.made_scores)


def scene_of(run: ToyRun, rng: np.random.Generator) -> Scene:
    """Return what a program made in one scenario, ready to be drawn.

    Parameters
    ----------
    run : ToyRun
        The scenario, the fitted detector and the made rows.
    rng : numpy.random.Generator
        Draws the true anomalies.

    Returns
    -------
    Scene
    """
    toy = run.toy
    plane = Plane.of(toy.X_held_out)
    normal_scores, made_scores = toy.score_beside_normals(run.rows)
    return Scene(
        name=run.name,
        size=(len(toy.X_train), toy.scenario.d),
        plane=plane,
        normal=plane.project(toy.X_held_out),
        made=plane.project(run.rows),
        anomalous={
            kind: plane.project(rows) for kind, rows in toy.scenario.anomalies(_EACH_KIND, rng).items()
        },
        normal_scores=normal_scores,
        made_scores=made_scores,
    )
