"""The detectors that come with the package, as a plugin like any other."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .hookspecs import DetectorEntry, hookimpl

__all__ = ["llmdas_detectors"]


@hookimpl
def llmdas_detectors() -> list[DetectorEntry]:
    """Return one entry per card in `detector_cards`, with its shipped synthesizer where there is one."""
    cards = Path(str(resources.files("detector_cards")))
    shipped = Path(str(resources.files("llmdas_agent"))) / "synthesizers"
    return [
        DetectorEntry(card, shipped / card.stem if (shipped / card.stem).is_dir() else None)
        for card in sorted(cards.glob("*.yaml"))
    ]
