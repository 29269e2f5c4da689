"""The challenge: which program of a search is the best on new seeds, and its duel with the incumbent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ...detectors import DetectorSource
from ...programs import SynthesisProgram
from ...registry import Registry
from ...report import VerificationReport
from ...synthesizer import Synthesizer
from ...verification import ToyBench, verify
from ..runs import RunFolder
from .archive import Archive, Entry
from .duel import LEVEL, Duel, duel, p_value
from .quality import Arena, HeldApart, Quality

__all__ = ["Challenge", "challenge", "ranked", "register"]

_CONTENDERS = 8
"""How many programs of a search are measured again, to find the challenger."""


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
    runoff = arena.held_apart(source, folder.seed, "runoff", Duel.earlier(folder))
    entry, report = _challenger(Archive(folder), program, runoff, bench)
    if entry is None or not standing:
        return Challenge(incumbent, standing, entry, report)
    met = Duel.read(folder)
    if met is None:
        apart = arena.held_apart(source, folder.seed, "duel", Duel.earlier(folder))
        met = duel(entry.proposal.program, program, apart)
        met.write(folder)
    return Challenge(incumbent, standing, entry, report, met)


def _contenders(archive: Archive, incumbent: SynthesisProgram) -> list[Entry]:
    """Return programs that the search found to be better than the incumbent, spread over all of them.

    The best ones alone may owe it to luck: near rows are good until they are too near on another seed.
    """
    valid = archive.valid
    better = valid[
        : next((k for k, one in enumerate(valid) if one.proposal.program == incumbent), len(valid))
    ]
    places = np.linspace(0, len(better) - 1, min(_CONTENDERS, len(better))).round().astype(int)
    return [better[place] for place in places]


def _challenger(
    archive: Archive, incumbent: SynthesisProgram, runoff: HeldApart, bench: ToyBench
) -> tuple[Entry, VerificationReport] | tuple[None, None]:
    """Return the contender that is the best on new seeds, of those that pass on all scenarios."""
    contenders = _contenders(archive, incumbent)
    parts = [archive[number] for entry in contenders if entry.together for number in entry.parents]
    entries = list({entry.number: entry for entry in (*contenders, *parts)}.values())
    found = runoff.measure([entry.proposal.program for entry in entries])
    measured = {entry.number: quality for entry, quality in zip(entries, found, strict=True)}
    for entry in ranked(contenders, measured):
        report = verify(entry.proposal.program, bench)
        if report.accepted:
            return entry, report
    return None, None


def ranked(contenders: Sequence[Entry], measured: Mapping[int, Quality]) -> list[Entry]:
    """Return the contenders that may challenge, the best first.

    One that holds two programs costs as much as both, so it has to be better than each beyond chance.

    Parameters
    ----------
    contenders : sequence of Entry
        Programs of an archive.
    measured : mapping of Quality
        How each of them did on new seeds, and each that one of them holds, by number.

    Returns
    -------
    list of Entry
        Without those that broke off.
    """

    def may(entry: Entry) -> bool:
        own = measured[entry.number]
        parts = [measured[number] for number in entry.parents] if entry.together else []
        return not own.failure and all(part.failure or p_value(own, part) < LEVEL for part in parts)

    return sorted(filter(may, contenders), key=lambda entry: (-measured[entry.number].mean, entry.number))


def register(
    folder: RunFolder, found: Challenge, improver: str, rounds: int, registry: Registry
) -> Synthesizer:
    """Register the winner of a challenge.

    Parameters
    ----------
    folder : RunFolder
        The run.
    found : Challenge
        One that was won.
    improver : str
        Name of who wrote the programs last; a run may go on with another model.
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
        "proposer": improver,
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
