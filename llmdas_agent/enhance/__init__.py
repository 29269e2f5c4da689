"""Enhanced detectors: a base detector joined with a classifier that learnt from hard anomalies.

Loaded on first use, because scikit-learn and PyOD take their time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .estimator import EnhancedDetector
    from .explaining import Explanation
    from .files import read_table, scores_table, write_table
    from .gate import Contribution
    from .persistence import load_model, save_model
    from .synthesis import synthesize
    from .tables import TableEncoder

__all__ = [
    "Contribution",
    "EnhancedDetector",
    "Explanation",
    "TableEncoder",
    "load_model",
    "read_table",
    "save_model",
    "scores_table",
    "synthesize",
    "write_table",
]

_HOME = {
    "Contribution": "gate",
    "EnhancedDetector": "estimator",
    "Explanation": "explaining",
    "TableEncoder": "tables",
    "load_model": "persistence",
    "read_table": "files",
    "save_model": "persistence",
    "scores_table": "files",
    "synthesize": "synthesis",
    "write_table": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
