"""The challenge: the best program of a search that passes everywhere, and its duel with the incumbent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ...detectors import DetectorSource
from ...programs import SynthesisProgram
from ...registry import Registry, Synthesizer
from ...report import VerificationReport
from ...verification import ToyBench, verify
from ..runs import RunFolder
from .archive import Archive, Entry
from .duel import Duel, duel
from .quality import Arena

__all__ = ["Challenge", "challenge", "register"]

_MOST = 5
"""How many programs are checked on all scenarios before the search counts as fruitless."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What came of a challenge.

    Attributes
    ----------
    incumbent : Synthesizer
        Whom it was for.
    standing : bool
        Whether the incumbent passes every check, as things are installed now.
    entry : Entry or None
        The challenger, where a program passes every check on all scenarios.
    report : VerificationReport or None
        The report on it.
    duel : Duel or None
        How they compare, where there is a challenger and both pass.
    """

    incumbent: Synthesizer
    standing: bool
    entry: Entry | None = None
    report: VerificationReport | None = None
    duel: Duel | None = None

    @property
    def won(self) -> bool:
        """Whether the challenger takes the incumbent's place."""
        return self.entry is not None and (not self.standing or (self.duel is not None and self.duel.won))


def challenge(folder: RunFolder, incumbent: Synthesizer, arena: Arena) -> Challenge:
    """Let the best program of a search challenge the incumbent.

    Parameters
    ----------
    folder : RunFolder
        The run.
    incumbent : Synthesizer
        The one registered now.
    arena : Arena
        Where they meet.

    Returns
    -------
    Challenge
    """
    source = DetectorSource.from_card(folder.card())
    bench = ToyBench(source, folder.seed, arena.scenarios)
    program = incumbent.proposal.program
    standing = verify(program, bench).accepted
    entry, report = _challenger(folder, program, bench)
    if entry is None or not standing:
        return Challenge(incumbent, standing, entry, report)
    met = Duel.read(folder)
    if met is None:
        apart = arena.held_apart(source, folder.seed, "duel", Duel.earlier(folder))
        met = duel(entry.proposal.program, program, apart)
        met.write(folder)
    return Challenge(incumbent, standing, entry, report, met)


def _challenger(
    folder: RunFolder, incumbent: SynthesisProgram, bench: ToyBench
) -> tuple[Entry, VerificationReport] | tuple[None, None]:
    """Return the best program that was found to be better than the incumbent and passes on all scenarios."""
    valid = Archive(folder).valid
    own = next((k for k, one in enumerate(valid) if one.proposal.program == incumbent), len(valid))
    for entry in valid[: min(own, _MOST)]:
        report = verify(entry.proposal.program, bench)
        if report.accepted:
            return entry, report
    return None, None


def register(folder: RunFolder, found: Challenge, rounds: int, registry: Registry) -> Synthesizer:
    """Register the winner of a challenge.

    Parameters
    ----------
    folder : RunFolder
        The run.
    found : Challenge
        One that was won.
    rounds : int
        How many rounds the search took.
    registry : Registry
        Where it goes.

    Returns
    -------
    Synthesizer
    """
    assert found.entry is not None
    assert found.report is not None
    incumbent = found.incumbent
    provenance = {
        "proposer": folder.proposer,
        "prompts": folder.prompts_digest(),
        "run": folder.id,
        "attempt": found.entry.number,
        "rounds": rounds,
        "replaced": incumbent.proposal.program.digest,
        "p_value": found.duel.p_value if found.duel else None,
        "gain": found.duel.gain if found.duel else None,
        "seed": folder.seed,
        "registered": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return registry.add(
        Synthesizer(
            incumbent.name,
            folder.card(),
            found.entry.proposal,
            found.report,
            folder.profile(),
            provenance,
        )
    )
