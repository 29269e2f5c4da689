"""Which jobs a benchmark consists of: detectors × programs × classifiers × seeds on every set, and peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cards import DetectorCard
from ..errors import InputError
from .datasets import digest_of, find_datasets
from .jobs import BaseJob, DataFile, EnhancedJob, Job, Mode, PeerJob, PortraitJob, ProgramJob
from .paper_mode import CLASSIFIERS
from .peers import PEERS, peer
from .programs import AGNOSTIC, RIVALS, Candidate, random_starts, rival, without_scores

__all__ = ["PARTS", "Detector", "Plan", "portrayed"]

PARTS = ("swaps", "rivals", "ablations", "portrait")
"""What may be added to bases, enhanced detectors and peers: the paper's Table 2, Figures 4a, 4b and 5."""

KERNEL = "kernel"
"""The classifier of an enhanced detector of this package."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector with the program that was written for it."""

    card: DetectorCard
    own: Candidate


@dataclass(frozen=True)
class Plan:
    """All that is to be measured; the same settings for every set.

    Attributes
    ----------
    files : tuple of DataFile
        The sets.
    detectors : tuple of Detector
        With at least one.
    mode : {"calibrated", "paper"}
        How base and classifier are joined.
    classifiers : tuple of str
        In paper mode of `CLASSIFIERS`, the first of which the other parts use; otherwise `KERNEL` alone.
    seeds : int
        Seeds 0 to `seeds` - 1.
    peers : tuple of str
        Of `PEERS`.
    parts : tuple of str
        Of `PARTS`.
    portrait : str
        Name of the set for Figure 5, without regard to case or to ADBench's number before it.
    notes : tuple of str
        What had to be left out, and why.
    """

    files: tuple[DataFile, ...]
    detectors: tuple[Detector, ...]
    mode: Mode
    classifiers: tuple[str, ...]
    seeds: int
    peers: tuple[str, ...]
    parts: tuple[str, ...]
    portrait: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        folder: Path,
        detectors: Sequence[Detector],
        *,
        mode: Mode = "calibrated",
        classifiers: Sequence[str] = (),
        seeds: int = 1,
        peers: Sequence[str] = tuple(PEERS),
        parts: Sequence[str] = PARTS,
        portrait: str = "thyroid",
    ) -> Plan:
        """Return a plan for a folder of sets, with a note on whatever cannot be measured here.

        Raises
        ------
        TableError
            When there is no set in the folder.
        InputError
            When classifiers are named that the mode does not have, or two detectors have one name.
        UnknownNameError
            When a peer is unknown.
        """
        _refuse_one_name([one.card.name for one in detectors])
        files = tuple(DataFile(path.absolute(), digest_of(path)) for path in find_datasets(folder))
        usable = [name for name in peers if not peer(name).missing]
        notes = [peer(name).missing for name in peers if peer(name).missing]
        if "portrait" in parts and portrayed(files, portrait) is None:
            notes.append(f"Figure 5 left out: there is no set '{portrait}' in {folder}")
        if "swaps" in parts and len(detectors) < 2:
            notes.append("Table 2 left out: it needs two detectors or more")
        return cls(
            files,
            tuple(detectors),
            mode,
            _classifiers(mode, tuple(classifiers)),
            seeds,
            tuple(usable),
            tuple(parts),
            portrait,
            tuple(notes),
        )

    def jobs(self) -> list[Job]:
        """Return all jobs: seed by seed, and within a seed the largest sets first."""
        largest_first = sorted(self.files, key=lambda file: -file.path.stat().st_size)
        return [job for seed in range(self.seeds) for data in largest_first for job in self._on(data, seed)]

    def settings(self) -> dict[str, Any]:
        """Return the plan as plain data, for those who read its figures."""
        return {
            "sets": [file.name for file in self.files],
            "detectors": {
                one.card.name: {"program": one.own.program.digest, "verified": one.own.verified}
                for one in self.detectors
            },
            "mode": self.mode,
            "classifiers": list(self.classifiers),
            "seeds": list(range(self.seeds)),
            "peers": list(self.peers),
            "parts": list(self.parts),
            "portrait": self.portrait,
            "notes": list(self.notes),
        }

    def _on(self, data: DataFile, seed: int) -> Iterator[Job]:
        for name in self.peers:
            yield PeerJob(data, seed, name)
        for detector in self.detectors:
            card = detector.card
            yield BaseJob(data, seed, card)
            for classifier in self.classifiers:
                yield EnhancedJob(data, seed, card, detector.own, classifier, self.mode)
            for candidate in self._others(detector):
                yield ProgramJob(data, seed, card, candidate, self.classifiers[0], self.mode)
            if "portrait" in self.parts and seed == 0 and data == portrayed(self.files, self.portrait):
                yield PortraitJob(data, seed, card, detector.own, self.classifiers[0], self.mode)

    def _others(self, detector: Detector) -> Iterator[Candidate]:
        """Yield the programs that a detector's own is compared with."""
        if "swaps" in self.parts:
            for other in self.detectors:
                if other is not detector:
                    yield Candidate(f"of {other.card.name}", other.own.program, other.own.verified)
        if "rivals" in self.parts:
            yield from map(rival, RIVALS)
        if "ablations" in self.parts:
            yield rival(AGNOSTIC)
            yield without_scores(detector.own)
            yield random_starts(detector.own)


def portrayed(files: Sequence[DataFile], name: str) -> DataFile | None:
    """Return the set of this name, without regard to case or to ADBench's number before it; None if none."""
    for file in files:
        if file.name.lower().lstrip("0123456789").lstrip("_") == name.lower() or file.name == name:
            return file
    return None


def _refuse_one_name(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"two detectors are named '{name}', and tables tell them by their names",
                where="--detectors",
                hint="Leave one out, or give one another name in its card",
            )


def _classifiers(mode: Mode, asked: tuple[str, ...]) -> tuple[str, ...]:
    if mode == "calibrated":
        if asked and asked != (KERNEL,):
            raise InputError(
                "mode 'calibrated' has one classifier, its own",
                where="--classifiers",
                hint=f"`--mode paper` knows {', '.join(CLASSIFIERS)}",
            )
        return (KERNEL,)
    unknown = [name for name in asked if name not in CLASSIFIERS]
    if unknown:
        raise InputError(
            f"mode 'paper' has no classifier '{unknown[0]}'",
            where="--classifiers",
            hint=f"Known: {', '.join(CLASSIFIERS)}",
        )
    return asked or CLASSIFIERS[:1]
