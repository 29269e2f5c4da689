"""The search: rounds of programs made from better ones, until something says stop.

::

    choose parents ─► propose ─► check on what is shown ─► measure what passed, held apart ─► archive
          ▲                                                                                      │
          └──────────────────────────────────────────────────────────────────────────────────────┘

Everything that a step finds is in the archive before the next one begins, and chance depends on the seed, the
round and the child alone. So a search that was interrupted goes on as if it had not been, and comes to the
same end with any number of jobs.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ...errors import BudgetExceededError
from ...files import write_whole
from ...programs import Proposal
from ...report import Verdict, VerificationReport
from ...verification import ToyBench, judge, try_program
from ..runs import Event, Listener, RunFolder
from ..spending import spent
from .archive import Archive, Entry, frontier
from .improvers import Improver, Task
from .pairing import pair, put_together
from .parents import choose
from .quality import HeldApart

__all__ = ["CHILDREN", "PATIENCE", "Round", "Search", "Stop", "rounds_of"]

CHILDREN = 4
"""Programs proposed in a round; the last is two of those before put together, where two promise something."""

PATIENCE = 10
"""Rounds without a better program after which a search ends."""

Parents = tuple[Entry, ...]

Stop = Literal["rounds", "time", "tokens", "cost", "no progress", "nothing left"]

_SPENT: dict[str, Stop] = {"--max-time": "time", "--max-tokens": "tokens", "--max-cost": "cost"}
"""What is spent, by where a `BudgetExceededError` says that it was capped."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round left behind.

    Attributes
    ----------
    number : int
        From 0, the incumbent's.
    programs, valid : int
        Programs in the archive, and how many of them have a quality.
    best : int or None
        Number of the best one.
    quality : float or None
        Its mean quality.
    frontier : int
        How many are the best on at least one pair of scenario and seed.
    seconds : float
        How long the round took.
    """

    number: int
    programs: int
    valid: int
    best: int | None
    quality: float | None
    frontier: int
    seconds: float


class Search:
    """A search in one run folder.

    Parameters
    ----------
    folder : RunFolder
        The run, whose archive holds the incumbent.
    improver : Improver
        Who writes the programs.
    shown : ToyBench
        The scenarios whose reports the improver reads.
    apart : HeldApart
        What quality is measured on.
    listen : callable or None
        Called with every `Event`.
    """

    def __init__(
        self,
        folder: RunFolder,
        improver: Improver,
        shown: ToyBench,
        apart: HeldApart,
        listen: Listener | None = None,
    ) -> None:
        self.folder = folder
        self.archive = Archive(folder)
        self.improver = improver
        self._shown = shown
        self._apart = apart
        self._listen = listen
        self._rounds = rounds_of(folder)

    def run(self) -> tuple[Stop, str]:
        """Search until something says stop.

        Returns
        -------
        tuple of (str, str)
            What ended it, in a word and in a sentence.

        Raises
        ------
        ChatModelError
            When a chat model does not answer; the search can go on later.
        """
        if not self._rounds:
            self._round(0)
        stop = self._stop()
        while stop is None:
            stop = self._round(len(self._rounds)) or self._stop()
        return stop

    def tell(self, step: str, message: str, **data: Any) -> None:
        """Write a line of the journal, and let the listener know."""
        event = Event(step, message, data)
        self.folder.record(event)
        if self._listen is not None:
            self._listen(event)

    @property
    def _seconds_left(self) -> float:
        return self.folder.budget.max_seconds - sum(one.seconds for one in self._rounds)

    def _stop(self) -> tuple[Stop, str] | None:
        budget, rounds = self.folder.budget, len(self._rounds) - 1
        if rounds >= budget.max_rounds:
            return "rounds", f"{rounds} rounds were walked"
        if self._seconds_left <= 0:
            return "time", f"{budget.max_seconds:g} s are spent"
        best = [one.quality or 0.0 for one in self._rounds]
        if rounds >= PATIENCE and max(best[:-PATIENCE], default=0.0) >= best[-1]:
            return "no progress", f"the last {PATIENCE} rounds brought nothing better"
        return None

    def _round(self, number: int) -> tuple[Stop, str] | None:
        began = time.monotonic()
        stop = self._propose(number, until=began + self._seconds_left) if number else None
        for entry in self.archive.of_round(number):
            if entry.report is None:
                self._check(entry)
        self._measure([one for one in self.archive.of_round(number) if one.accepted and one.quality is None])
        if number and stop is None and not self.archive.of_round(number):
            stop = "nothing left", f"{self.improver.name} has nothing left to try"
        if self.archive.of_round(number):
            self._finish(number, time.monotonic() - began)
        return stop

    def _propose(self, number: int, *, until: float) -> tuple[Stop, str] | None:
        """Keep the round's new programs; return why no more could be asked for, if so."""
        there = {entry.child for entry in self.archive.of_round(number)}
        for child in range(1, CHILDREN + 1):
            if child in there:
                continue
            try:
                self._propose_one(number, child, until)
            except BudgetExceededError as error:
                return _SPENT[error.where], error.what
        return None

    def _propose_one(self, number: int, child: int, until: float) -> None:
        both = pair(self.archive, number) if child == CHILDREN else None
        proposal, parents = _joined(*both) if both else self._improved(number, child, until)
        if proposal is None or proposal.program.digest in self.archive.digests:
            return
        numbers = tuple(parent.number for parent in parents)
        entry = self.archive.add(
            proposal, round=number, child=child, parents=numbers, together=both is not None
        )
        made_from = " and ".join(map(str, numbers)) + (" together" if both else "")
        told = "an answer without a program" if proposal.problem else proposal.strategy
        self.tell("program", f"{entry.number} from {made_from}: {told}", number=entry.number, parents=numbers)

    def _improved(self, number: int, child: int, until: float) -> tuple[Proposal | None, Parents]:
        """Return what the improver makes of a program, and the programs that it read."""
        rng = np.random.default_rng([self.folder.seed, number, child])
        parent, other = choose(self.archive, number, rng)
        known = frozenset(
            entry.proposal.program.digest
            for entry in self.archive.entries
            if (entry.round, entry.child) < (number, child)
        )
        asking = f"refine {number}.{child}"
        before = spent(self.folder.outbox)
        task = Task(self.folder.card(), self.folder.profile(), parent, other, known, rng, asking, until)
        proposal = self.improver.improve(task)
        after = spent(self.folder.outbox)
        if after.requests:
            self.tell("spending", str(after), asked=after.requests - before.requests, **after.as_dict())
        return proposal, (parent, other) if other else (parent,)

    def _check(self, entry: Entry) -> None:
        if entry.proposal.problem:
            report = _unusable(self.folder, entry.proposal)
        else:
            report = judge(try_program(entry.proposal.program, self._shown))
        self.archive.judge(entry.number, report)
        failed = ", ".join(verdict.code for verdict in report.failures())
        found = f"fails {failed}" if failed else "passes every check"
        self.tell("check", f"{entry.number} {found}", number=entry.number, accepted=report.accepted)

    def _measure(self, entries: list[Entry]) -> None:
        measured = self._apart.measure([entry.proposal.program for entry in entries])
        for entry, quality in zip(entries, measured, strict=True):
            self.archive.weigh(entry.number, quality)
            found = f"breaks off: {quality.failure}" if quality.failure else f"{quality.mean:.4f}"
            self.tell("quality", f"{entry.number} {found}", number=entry.number)

    def _finish(self, number: int, seconds: float) -> None:
        best = next(iter(self.archive.valid), None)
        done = Round(
            number,
            programs=len(self.archive.entries),
            valid=len(self.archive.valid),
            best=best.number if best else None,
            quality=best.mean if best else None,
            frontier=len(frontier(self.archive.entries)),
            seconds=round(seconds, 3),
        )
        self._rounds.append(done)
        kept = json.dumps([asdict(one) for one in self._rounds], indent=1) + "\n"
        write_whole(self.folder.path / "rounds.json", kept)
        told = f"best {best.mean:.4f} (program {best.number})" if best else "no program passes yet"
        words = f"{number}: {told}, {done.valid} of {done.programs} valid, {done.frontier} on the frontier"
        self.tell("round", words, **asdict(done))


def rounds_of(folder: RunFolder) -> list[Round]:
    """Return the rounds that a search in a folder has finished."""
    path = folder.path / "rounds.json"
    return [Round(**one) for one in json.loads(path.read_text("utf-8"))] if path.exists() else []


def _joined(first: Entry, second: Entry) -> tuple[Proposal, Parents]:
    return put_together(first.proposal, second.proposal), (first, second)


def _unusable(folder: RunFolder, proposal: Proposal) -> VerificationReport:
    """Return the report on an answer that held no program."""
    return VerificationReport(
        detector=folder.detector,
        program_digest=proposal.program.digest,
        seed=folder.seed,
        verdicts=(Verdict(code="reply", passed=False, message=proposal.problem),),
        complete=False,
        seconds=0.0,
        versions={},
    )
