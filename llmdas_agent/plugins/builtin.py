"""The detectors that come with the package, as a plugin like any other."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .hookspecs import DetectorEntry, hookimpl

__all__ = ["llmdas_detectors"]


@hookimpl
def llmdas_detectors() -> list[DetectorEntry]:
    """Return one entry per card in `detector_cards`, with its shipped synthesizer where there is one."""
    return DetectorEntry.all_in(
        Path(str(resources.files("detector_cards"))),
        Path(str(resources.files("llmdas_agent"))) / "synthesizers",
    )
