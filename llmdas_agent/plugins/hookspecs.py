"""The hooks that a plugin may implement. They return data; every implementation is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pluggy

__all__ = ["PROJECT", "DetectorEntry", "hookimpl", "hookspec", "llmdas_detectors"]

PROJECT = "llmdas_agent"
"""The entry-point group of plugins, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """A detector that a plugin brings.

    Attributes
    ----------
    card : Path
        The card's YAML file; its stem is the detector's name.
    synthesizer : Path or None
        Folder of a synthesizer for it, in the registry's layout.
    """

    card: Path
    synthesizer: Path | None = None

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.card.stem


@hookspec
def llmdas_detectors() -> Sequence[DetectorEntry]:  # type: ignore[empty-body]
    """Return the detectors that this plugin brings.

    Returns
    -------
    sequence of DetectorEntry
        Paths only: nothing heavy is to be imported here, the hook runs for every command that needs a name.
    """
