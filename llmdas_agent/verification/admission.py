"""A plugin's synthesizer is verified before its first use on this machine."""

from __future__ import annotations

from ..detectors import DetectorSource
from ..errors import NotAcceptedError
from ..plugins import load_plugins
from ..report import VerificationReport
from ..synthesizer import Synthesizer
from ..verified import record_verified
from .bench import ToyBench
from .verify import verify

__all__ = ["admit"]


def admit(synthesizer: Synthesizer, source: DetectorSource) -> VerificationReport:
    """Verify a plugin's synthesizer here, and remember that it passed.

    Parameters
    ----------
    synthesizer : Synthesizer
        Whose `origin` is ``plugin``.
    source : DetectorSource
        The detector.

    Returns
    -------
    VerificationReport
        Made on this machine.

    Raises
    ------
    NotAcceptedError
        When it does not pass here; then it stays unused.
    DetectorError, SandboxError
        As `DetectorSource.try_out` and `verify`.
    """
    owner = load_plugins().owner(synthesizer.name)
    source.try_out()
    report = verify(synthesizer.proposal.program, ToyBench(source, synthesizer.report.seed))
    if not report.accepted:
        failed = "; ".join(f"{verdict.code}: {verdict.message}" for verdict in report.failures())
        raise NotAcceptedError(
            f"the program that {owner} brings does not pass on this machine ({failed})",
            where=f"synthesizer '{synthesizer.name}'",
            hint="`llmdas-agent add-detector` with the detector's card makes another",
        )
    record_verified(report, owner)
    return report
