"""The steps of the agent graph: each a node that reads the run folder, does its work and writes it back."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from ..detectors import DetectorSource
from ..errors import BudgetExceededError, ChatModelError
from ..files import write_whole
from ..programs import Proposal
from ..registry import Registry
from ..report import Verdict, VerificationReport
from ..synthesizer import Synthesizer
from ..verification import ToyBench, Trial, judge, probe, try_program
from .proposers import Brief, Proposer
from .runs import Event, Listener, RunFolder, Status
from .spending import Spending, spent

__all__ = ["State", "Steps"]


class State(TypedDict):
    """Where a run stands.

    Attributes
    ----------
    round : int
        The attempt at work, from 1; 0 before the first.
    last : int
        The last attempt of those proposed side by side with it.
    spent : float
        Seconds spent so far.
    status : str
        ``running``, or how the run ended.
    reason : str
        Why it ended so.
    best : int or None
        The best attempt so far.
    onward : str
        The node that the last one leads to, where there is a choice.
    """

    round: int
    last: int
    spent: float
    status: Literal["running"] | Status
    reason: str
    best: int | None
    onward: str


class Steps:
    """The nodes of the graph, over one run folder.

    Parameters
    ----------
    folder : RunFolder
        The run.
    proposer : Proposer
        Who writes the programs.
    registry : Registry
        Where an accepted synthesizer goes.
    listen : callable or None
        Called with every `Event` as it happens.
    """

    def __init__(
        self, folder: RunFolder, proposer: Proposer, registry: Registry, listen: Listener | None
    ) -> None:
        self.folder = folder
        self.proposer = proposer
        self.registry = registry
        self._listen = listen
        self.bench = ToyBench(DetectorSource.from_card(folder.card()), seed=folder.seed)
        self._trial: Trial | None = None
        self._clock = time.monotonic()

    def read_card(self, state: State) -> dict[str, Any]:
        """Read the card that the run works from."""
        card = self.folder.card()
        self.tell("card", f"{card.full_name} ({card.build.class_path})", name=card.name)
        return self._timed(state)

    def probe(self, state: State) -> dict[str, Any]:
        """Measure what the detector misses."""
        profile = probe(self.bench)
        self.folder.save_profile(profile)
        blindest = ", ".join(f"{score.family} {score.auroc:.2f}" for score in profile.families[:3])
        self.tell("profile", f"sees least (AUROC): {blindest}", **profile.model_dump())
        return self._timed(state)

    def propose(self, state: State) -> dict[str, Any]:
        """Ask for the next programs."""
        until = self._clock + self.folder.budget.max_seconds - state["spent"]
        tried = self.folder.attempts(upto=state["round"])
        brief = Brief(self.folder.card(), self.folder.profile(), tried, until=until)
        wanted = min(self.folder.candidates, self.folder.budget.max_rounds - state["round"])
        made = self._proposed(brief, wanted)
        if not made:
            reason = self._why_none(state["round"])
            if wanted > 0:  # none where fewer rounds are allowed by now than were walked
                reason = f"{self.proposer.name} has nothing left to try; {reason}"
            return self._timed(state, status="exhausted", reason=reason, onward="give_up")
        for number, proposal in enumerate(made.values(), start=state["round"] + 1):
            self.folder.save_proposal(number, proposal)
            self._tell_proposal(number, proposal)
        return self._timed(state, round=state["round"] + 1, last=state["round"] + len(made), onward="run")

    def _proposed(self, brief: Brief, wanted: int) -> dict[str, Proposal]:
        """Ask so many times, and return the programs by digest."""
        made: dict[str, Proposal] = {}
        before = spent(self.folder.outbox)
        try:
            for number in range(1, wanted + 1):
                asking = f"{len(brief.attempts) + 1}.{number}"
                proposal = self.proposer.propose(replace(brief, asking=asking))
                if proposal is not None:
                    made.setdefault(proposal.program.digest, proposal)
        except (BudgetExceededError, ChatModelError) as error:
            # what was answered is paid, so it is tried; a replay ends its asking where the run did
            if not made or getattr(error, "code", "not_kept") != "not_kept":
                raise
        finally:
            self._tell_spending(before, kept=bool(made))
        return made

    def run(self, state: State) -> dict[str, Any]:
        """Run the program at work on the toy scenarios, confined."""
        number = state["round"]
        problem = self.folder.proposal(number).problem
        if problem:
            self.folder.save_report(number, self._unusable(number, problem))
            return self._timed(state, onward="choose")
        self._trial = self._tried(number, tell=True)
        if self._trial.evidence is None:
            self.folder.save_report(number, self._trial.report())
        return self._timed(state, onward="choose" if self._trial.evidence is None else "verify")

    def verify(self, state: State) -> dict[str, Any]:
        """Check what it made."""
        number = state["round"]
        # after an interruption the rows are gone; the same seed makes them again
        trial = self._trial or self._tried(number, tell=False)
        self._trial = None
        report = judge(trial, on_verdict=lambda verdict: self._tell_verdict(number, verdict))
        self.folder.save_report(number, report)
        return self._timed(state)

    def choose(self, state: State) -> dict[str, Any]:
        """Go on to the next of those proposed side by side, or take the best."""
        if state["round"] < state["last"]:
            return self._timed(state, round=state["round"] + 1, onward="run")
        best = self._best(state["last"])
        accepted = self.folder.report(best).accepted
        return self._timed(state, best=best, onward="register" if accepted else "revise")

    def revise(self, state: State) -> dict[str, Any]:
        """Hand the report back, unless rounds or time are spent."""
        budget, last = self.folder.budget, self.folder.report(state["round"])
        update = self._timed(state, onward="propose")
        if update["spent"] >= budget.max_seconds:
            reason = f"{budget.max_seconds:g} s are spent; {self._why_none(state['round'])}"
            return update | {"status": "budget_exceeded", "reason": reason, "onward": "give_up"}
        if state["round"] >= budget.max_rounds:
            reason = self._why_none(state["round"])
            return update | {"status": "exhausted", "reason": reason, "onward": "give_up"}
        failed = "; ".join(
            f"{verdict.code}: {(verdict.hint or verdict.message).rstrip('.')}" for verdict in last.failures()
        )
        self.tell("revision", failed, round=state["round"])
        return update

    def register(self, state: State) -> dict[str, Any]:
        """Register the program that passed."""
        number = state["best"] or state["round"]
        self._write_page(number)
        # a run that was killed right after registering comes here again: once is enough
        synthesizer = self._already_registered(number) or self.registry.add(self._synthesizer(number))
        # a comparison's cell and a replay have a registry of their own, so the place is told
        told = f"'{synthesizer.name}' in {synthesizer.folder}"
        self.tell("registered", told, folder=str(synthesizer.folder))
        reason = f"program {number} passed every check"
        return self._timed(state, status="accepted", reason=reason, best=number)

    def give_up(self, state: State) -> dict[str, Any]:
        """End without a program."""
        if state["best"] is not None:
            self._write_page(state["best"])
        return self._timed(state)

    def _unusable(self, number: int, problem: str) -> VerificationReport:
        """Return the report on an answer that held no program."""
        verdict = Verdict(code="reply", passed=False, message=problem)
        self._tell_verdict(number, verdict)
        return VerificationReport(
            detector=self.folder.detector,
            program_digest=self.folder.proposal(number).program.digest,
            seed=self.folder.seed,
            verdicts=(verdict,),
            complete=False,
            seconds=0.0,
            versions={},
        )

    def _tried(self, number: int, *, tell: bool) -> Trial:
        listener = (lambda verdict: self._tell_verdict(number, verdict)) if tell else None
        return try_program(self.folder.proposal(number).program, self.bench, on_verdict=listener)

    def _best(self, rounds: int) -> int:
        """Return the attempt that got furthest: most checks passed, then the least probable rows."""

        def progress(number: int) -> tuple[int, float, int]:
            report = self.folder.report(number)
            validity = report.verdict("validity")
            improbable = validity.evidence.get("improbable", 0.0) if validity else 0.0
            return sum(verdict.passed for verdict in report.verdicts), improbable, number

        return max(range(1, rounds + 1), key=progress)

    def _write_page(self, number: int) -> None:
        """Leave the report on a program as a page; the same seed makes the rows that it shows again."""
        # nothing before the end of a run draws
        from ..verification.html import render_html

        text = render_html(
            self._tried(number, tell=False),
            self.folder.report(number),
            proposal=self.folder.proposal(number),
            profile=self.folder.profile(),
            provenance=self._provenance(number) | {"verified": _now()},
        )
        write_whole(self.folder.page, text)

    def _provenance(self, number: int) -> dict[str, Any]:
        total = spent(self.folder.outbox)
        return {
            "proposer": self.proposer.name,
            "prompts": self.folder.prompts_digest(),
            "spent": str(total) if total.requests else None,
            "run": self.folder.id,
            "attempt": number,
            "seed": self.folder.seed,
        }

    def _why_none(self, rounds: int) -> str:
        """Say how many programs failed which check, the commonest first."""
        failed = Counter(
            verdict.code
            for number in range(1, rounds + 1)
            for verdict in self.folder.report(number).failures()
        )
        told = ", ".join(
            f"{'all' if count == rounds else count} failed '{code}'" for code, count in failed.most_common()
        )
        return f"none of {rounds} programs passed: {told}" if told else "no program was proposed"

    def _synthesizer(self, number: int) -> Synthesizer:
        return Synthesizer(
            name=self.folder.detector,
            card=self.folder.card(),
            proposal=self.folder.proposal(number),
            report=self.folder.report(number),
            profile=self.folder.profile(),
            provenance=self._provenance(number) | {"registered": _now()},
        )

    def _already_registered(self, number: int) -> Synthesizer | None:
        name = self.folder.detector
        found = self.registry.get(name) if name in self.registry.names() else None
        same = found and (found.provenance.get("run"), found.provenance.get("attempt")) == (
            self.folder.id,
            number,
        )
        return found if same else None

    def _timed(self, state: State, **update: Any) -> dict[str, Any]:
        """Return a node's update to the state, with the time it took added."""
        now = time.monotonic()
        spent, self._clock = state["spent"] + now - self._clock, now
        return {"spent": spent, **update}

    def _tell_proposal(self, number: int, proposal: Proposal) -> None:
        strength = "" if proposal.strength == 1 else f", strength {proposal.strength:g}"
        self.tell(
            "proposal",
            "an answer without a program"
            if proposal.problem
            else f"{proposal.strategy}{strength}: aims at {proposal.blind_spot}",
            round=number,
            digest=proposal.program.digest,
            strategy=proposal.strategy,
            strength=proposal.strength,
            blind_spot=proposal.blind_spot,
            borderline=proposal.borderline,
            problem=proposal.problem,
        )

    def _tell_verdict(self, number: int, verdict: Verdict) -> None:
        word = "passed" if verdict.passed else "failed"
        self.tell(
            "check", f"{verdict.code} {word}: {verdict.message}", round=number, verdict=verdict.model_dump()
        )

    def _tell_spending(self, before: Spending, *, kept: bool) -> None:
        """Say what a chat model has cost so far, if one was asked or an answer of its was kept."""
        now = spent(self.folder.outbox)
        asked = now.requests - before.requests
        if asked or (kept and now.requests):
            words = str(now) if asked else f"{now}; nothing more, the answer was kept from before"
            self.tell("spending", words, asked=asked, **now.as_dict())

    def tell(self, step: str, message: str, **data: Any) -> None:
        """Write a line of the journal, and let the listener know."""
        event = Event(step, message, data)
        self.folder.record(event)
        if self._listen is not None:
            self._listen(event)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
