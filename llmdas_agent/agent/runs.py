"""The run folder: what a run read, proposed and found, as plain text that a person can open, diff and mail.

::

    RUN/
      run.json          name, seed, budget, proposer, model and its address, date
      card.yaml         the card as read
      profile.json      what the detector was measured to miss
      journal.jsonl     one line per step
      attempts/01/      program.py  proposal.json  report.json
      prompts/          the prompts of a chat model
      outbox/           what it was asked and what it answered
      checkpoint.sqlite where the graph stands
      report.html       the report on the best program, as a page
      result.json       how it ended
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ..cards import DetectorCard, dump_card, load_card
from ..config import Budget, data_dir
from ..errors import BusyError, ModelFolderError, UnknownNameError, did_you_mean, in_a_line
from ..files import storage_errors, write_whole
from ..programs import Proposal, SynthesisProgram
from ..report import BlindSpotProfile, VerificationReport
from .proposers import Attempt

__all__ = [
    "ENDED",
    "Event",
    "Listener",
    "Result",
    "RunFolder",
    "Status",
    "changed",
    "folder_named",
    "only_one",
]

Status = Literal["accepted", "exhausted", "budget_exceeded", "error"]

ENDED = ("accepted", "exhausted", "budget_exceeded")
"""Statuses after which there is nothing to go on with; a run in ``error`` can be resumed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run: a line of its journal, and what a live view shows.

    Attributes
    ----------
    step : str
        The graph's node, or ``check`` for one verdict.
    message : str
        What happened, one line.
    data : dict
        JSON-plain details.
    """

    step: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    Attributes
    ----------
    status : str
        ``accepted``, ``exhausted``, ``budget_exceeded`` or ``error``.
    reason : str
        One sentence.
    best : int or None
        Number of the best attempt, from 1: the accepted one, or the one that failed least.
    seconds : float
        Time spent, seconds, over all resumptions.
    spending : dict
        What the chat model took, as `Spending.as_dict` gives it; empty where none was asked.
    """

    status: Status
    reason: str
    best: int | None
    seconds: float
    spending: dict[str, Any] = field(default_factory=dict)


class RunFolder:
    """A run's folder.

    Parameters
    ----------
    path : Path
        The folder; `create` makes one, `find` looks one up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        settings = self._kept()
        self.detector: str = settings["detector"]
        self.seed: int = settings["seed"]
        self.proposer: str = settings["proposer"]
        self.budget = Budget(**settings["budget"])
        self.candidates: int = settings.get("candidates", 1)
        self.model: dict[str, Any] | None = settings.get("model")

    @property
    def id(self) -> str:
        """The run's name, as ``--resume`` takes it."""
        return self.path.name

    @property
    def refines(self) -> bool:
        """Whether it is a refinement: its first attempt is a program that was registered before."""
        return (self.attempt_folder(1) / "origin.json").exists()

    @property
    def checkpoint(self) -> Path:
        """The graph's SQLite checkpoint."""
        return self.path / "checkpoint.sqlite"

    @property
    def outbox(self) -> Path:
        """The folder of what a chat model was asked and what it answered."""
        return self.path / "outbox"

    @property
    def page(self) -> Path:
        """The report on the best program, as a page of HTML; there once the run has ended."""
        return self.path / "report.html"

    @classmethod
    def create(
        cls,
        card: DetectorCard,
        *,
        proposer: str,
        seed: int,
        budget: Budget,
        candidates: int = 1,
        model: dict[str, Any] | None = None,
        path: Path | None = None,
    ) -> RunFolder:
        """Make the folder of a new run, under ``data_dir() / "runs"`` where no path is given."""
        now = datetime.now(UTC)
        if path is None:
            path = data_dir() / "runs" / f"{card.name}-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        settings = {
            "detector": card.name,
            "proposer": proposer,
            "seed": seed,
            "budget": asdict(budget),
            "candidates": candidates,
            "model": model,
            "started": now.isoformat(timespec="seconds"),
        }
        write_whole(path / "card.yaml", dump_card(card))
        write_whole(path / "run.json", json.dumps(settings, indent=1) + "\n")
        return cls(path)

    @classmethod
    def find(cls, run: str) -> RunFolder:
        """Return the run of this name, or in this folder.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        ModelFolderError
            When the folder is no whole run.
        """
        path = folder_named(run, data_dir() / "runs", "run")
        try:
            return cls(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFolderError(
                f"is no whole run: {error}",
                where=str(path),
                hint="Start a new one with `llmdas-agent add-detector`",
            ) from error

    def card(self) -> DetectorCard:
        """Return the card that the run works from."""
        return load_card(self.path / "card.yaml")

    def record(self, event: Event) -> None:
        """Append a line to the journal."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **asdict(event)}
        path = self.path / "journal.jsonl"
        with storage_errors(path), path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")

    def save_profile(self, profile: BlindSpotProfile) -> None:
        """Keep the measured profile."""
        write_whole(self.path / "profile.json", profile.model_dump_json(indent=1) + "\n")

    def profile(self) -> BlindSpotProfile:
        """Return the measured profile."""
        path = self.path / "profile.json"
        with _reading(path):
            return BlindSpotProfile.model_validate_json(path.read_bytes())

    def attempt_folder(self, number: int) -> Path:
        """Return the folder of an attempt, numbered from 1."""
        return self.path / "attempts" / f"{number:02d}"

    def save_proposal(self, number: int, proposal: Proposal) -> None:
        """Keep a proposal and its program."""
        folder = self.attempt_folder(number)
        words = {key: value for key, value in asdict(proposal).items() if key != "program"}
        write_whole(folder / "program.py", proposal.program.source)
        write_whole(folder / "proposal.json", json.dumps(words, indent=1) + "\n")

    def proposal(self, number: int) -> Proposal:
        """Return the proposal of an attempt."""
        folder = self.attempt_folder(number)
        with _reading(folder / "program.py"):
            source = (folder / "program.py").read_text(encoding="utf-8")
        with _reading(folder / "proposal.json"):
            words = json.loads((folder / "proposal.json").read_text(encoding="utf-8"))
            return Proposal(SynthesisProgram(source), **words)

    def save_report(self, number: int, report: VerificationReport) -> None:
        """Keep the report on an attempt."""
        write_whole(self.attempt_folder(number) / "report.json", report.model_dump_json(indent=1) + "\n")

    def report(self, number: int) -> VerificationReport:
        """Return the report on an attempt."""
        path = self.attempt_folder(number) / "report.json"
        with _reading(path):
            return VerificationReport.model_validate_json(path.read_bytes())

    def prompts_digest(self) -> str | None:
        """Return the SHA-256 of the prompts, 64 hexadecimal digits; None where no chat model was asked."""
        texts = [path.read_bytes() for path in sorted((self.path / "prompts").glob("*.md"))]
        return hashlib.sha256(b"\0".join(texts)).hexdigest() if texts else None

    def has_report(self, number: int) -> bool:
        """Return whether an attempt was reported on."""
        return (self.attempt_folder(number) / "report.json").exists()

    def attempts(self, upto: int) -> tuple[Attempt, ...]:
        """Return the attempts 1 to `upto`, each with its report."""
        return tuple(Attempt(self.proposal(k), self.report(k)) for k in range(1, upto + 1))

    def allow(self, **caps: float | None) -> None:
        """Change what the run may spend from now on; `keep_budget` writes it down.

        Parameters
        ----------
        **caps : float or None
            Fields of `Budget`; those that are None stay as they are.
        """
        self.budget = changed(self.budget, **caps)

    @property
    def kept_budget(self) -> Budget:
        """What the run may spend, as it is written down."""
        return Budget(**self._kept()["budget"])

    def keep_budget(self) -> None:
        """Write down a budget that has changed; a run that the old one ended can go on."""
        if self.kept_budget == self.budget:
            return
        ended = self.result()
        if ended is not None and ended.status in ("exhausted", "budget_exceeded"):
            # before the budget, since a kill in between would leave an end that the same caps do not undo
            (self.path / "result.json").unlink()
        kept = self._kept() | {"budget": asdict(self.budget)}
        write_whole(self.path / "run.json", json.dumps(kept, indent=1) + "\n")

    def _kept(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        return found

    def save_result(self, result: Result) -> None:
        """Keep how the run ended."""
        write_whole(self.path / "result.json", json.dumps(asdict(result), indent=1) + "\n")

    def result(self) -> Result | None:
        """Return how the run ended, or None while it has not."""
        path = self.path / "result.json"
        if not path.exists():
            return None
        with _reading(path):
            return Result(**json.loads(path.read_text(encoding="utf-8")))


def changed(budget: Budget, **caps: float | None) -> Budget:
    """Return a budget with other caps.

    Parameters
    ----------
    budget : Budget
        The old one.
    **caps : float or None
        Its fields; those that are None stay as they are.
    """
    given = {name: value for name, value in caps.items() if value is not None}
    return replace(budget, **given)  # type: ignore[arg-type]


def folder_named(name: str, home: Path, what: str) -> Path:
    """Return the folder of this name in `home`, or the one at this path.

    Parameters
    ----------
    name : str
        A name, or a path.
    home : Path
        Where folders of this kind lie; it need not exist.
    what : str
        What they are, such as ``run``, for the message.

    Raises
    ------
    UnknownNameError
        With the nearest name that exists.
    """
    path = home / name if (home / name).is_dir() else Path(name)
    if not path.is_dir():
        known = [entry.name for entry in home.iterdir() if entry.is_dir()] if home.is_dir() else []
        hint = did_you_mean(name, known)
        raise UnknownNameError(f"there is no {what} '{name}'", where=str(home), hint=hint)
    return path


def only_one(lock: Path, what: str) -> Any:
    """Return a context manager for what only one process may do at a time.

    Parameters
    ----------
    lock : Path
        A file that stands for it; folders above it are made.
    what : str
        What it is, for the error.

    Raises
    ------
    BusyError
        When another process does it.
    StorageError
        When the file cannot be written.
    """
    with storage_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(lock, blocking=False).acquire()
        except Timeout:
            raise BusyError(
                f"another {what} is at work",
                where=str(lock.parent),
                hint="Wait for it to end, or stop it, then try again",
            ) from None


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file of a run into a `ModelFolderError` that names it."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Restore the file, or start a new run with `llmdas-agent add-detector`"
        raise ModelFolderError(f"is damaged: {in_a_line(error)}", where=str(path), hint=hint) from error
