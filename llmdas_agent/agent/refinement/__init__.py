"""Refinement: better programs out of those that exist, found by themselves."""

from .duel import Duel
from .outcome import Outcome
from .quality import Arena
from .walk import begin, refine

__all__ = ["Arena", "Duel", "Outcome", "begin", "refine"]
