"""Commands on a user's table: ``fit``, ``score``, ``synthesize``. They never load what talks to a model."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import JsonOption, SeedOption, busy, console, emit_json

if TYPE_CHECKING:
    import polars as pl

    from ..enhance import EnhancedDetector

__all__ = ["fit", "score", "synthesize"]

NameArgument = Annotated[str, typer.Argument(help="A detector's name, or a card's file.")]
TableArgument = Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file with a header.")]
DropOption = Annotated[
    list[str], typer.Option("--drop", metavar="COLUMN", help="Leave a column out; may be repeated.")
]
ContaminationOption = Annotated[
    float, typer.Option(min=1e-6, max=0.5, help="Share of the table that the threshold is to cut off.")
]


def fit(
    name: NameArgument,
    table: TableArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model.")],
    drop: DropOption = [],  # noqa: B006  typer reads the default and copies it
    contamination: ContaminationOption = 0.1,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit an enhanced detector on a table of normal rows, or nearly all normal.

    \b
    Examples:
      llmdas-agent fit iforest normal.csv --output model/
      llmdas-agent fit my_card.yaml normal.parquet --drop customer_id --output model/

    Says what the made anomalies contribute on this table. No labels are used and nothing leaves the machine.
    """
    from ..enhance import save_model

    model, frame = _fitted(name, table, drop, contamination, seed)
    save_model(model, output)
    found = model.contribution_
    if as_json:
        emit_json(
            {
                "model": str(output),
                "detector": model.synthesizer_.name,
                "rows": frame.height,
                "columns": frame.width,
                "ignored_columns": list(model.encoder_.ignored_),
                "threshold": float(model.threshold_),
                "weights": model.weights_,
                "learnability": found.learnability,
                "rival": found.rival,
                "reason": found.reason,
                "treatment": model.treatment_,
            }
        )
        return
    screen = console()
    proposal = model.synthesizer_.proposal
    screen.print(
        f"fitted     {model.synthesizer_.name} on {frame.height} rows, {frame.width} columns", markup=False
    )
    if model.encoder_.ignored_:
        screen.print(f"ignored    {', '.join(model.encoder_.ignored_)}: no value in any row", markup=False)
    if model.treatment_ != "as given":
        screen.print(f"columns    {model.treatment_}, so that the base scores soundly", markup=False)
    screen.print(f"synthesis  {proposal.strategy}: {proposal.blind_spot}", markup=False)
    weights = ", ".join(f"{expert} {weight:.2f}" for expert, weight in model.weights_.items())
    screen.print(f"weights    {weights}", markup=False)
    screen.print(f"classifier {found.reason}", markup=False)
    screen.print(f"model      {output}", markup=False, soft_wrap=True)
    screen.print(f"\nNext:\n  llmdas-agent score {output} NEW_TABLE.csv --output scores.csv", markup=False)


def score(
    model: Annotated[Path, typer.Argument(help="A folder that `fit` wrote.")],
    table: TableArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV, TSV or Parquet; stdout as CSV when left out.")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option("--id", metavar="COLUMN", help="Carry a column along, and do not look at it."),
    ] = None,
    drop: DropOption = [],  # noqa: B006  as above
    as_json: JsonOption = False,
) -> None:
    """Score rows: columns score, label and p_value, in row order.

    \b
    Examples:
      llmdas-agent score model/ new.csv --output scores.csv
      llmdas-agent score model/ new.csv --id customer_id --drop note > scores.csv

    A higher score is more abnormal, label 1 is an anomaly, and p_value is the share of held-out normal rows
    that score at least as high.
    """
    from ..enhance import load_model, read_table, scores_table, write_table

    if as_json and output is None:
        raise typer.BadParameter("--json tells of the file that --output names")
    detector = load_model(model)
    with busy(f"scoring {table.name}"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = read_table(table, id_column=id_column, drop=drop)
        scores = detector.decision_function(read.frame)
    labels = (scores > detector.threshold_).astype("int64")
    p_values = detector.p_values_of(scores)
    result = scores_table(scores=scores, labels=labels, p_values=p_values, ids=read.ids)
    if output is None:
        result.write_csv(sys.stdout)
        return
    write_table(output, result)
    summary = {"scores": str(output), "rows": len(scores), "anomalies": int(labels.sum())}
    if as_json:
        emit_json(summary)
    else:
        typer.echo(
            f"{summary['anomalies']} of {summary['rows']} rows labelled as anomalies; scores in {output}"
        )


def synthesize(
    name: NameArgument,
    table: TableArgument,
    rows: Annotated[int, typer.Option(min=1, help="Rows to make.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV, TSV or Parquet; stdout as CSV when left out.")
    ] = None,
    drop: DropOption = [],  # noqa: B006  as above
    seed: SeedOption = 0,
) -> None:
    """Make the hard anomalies that an enhanced detector learns from, to look at.

    \b
    Examples:
      llmdas-agent synthesize iforest normal.csv --rows 200 --output made.csv
    """
    from ..enhance import synthesize as make_rows
    from ..enhance import write_table

    model, _ = _fitted(name, table, drop, 0.1, seed)
    made = make_rows(model, rows)
    if output is None:
        made.write_csv(sys.stdout)
        return
    write_table(output, made)
    typer.echo(f"{made.height} rows in {output}")


def _fitted(
    name: str, table: Path, drop: list[str], contamination: float, seed: int
) -> tuple[EnhancedDetector, pl.DataFrame]:
    from ..enhance import EnhancedDetector, read_table

    verify_before_first_use(name)
    with busy(f"fitting {name} on {table.name}"), warnings.catch_warnings():
        # what matters is said in `contribution_`; the libraries' own warnings are not for this reader
        warnings.simplefilter("ignore")
        frame = read_table(table, drop=drop).frame
        model = EnhancedDetector(name, contamination=contamination, random_state=seed)
        return model.fit(frame), frame


def verify_before_first_use(name: str) -> None:
    """Verify what a plugin's author verified elsewhere, once on this machine."""
    from ..registry import Registry, resolve

    source, registry = resolve(name), Registry()
    synthesizer = registry.get(source.name) if source.name in registry.names() else None
    if synthesizer is not None and synthesizer.needs_admission():
        from ..verification import admit

        with busy(f"verifying the synthesizer of {source.name}, once on this machine"):
            admit(synthesizer, resolve(synthesizer.card))
