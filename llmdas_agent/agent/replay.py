"""A run again, from its folder alone: the same answers give the same programs, and these the same reports."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..programs import Proposal
from ..registry import Registry
from ..report import VerificationReport
from . import graph
from .chat import ChatProposer
from .named import named_proposer
from .proposers import Brief, Proposer
from .runs import Listener, RunFolder
from .settings import ModelSettings

__all__ = ["Replayed", "replay"]

_READ = ("run.json", "card.yaml", "prompts", "outbox")


@dataclass(frozen=True, slots=True)
class Replayed:
    """One attempt of a run, made again.

    Attributes
    ----------
    number : int
        The attempt, from 1.
    same_program : bool
        Whether the kept answer gave the same program.
    differing : tuple of str
        Checks whose verdicts differ.
    """

    number: int
    same_program: bool
    differing: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.same_program and not self.differing


def replay(folder: RunFolder, *, listen: Listener | None = None) -> list[Replayed]:
    """Walk a run again, in a folder of its own, asking no model and registering nothing.

    Parameters
    ----------
    folder : RunFolder
        The run.
    listen : callable, optional
        Called with every event of the second walk.

    Returns
    -------
    list of Replayed
        One for each attempt that the run reported on.

    Raises
    ------
    InputError
        When the run made no attempt, or is a refinement.
    ChatModelError
        When an answer that it needs was not kept.
    """
    if folder.refines:
        hint = "The same seed and number of rounds make it again: `llmdas-agent refine`"
        raise InputError("a refinement is not replayed", where=str(folder.path), hint=hint)
    numbers = [n for n in range(1, 1000) if folder.has_report(n)]
    if not numbers:
        raise InputError("the run made no attempt", where=str(folder.path), hint="There is nothing to replay")
    with tempfile.TemporaryDirectory() as room:
        again = _copy(folder, Path(room) / folder.id)
        proposer = _AsFar(_offline(again), numbers[-1])
        graph.run(again, proposer, registry=Registry(Path(room) / "registry"), listen=listen)
        return [_compared(folder, again, number) for number in numbers]


class _AsFar:
    """A run's proposer, with nothing left to try once there are as many programs as were reported on."""

    def __init__(self, proposer: Proposer, programs: int) -> None:
        self._proposer = proposer
        self._programs = programs
        self.name = proposer.name

    def propose(self, brief: Brief) -> Proposal | None:
        """Return what the run was proposed."""
        return self._proposer.propose(brief) if len(brief.attempts) < self._programs else None


def _copy(folder: RunFolder, path: Path) -> RunFolder:
    """Copy what a run reads; it may take its time."""
    path.mkdir()
    for name in _READ:
        source = folder.path / name
        if source.is_dir():
            shutil.copytree(source, path / name)
        elif source.exists():
            shutil.copy(source, path / name)
    settings = json.loads((path / "run.json").read_text(encoding="utf-8"))
    settings["budget"] = {"max_rounds": folder.budget.max_rounds, "max_seconds": 1e9}
    (path / "run.json").write_text(json.dumps(settings), encoding="utf-8")
    return RunFolder(path)


def _offline(folder: RunFolder) -> Proposer:
    if not (folder.path / "outbox").exists():
        return named_proposer(folder.proposer)
    settings = ModelSettings.from_dict(folder.model) if folder.model else None
    if settings is not None and settings.provider == "openai":
        return ChatProposer(settings, folder, offline=True)
    return ChatProposer(None, folder, offline=True)


def _compared(folder: RunFolder, again: RunFolder, number: int) -> Replayed:
    if not again.has_report(number):
        return Replayed(number, same_program=False, differing=())
    programs = folder.proposal(number).program, again.proposal(number).program
    before, after = (_verdicts(one.report(number)) for one in (folder, again))
    differing = [code for code in {**before, **after} if before.get(code) != after.get(code)]
    return Replayed(number, programs[0] == programs[1], tuple(differing))


def _verdicts(report: VerificationReport) -> dict[str, object]:
    return {verdict.code: verdict.model_dump() for verdict in report.verdicts}
