"""DRL as a PyOD detector. PyTorch is imported to train; scoring needs numpy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state

from .columns import fit_view, seen_in

__all__ = ["DRL"]

Array = NDArray[np.float64]

_SLOPE = 0.2


class DRL(BaseDetector):  # type: ignore[misc]  # PyOD has no types
    """Decomposed representation learning (Ye et al., ICLR 2025).

    An encoder maps every row to a hidden vector, and a second network says with which weights a few frozen,
    orthonormal basis vectors are to add up to it. Both are trained so that this holds for normal rows, that
    the hidden vector still tells the row's direction, and that different rows get different weights. A row
    whose hidden vector the basis does not add up to is abnormal.

    Network, loss and score are as published. The authors tune `a`, `s` and more for every table; the defaults
    here are one setting for all: gentler training, and two networks that look at the columns in two ways. The
    package's README says what each gains.

    Parameters
    ----------
    contamination : float
        Share of outliers expected in training, in (0, 0.5].
    hidden : int
        Width of the hidden layers and of the hidden vector.
    n_basis : int
        Basis vectors, at most `hidden`.
    epochs : int
        Passes over the rows.
    batch_size : int
        Rows of one step.
    max_batches : int or None
        Batches after which an epoch ends early, drawn anew in each; None for whole passes.
    learning_rate, decay, weight_decay : float
        Of Adam; the rate is multiplied by `decay` after every epoch.
    a, s : float
        Weight of keeping the row's direction, and of keeping the weights of rows apart.
    n_networks : int
        Networks that are trained, each from a seed of its own. The score is the mean of theirs, each in units
        of its standard deviation over the training rows.
    views : sequence of str
        How the networks, in turn, see the columns: ``standardized``, ``anchored``, ``gaussian``, see
        `llmdas_drl.columns.fit_view`.
    device : str
        ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
    random_state : int, RandomState or None
        The same number gives the same scores, on the same kind of device.

    Attributes
    ----------
    views_ : list of dict of array, float64
        Each view, see `llmdas_drl.columns.fit_view`.
    networks_ : list of dict of array, float32
        What each network learnt, see `llmdas_drl.training.train`.
    scales_ : list of float
        Standard deviation of each network's scores over the training rows.
    """

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        hidden: int = 128,
        n_basis: int = 5,
        epochs: int = 100,
        batch_size: int = 512,
        max_batches: int | None = 2,
        learning_rate: float = 0.002,
        decay: float = 0.98,
        weight_decay: float = 1e-5,
        a: float = 0.01,
        s: float = 0.01,
        n_networks: int = 2,
        views: Sequence[str] = ("anchored", "gaussian"),
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(contamination=contamination)
        self.hidden = hidden
        self.n_basis = n_basis
        self.epochs = epochs
        self.batch_size = batch_size
        self.max_batches = max_batches
        self.learning_rate = learning_rate
        self.decay = decay
        self.weight_decay = weight_decay
        self.a = a
        self.s = s
        self.n_networks = n_networks
        self.views = views
        self.device = device
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train on normal rows, shape (n, d).

        Raises
        ------
        ModuleNotFoundError
            Without PyTorch.
        """
        from .training import train

        rows: Array = check_array(X, dtype=np.float64)
        self._set_n_classes(None)
        self.n_features_in_ = rows.shape[1]
        self.views_ = [fit_view(view, rows) for view in self.views]
        seen = [seen_in(view, rows) for view in self.views_]
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_networks)
        self.networks_ = [train(self, Z, int(seed)) for Z, seed in zip(cycle(seen), seeds, strict=False)]
        scales = [float(scores.std()) for scores in self._scores(rows)]
        self.scales_ = [scale if scale > 0 else 1.0 for scale in scales]
        self.decision_scores_ = self.decision_function(rows)
        self._process_decision_scores()
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return scores, shape (m,), higher for more abnormal rows.

        A network's score is the mean over the hidden dimensions of the squared difference between the hidden
        vector and what the basis adds up to.
        """
        check_is_fitted(self, "scales_")
        scores = self._scores(check_array(X, dtype=np.float64))
        in_units = [own / scale for own, scale in zip(scores, self.scales_, strict=True)]
        return np.asarray(np.mean(in_units, axis=0))

    def _scores(self, X: Array) -> Iterator[Array]:
        seen = [seen_in(view, X) for view in self.views_]
        return (_score(network, Z) for network, Z in zip(self.networks_, cycle(seen), strict=False))


def _score(network: dict[str, NDArray[np.float32]], Z: Array) -> Array:
    arrays = {name: array.astype(np.float64) for name, array in network.items()}
    hidden = _leaky(_leaky(Z @ arrays["encoder_0"].T) @ arrays["encoder_1"].T)
    weights = _leaky(Z @ arrays["weights_0"].T) @ arrays["weights_1"].T
    return np.asarray(((hidden - weights @ arrays["basis"]) ** 2).mean(axis=1))


def _leaky(values: Array) -> Array:
    return np.where(values > 0, values, _SLOPE * values)
