"""The hooks that a plugin may implement. They return data; every implementation is asked.

A hook's arguments are only ever added to: a plugin written for one version works with the next. All a plugin
does when it is loaded or asked is paid by every command that needs it, so nothing heavy is imported there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ..agent.proposers import Proposer
    from ..report import Verdict
    from ..verification.checks import Evidence
    from ..verification.scenarios import Scenario

__all__ = [
    "PROJECT",
    "CommandEntry",
    "DetectorEntry",
    "hookimpl",
    "hookspec",
    "llmdas_checks",
    "llmdas_commands",
    "llmdas_detectors",
    "llmdas_proposers",
    "llmdas_scenarios",
]

PROJECT = "llmdas_agent"
"""The entry-point group of plugins, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """A detector that a plugin brings.

    Attributes
    ----------
    card : Path
        The card's YAML file; its stem is the detector's name.
    synthesizer : Path or None
        Folder of a synthesizer for it, in the registry's layout.
    """

    card: Path
    synthesizer: Path | None = None

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.card.stem

    @classmethod
    def all_in(cls, cards: Path, synthesizers: Path) -> list[DetectorEntry]:
        """Return one entry per card in a folder, by name, with its synthesizer where there is one.

        Parameters
        ----------
        cards : Path
            Folder of cards, ``NAME.yaml``.
        synthesizers : Path
            Folder of synthesizers, ``NAME/``; it need not exist.
        """
        return [
            cls(card, synthesizers / card.stem if (synthesizers / card.stem).is_dir() else None)
            for card in sorted(cards.glob("*.yaml"))
        ]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command that a plugin adds to ``llmdas-agent``.

    Attributes
    ----------
    name : str
        The word after ``llmdas-agent``.
    help : str or None
        One line for ``llmdas-agent --help``; None for a name alone.
    app : str
        Where it is, ``module:attribute``: a `typer.Typer` app, imported only when the command is called.
    """

    name: str
    help: str | None
    app: str


@hookspec
def llmdas_detectors() -> Sequence[DetectorEntry]:  # type: ignore[empty-body]
    """Return the detectors that this plugin brings.

    Returns
    -------
    sequence of DetectorEntry
        Paths only: nothing heavy is to be imported here, the hook runs for every command that needs a name.
    """


@hookspec
def llmdas_scenarios() -> Sequence[Scenario]:  # type: ignore[empty-body]
    """Return toy scenarios that detectors are probed and programs verified on, beside those of the package.

    Returns
    -------
    sequence of Scenario
        Their density must be known exactly, and their names be new.
    """


@hookspec
def llmdas_checks() -> Sequence[Callable[[Evidence], Verdict]]:  # type: ignore[empty-body]
    """Return checks that a program must pass, beside those of the package.

    Returns
    -------
    sequence of callable
        From the evidence to a verdict; the function's name is the verdict's code and must be new.
    """


@hookspec
def llmdas_proposers() -> Sequence[Proposer]:  # type: ignore[empty-body]
    """Return proposers that ``llmdas-agent add-detector --proposer NAME`` can name.

    Returns
    -------
    sequence of Proposer
        Each with a `name` that is new. Making one must be cheap; what it needs is loaded by `propose`.
    """


@hookspec
def llmdas_commands() -> Sequence[CommandEntry]:  # type: ignore[empty-body]
    """Return commands that this plugin adds to ``llmdas-agent``.

    Only the entry points named ``commands``, or with a name that ends in ``-commands``, are asked: all
    others need not be loaded for a page of help.

    Returns
    -------
    sequence of CommandEntry
        Names and places; the commands themselves are imported when they are called.
    """
