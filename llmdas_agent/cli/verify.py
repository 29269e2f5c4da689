"""``verify``: a program against the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, NotAcceptedError
from .output import JsonOption, SeedOption, busy, checks_table, console, emit_json

__all__ = ["verify"]


def verify(
    program: Annotated[Path, typer.Argument(help="A Python file that defines generate_hard_anomalies.")],
    detector: Annotated[str, typer.Option("--detector", help="A name, or a card's file.")],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Check a program against a detector on toy data; nothing is registered.

    \b
    Examples:
      llmdas-agent verify my_program.py --detector iforest
      llmdas-agent verify my_program.py --detector my_card.yaml --json

    Exit code 0: it passes every check. 5: it does not.
    """
    from ..programs import SynthesisProgram
    from ..registry import resolve
    from ..verification import ToyBench
    from ..verification import verify as run_verification

    try:
        source = program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(
            f"cannot be read ({what.lower()})", where=str(program), hint="Give a Python file"
        ) from None
    bench = ToyBench(resolve(detector), seed=seed)
    with busy(f"checking {program.name}"):
        report = run_verification(SynthesisProgram(source), bench)
    if as_json:
        emit_json({"accepted": report.accepted, **report.model_dump()})
    else:
        console().print(checks_table(report))
        console().print("\n[bold green]passes[/]" if report.accepted else "\n[bold red]does not pass[/]")
    if not report.accepted:
        raise typer.Exit(NotAcceptedError.exit_code)
