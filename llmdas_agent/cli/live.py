"""A run as it happens: a live view on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from ..agent.runs import Event
from ..report import BlindSpotProfile, Verdict
from .output import profile_table

__all__ = ["LiveView"]

_WAITING = {
    "card": "measuring blind spots on toy scenarios",
    "profile": "writing a program",
    "proposal": "running it confined",
    "check": "checking",
    "revision": "writing the next program",
}


class LiveView(Live):
    """Shows a run's events; use as a context manager and give it as the run's listener.

    Parameters
    ----------
    console : Console
        On stderr.
    """

    def __init__(self, console: Console) -> None:
        self._checks: list[Verdict] = []
        self._waiting = "reading the card"
        self._spent = ""
        self._spinner = Spinner("dots", self._waiting)
        super().__init__(console=console, transient=True, refresh_per_second=10)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._waiting = _WAITING.get(event.step, self._waiting)
        if event.step == "spending":
            self._spent = f"   ({event.message})"
        self._spinner.update(text=self._waiting + self._spent)
        if event.step == "check":
            self._show_check(Verdict.model_validate(event.data["verdict"]))
        else:
            self._settle_checks()
            self._show(event)

    def _show(self, event: Event) -> None:
        message = escape(event.message)
        if event.step == "profile":
            self.console.print(f"[bold]blind spots[/]  {message}")
            if self.console.is_terminal:
                fields = BlindSpotProfile.model_fields
                profile = BlindSpotProfile.model_validate({key: event.data[key] for key in fields})
                self.console.print(profile_table(profile))
        elif event.step == "proposal":
            self.console.print(f"[bold]program {event.data['round']}[/]  {message}")
            if not event.data["problem"]:
                self.console.print(f"  takes as borderline: {escape(event.data['borderline'])}")
        elif event.step == "revision":
            self.console.print(f"  [yellow]revise[/]  {message}")
        elif event.step == "spending":
            self.console.print(f"  [cyan]spent[/]  {message}")
        else:
            self.console.print(f"[bold]{event.step}[/]  {message}")

    def _show_check(self, verdict: Verdict) -> None:
        if self.console.is_terminal:
            self._checks.append(verdict)
        else:
            mark = "passed" if verdict.passed else "failed"
            self.console.print(f"  {mark} {verdict.code}: {escape(verdict.message)}", soft_wrap=True)

    def _settle_checks(self) -> None:
        if self._checks:
            self.console.print(_marks(self._checks))
            for verdict in self._checks:
                if not verdict.passed:
                    self.console.print(f"  [red]{verdict.code}[/]  {escape(verdict.message)}")
            self._checks = []

    def get_renderable(self) -> Group:
        """Return how things stand, for a terminal."""
        return Group(*([_marks(self._checks)] if self._checks else []), self._spinner)


def _marks(verdicts: list[Verdict]) -> Text:
    text = Text("  ")
    for verdict in verdicts:
        text.append("✓ " if verdict.passed else "✗ ", style="green" if verdict.passed else "red")
        text.append(verdict.code + "  ")
    return text
