"""Why a row scores as it does: which expert spoke, and what each column adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from .ensemble import Ensemble
from .neighbours import Neighbours

__all__ = ["Explanation", "explanation_of"]

Array = NDArray[np.float64]

_VALUES_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Explanation:
    """Why rows score as they do.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns fitted; ``column_0`` and so on where they had none.
    scores : array, shape (m,)
        What `decision_function` returns.
    contributions : array, shape (m, d)
        By how much a row's score would fall, in nats, were this column's value that of the normal row most
        like it in the other columns. About 0 for a column that is as expected, below 0 for one whose value
        speaks for the row.
    experts : dict of str to array, each of shape (m,)
        Weight times surprise of each expert.
    spoke : array of str, shape (m,)
        The loudest of them.
    """

    columns: tuple[str, ...]
    scores: Array
    contributions: Array
    experts: dict[str, Array]
    spoke: NDArray[np.str_]


def explanation_of(ensemble: Ensemble, Z: Array, blocks: dict[str, slice]) -> Explanation:
    """Explain the scores of encoded rows.

    Parameters
    ----------
    ensemble : Ensemble
        Fitted, with the neighbours.
    Z : array, shape (m, width)
        Encoded rows.
    blocks : dict of str to slice
        By column of the table, where it lies in the encoded rows.
    """
    told = ensemble.surprises(Z)
    experts = {name: ensemble.weights_[name] * surprise for name, surprise in told.items()}
    names = np.array(list(experts))
    loudest = names[np.argmax(np.stack(list(experts.values())), axis=0)]
    scores = ensemble.join(told)
    contributions = np.zeros((len(Z), len(blocks)))
    # each row is scored once per column, so that wide tables go few rows at a time
    step = max(1, _VALUES_AT_ONCE // (len(blocks) * Z.shape[1]))
    for start in range(0, len(Z), step):
        part = slice(start, start + step)
        changed = _as_expected(ensemble.neighbours_, Z[part], list(blocks.values()))
        found = ensemble.score(changed.reshape(-1, Z.shape[1])).reshape(changed.shape[:2])
        contributions[part] = (scores[part] - found).T
    return Explanation(tuple(blocks), scores, contributions, experts, loudest)


def _as_expected(neighbours: Neighbours, Z: Array, blocks: list[slice]) -> Array:
    """Return the rows, each block in turn taken from the normal row nearest in all else, (d, m, width)."""
    standard, columns = neighbours.spaces_[1], neighbours.columns_
    here, there = standard.transform(Z[:, columns]), standard.transform(neighbours.rows_[:, columns])
    whole = cdist(here, there, "sqeuclidean")
    changed = np.repeat(Z[None], len(blocks), axis=0)
    for number, block in enumerate(blocks):
        inside = (columns >= block.start) & (columns < block.stop)
        own = cdist(here[:, inside], there[:, inside], "sqeuclidean") if inside.any() else 0.0
        changed[number, :, block] = neighbours.rows_[np.argmin(whole - own, axis=1)][:, block]
    return changed
