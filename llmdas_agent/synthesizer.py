"""A synthesizer: a verified program with its card, its report and where it came from.

On disk it is a folder of plain text::

    card.yaml  program.py  report.json  profile.json  synthesizer.json
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from .cards import DetectorCard, dump_card, load_card
from .errors import LlmdasError, ModelFolderError, NotAcceptedError
from .files import write_whole
from .plugins import load_plugins
from .programs import Proposal, SynthesisProgram
from .report import BlindSpotProfile, VerificationReport
from .verified import is_verified_here

__all__ = ["Origin", "Synthesizer"]

Origin = Literal["registered", "shipped", "plugin"]


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


def _first_problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{error.title.lstrip('_')} field '{'.'.join(map(str, first['loc']))}': {first['msg']}"
    return str(error).splitlines()[0]
