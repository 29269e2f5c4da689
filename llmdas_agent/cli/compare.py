"""``compare``: models side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import (
    BaseUrlOption,
    JsonOption,
    MaxCostOption,
    MaxTokensOption,
    RunSeedOption,
    console,
    emit_json,
    require_new,
)

if TYPE_CHECKING:
    from ..agent.comparison import Cell, Comparison
    from ..cards import DetectorCard

__all__ = ["compare"]

ModelsOption = Annotated[
    str | None,
    typer.Option(metavar="A,B,...", help="Chat models as for --model, each with @URL where it has its own."),
]
DetectorsOption = Annotated[
    str | None, typer.Option(metavar="X,Y,...", help="Names as in `llmdas-agent list`, or cards.")
]
RoundsOption = Annotated[
    int | None, typer.Option(min=1, help="Programs that may be proposed in a cell.  [default: 8]")
]
TimeOption = Annotated[
    float | None, typer.Option(min=1, help="Seconds that a cell may take.  [default: 600]")
]
ResumeOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Go on with an interrupted comparison.")
]


def compare(
    models: ModelsOption = None,
    detectors: DetectorsOption = None,
    max_rounds: RoundsOption = None,
    max_time: TimeOption = None,
    base_url: BaseUrlOption = None,
    max_cost: MaxCostOption = None,
    max_tokens: MaxTokensOption = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write the table there, as CSV and as Markdown.")
    ] = None,
    resume: ResumeOption = None,
    seed: RunSeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let models write programs for the same detectors, and tabulate what they make of it.

    \b
    Examples:
      llmdas-agent compare --models embedded,openai:gpt-4o-mini --detectors pca,ecod --max-cost 0.50
      llmdas-agent compare --models openai:gpt-4o-mini,openai:qwen2.5-coder@http://localhost:11434/v1 \\
          --detectors pca,my_card.yaml --output tables/
      llmdas-agent compare --resume compare-20260101-120000-ab12

    Each model gets a run of its own for each detector, one after the other; the same checks decide. Nothing
    is registered. The caps are for all cells together. A cell that cannot be walked to its end, for want of a
    key or of a server, says so in the table; --resume tries it again. Exit code 0, unless no cell could be
    walked to its end.
    """
    if (resume is None) == (models is None) or (resume is None) == (detectors is None):
        raise typer.BadParameter("give --models and --detectors, or --resume NAME")
    from ..agent.comparison import Comparison
    from ..agent.runs import changed
    from ..config import Budget

    caps = {"max_rounds": max_rounds, "max_seconds": max_time, "max_cost": max_cost, "max_tokens": max_tokens}
    if resume is not None:
        require_new(seed=seed)
        comparison = Comparison.find(resume)
        comparison.allow(**caps)
        comparison.base_url = base_url or comparison.base_url
    else:
        comparison = Comparison.create(
            _listed(models),
            [_card(name) for name in _listed(detectors)],
            base_url=base_url,
            seed=seed or 0,
            budget=changed(Budget(), **caps),
        )
    cells = _walk(comparison)
    if output is not None:
        _write(output, cells)
    if as_json:
        rows = [cell.as_dict() for cell in cells]
        emit_json({"comparison": str(comparison.path), "cells": rows, "models": _by_model(cells)})
    else:
        _print(comparison, cells)
    if all(cell.status == "error" for cell in cells):
        raise typer.Exit(12)


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def _card(name: str) -> DetectorCard:
    from ..cards import load_card
    from ..registry import Registry

    return load_card(name) if name.endswith((".yaml", ".yml")) else Registry().card(name)


def _walk(comparison: Comparison) -> list[Cell]:
    from ..agent.side_by_side import walk
    from .live import LiveView

    try:
        with LiveView(console(stderr=True)) as view:
            return list(walk(comparison, listen=view))
    except KeyboardInterrupt:
        go_on = f"nothing is lost, go on with: llmdas-agent compare --resume {comparison.id}"
        console(stderr=True).print(f"interrupted; {go_on}", soft_wrap=True)
        raise typer.Exit(130) from None


def _by_model(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return one row for each model, over its detectors; what one cell cannot say, the sum cannot."""
    from ..agent.spending import Spending

    rows = []
    for model in dict.fromkeys(cell.model for cell in cells):
        own = [cell for cell in cells if cell.model == model]
        accepted = [cell for cell in own if cell.status == "accepted"]
        qualities = [cell.quality for cell in accepted if cell.quality is not None]
        total = sum((cell.spending for cell in own), Spending())
        row: dict[str, Any] = {"model": model, "detectors": len(own), "accepted": len(accepted)}
        row["rounds"] = _mean([cell.rounds for cell in accepted])
        row |= total.as_dict()
        row["quality"] = _mean(qualities)
        row["seconds"] = round(sum(cell.seconds for cell in own), 3)
        rows.append(row)
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


_CELL_COLUMNS = ("detector", "model", "status", "rounds", "requests", "tokens", "cost", "quality", "seconds")
_MODEL_COLUMNS = ("model", "accepted", "rounds", "requests", "tokens", "cost", "quality", "seconds")


def _as_text(row: dict[str, Any]) -> dict[str, str]:
    """Return a row for people: an unknown price is called so, and what there is none of is a dash."""
    from decimal import Decimal

    from ..agent.spending import dollars

    cost = row["cost_usd"]
    text = {name: str(value) for name, value in row.items()}
    text["tokens"] = f"{row['tokens_read']:,} + {row['tokens_written']:,}"
    text["cost"] = dollars(None if cost is None else Decimal(str(cost)))
    text["quality"] = "-" if row["quality"] is None else f"{row['quality']:.3f}"
    text["seconds"] = f"{row['seconds']:.0f}"
    if "detectors" in row:
        text["accepted"] = f"{row['accepted']} of {row['detectors']}"
        text["rounds"] = "-" if row["rounds"] is None else f"{row['rounds']:.1f}"
    return text


def _print(comparison: Comparison, cells: Sequence[Cell]) -> None:
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    rows = [_as_text(cell.as_dict()) for cell in cells]
    for columns, lines in ((_CELL_COLUMNS, rows), (_MODEL_COLUMNS, [*map(_as_text, _by_model(cells))])):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in columns:
            table.add_column(name, overflow="fold")
        for line in lines:
            table.add_row(*(escape(line[name]) for name in columns))
        screen.print()
        screen.print(table)
    for cell in cells:
        if cell.status == "error":
            screen.print(f"\n[red]error[/]  {escape(f'{cell.model} for {cell.detector}: {cell.reason}')}")
    screen.print(f"\ncomparison  {escape(str(comparison.path))}", soft_wrap=True)


def _write(folder: Path, cells: Sequence[Cell]) -> None:
    """Write ``comparison.csv``, a line for each cell, and ``comparison.md``, both tables."""
    from ..files import write_whole

    rows = [cell.as_dict() for cell in cells]
    lines = io.StringIO()
    writer = csv.DictWriter(lines, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row | {"cost_usd": "unpriced" if row["cost_usd"] is None else row["cost_usd"]})
    write_whole(folder / "comparison.csv", lines.getvalue())
    told = _markdown(_CELL_COLUMNS, [_as_text(row) for row in rows])
    summary = _markdown(_MODEL_COLUMNS, [_as_text(row) for row in _by_model(cells)])
    errors = [f"* {c.model} for {c.detector}: {c.reason}\n" for c in cells if c.status == "error"]
    write_whole(folder / "comparison.md", "\n".join([told, summary, "".join(errors)]).rstrip("\n") + "\n")


def _markdown(columns: Sequence[str], lines: Sequence[dict[str, str]]) -> str:
    table = [list(columns), ["---"] * len(columns)]
    table += [[line[name].replace("|", "\\|") for name in columns] for line in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in table)
