"""A proposer whose programs are known beforehand, and runs with it that are killed on the way."""

from __future__ import annotations

import os
import signal
from functools import partial

from chat_replies import COPIES

from llmdas_agent.agent import graph, steps
from llmdas_agent.agent.embedded import STRATEGIES, compose
from llmdas_agent.agent.proposers import Brief
from llmdas_agent.agent.runs import RunFolder
from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.verification import SCENARIOS, ToyBench

GOOD = compose([STRATEGIES[0]], 1.8).program.source


class Scripted:
    """Proposes a fixed list of programs, and keeps what it was told."""

    name = "scripted"

    def __init__(self, *sources: str) -> None:
        self.sources = sources
        self.briefs: list[Brief] = []

    def propose(self, brief: Brief) -> Proposal | None:
        self.briefs.append(brief)
        if len(brief.attempts) == len(self.sources):
            return None
        program = SynthesisProgram(self.sources[len(brief.attempts)])
        return Proposal(program, "what it misses", "what lies near", "scripted", 1.0)


def go_on_and_be_killed(run: str, home: str, node: str, moment: str) -> None:
    """Continue a run, on two scenarios, until a step is next ("before") or has just been done ("after")."""
    os.environ["LLMDAS_HOME"] = home
    steps.ToyBench = partial(ToyBench, scenarios=SCENARIOS[:2])  # type: ignore[misc, assignment]
    original = getattr(steps.Steps, node)

    def killed(self: steps.Steps, state: object) -> object:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, state)
        os.kill(os.getpid(), signal.SIGKILL)

    killed.__name__ = node
    setattr(steps.Steps, node, killed)
    graph.run(RunFolder.find(run), Scripted(COPIES, GOOD))
