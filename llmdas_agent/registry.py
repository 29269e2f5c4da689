"""Verified synthesizers: those that the user's runs registered, and those that plugins and the package bring.

On disk a synthesizer is a folder of plain text::

    card.yaml  program.py  report.json  profile.json  synthesizer.json

The user's registry keeps every one it ever took, numbered, and a file that says which is current::

    LLMDAS_HOME/synthesizers/NAME/current      "0001", "0002": the last is current, it replaced the first
    LLMDAS_HOME/synthesizers/NAME/0001/ 0002/  folders as above

so that registering and rolling back are one atomic replacement of a small file, and none is ever lost.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from .cards import DetectorCard, dump_card, load_card
from .config import data_dir
from .errors import BusyError, LlmdasError, ModelFolderError, NotAcceptedError, UnknownNameError, did_you_mean
from .files import storage_errors, write_whole
from .plugins import BUILTIN, load_plugins
from .programs import Proposal, SynthesisProgram
from .report import BlindSpotProfile, VerificationReport
from .verified import is_verified_here

if TYPE_CHECKING:
    from .detectors import DetectorSource

__all__ = ["Origin", "Registry", "Synthesizer", "resolve"]

Origin = Literal["registered", "shipped", "plugin"]

_CURRENT = "current"


class _Record(BaseModel):
    """What ``synthesizer.json`` holds."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    name: str
    digest: str
    blind_spot: str
    borderline: str
    strategy: str
    strength: float
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Synthesizer:
    """A program that passed, with all that is known about it.

    Attributes
    ----------
    name : str
        The detector's name.
    card : DetectorCard
        The detector's card.
    proposal : Proposal
        The program and the reasons given for it.
    report : VerificationReport
        Why it passed.
    profile : BlindSpotProfile
        What the detector was measured to miss.
    provenance : dict
        Proposer, seeds, run folder, versions and date; JSON-plain.
    origin : {"registered", "shipped", "plugin"}
        Where it comes from.
    folder : Path or None
        Where it lies; None while it is only in memory.
    """

    name: str
    card: DetectorCard
    proposal: Proposal
    report: VerificationReport
    profile: BlindSpotProfile
    provenance: dict[str, Any]
    origin: Origin = "registered"
    folder: Path | None = None

    def require_verified(self) -> None:
        """Check that the report accepts exactly this program, and that a plugin's has passed on this machine.

        Raises
        ------
        NotAcceptedError
            When it does not, or has not.
        """
        where = f"synthesizer '{self.name}'"
        again = f"Run `llmdas-agent add-detector` with the card of '{self.name}' again"
        if self.report.program_digest != self.proposal.program.digest:
            raise NotAcceptedError("its report is about another program", where=where, hint=again)
        if not self.report.accepted:
            raise NotAcceptedError("its program did not pass verification", where=where, hint=again)
        if self.needs_admission():
            raise NotAcceptedError(
                f"the program that {load_plugins().owner(self.name)} brings was not verified here yet",
                where=where,
                hint=f"Run `llmdas-agent plugin verify {self.name}` once",
            )

    def needs_admission(self) -> bool:
        """Return whether it comes from a plugin and has not passed here, as it is installed now."""
        owner = load_plugins().owner(self.name)
        return self.origin == "plugin" and not is_verified_here(
            self.name, self.proposal.program.digest, owner
        )

    @classmethod
    def read(cls, folder: Path, origin: Origin) -> Synthesizer:
        """Read a synthesizer's folder.

        Raises
        ------
        ModelFolderError
            When a file is missing, damaged, or the program is not the one that was recorded.
        """
        where = str(folder)
        try:
            record = _Record.model_validate_json((folder / "synthesizer.json").read_bytes())
            program = SynthesisProgram((folder / "program.py").read_text(encoding="utf-8"))
            report = VerificationReport.model_validate_json((folder / "report.json").read_bytes())
            profile = BlindSpotProfile.model_validate_json((folder / "profile.json").read_bytes())
            card = load_card(folder / "card.yaml")
        except (OSError, UnicodeDecodeError, ValidationError, LlmdasError) as error:
            raise ModelFolderError(
                f"is no whole synthesizer: {_first_problem(error)}",
                where=where,
                hint="Remove it and register the detector again",
            ) from error
        if program.digest != record.digest:
            raise ModelFolderError(
                "its program.py is not the program that was verified",
                where=where,
                hint="Edit a copy of it and give that to `llmdas-agent verify`",
            )
        proposal = Proposal(program, record.blind_spot, record.borderline, record.strategy, record.strength)
        return cls(record.name, card, proposal, report, profile, record.provenance, origin, folder)

    def write(self, folder: Path) -> None:
        """Write the synthesizer's files into a folder that nobody else uses yet."""
        record = _Record(
            name=self.name,
            digest=self.proposal.program.digest,
            blind_spot=self.proposal.blind_spot,
            borderline=self.proposal.borderline,
            strategy=self.proposal.strategy,
            strength=self.proposal.strength,
            provenance=self.provenance,
        )
        write_whole(folder / "card.yaml", dump_card(self.card))
        write_whole(folder / "program.py", self.proposal.program.source)
        write_whole(folder / "report.json", self.report.model_dump_json(indent=1) + "\n")
        write_whole(folder / "profile.json", self.profile.model_dump_json(indent=1) + "\n")
        write_whole(folder / "synthesizer.json", json.dumps(record.model_dump(), indent=1) + "\n")


class Registry:
    """The synthesizers that this user can name.

    A registered one goes before one that a plugin or the package brings under the same name.

    Parameters
    ----------
    root : Path, optional
        Folder of the user's own; ``data_dir() / "synthesizers"`` when left out.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else data_dir() / "synthesizers"

    def names(self) -> list[str]:
        """Return all names that have a synthesizer, sorted."""
        return sorted(set(self._registered()) | set(self._brought()))

    def get(self, name: str) -> Synthesizer:
        """Return the synthesizer of this name.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        ModelFolderError
            When its folder is damaged.
        """
        if name in self._registered():
            return Synthesizer.read(self.root / name / self._history(name)[-1], "registered")
        if name in self._brought():
            load_plugins().detector(name)  # a name claimed twice is an error, not a choice
            folder, origin = self._brought()[name]
            return Synthesizer.read(folder, origin)
        known = did_you_mean(name, self.names())
        hint = f"`llmdas-agent add-detector CARD` makes one from a card. {known}".strip()
        raise UnknownNameError(f"there is no synthesizer for '{name}'", where="registry", hint=hint)

    def add(self, synthesizer: Synthesizer) -> Synthesizer:
        """Register a synthesizer and make it the current one of its name.

        Returns
        -------
        Synthesizer
            The same, with its folder.

        Raises
        ------
        NotAcceptedError
            When its report does not accept its program.
        StorageError
            When it cannot be written; then nothing has changed.
        """
        synthesizer.require_verified()
        home = self.root / synthesizer.name
        with self._writing(synthesizer.name):
            number = max((int(path.name) for path in home.glob("[0-9]" * 4)), default=0) + 1
            folder = home / f"{number:04d}"
            with storage_errors(home):
                home.mkdir(parents=True, exist_ok=True)
                building = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
            try:
                synthesizer.write(building)
                with storage_errors(folder):
                    building.chmod(0o755)
                    building.rename(folder)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
            self._remember(synthesizer.name, [*self._history(synthesizer.name), folder.name])
        return Synthesizer.read(folder, "registered")

    def rollback(self, name: str) -> Synthesizer:
        """Take back the last registration of a name: what it replaced serves again.

        Returns
        -------
        Synthesizer
            The one that serves now, which may be one that a plugin or the package brings.

        Raises
        ------
        UnknownNameError
            When none of this name is registered, or the registered one replaced none.
        """
        self._require_registered(name)
        with self._writing(name):
            history = self._history(name)
            if len(history) > 1:
                self._remember(name, history[:-1])
            elif name in self._brought():
                with storage_errors(self.root / name):
                    (self.root / name / _CURRENT).unlink()
            else:
                raise UnknownNameError(
                    f"'{name}' has only one synthesizer",
                    where="registry",
                    hint=f"`llmdas-agent remove {name}` removes it",
                )
        return self.get(name)

    def remove(self, name: str) -> None:
        """Remove a registered synthesizer with its older versions.

        Raises
        ------
        UnknownNameError
            When none of this name is registered.
        """
        self._require_registered(name)
        with self._writing(name), storage_errors(self.root / name):
            grave = Path(tempfile.mkdtemp(prefix=".removed-", dir=self.root))
            (self.root / name).rename(grave / name)
            shutil.rmtree(grave)

    def cards(self) -> dict[str, DetectorCard]:
        """Return the card of every detector that can be named, with or without a synthesizer."""
        plugins = load_plugins()
        cards = {name: load_card(claims[0][1].card) for name, claims in plugins.detectors.items()}
        return cards | {name: self.get(name).card for name in self._registered()}

    def card(self, name: str) -> DetectorCard:
        """Return the card of this detector.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        """
        if name in self._registered():
            return self.get(name).card
        entry = load_plugins().detector(name)
        if entry is not None:
            return load_card(entry.card)
        known = set(load_plugins().detectors) | set(self._registered())
        raise UnknownNameError(
            f"there is no detector '{name}'", where="registry", hint=did_you_mean(name, known)
        )

    def _registered(self) -> list[str]:
        return [path.parent.name for path in sorted(self.root.glob(f"[!.]*/{_CURRENT}"))]

    def _require_registered(self, name: str) -> None:
        if name in self._registered():
            return
        if name in self._brought():
            hint = "It comes with the package or a plugin; only what was registered here can be taken back"
        else:
            hint = did_you_mean(name, self._registered())
        raise UnknownNameError(f"no synthesizer '{name}' is registered", where="registry", hint=hint)

    def _history(self, name: str) -> list[str]:
        """Return the numbers of a name, each of which replaced the one before; the last is current."""
        path = self.root / name / _CURRENT
        return path.read_text(encoding="ascii").split() if path.exists() else []

    def _remember(self, name: str, history: list[str]) -> None:
        write_whole(self.root / name / _CURRENT, "\n".join(history) + "\n")

    def _brought(self) -> dict[str, tuple[Path, Origin]]:
        found: dict[str, tuple[Path, Origin]] = {}
        for name, claims in load_plugins().detectors.items():
            owner, entry = claims[0]
            if entry.synthesizer is not None:
                found[name] = (entry.synthesizer, "shipped" if owner == BUILTIN else "plugin")
        return found

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / f".{name}.lock", timeout=10):
                yield
        except Timeout:
            raise BusyError(
                f"another process is writing '{name}'",
                where=str(self.root),
                hint="Wait for it, then try again",
            ) from None


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{error.title.lstrip('_')} field '{'.'.join(map(str, first['loc']))}': {first['msg']}"
    return str(error).splitlines()[0]


def resolve(base: object, registry: Registry | None = None) -> DetectorSource:
    """Return the source of a detector that a user named, described or built.

    Parameters
    ----------
    base : str, Path, DetectorCard or detector
        A name, a card's file (``.yaml``, ``.yml``), a card, or an unfitted detector object. An object
        whose class is that of a known card takes that card's name.
    registry : Registry, optional
        Where names are looked up.

    Returns
    -------
    DetectorSource

    Raises
    ------
    UnknownNameError, CardError, DetectorError
        As fits what was given.
    """
    # importing PyOD takes seconds, and commands that only list names never come here
    from .detectors import DetectorSource, import_class

    registry = registry or Registry()
    if isinstance(base, Path) or (isinstance(base, str) and base.endswith((".yaml", ".yml"))):
        return DetectorSource.from_card(load_card(base))
    if isinstance(base, str):
        return DetectorSource.from_card(registry.card(base))
    if isinstance(base, DetectorCard):
        return DetectorSource.from_card(base)
    source = DetectorSource.from_object(base)
    for name, card in registry.cards().items():
        path = card.build.class_path
        same_class_name = path.rpartition(".")[2] == type(base).__name__
        if same_class_name and import_class(path, where=f"card '{name}'") is type(base):
            return DetectorSource.from_object(base, name)
    return source
