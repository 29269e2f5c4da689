"""The folder of a comparison: models side by side, each with a run of its own for each detector.

::

    COMPARISON/
      comparison.json   models, detectors, seed and budget
      cards/            the detectors' cards
      cells/            a run folder for each detector and model; what it accepted lies in its registry/

The user's own registry stays as it is.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..cards import DetectorCard, dump_card
from ..config import Budget, data_dir
from ..errors import InputError, ModelFolderError
from ..files import write_whole
from .runs import Status, changed, folder_named
from .spending import Spending

__all__ = ["Cell", "Comparison"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model made of one detector.

    Attributes
    ----------
    detector, model : str
        Their names.
    status : str
        As of a run; ``error`` where it could not be walked to its end.
    reason : str
        One sentence.
    rounds : int
        Programs that were proposed.
    spending : Spending
        What it took.
    quality : float or None
        The verification score of the accepted program; None where none was.
    seconds : float
        Time spent.
    run : Path
        Its run folder.
    """

    detector: str
    model: str
    status: Status
    reason: str
    rounds: int
    spending: Spending
    quality: float | None
    seconds: float
    run: Path

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, one level deep."""
        data = {name: getattr(self, name) for name in ("detector", "model", "status", "rounds")}
        data |= self.spending.as_dict()
        return data | {
            "quality": self.quality,
            "seconds": self.seconds,
            "reason": self.reason,
            "run": str(self.run),
        }


class Comparison:
    """A comparison's folder.

    Parameters
    ----------
    path : Path
        The folder; `create` makes one, `find` looks one up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        kept = json.loads((path / "comparison.json").read_text(encoding="utf-8"))
        self.models: list[str] = kept["models"]
        self.detectors: list[str] = kept["detectors"]
        self.base_url: str | None = kept["base_url"]
        self.seed: int = kept["seed"]
        self.budget = Budget(**kept["budget"])

    @property
    def id(self) -> str:
        """The comparison's name, as ``--resume`` takes it."""
        return self.path.name

    @classmethod
    def create(
        cls,
        models: Sequence[str],
        cards: Sequence[DetectorCard],
        *,
        base_url: str | None = None,
        seed: int = 0,
        budget: Budget | None = None,
    ) -> Comparison:
        """Make the folder of a new comparison under ``data_dir() / "comparisons"``.

        Parameters
        ----------
        models : sequence of str
            ``PROVIDER:NAME``, the same with ``@`` and the address of its server, or a proposer's name such as
            ``embedded``.
        cards : sequence of DetectorCard
            The detectors.
        base_url : str, optional
            Address of the server of all models that name none.
        seed : int
            As of a run.
        budget : Budget, optional
            Rounds and time are for each cell; its caps are for all of them together.

        Raises
        ------
        InputError
            When a model or a detector is named twice, or none is.
        """
        names = [card.name for card in cards]
        for what, given in (("model", models), ("detector", names)):
            twice = next((one for one in given if list(given).count(one) > 1), None)
            if twice is not None or not given:
                named = f"the {what} '{twice}' is named twice" if twice else f"no {what} is named"
                raise InputError(named, where=f"--{what}s")
        now = datetime.now(UTC)
        path = data_dir() / "comparisons" / f"compare-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        for card in cards:
            write_whole(path / "cards" / f"{card.name}.yaml", dump_card(card))
        kept = {
            "models": list(models),
            "detectors": names,
            "base_url": base_url,
            "seed": seed,
            "budget": asdict(budget or Budget()),
            "started": now.isoformat(timespec="seconds"),
        }
        write_whole(path / "comparison.json", json.dumps(kept, indent=1) + "\n")
        return cls(path)

    @classmethod
    def find(cls, name: str) -> Comparison:
        """Return the comparison of this name, or in this folder.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        ModelFolderError
            When the folder is no whole comparison.
        """
        path = folder_named(name, data_dir() / "comparisons", "comparison")
        try:
            return cls(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "Start a new one with `llmdas-agent compare`"
            raise ModelFolderError(f"is no whole comparison: {error}", where=str(path), hint=hint) from error

    def allow(self, **caps: float | None) -> None:
        """Change what the cells may spend from now on.

        Parameters
        ----------
        **caps : float or None
            Fields of `Budget`; those that are None stay as they are.
        """
        self.budget = changed(self.budget, **caps)
        path = self.path / "comparison.json"
        kept = json.loads(path.read_text(encoding="utf-8"))
        write_whole(path, json.dumps(kept | {"budget": asdict(self.budget)}, indent=1) + "\n")

    def folder(self, detector: str, model: str) -> Path:
        """Return the run folder of a cell."""
        words = re.sub(r"[^\w.]+", "-", model).strip("-.")
        return self.path / "cells" / f"{detector}.{self.models.index(model) + 1}.{words}"
