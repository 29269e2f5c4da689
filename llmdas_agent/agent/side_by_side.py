"""The walk through a comparison: each model writes programs for each detector.

A cell that has ended is not walked again, and one that could not be is tried again, so that a comparison that
was interrupted goes on where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ..cards import load_card
from ..config import Budget
from ..detectors import DetectorSource
from ..errors import LlmdasError
from ..registry import Registry
from . import graph
from .chat import ChatProposer
from .comparison import Cell, Comparison
from .estimate import estimate
from .named import named_proposer, proposer_names
from .proposers import Proposer
from .runs import Event, Listener, RunFolder, Status, only_one
from .settings import OPENAI_URL, ModelSettings, key_in, resolve, withdraw_keys
from .spending import Spending, left, spent

__all__ = ["walk"]

_ADDRESSED = re.compile(r"(.+?)@(https?://.+)")
"""A model with the address of its server; a name may hold an ``@`` of its own."""

Writer = tuple[RunFolder, Proposer]


def walk(comparison: Comparison, *, listen: Listener | None = None) -> Iterator[Cell]:
    """Walk the cells, each to its end, and yield them as they end.

    Parameters
    ----------
    comparison : Comparison
        Which.
    listen : callable, optional
        Called with every event of every run, and with one of step ``cell`` before each.

    Yields
    ------
    Cell
        One that could not be walked to its end says why.

    Raises
    ------
    BusyError
        When another process is at work on the comparison.
    """
    with only_one(comparison.path / ".lock", f"comparison '{comparison.id}'"):
        places = [(detector, model) for detector in comparison.detectors for model in comparison.models]
        # all keys are taken from the environment before any detector's or program's code runs
        writers = [_writer(comparison, *place) for place in places]
        withdraw_keys(tracing=False)
        _tell_estimate([one for one in writers if isinstance(one, tuple)], listen)
        for (detector, model), writer in zip(places, writers, strict=True):
            failed = str(writer) if isinstance(writer, LlmdasError) else ""
            if isinstance(writer, tuple):
                if listen is not None:
                    listen(Event("cell", f"{model} for {detector}"))
                failed = _walk_cell(comparison, *writer, listen)
            yield _cell(comparison, detector, model, failed)


def _writer(comparison: Comparison, detector: str, model: str) -> Writer | LlmdasError | None:
    """Return a cell's run and who writes its programs, or why nobody can; None where it has ended."""
    path = comparison.folder(detector, model)
    kept = RunFolder(path) if (path / "run.json").exists() else None
    if kept is not None and _is_final(kept, comparison.budget):
        return None
    try:
        if model in proposer_names():
            return kept or _begin(comparison, detector, model, None), named_proposer(model)
        settings = _settings(comparison, model, kept)
        folder = kept or _begin(comparison, detector, model, settings)
        return folder, ChatProposer(settings, folder)
    except LlmdasError as error:
        return error


def _is_final(folder: RunFolder, budget: Budget) -> bool:
    """Return whether a run has ended in a way that this budget does not change."""
    ended = folder.result()
    if ended is None:
        return False
    spent_rounds = ended.status == "exhausted" and budget.max_rounds <= folder.budget.max_rounds
    return ended.status == "accepted" or spent_rounds


def _settings(comparison: Comparison, model: str, kept: RunFolder | None) -> ModelSettings:
    addressed = _ADDRESSED.fullmatch(model)
    name, url = addressed.groups() if addressed else (model, comparison.base_url)
    settings = resolve(name, url, begun_with=kept.model if kept else None)
    assert settings is not None, "a model is named"
    if addressed and settings.base_url != OPENAI_URL and key_in("LLMDAS_API_KEY") is None:
        # OpenAI's key is for OpenAI's server, which is one of several here
        settings = replace(settings, key=None)
    return settings


def _begin(comparison: Comparison, detector: str, model: str, settings: ModelSettings | None) -> RunFolder:
    return RunFolder.create(
        load_card(comparison.path / "cards" / f"{detector}.yaml"),
        proposer=settings.id if settings else model,
        seed=comparison.seed,
        budget=comparison.budget,
        model=settings.as_dict() if settings else None,
        path=comparison.folder(detector, model),
    )


def _walk_cell(comparison: Comparison, folder: RunFolder, proposer: Proposer, listen: Listener | None) -> str:
    """Walk one run to its end, and return why that could not be done."""
    _cap(comparison, folder)
    try:
        DetectorSource.from_card(folder.card()).try_out()
        graph.run(folder, proposer, registry=Registry(folder.path / "registry"), listen=listen)
    except LlmdasError as error:
        return str(error)
    return ""


def _cap(comparison: Comparison, folder: RunFolder) -> None:
    """Give a run the comparison's rounds and time, and what the others have left of the caps."""
    outboxes = (comparison.path / "cells").glob("*/outbox")
    others = sum((spent(path) for path in outboxes if path != folder.outbox), Spending())
    folder.allow(**asdict(left(comparison.budget, others)))


def _cell(comparison: Comparison, detector: str, model: str, failed: str) -> Cell:
    path = comparison.folder(detector, model)
    if not (path / "run.json").exists():
        return Cell(detector, model, "error", failed, 0, Spending(), None, 0.0, path)
    folder = RunFolder(path)
    result = folder.result()
    status: Status = "error" if failed or result is None else result.status
    best = result.best if result is not None and status == "accepted" else None
    return Cell(
        detector,
        model,
        status,
        failed or (result.reason if result else ""),
        rounds=_count(path / "attempts"),
        spending=spent(folder.outbox),
        quality=folder.report(best).score if best is not None else None,
        seconds=result.seconds if result else 0.0,
        run=path,
    )


def _count(folder: Path) -> int:
    return len(list(folder.glob("*")))


def _tell_estimate(writers: Sequence[Writer], listen: Listener | None) -> None:
    """Say what the cells that are still to be walked may take."""
    about = Spending()
    for folder, proposer in writers:
        if isinstance(proposer, ChatProposer) and folder.model:
            model = ModelSettings.from_dict(folder.model)
            about += estimate(proposer, model, folder.card(), folder.budget, folder.candidates)
    if listen is not None and about.requests:
        listen(Event("estimate", f"about {about}, if every program is needed", about.as_dict()))
