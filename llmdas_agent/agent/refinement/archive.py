"""The archive of a search: every program that was found, and what was found out about it.

It lies in the run folder, each attempt in a folder of its own::

    attempts/01/   program.py  proposal.json  origin.json  report.json  quality.json

A file is written whole or not at all, and `origin.json` after the program: what is there is whole, and what
is not is made again. Validity stands apart from quality: a program that fails a check has no quality, which
is not the same as a low one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from ...files import write_whole
from ...programs import Proposal
from ...report import VerificationReport
from ..runs import RunFolder
from .quality import Quality

__all__ = ["Archive", "Entry", "best_of_both", "frontier"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A program in the archive.

    Attributes
    ----------
    number : int
        Its attempt in the run folder, from 1; 1 is the incumbent.
    round : int
        When it was proposed; 0 is the incumbent.
    child : int
        Which of the round's it is, from 1.
    parents : tuple of int
        Numbers of the programs it was made from, the one that it was to improve first.
    proposal : Proposal
        The program, and the reasons given for it.
    report : VerificationReport or None
        On the scenarios shown; None until it was checked.
    quality : Quality or None
        On those held apart; None where it was not measured, as that of a program that fails a check.
    together : bool
        Whether it is its parents put together, and not a change of them.
    """

    number: int
    round: int
    child: int
    parents: tuple[int, ...]
    proposal: Proposal
    report: VerificationReport | None = None
    quality: Quality | None = None
    together: bool = False

    @property
    def accepted(self) -> bool:
        """Whether it passes every check on the scenarios shown."""
        return self.report is not None and self.report.accepted

    @property
    def valid(self) -> bool:
        """Whether it passes, and runs to its end on those held apart: then its quality has a mean."""
        return self.accepted and self.quality is not None and not self.quality.failure

    @property
    def mean(self) -> float:
        """The mean quality of a valid program."""
        assert self.quality is not None
        return self.quality.mean

    @property
    def passed(self) -> int:
        """How many checks it passes."""
        return sum(verdict.passed for verdict in self.report.verdicts) if self.report else 0


class Archive:
    """The programs of a run.

    Parameters
    ----------
    folder : RunFolder
        Where they lie; what is there already is read.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._entries: dict[int, Entry] = {}
        while (path := folder.attempt_folder(len(self._entries) + 1) / "origin.json").exists():
            entry = self._read(len(self._entries) + 1, path)
            self._entries[entry.number] = entry

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All programs, the oldest first."""
        return tuple(self._entries.values())

    @property
    def valid(self) -> tuple[Entry, ...]:
        """The programs that have a quality, the best first; of equals, the older."""
        valid = (entry for entry in self.entries if entry.valid)
        return tuple(sorted(valid, key=lambda entry: (-entry.mean, entry.number)))

    @property
    def digests(self) -> frozenset[str]:
        """Digests of all programs."""
        return frozenset(entry.proposal.program.digest for entry in self.entries)

    def __getitem__(self, number: int) -> Entry:
        return self._entries[number]

    def of_round(self, number: int) -> tuple[Entry, ...]:
        """Return the programs of a round."""
        return tuple(entry for entry in self.entries if entry.round == number)

    def add(
        self,
        proposal: Proposal,
        *,
        round: int,
        child: int,
        parents: tuple[int, ...],
        together: bool = False,
    ) -> Entry:
        """Keep a program that nothing is known of yet."""
        entry = Entry(len(self._entries) + 1, round, child, parents, proposal, together=together)
        origin = {"round": round, "child": child, "parents": parents, "together": together}
        self._folder.save_proposal(entry.number, proposal)
        self._write(entry.number, "origin", origin)
        self._entries[entry.number] = entry
        return entry

    def judge(self, number: int, report: VerificationReport) -> Entry:
        """Keep the report on a program."""
        self._folder.save_report(number, report)
        return self._replace(number, report=report)

    def weigh(self, number: int, quality: Quality) -> Entry:
        """Keep the quality of a program that passed."""
        self._write(number, "quality", asdict(quality))
        return self._replace(number, quality=quality)

    def _replace(self, number: int, **found: object) -> Entry:
        self._entries[number] = replace(self._entries[number], **found)  # type: ignore[arg-type]
        return self._entries[number]

    def _write(self, number: int, name: str, data: dict[str, object]) -> None:
        write_whole(self._folder.attempt_folder(number) / f"{name}.json", json.dumps(data, indent=1) + "\n")

    def _read(self, number: int, origin: Path) -> Entry:
        kept = json.loads(origin.read_text(encoding="utf-8"))
        weighed = origin.with_name("quality.json")
        return Entry(
            number,
            kept["round"],
            kept["child"],
            tuple(kept["parents"]),
            self._folder.proposal(number),
            self._folder.report(number) if self._folder.has_report(number) else None,
            Quality(**json.loads(weighed.read_text(encoding="utf-8"))) if weighed.exists() else None,
            kept.get("together", False),
        )


def frontier(entries: Iterable[Entry]) -> set[int]:
    """Return the numbers of the valid programs that are the best on at least one pair.

    Parameters
    ----------
    entries : iterable of Entry
        Those that are not valid are passed over.
    """
    best: dict[str, tuple[float, int]] = {}
    for entry in entries:
        if entry.valid and entry.quality is not None:
            for pair, value in entry.quality.values.items():
                best[pair] = max(best.get(pair, (-1.0, 0)), (value, -entry.number))
    return {-number for _, number in best.values()}


def best_of_both(one: Entry, other: Entry) -> float:
    """Return the mean over the pairs of the better of two valid programs on each."""
    assert one.quality is not None
    assert other.quality is not None
    return fmean(max(value, other.quality.values[pair]) for pair, value in one.quality.values.items())
