"""Hard anomalies, written as programs from a detector's description, make tabular anomaly detectors better.

The public names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cards import DetectorCard, load_card
    from .enhance import EnhancedDetector, load_model, save_model
    from .errors import LlmdasError
    from .programs import SynthesisProgram
    from .registry import Registry
    from .report import BlindSpotProfile, Verdict, VerificationReport
    from .synthesizer import Synthesizer

__all__ = [
    "BlindSpotProfile",
    "DetectorCard",
    "EnhancedDetector",
    "LlmdasError",
    "Registry",
    "SynthesisProgram",
    "Synthesizer",
    "Verdict",
    "VerificationReport",
    "load_card",
    "load_model",
    "save_model",
]

_HOME = {
    "BlindSpotProfile": "report",
    "DetectorCard": "cards",
    "EnhancedDetector": "enhance",
    "LlmdasError": "errors",
    "Registry": "registry",
    "SynthesisProgram": "programs",
    "Synthesizer": "synthesizer",
    "Verdict": "report",
    "VerificationReport": "report",
    "load_card": "cards",
    "load_model": "enhance",
    "save_model": "enhance",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
