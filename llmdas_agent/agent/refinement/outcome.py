"""How a refinement ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...files import write_whole
from ..runs import RunFolder
from .duel import Duel

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a refinement ended.

    Attributes
    ----------
    status : str
        ``replaced``, when a better program is registered; ``kept``, when the incumbent stays;
        ``failing``, when the incumbent does not pass and nothing better was found.
    reason : str
        One sentence.
    stopped : str
        What ended the search, in a sentence.
    challenger : int or None
        Number of the program that challenged the incumbent.
    duel : Duel or None
        How the two compare, where both pass.
    rounds, programs, valid : int
        How many rounds were walked, how many programs there are, and how many of them have a quality.
    before, after : float or None
        Quality, in the search, of the incumbent and of the best program.
    seconds : float
        Time that the search took, over all resumptions.
    spending : dict
        What the chat model took, as `Spending.as_dict` gives it; empty where none was asked.
    """

    status: Literal["replaced", "kept", "failing"]
    reason: str
    stopped: str
    challenger: int | None
    duel: Duel | None
    rounds: int
    programs: int
    valid: int
    before: float | None
    after: float | None
    seconds: float
    spending: dict[str, Any]

    @classmethod
    def read(cls, folder: RunFolder) -> Outcome | None:
        """Return how a run ended, or None while it has not."""
        path = folder.path / "outcome.json"
        if not path.exists():
            return None
        return cls(**json.loads(path.read_text(encoding="utf-8")), duel=Duel.read(folder))

    def write(self, folder: RunFolder) -> None:
        """Keep it in the run folder."""
        plain = {name: value for name, value in asdict(self).items() if name != "duel"}
        write_whole(folder.path / "outcome.json", json.dumps(plain, indent=1) + "\n")
