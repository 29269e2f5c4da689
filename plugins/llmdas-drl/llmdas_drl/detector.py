"""DRL as a PyOD detector. PyTorch is imported to train; scoring needs numpy alone."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state

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
    here are one setting for all, and train more gently: the package's README says what that gains.

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
    standardize : bool
        Whether the columns are standardized first.
    device : str
        ``cpu``, ``cuda``, or ``auto`` for CUDA where there is one.
    random_state : int, RandomState or None
        The same number gives the same scores, on the same kind of device.

    Attributes
    ----------
    arrays_ : dict of array, float32
        Everything that was learnt, see `llmdas_drl.training.train`.
    """

    def __init__(
        self,
        contamination: float = 0.1,
        *,
        hidden: int = 128,
        n_basis: int = 5,
        epochs: int = 200,
        batch_size: int = 512,
        max_batches: int | None = 2,
        learning_rate: float = 0.002,
        decay: float = 0.98,
        weight_decay: float = 1e-5,
        a: float = 0.01,
        s: float = 0.01,
        standardize: bool = True,
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
        self.standardize = standardize
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

        X = check_array(X, dtype=np.float64)
        self._set_n_classes(None)
        self.n_features_in_ = X.shape[1]
        self.center_, spread = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if self.standardize:
            self.center_, spread = X.mean(axis=0), X.std(axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.arrays_ = train(self, self._prepared(X), seed)
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return scores, shape (m,), higher for more abnormal rows.

        The mean over the hidden dimensions of the squared difference between the hidden vector and what the
        basis adds up to.
        """
        check_is_fitted(self, "arrays_")
        Z = self._prepared(check_array(X, dtype=np.float64))
        arrays = {name: array.astype(np.float64) for name, array in self.arrays_.items()}
        hidden = _leaky(Z @ arrays["encoder_0"].T) @ arrays["encoder_1"].T
        weights = _leaky(Z @ arrays["weights_0"].T) @ arrays["weights_1"].T
        return np.asarray(((hidden - weights @ arrays["basis"]) ** 2).mean(axis=1))

    def _prepared(self, X: Array) -> Array:
        return np.asarray((X - self.center_) / self.spread_)


def _leaky(values: Array) -> Array:
    return np.where(values > 0, values, _SLOPE * values)
