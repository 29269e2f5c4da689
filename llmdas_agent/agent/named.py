"""Proposers by name: the embedded one, and those that plugins bring."""

from __future__ import annotations

from ..errors import UnknownNameError, did_you_mean
from ..plugins import joined, load_plugins
from .embedded import EmbeddedProposer
from .proposers import Proposer

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
    claims = load_plugins().proposers
    if name not in (EmbeddedProposer.name, *claims):
        known = did_you_mean(name, [EmbeddedProposer.name, *claims])
        raise UnknownNameError(f"there is no proposer '{name}'", where="--proposer", hint=known)
    own = {EmbeddedProposer.name: EmbeddedProposer()}
    return joined("proposer", own, claims)[name][1]
