"""Whether a synthesizer still passes, when packages that its report depends on have changed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from ...detectors import DetectorSource
from ...plugins import load_plugins
from ...synthesizer import Synthesizer
from ...verification import ToyBench, verify
from ...verified import is_verified_here, record_verified

__all__ = ["Standing", "standing"]

_OWN = "llmdas-agent"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a synthesizer stands under what is installed now.

    Attributes
    ----------
    word : str
        ``unchanged``, when it passed with the same versions; ``passes`` or ``fails``, when it was verified
        again.
    reason : str
        What changed, and which checks fail.
    """

    word: Literal["unchanged", "passes", "fails"]
    reason: str


def standing(synthesizer: Synthesizer) -> Standing:
    """Verify a synthesizer again where anything that its report depends on has changed version.

    That it passes is remembered, so that it is not verified again until something else changes.

    Parameters
    ----------
    synthesizer : Synthesizer
        One of the registry's.

    Returns
    -------
    Standing

    Raises
    ------
    DetectorError, SandboxError
        As `verify`.
    """
    program, report = synthesizer.proposal.program, synthesizer.report
    owner = load_plugins().owner(synthesizer.name) if synthesizer.origin == "plugin" else _OWN
    changed = _changed(report.versions)
    if not changed or is_verified_here(synthesizer.name, program.digest, owner):
        return Standing("unchanged", "")
    again = verify(program, ToyBench(DetectorSource.from_card(synthesizer.card), report.seed))
    told = ", ".join(changed)
    if again.accepted:
        record_verified(again, owner)
        return Standing("passes", told)
    failed = ", ".join(verdict.code for verdict in again.failures())
    return Standing("fails", f"{told}: fails {failed}")


def _changed(versions: dict[str, str]) -> list[str]:
    """Return the packages whose version differs from the one named, each with both."""
    found = []
    for package, before in versions.items():
        try:
            now = metadata.version(package)
        except metadata.PackageNotFoundError:
            now = "gone"
        if now != before:
            found.append(f"{package} {before} → {now}")
    return found
