"""The agent graph: from a card to a registered synthesizer.

::

    read_card ─► probe ─► propose ─► run ─► verify ─► choose ─► register
                            ▲         ▲└────────────►│ │
                            │         └──────────────┘ ▼
                            └──────────────────────  revise
                                                       │
                            propose ───────────────────┴──► give_up

Several programs may be proposed side by side: each is run and verified before ``choose`` takes the best.
The state that langgraph keeps is plain JSON and says only where the run stands; what was proposed and
found lies in the run folder. A node that is interrupted runs again and writes the same files.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from filelock import FileLock, Timeout
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langsmith import tracing_context

from ..cards import DetectorCard
from ..config import Budget, data_dir
from ..detectors import DetectorSource
from ..errors import BusyError, LlmdasError, StorageError
from ..files import storage_errors
from ..programs import Proposal
from ..registry import Registry, Synthesizer
from ..report import Verdict, VerificationReport
from ..verification import ToyBench, Trial, judge, probe, try_program
from .proposers import Brief, Proposer
from .runs import ENDED, Event, Listener, Result, RunFolder, Status

__all__ = ["State", "begin", "run"]


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


def begin(
    card: DetectorCard,
    *,
    proposer: str,
    seed: int = 0,
    budget: Budget | None = None,
    candidates: int = 1,
    model: dict[str, Any] | None = None,
) -> RunFolder:
    """Make the folder of a new run, once the card's detector has been built and tried out.

    Parameters
    ----------
    card : DetectorCard
        The detector.
    proposer : str
        Name of the proposer that the run is for.
    seed : int
        Seed of the toy scenarios and of every run of a program.
    budget : Budget, optional
        Rounds and time.
    candidates : int
        Programs proposed side by side, of which the best verified one wins.
    model : dict, optional
        How its chat model is reached, JSON-plain and without a key; the run folder keeps it.

    Returns
    -------
    RunFolder

    Raises
    ------
    DetectorError
        When the detector cannot be built or fitted; nothing was written.
    BusyError
        When another run for the same name is at work; nothing was written.
    """
    DetectorSource.from_card(card).try_out()
    with _only_run_of(card.name):
        return RunFolder.create(
            card,
            proposer=proposer,
            seed=seed,
            budget=budget or Budget(),
            candidates=candidates,
            model=model,
        )


def run(
    folder: RunFolder,
    proposer: Proposer,
    *,
    registry: Registry | None = None,
    listen: Listener | None = None,
) -> Result:
    """Walk the graph to its end: from the start, or on from where an interrupted run stood.

    Parameters
    ----------
    folder : RunFolder
        The run; one that has ended is not walked again.
    proposer : Proposer
        Who writes the programs.
    registry : Registry, optional
        Where an accepted synthesizer goes; the user's own when left out.
    listen : callable, optional
        Called with every `Event` as it happens.

    Returns
    -------
    Result
        Nothing is registered unless its status is ``accepted``.

    Raises
    ------
    BusyError
        When another run for the same name is at work.
    LlmdasError
        When a step could not be done; the run is then in ``error`` and can be resumed.
    """
    with _only_run_of(folder.detector):
        ended = folder.result()
        if ended is not None and ended.status in ENDED:
            return ended
        return _Agent(folder, proposer, registry or Registry(), listen).go()


def _only_run_of(name: str) -> Any:
    runs = data_dir() / "runs"
    with storage_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(runs / f".{name}.lock", blocking=False)
    try:
        return lock.acquire()
    except Timeout:
        raise BusyError(
            f"another run for '{name}' is at work",
            where=str(runs),
            hint="Wait for it to end, or stop it, then try again",
        ) from None


@contextmanager
def _checkpoint(folder: RunFolder) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(folder.checkpoint, check_same_thread=False)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StorageError(
            f"cannot be written ({error})",
            where=str(folder.checkpoint),
            hint=f"Free some space, then go on with `llmdas-agent add-detector --resume {folder.id}`",
        ) from error


def _onward(state: State) -> str:
    return state["onward"]


class _Agent:
    """The nodes of the graph, over one run folder."""

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

    def go(self) -> Result:
        """Walk the graph to its end, or on from where it stood."""
        first = State(round=0, last=0, spent=0.0, status="running", reason="", best=None, onward="")
        config: Any = {"configurable": {"thread_id": "run"}, "recursion_limit": 1000}
        with _checkpoint(self.folder) as connection:
            graph = self._graph().compile(checkpointer=SqliteSaver(connection))
            begun = graph.get_state(config).values
            try:
                # tracing would send the state to a third party whenever the environment asks for it
                with tracing_context(enabled=False):
                    state = graph.invoke(None if begun else first, config, durability="sync")
            except LlmdasError as error:
                self._tell("error", str(error))
                spent = graph.get_state(config).values.get("spent", 0.0)
                self.folder.save_result(Result("error", str(error), None, round(spent, 3)))
                raise
        result = Result(state["status"], state["reason"], state["best"], round(state["spent"], 3))
        self.folder.save_result(result)
        self._tell("end", result.reason, status=result.status, best=result.best, seconds=result.seconds)
        return result

    def _graph(self) -> StateGraph[State]:
        graph = StateGraph(State)
        for node in (
            self.read_card,
            self.probe,
            self.propose,
            self.run,
            self.verify,
            self.choose,
            self.revise,
            self.register,
            self.give_up,
        ):
            graph.add_node(node.__name__, node)
        graph.add_edge(START, "read_card")
        graph.add_edge("read_card", "probe")
        graph.add_edge("probe", "propose")
        graph.add_conditional_edges("propose", _onward, ["run", "give_up"])
        graph.add_conditional_edges("run", _onward, ["verify", "choose"])
        graph.add_edge("verify", "choose")
        graph.add_conditional_edges("choose", _onward, ["run", "register", "revise"])
        graph.add_conditional_edges("revise", _onward, ["propose", "give_up"])
        graph.add_edge("register", END)
        graph.add_edge("give_up", END)
        return graph

    def read_card(self, state: State) -> dict[str, Any]:
        card = self.folder.card()
        self._tell("card", f"{card.full_name} ({card.build.class_path})", name=card.name)
        return self._timed(state)

    def probe(self, state: State) -> dict[str, Any]:
        profile = probe(self.bench)
        self.folder.save_profile(profile)
        blindest = ", ".join(f"{score.family} {score.auroc:.2f}" for score in profile.families[:3])
        self._tell("profile", f"sees least (AUROC): {blindest}", **profile.model_dump())
        return self._timed(state)

    def propose(self, state: State) -> dict[str, Any]:
        brief = Brief(self.folder.card(), self.folder.profile(), self.folder.attempts(upto=state["round"]))
        wanted = min(self.folder.candidates, self.folder.budget.max_rounds - state["round"])
        made: dict[str, Proposal] = {}
        for _ in range(wanted):
            proposal = self.proposer.propose(brief)
            if proposal is not None:
                made.setdefault(proposal.program.digest, proposal)
        if not made:
            reason = f"{self.proposer.name} has nothing left to try after {state['round']} programs"
            return self._timed(state, status="exhausted", reason=reason, onward="give_up")
        for number, proposal in enumerate(made.values(), start=state["round"] + 1):
            self.folder.save_proposal(number, proposal)
            self._tell_proposal(number, proposal)
        return self._timed(state, round=state["round"] + 1, last=state["round"] + len(made), onward="run")

    def run(self, state: State) -> dict[str, Any]:
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
        number = state["round"]
        # after an interruption the rows are gone; the same seed makes them again
        trial = self._trial or self._tried(number, tell=False)
        self._trial = None
        report = judge(trial, on_verdict=lambda verdict: self._tell_verdict(number, verdict))
        self.folder.save_report(number, report)
        return self._timed(state)

    def choose(self, state: State) -> dict[str, Any]:
        if state["round"] < state["last"]:
            return self._timed(state, round=state["round"] + 1, onward="run")
        best = self._best(state["last"])
        accepted = self.folder.report(best).accepted
        return self._timed(state, best=best, onward="register" if accepted else "revise")

    def revise(self, state: State) -> dict[str, Any]:
        budget, last = self.folder.budget, self.folder.report(state["round"])
        update = self._timed(state, onward="propose")
        if update["spent"] >= budget.max_seconds:
            reason = f"{budget.max_seconds:g} s are spent and no program has passed"
            return update | {"status": "budget_exceeded", "reason": reason, "onward": "give_up"}
        if state["round"] >= budget.max_rounds:
            reason = f"none of {state['round']} programs passed"
            return update | {"status": "exhausted", "reason": reason, "onward": "give_up"}
        failed = "; ".join(
            f"{verdict.code}: {verdict.hint or verdict.message}" for verdict in last.failures()
        )
        self._tell("revision", failed, round=state["round"])
        return update

    def register(self, state: State) -> dict[str, Any]:
        number = state["best"] or state["round"]
        # a run that was killed right after registering comes here again: once is enough
        synthesizer = self._already_registered(number) or self.registry.add(self._synthesizer(number))
        self._tell("registered", f"registered '{synthesizer.name}'", folder=str(synthesizer.folder))
        reason = f"program {number} passed every check"
        return self._timed(state, status="accepted", reason=reason, best=number)

    def give_up(self, state: State) -> dict[str, Any]:
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

    def _synthesizer(self, number: int) -> Synthesizer:
        provenance = {
            "proposer": self.folder.proposer,
            "run": self.folder.id,
            "attempt": number,
            "seed": self.folder.seed,
            "registered": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return Synthesizer(
            name=self.folder.detector,
            card=self.folder.card(),
            proposal=self.folder.proposal(number),
            report=self.folder.report(number),
            profile=self.folder.profile(),
            provenance=provenance,
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
        self._tell(
            "proposal",
            proposal.problem or f"{proposal.strategy}{strength}: aims at {proposal.blind_spot}",
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
        self._tell(
            "check", f"{verdict.code} {word}: {verdict.message}", round=number, verdict=verdict.model_dump()
        )

    def _tell(self, step: str, message: str, **data: Any) -> None:
        event = Event(step, message, data)
        self.folder.record(event)
        if self._listen is not None:
            self._listen(event)
