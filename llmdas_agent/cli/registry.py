"""Commands on detectors and their synthesizers: ``list``, ``show``, ``remove``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import LlmdasError
from .output import JsonOption, checks_table, console, emit_json, profile_table
from .verify import report_on

if TYPE_CHECKING:
    from ..synthesizer import Synthesizer

__all__ = ["list_", "remove", "show"]

NameArgument = Annotated[str, typer.Argument(help="The detector's name, as in `llmdas-agent list`.")]


def list_(as_json: JsonOption = False) -> None:
    """List every detector that can be named, and its synthesizer.

    \b
    Examples:
      llmdas-agent list
      llmdas-agent list --json
    """
    from rich.markup import escape
    from rich.table import Table

    from ..registry import Registry

    registry = Registry()
    cards, names = registry.cards(), registry.names()
    rows: list[dict[str, Any]] = []
    for name in sorted(cards.keys() | set(names)):
        fault = ""
        try:
            synthesizer = registry.get(name) if name in names else None
        except LlmdasError as error:
            synthesizer, fault = None, error.what
        rows.append(
            {
                "name": name,
                "class": cards[name].build.class_path if name in cards else None,
                "synthesizer": synthesizer.origin if synthesizer else None,
                "strategy": synthesizer.proposal.strategy if synthesizer else None,
                "fault": fault or None,
            }
        )
    if as_json:
        emit_json({"detectors": rows})
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("name", "synthesizer", "strategy", "class"):
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(
            escape(row["name"]),
            "cannot be used" if row["fault"] else row["synthesizer"] or "none yet",
            escape(row["strategy"] or ""),
            escape(row["class"] or ""),
        )
    console().print(table)


def show(
    name: NameArgument,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verify it once more, and write the report there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a synthesizer: the blind spot it uses, why it passed, and where it lies.

    \b
    Examples:
      llmdas-agent show iforest
      llmdas-agent show iforest --html iforest.html
      llmdas-agent show iforest --json

    The report of --html is one page that needs nothing else: card, checks, program, and pictures of its rows.
    """
    from rich.markup import escape

    from ..registry import Registry

    found = Registry().get(name)
    proposal = found.proposal
    if html is not None:
        report_on(found, html)
    if as_json:
        emit_json({**_as_data(found), "html": str(html) if html else None})
        return
    screen = console()
    title = escape(f"{found.card.full_name} ({found.card.build.class_path})")
    screen.print(f"[bold]{escape(found.name)}[/]  {title}")
    if found.card.description:
        screen.print(escape(found.card.description))
    screen.print("\n[bold]measured on toy data[/]")
    screen.print(profile_table(found.profile))
    screen.print(f"\n[bold]program[/]     {escape(proposal.strategy)}, strength {proposal.strength:g}")
    screen.print(f"blind spot  {escape(proposal.blind_spot)}")
    screen.print(f"borderline  {escape(proposal.borderline)}\n")
    screen.print(checks_table(found.report))
    made = ", ".join(
        f"{key} {value}" for key, value in found.provenance.items() if isinstance(value, (str, int))
    )
    screen.print(f"\nfrom        {found.origin}: {escape(made)}")
    screen.print(f"source      {escape(str(found.folder))}/program.py", soft_wrap=True)
    if html is not None:
        typer.echo(str(html))


def _as_data(found: Synthesizer) -> dict[str, Any]:
    proposal = found.proposal
    return {
        "name": found.name,
        "origin": found.origin,
        "folder": str(found.folder),
        "strategy": proposal.strategy,
        "strength": proposal.strength,
        "blind_spot": proposal.blind_spot,
        "borderline": proposal.borderline,
        "digest": proposal.program.digest,
        "source": proposal.program.source,
        "card": found.card.model_dump(mode="json", by_alias=True),
        "profile": found.profile.model_dump(),
        "report": found.report.model_dump(),
        "provenance": found.provenance,
    }


def remove(name: NameArgument) -> None:
    """Remove a synthesizer that was registered here.

    \b
    Examples:
      llmdas-agent remove hbos

    Under a name that the package ships, the shipped one serves again.
    """
    from ..registry import Registry

    registry = Registry()
    registry.remove(name)
    left = f"; the {registry.get(name).origin} one serves again" if name in registry.names() else ""
    typer.echo(f"removed '{name}'{left}")
