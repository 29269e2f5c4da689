"""A refinement as it happens: one live table on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from ..agent.runs import Event

__all__ = ["RefineView"]

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN_ROUNDS = 40
_KEPT = ("stop", "duel", "registered", "end", "estimate", "error")


class RefineView(Live):
    """Shows a refinement's events; use as a context manager and give it as the listener.

    Parameters
    ----------
    console : Console
        On stderr.
    name : str
        The detector's.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._rounds: list[dict[str, Any]] = []
        self._spent = ""
        self._last = "measuring the incumbent"
        super().__init__(console=console, transient=True, refresh_per_second=4)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._last = f"{event.step} {event.message}"
        if event.step == "round":
            self._rounds.append(event.data)
        if event.step == "spending":
            self._spent = event.message
        if event.step in _KEPT or not self.console.is_terminal:
            self.console.print(f"[bold]{event.step}[/]  {escape(event.message)}", soft_wrap=True)

    def get_renderable(self) -> Group:
        """Return how things stand, for a terminal."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_row("refining", f"[bold]{escape(self._name)}[/]")
        if self._rounds:
            last = self._rounds[-1]
            qualities = [one["quality"] for one in self._rounds if one["quality"] is not None]
            if qualities:
                told = (
                    f"[bold green]{qualities[-1]:.4f}[/] program {last['best']}, {qualities[0]:.4f} at first"
                )
                table.add_row("best quality", told)
                table.add_row("by round", _bars(qualities[-_SHOWN_ROUNDS:]))
            table.add_row("programs", f"{last['valid']} of {last['programs']} valid")
            table.add_row("frontier", f"{last['frontier']} are the best somewhere")
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        table.add_row("time", f"{minutes}:{seconds:02d}, round {len(self._rounds)}")
        if self._spent:
            table.add_row("spent", escape(self._spent))
        return Group(table, Spinner("dots", escape(self._last)))


def _bars(values: list[float]) -> str:
    low, high = min(values), max(values)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * scale)] for value in values)
