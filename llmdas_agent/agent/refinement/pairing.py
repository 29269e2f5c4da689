"""Which two programs are put together: the best one, and one that is good where it is not."""

from __future__ import annotations

from ...programs import Proposal
from .archive import Archive, Entry, best_of_both
from .together import holds_several, together

__all__ = ["pair", "put_together"]


def pair(archive: Archive, upto: int) -> tuple[Entry, Entry] | None:
    """Return the two programs that promise most together.

    The first is the best that there is; the second the one with which the better of the two, on each pair of
    scenario and seed, is the best on average. Programs that hold several already are passed over: what runs
    four programs costs four times as much.

    Parameters
    ----------
    archive : Archive
        Only programs from rounds before `upto` are looked at.
    upto : int
        The round that they are chosen for.

    Returns
    -------
    tuple of (Entry, Entry) or None
        None where there is only one, where none is better than the first on any pair, or where all such were
        put together with it before.
    """
    valid = [entry for entry in archive.valid if entry.round < upto]
    single = [entry for entry in valid if not holds_several(entry.proposal.program)]
    if not single:
        return None
    first, *others = single
    tried = {entry.parents for entry in archive.entries if entry.together and entry.round < upto}
    promise = {
        other.number: best_of_both(first, other)
        for other in others
        if (first.number, other.number) not in tried and (other.number, first.number) not in tried
    }
    second = max(promise, key=lambda number: (promise[number], -number), default=0)
    return (first, archive[second]) if second and promise[second] > first.mean else None


def put_together(first: Proposal, second: Proposal) -> Proposal:
    """Return the proposal of two programs in one."""
    both = (first, second)
    return Proposal(
        together([one.program for one in both]),
        blind_spot="; ".join(dict.fromkeys(one.blind_spot for one in both)),
        borderline="; ".join(dict.fromkeys(one.borderline for one in both)),
        strategy=" with ".join(one.strategy for one in both),
    )
