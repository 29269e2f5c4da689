"""What every command shares: two consoles, JSON on stdout, a spinner on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..report import BlindSpotProfile, VerificationReport

__all__ = [
    "BaseUrlOption",
    "JsonOption",
    "MaxCostOption",
    "MaxTokensOption",
    "ModelOption",
    "RunSeedOption",
    "SeedOption",
    "busy",
    "checks_table",
    "console",
    "discard",
    "emit_json",
    "profile_table",
    "require_new",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for a program.")]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed; the same seed gives the same result."),
]
RunSeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed; the same gives the same result.  [default: 0]"),
]

ModelOption = Annotated[str | None, typer.Option(help="Chat model, as openai:NAME or PROVIDER:NAME.")]
BaseUrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Address of a server that speaks the OpenAI protocol.")
]

MaxCostOption = Annotated[
    float | None,
    typer.Option(min=0, metavar="USD", help="Cap on what the chat model may cost, US dollars; never passed."),
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option(min=1, help="Cap on the tokens that the chat model may read and write; never passed."),
]


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout, or on stderr for progress."""
    from rich.console import Console

    screen = Console(stderr=stderr, highlight=False, soft_wrap=False)
    # of itself it would end the command, which has an exit code of its own to end with
    screen.on_broken_pipe = partial(discard, screen.file)  # type: ignore[method-assign]
    return screen


def require_new(**options: object) -> None:
    """Refuse options that a run is begun with, where one goes on.

    Parameters
    ----------
    **options : object
        Those options by name; one that was not given is None.

    Raises
    ------
    typer.BadParameter
        When one was given.
    """
    given = ", ".join(f"--{name}" for name, value in options.items() if value is not None)
    if given:
        raise typer.BadParameter(f"{given} cannot be given with --resume: a run keeps what it was begun with")


def emit_json(data: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    try:
        typer.echo(json.dumps(data, indent=1, default=str))
    except BrokenPipeError:
        discard(sys.stdout)


def discard(stream: IO[str]) -> None:
    """Send what is still written to a stream nowhere, once its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show a spinner on stderr while something runs; nothing when stderr is no terminal."""
    from rich.markup import escape

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    with screen.status(escape(what)):
        yield


def checks_table(report: VerificationReport) -> Table:
    """Return the checks of a report, each with its finding."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("finding")
    for verdict in report.verdicts:
        mark = "[green]passed[/]" if verdict.passed else "[red]failed[/]"
        finding = verdict.message if verdict.passed else f"{verdict.message.rstrip('.')}. {verdict.hint}"
        table.add_row(escape(verdict.code), mark, escape(finding))
    return table


def profile_table(profile: BlindSpotProfile) -> Table:
    """Return a profile as bars, the blindest family first; a bar grows with what the detector sees."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("family", no_wrap=True)
    table.add_column("AUROC", justify="right")
    table.add_column("95% interval", no_wrap=True)
    table.add_column("blind at .5, sees all at 1", no_wrap=True)
    for score in profile.families:
        filled = round(20 * min(max(2 * score.auroc - 1, 0.0), 1.0))
        bar = "█" * filled + "·" * (20 - filled)
        table.add_row(escape(score.family), f"{score.auroc:.2f}", f"{score.low:.2f} to {score.high:.2f}", bar)
    return table
