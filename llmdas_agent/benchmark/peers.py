"""Detectors of others, measured in the same run: PyOD's, with its defaults, on standardized columns."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from ..detectors import DetectorSource, import_class
from ..enhance.spaces import Standard
from ..errors import UnknownNameError, did_you_mean
from .protocol import Split, finite_scores, fitted_as_given

__all__ = ["MOST_ROWS", "PEERS", "Peer", "peer"]

MOST_ROWS = 4_000
"""Training rows that a peer gets at most, chosen at random by the seed."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A detector of PyOD.

    Attributes
    ----------
    name : str
        How tables name it.
    class_path : str
        Dotted path of its class.
    needs : str
        A package that must be there besides PyOD; empty when none.
    """

    name: str
    class_path: str
    needs: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot be used here; empty when it can."""
        if self.needs and find_spec(self.needs) is None:
            return f"{self.name} left out: it needs {self.needs}, which is not installed"
        return ""

    def scores(self, split: Split, seed: int) -> NDArray[np.float64]:
        """Return scores of the test rows, shape (m,)."""
        space = Standard().fit(split.X_train)
        train = space.transform(split.X_train)
        if len(train) > MOST_ROWS:
            train = train[np.random.default_rng(seed).permutation(len(train))[:MOST_ROWS]]
        kind = import_class(self.class_path, where=f"peer '{self.name}'")
        if self.needs == "torch":
            # PyOD's detectors on torch draw from the global generators whatever seed they are given
            np.random.seed(seed)
            importlib.import_module("torch").manual_seed(seed)
        detector = fitted_as_given(DetectorSource.from_object(kind(), self.name), train, seed)
        return finite_scores(detector, space.transform(split.X_test))


PEERS = {
    peer.name: peer
    for peer in (
        Peer("knn", "pyod.models.knn.KNN"),
        Peer("lof", "pyod.models.lof.LOF"),
        Peer("lunar", "pyod.models.lunar.LUNAR", needs="torch"),
        Peer("gmm", "pyod.models.gmm.GMM"),
        Peer("kde", "pyod.models.kde.KDE"),
        Peer("inne", "pyod.models.inne.INNE"),
        Peer("dif", "pyod.models.dif.DIF", needs="torch"),
    )
}
"""By name."""


def peer(name: str) -> Peer:
    """Return the peer of this name.

    Raises
    ------
    UnknownNameError
        With the nearest name that exists.
    """
    if name not in PEERS:
        raise UnknownNameError(f"there is no peer '{name}'", where="--peers", hint=did_you_mean(name, PEERS))
    return PEERS[name]
