"""Which types a saved model may hold. Nothing else is ever built from a file."""

from __future__ import annotations

import functools
import importlib

from pyod.models.base import BaseDetector

from ..cards import load_card
from ..plugins import BUILTIN, load_plugins

__all__ = ["is_trusted"]

OWN = frozenset(
    f"llmdas_agent.{name}"
    for name in (
        "detectors.SklearnDetector",
        "enhance.bases.CuredBase",
        "enhance.classifiers.KernelClassifiers",
        "enhance.classifiers.MadeRowClassifiers",
        "enhance.columns.CategoryColumn",
        "enhance.columns.NumberColumn",
        "enhance.constants.Constants",
        "enhance.ensemble.Ensemble",
        "enhance.gate.Contribution",
        "enhance.joining.TailSurprise",
        "enhance.neighbours.Neighbourhood",
        "enhance.neighbours.Neighbours",
        "enhance.spaces.Centred",
        "enhance.spaces.Quantile",
        "enhance.spaces.Standard",
        "enhance.spaces.Whitened",
        "enhance.tables.TableEncoder",
        "enhance.tails.Tails",
    )
)

COMPILED = frozenset(
    f"sklearn.{name}"
    for name in (
        "metrics._dist_metrics.EuclideanDistance64",
        "metrics._dist_metrics.MinkowskiDistance64",
        "neighbors._ball_tree.BallTree",
        "neighbors._kd_tree.KDTree",
        "tree._tree.Tree",
    )
)


def is_trusted(type_name: str) -> bool:
    """Return whether an object of this type may be built, beyond those that skops itself trusts.

    They are this package's own, some compiled parts of scikit-learn's estimators, the detectors of PyOD, and
    those on the cards of installed plugins.
    """
    if type_name in OWN or type_name in COMPILED:
        return True
    module, _, name = type_name.rpartition(".")
    if not module.startswith("pyod.models.") and type_name not in _on_cards_of_plugins():
        return False
    try:
        kind = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(kind, type) and issubclass(kind, BaseDetector)


@functools.cache
def _on_cards_of_plugins() -> frozenset[str]:
    """Return the classes that installed plugins name: code that the user installed to be used so."""
    claims = [claim for found in load_plugins().detectors.values() for claim in found]
    return frozenset(load_card(entry.card).build.class_path for owner, entry in claims if owner != BUILTIN)
