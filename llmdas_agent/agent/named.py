"""Proposers by name: the embedded one, and those that plugins bring."""

from __future__ import annotations

import math

from ..errors import LlmdasError, PluginError, UnknownNameError, did_you_mean, in_a_line
from ..plugins import load_plugins, sole
from ..programs import Proposal, SynthesisProgram
from ..quiet import quiet
from .embedded import EmbeddedProposer
from .proposers import Brief, Proposer

__all__ = ["named_proposer", "proposer_names"]


def proposer_names() -> list[str]:
    """Return the names that `named_proposer` knows."""
    return [EmbeddedProposer.name, *load_plugins().proposers]


def named_proposer(name: str) -> Proposer:
    """Return the proposer of a name.

    Parameters
    ----------
    name : str
        ``embedded``, or one that a plugin brings.

    Returns
    -------
    Proposer

    Raises
    ------
    UnknownNameError
        With the nearest name that exists.
    PluginError
        When it is claimed twice.
    """
    plugins = load_plugins()
    claims = {key: found for key, found in plugins.proposers.items() if key == name}
    if name == EmbeddedProposer.name:
        return plugins.unambiguous("proposer", {name: EmbeddedProposer()}, claims)[name][1]
    if not claims:
        known = did_you_mean(name, proposer_names())
        raise UnknownNameError(f"there is no proposer '{name}'", where="--proposer", hint=known)
    return _OfPlugin(*sole("proposer", name, claims[name]))


class _OfPlugin:
    """A plugin's proposer, whose faults are named as its distribution's."""

    def __init__(self, owner: str, proposer: Proposer) -> None:
        self._owner = owner
        self._proposer = proposer
        self.name = proposer.name

    def propose(self, brief: Brief) -> Proposal | None:
        """Return what the plugin proposes, seen to be what is asked of a proposer."""
        try:
            with quiet:
                proposal = self._proposer.propose(brief)
            if proposal is not None:
                _check(proposal)
        except LlmdasError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's proposer may raise anything
            raise PluginError(
                f"proposer '{self.name}' of {self._owner} failed: {in_a_line(error)}",
                where="--proposer",
                hint=f"`pip uninstall {self._owner}` removes it",
            ) from error
        return proposal


def _check(proposal: Proposal) -> None:
    if not isinstance(proposal, Proposal) or not isinstance(proposal.program, SynthesisProgram):
        raise TypeError(f"it must propose a Proposal with a SynthesisProgram, or None, not {proposal!r:.60}")
    for name in ("blind_spot", "borderline", "strategy", "problem"):
        if not isinstance(getattr(proposal, name), str):
            raise TypeError(f"its {name} is {getattr(proposal, name)!r:.60}, where text is expected")
    if not isinstance(proposal.strength, int | float) or not math.isfinite(proposal.strength):
        raise TypeError(f"its strength is {proposal.strength!r:.60}, where a finite number is expected")
    if not isinstance(proposal.program.source, str):
        raise TypeError(f"its source is {proposal.program.source!r:.60}, where text is expected")
    proposal.program.source.encode()
