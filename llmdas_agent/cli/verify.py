"""``verify``: a program against the checks, with a report as a page of HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import NotAcceptedError
from .output import JsonOption, SeedOption, busy, checks_table, console, emit_json

if TYPE_CHECKING:
    from ..report import BlindSpotProfile
    from ..synthesizer import Synthesizer

__all__ = ["report_on", "verify"]


def verify(
    program: Annotated[Path, typer.Argument(help="A Python file that defines generate_hard_anomalies.")],
    detector: Annotated[str, typer.Option("--detector", help="A name, or a card's file.")],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the report goes.  [default: PROGRAM-report.html, here]"),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Check a program against a detector on toy data; nothing is registered.

    \b
    Examples:
      llmdas-agent verify my_program.py --detector iforest
      llmdas-agent verify my_program.py --detector my_card.yaml --html report.html
      llmdas-agent verify my_program.py --detector iforest --json

    Writes a report as one page of HTML that needs nothing else: the checks with their evidence, pictures of
    every toy scenario, the card and the program. Exit code 0: it passes every check. 5: it does not.
    """
    from ..files import write_whole
    from ..registry import resolve
    from ..sandbox import read_program
    from ..verification import ToyBench, judge, try_program
    from ..verification.html import render_html

    source = read_program(program)
    against = resolve(detector)
    with busy(f"checking {program.name}"):
        against.try_out()
        trial = try_program(source, ToyBench(against, seed=seed))
        report = judge(trial)
    if not as_json:
        console().print(checks_table(report))
        console().print("\n[bold green]passes[/]" if report.accepted else "\n[bold red]does not pass[/]")
    page = html or Path(f"{program.stem}-report.html")
    provenance = {"file": program.name, "verified": datetime.now(UTC).isoformat(timespec="seconds")}
    write_whole(page, render_html(trial, report, profile=_known_profile(detector), provenance=provenance))
    if as_json:
        emit_json({"accepted": report.accepted, "html": str(page), **report.model_dump()})
    else:
        typer.echo(str(page))
    if not report.accepted:
        raise typer.Exit(NotAcceptedError.exit_code)


def report_on(synthesizer: Synthesizer, page: Path) -> None:
    """Verify a synthesizer's program once more, and write the report as a page of HTML.

    The rows that the pictures show are kept nowhere; the program, the card and the seed make them again.
    """
    from ..detectors import DetectorSource
    from ..files import write_whole
    from ..verification import ToyBench, judge, try_program
    from ..verification.html import render_html

    bench = ToyBench(DetectorSource.from_card(synthesizer.card), synthesizer.report.seed)
    with busy(f"checking {synthesizer.name} once more"):
        trial = try_program(synthesizer.proposal.program, bench)
        text = render_html(
            trial,
            judge(trial),
            proposal=synthesizer.proposal,
            profile=synthesizer.profile,
            provenance={"origin": synthesizer.origin, **synthesizer.provenance},
        )
    write_whole(page, text)


def _known_profile(detector: str) -> BlindSpotProfile | None:
    """Return what a detector was measured to miss, where it has a synthesizer by this name."""
    from ..registry import Registry

    registry = Registry()
    return registry.get(detector).profile if detector in registry.names() else None
