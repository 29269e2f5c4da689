"""One data set looked at closely, as in the paper's Figure 5: rows in a plane, scores before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from ..detectors import DetectorSource
from ..enhance.spaces import Standard
from ..programs import SynthesisProgram
from .paper_mode import made_rows
from .protocol import Split, finite_scores, fitted_as_given

__all__ = ["Portrait", "portrait_of"]

Array = NDArray[np.float64]

_MOST = {"normal": 400, "real": 200, "made": 200}


@dataclass(frozen=True, slots=True)
class Portrait:
    """What the figure shows; plain lists, so that it can be written as JSON.

    Attributes
    ----------
    plane : dict
        For ``normal``, ``real`` and ``made`` the rows' places by t-SNE, pairs of numbers.
    before, after : dict
        For ``normal`` and ``real`` the test rows' scores by the base and by the enhanced detector.
    """

    plane: dict[str, list[list[float]]]
    before: dict[str, list[float]]
    after: dict[str, list[float]]


def portrait_of(
    source: DetectorSource, program: SynthesisProgram, enhanced: Array, split: Split, seed: int
) -> Portrait:
    """Return a set's portrait for one detector and its program.

    Parameters
    ----------
    source : DetectorSource
        The base.
    program : SynthesisProgram
        Makes the rows shown as made anomalies, a tenth as many as training rows.
    enhanced : array, shape (m,)
        The enhanced detector's scores of the test rows.
    split : Split
        Its labels only say which rows are drawn in which colour.
    seed : int
        Seeds the detector, the program, and which rows are shown.
    """
    detector = fitted_as_given(source, split.X_train, seed)
    base = finite_scores(detector, split.X_test)
    real = split.y_test == 1
    rows = {
        "normal": split.X_test[~real],
        "real": split.X_test[real],
        "made": made_rows(program, detector, split.X_train, seed),
    }
    rng = np.random.default_rng(seed)
    shown = {kind: part[rng.permutation(len(part))[: _MOST[kind]]] for kind, part in rows.items()}
    standard = Standard().fit(split.X_train)
    together = np.vstack([standard.transform(part) for part in shown.values()])
    perplexity = min(30.0, (len(together) - 1) / 3)
    # a row far out would squeeze all others into a point
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(
        np.clip(together, -10.0, 10.0)
    )
    ends = np.cumsum([len(part) for part in shown.values()])
    return Portrait(
        plane={
            kind: np.round(part, 3).tolist()
            for kind, part in zip(shown, np.split(places, ends[:-1]), strict=True)
        },
        before={"normal": base[~real].tolist(), "real": base[real].tolist()},
        after={"normal": enhanced[~real].tolist(), "real": enhanced[real].tolist()},
    )
