"""How a program came to be: the parents that led to it, and what each step changed in the text."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from ..archive import Archive, Entry

__all__ = ["Line", "Step", "line_of"]

_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a difference.

    Attributes
    ----------
    kind : str
        ``added``, ``removed``, ``kept``, or ``gap`` where lines that did not change are left out.
    text : str
        The line, without its end.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A program and what it changed in its parent.

    Attributes
    ----------
    parents : tuple of Entry
        The program that was changed, or the two that were put together.
    child : Entry
        What came of it.
    lines : tuple of Line
        The difference from parent to child; empty where two were put together, each as it was.
    """

    parents: tuple[Entry, ...]
    child: Entry
    lines: tuple[Line, ...]


def line_of(archive: Archive, number: int) -> list[Step]:
    """Return the steps from the incumbent to a program, the oldest first.

    Parameters
    ----------
    archive : Archive
        Where the programs are.
    number : int
        The program; its line follows the parent that each program was to improve, and both of those that
        were put together.
    """
    steps: dict[int, Step] = {}
    waiting = [archive[number]]
    while waiting:
        child = waiting.pop()
        if not child.parents or child.number in steps:
            continue
        parents = tuple(archive[parent] for parent in child.parents[: 2 if child.together else 1])
        lines = () if child.together else tuple(_difference(parents[0], child))
        steps[child.number] = Step(parents, child, lines)
        waiting += parents
    return [steps[child] for child in sorted(steps)]


def _difference(parent: Entry, child: Entry) -> Iterator[Line]:
    before, after = (one.proposal.program.source.splitlines() for one in (parent, child))
    kinds = {"+": "added", "-": "removed", " ": "kept", "@": "gap"}
    for line in list(difflib.unified_diff(before, after, n=_CONTEXT, lineterm=""))[2:]:
        kind = kinds[line[0]]
        yield Line(kind, "" if kind == "gap" else line[1:])
