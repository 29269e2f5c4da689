"""A refinement from its beginning to its end: the search, the challenge, and what is registered.

::

    RUN/
      run.json  card.yaml  profile.json  journal.jsonl  prompts/  outbox/    as of any run
      attempts/      the archive; 01 is the incumbent as it stood
      rounds.json    what each round left behind
      duel.json      how the challenger did
      outcome.json   how it ended
      report.html    all of it, for a person
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ...config import Budget, data_dir
from ...detectors import DetectorSource
from ...files import write_whole
from ...registry import Registry
from ...synthesizer import Synthesizer
from ...verification import ToyBench
from ..runs import Listener, RunFolder, only_one
from ..spending import spent
from .archive import Archive
from .challenge import Challenge, challenge, register
from .duel import Duel
from .html import render
from .improvers import Improver
from .outcome import Outcome
from .quality import Arena
from .search import Search, rounds_of

__all__ = ["begin", "refine"]


def begin(
    incumbent: Synthesizer,
    *,
    improver: str,
    seed: int = 0,
    budget: Budget | None = None,
    model: dict[str, Any] | None = None,
) -> RunFolder:
    """Make the folder of a new refinement.

    Parameters
    ----------
    incumbent : Synthesizer
        Whose program is to be improved.
    improver : str
        Name of who writes the programs.
    seed : int
        Seed of the toy scenarios, of every run of a program, and of the search.
    budget : Budget, optional
        Rounds and seconds of the search, and the caps on what a chat model may take.
    model : dict, optional
        As in `graph.begin`.

    Returns
    -------
    RunFolder
    """
    now = datetime.now(UTC)
    name = f"refine-{incumbent.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = RunFolder.create(
        incumbent.card,
        proposer=improver,
        seed=seed,
        budget=budget or Budget(),
        model=model,
        path=data_dir() / "runs" / name,
    )
    folder.save_profile(incumbent.profile)
    Archive(folder).add(incumbent.proposal, round=0, child=1, parents=())
    return folder


def refine(
    folder: RunFolder,
    improver: Improver,
    *,
    registry: Registry | None = None,
    listen: Listener | None = None,
    arena: Arena | None = None,
) -> Outcome:
    """Search for a better program, and register it where it wins against the incumbent.

    Parameters
    ----------
    folder : RunFolder
        From `begin`, or a run that was interrupted; one that has ended goes on only where it is allowed
        other than before and its program has not won.
    improver : Improver
        Who writes the programs.
    registry : Registry, optional
        The user's own when left out.
    listen : callable, optional
        Called with every `Event` as it happens.
    arena : Arena, optional
        Where programs are measured; on all toy scenarios when left out.

    Returns
    -------
    Outcome

    Raises
    ------
    BusyError
        When another run for the same name is at work.
    DetectorError
        When the detector fits too few scenarios.
    ChatModelError
        When a chat model does not answer; the run can go on later.
    """
    lock = data_dir() / "runs" / f".{folder.detector}.lock"
    with only_one(lock, f"run for '{folder.detector}'"):
        ended = Outcome.read(folder)
        if folder.budget != folder.kept_budget and (ended is None or ended.status != "replaced"):
            (folder.path / "outcome.json").unlink(missing_ok=True)
            Duel.set_aside(folder)
            folder.keep_budget()
        elif ended is not None:
            return ended
        return _walk(folder, improver, registry or Registry(), listen, arena or Arena())


def _walk(
    folder: RunFolder,
    improver: Improver,
    registry: Registry,
    listen: Listener | None,
    arena: Arena,
) -> Outcome:
    source = DetectorSource.from_card(folder.card())
    shown = ToyBench(source, folder.seed, arena.shown)
    search = Search(folder, improver, shown, arena.held_apart(source, folder.seed, "search"), listen)
    _, stopped = search.run()
    search.tell("stop", stopped)
    incumbent = registry.get(folder.detector)
    if incumbent.provenance.get("run") == folder.id:
        # a run that was killed right after registering comes here again: once is enough
        number = incumbent.provenance["attempt"]
        outcome = _outcome(folder, "replaced", _won(number, Duel.read(folder)), stopped, number)
    else:
        outcome = _challenged(search, challenge(folder, incumbent, arena), registry, stopped)
    write_whole(folder.page, render(folder, outcome))
    outcome.write(folder)
    search.tell("end", outcome.reason, status=outcome.status)
    return outcome


def _challenged(search: Search, found: Challenge, registry: Registry, stopped: str) -> Outcome:
    folder = search.folder
    if found.duel is not None:
        assert found.entry is not None
        search.tell("duel", f"program {found.entry.number} {found.duel}", **asdict(found.duel))
    if found.won:
        assert found.entry is not None
        made = register(folder, found, search.improver.name, len(rounds_of(folder)) - 1, registry)
        search.tell("registered", f"program {found.entry.number}", folder=str(made.folder))
    status, reason = _told(found)
    return _outcome(folder, status, reason, stopped, found.entry.number if found.entry else None)


def _told(found: Challenge) -> tuple[str, str]:
    if found.entry is not None:
        return ("replaced" if found.won else "kept"), _won(found.entry.number, found.duel)
    if not found.standing:
        return "failing", "the incumbent does not pass every check, and no program was found that does"
    return "kept", "no program that passes on all scenarios was found to be better"


def _won(number: int, met: Duel | None) -> str:
    """Return how a challenger did; where there was no duel, it won without one."""
    told = str(met) if met else "passes every check, which the incumbent does not"
    return f"program {number} {told}"


def _outcome(folder: RunFolder, status: Any, reason: str, stopped: str, challenger: int | None) -> Outcome:
    archive, rounds, total = Archive(folder), rounds_of(folder), spent(folder.outbox)
    first, best = archive[1], next(iter(archive.valid), None)
    return Outcome(
        status,
        reason,
        stopped,
        challenger=challenger,
        duel=Duel.read(folder),
        rounds=len(rounds) - 1,
        programs=len(archive.entries),
        valid=len(archive.valid),
        before=first.mean if first.valid else None,
        after=best.mean if best else None,
        seconds=round(sum(one.seconds for one in rounds), 3),
        spending=total.as_dict() if total.requests else {},
    )
