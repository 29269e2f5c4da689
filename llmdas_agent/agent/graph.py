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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langsmith import tracing_context

from ..cards import DetectorCard
from ..config import Budget, data_dir
from ..detectors import DetectorSource
from ..errors import BudgetExceededError, LlmdasError, ModelFolderError, StorageError
from ..registry import Registry
from .proposers import Proposer
from .runs import ENDED, Listener, Result, RunFolder, only_one
from .spending import spent
from .steps import State, Steps

__all__ = ["begin", "create", "run"]

_DAMAGED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite says of a file that can be read and is none of its own."""


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
    proposer, seed, budget, candidates, model
        As in `create`.

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
    return create(card, proposer=proposer, seed=seed, budget=budget, candidates=candidates, model=model)


def create(
    card: DetectorCard,
    *,
    proposer: str,
    seed: int = 0,
    budget: Budget | None = None,
    candidates: int = 1,
    model: dict[str, Any] | None = None,
) -> RunFolder:
    """Make the folder of a new run; no code of the detector's runs yet.

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
    BusyError
        When another run for the same name is at work; nothing was written.
    """
    with only_one(data_dir() / "runs" / f".{card.name}.lock", f"run for '{card.name}'"):
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
        The run; one that has ended is not walked again, unless it is allowed more than what ended it.
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
    lock = folder.path.parent / f".{folder.detector}.lock"
    with only_one(lock, f"run for '{folder.detector}'"):
        folder.keep_budget()
        ended = folder.result()
        if ended is not None and ended.status in ENDED:
            return ended
        return _walk(Steps(folder, proposer, registry or Registry(), listen))


def _walk(steps: Steps) -> Result:
    """Walk the graph to its end, or on from where it stood."""
    folder = steps.folder
    first = State(round=0, last=0, spent=0.0, status="running", reason="", best=None, onward="")
    config: Any = {"configurable": {"thread_id": "run"}, "recursion_limit": 1000}
    with _checkpoint(folder) as connection:
        graph = _graph(steps).compile(checkpointer=SqliteSaver(connection))
        stands = graph.get_state(config)
        begun = stands.values
        if begun and not stands.next and begun["status"] != "accepted" and begun["best"] is not None:
            # with more rounds or time it may go on: whether it does is decided once more
            graph.update_state(config, {"status": "running", "onward": "revise"}, as_node="choose")
        try:
            # tracing would send the state to a third party whenever the environment asks for it
            with tracing_context(enabled=False):
                state = graph.invoke(None if begun else first, config, durability="sync")
        except BudgetExceededError as error:
            # the graph stands before the question that was not asked; with a higher cap it goes on from there
            last: Any = graph.get_state(config).values
            state = {**last, **steps.give_up(last), "status": "budget_exceeded", "reason": str(error)}
        except LlmdasError as error:
            steps.tell("error", str(error))
            seconds = graph.get_state(config).values.get("spent", 0.0)
            folder.save_result(Result("error", str(error), None, round(seconds, 3), _spending(folder)))
            raise
    seconds = round(state["spent"], 3)
    result = Result(state["status"], state["reason"], state["best"], seconds, _spending(folder))
    folder.save_result(result)
    steps.tell("end", result.reason, status=result.status, best=result.best, seconds=result.seconds)
    return result


def _spending(folder: RunFolder) -> dict[str, Any]:
    total = spent(folder.outbox)
    return total.as_dict() if total.requests else {}


def _graph(steps: Steps) -> StateGraph[State]:
    graph = StateGraph(State)
    for node in (
        steps.read_card,
        steps.probe,
        steps.propose,
        steps.run,
        steps.verify,
        steps.choose,
        steps.revise,
        steps.register,
        steps.give_up,
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


@contextmanager
def _checkpoint(folder: RunFolder) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(folder.checkpoint, check_same_thread=False)) as connection:
            yield connection
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            # only where the run stands is lost: what was proposed and answered lies in its folder
            raise ModelFolderError(
                f"is damaged ({error})",
                where=str(folder.checkpoint),
                hint=f"Remove it, then go through the run again with `llmdas-agent add-detector --resume "
                f"{folder.id}`: what a chat model answered is not asked again",
            ) from error
        raise StorageError(
            f"cannot be written ({error})",
            where=str(folder.checkpoint),
            hint=f"Free some space, then go on with `llmdas-agent add-detector --resume {folder.id}`",
        ) from error


def _onward(state: State) -> str:
    return state["onward"]
