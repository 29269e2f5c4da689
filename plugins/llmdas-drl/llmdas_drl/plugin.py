"""What this package brings. It runs for every command that needs a name, so it imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from llmdas_agent.plugins import DetectorEntry, hookimpl

HERE = Path(__file__).parent


@hookimpl
def llmdas_detectors() -> list[DetectorEntry]:
    """Return every card in ``cards/``, with its synthesizer in ``synthesizers/`` where there is one."""
    return DetectorEntry.all_in(HERE / "cards", HERE / "synthesizers")
