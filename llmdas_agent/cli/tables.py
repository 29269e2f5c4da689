"""Commands on a user's table: ``fit``, ``score``, ``synthesize``. They never load what talks to a model."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import StorageError, TableError
from .backends import BackendOption, JobsOption, SchedulerOption, chosen_workers, telling
from .output import JsonOption, SeedOption, busy, console, emit_json

if TYPE_CHECKING:
    import polars as pl

    from ..enhance import EnhancedDetector
    from ..enhance.scoring import FileScored
    from ..workers import Workers

__all__ = ["fit", "score", "synthesize"]

NameArgument = Annotated[str, typer.Argument(help="A detector's name, or a card's file.")]
TableArgument = Annotated[Path, typer.Argument(help="A CSV, TSV or Parquet file with a header.")]
DropOption = Annotated[
    list[str], typer.Option("--drop", metavar="COLUMN", help="Leave a column out; may be repeated.")
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="COLUMN", help="Carry a column along, and do not look at it.")
]
ScoresOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="CSV, TSV or Parquet, stdout as CSV when left out; for a folder, a folder."
    ),
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
    _warn_of_columns(frame, table)
    save_model(model, output)
    found = model.contribution_
    encoder = model.encoder_
    if as_json:
        emit_json(
            {
                "model": str(output),
                "detector": model.synthesizer_.name,
                "rows": frame.height,
                "columns": frame.width,
                "ignored_columns": list(encoder.ignored_),
                "word_columns": [str(column) for column in encoder.words_],
                "time_columns": [str(column) for column in encoder.times_],
                "threshold": float(model.threshold_),
                "weights": model.weights_,
                "learnability": found.learnability,
                "rival": found.rival,
                "reason": found.reason,
                "treatment": model.treatment_,
            }
        )
        return
    _print_fitted(model, frame, output)


def _warn_of_columns(frame: pl.DataFrame, table: Path) -> None:
    from ..enhance.spelling import counters, slips

    told = {
        column: f"is read as words, since '{odd:.40}' is no {kind} as it stands. "
        "Correct it, or leave it empty"
        for column, (odd, kind) in slips(frame).items()
    } | {
        column: "counts on from row to row: where later rows go on from there, all of them stand out. "
        f"`--drop '{column}'` leaves it out"
        for column in counters(frame)
    }
    for column, why in told.items():
        typer.echo(f"warning: {table}: column '{column}' {why}", err=True)


def _print_fitted(model: EnhancedDetector, frame: pl.DataFrame, output: Path) -> None:
    screen = console()
    proposal = model.synthesizer_.proposal
    screen.print(
        f"fitted     {model.synthesizer_.name} on {frame.height} rows, {frame.width} columns", markup=False
    )
    if model.encoder_.ignored_:
        ignored = ", ".join(model.encoder_.ignored_)
        screen.print(f"ignored    {ignored}: no value in any row", markup=False, emoji=False)
    if model.encoder_.words_:
        screen.print(f"words      {', '.join(map(str, model.encoder_.words_))}", markup=False, emoji=False)
    if model.encoder_.times_:
        screen.print(f"times      {', '.join(map(str, model.encoder_.times_))}", markup=False, emoji=False)
    if model.treatment_ != "as given":
        screen.print(f"columns    {model.treatment_}, so that the base scores soundly", markup=False)
    screen.print(f"synthesis  {proposal.strategy}: {proposal.blind_spot}", markup=False)
    weights = ", ".join(f"{expert} {weight:.2f}" for expert, weight in model.weights_.items())
    screen.print(f"weights    {weights}", markup=False)
    screen.print(f"classifier {model.contribution_.reason}", markup=False)
    screen.print(f"model      {output}", markup=False, soft_wrap=True)
    screen.print(f"\nNext:\n  llmdas-agent score {output} NEW_TABLE.csv --output scores.csv", markup=False)


def score(
    model: Annotated[Path, typer.Argument(help="A folder that `fit` wrote.")],
    table: Annotated[
        Path, typer.Argument(help="A CSV, TSV or Parquet file with a header, or a folder of them.")
    ],
    output: ScoresOption = None,
    id_column: IdOption = None,
    drop: DropOption = [],  # noqa: B006  as above
    jobs: JobsOption = 1,
    backend: BackendOption = "joblib",
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score rows: columns score, label and p_value, in row order.

    \b
    Examples:
      llmdas-agent score model/ new.csv --output scores.csv
      llmdas-agent score model/ new.csv --id customer_id --drop note > scores.csv
      llmdas-agent score model/ tables/ --jobs 8 --output scores/
      llmdas-agent score model/ tables/ --backend dask --scheduler tcp://10.0.0.1:8786 --output scores/

    A higher score is more abnormal, label 1 is an anomaly, and p_value is the share of held-out normal rows
    that score at least as high. Of a folder every file is scored into a file of the same name; the workers
    of a cluster read the model and the tables under the same paths.
    """
    if table.is_dir():
        if output is None:
            raise typer.BadParameter("a folder of tables needs a folder for their scores: --output DIR")
        _score_folder(
            model, table, output, id_column, drop, chosen_workers(backend, scheduler, jobs), as_json
        )
        return
    if (jobs, backend, scheduler) != (1, "joblib", None):
        raise typer.BadParameter("--jobs, --backend and --scheduler are for a folder of tables")
    if as_json and output is None:
        raise typer.BadParameter("--json tells of the file that --output names")
    _refuse_the_table_itself(table, output)
    from ..enhance import load_model, write_table
    from ..enhance.files import as_csv
    from ..enhance.scoring import scores_of

    detector = load_model(model)
    with busy(f"scoring {table.name}"):
        result = scores_of(detector, table, id_column=id_column, drop=drop)
    if output is None:
        sys.stdout.write(as_csv(result))
        return
    write_table(output, result)
    summary = {"scores": str(output), "rows": result.height, "anomalies": int(result["label"].sum())}
    if as_json:
        emit_json(summary)
    else:
        typer.echo(
            f"{summary['anomalies']} of {summary['rows']} rows labelled as anomalies; scores in {output}"
        )


def _refuse_the_table_itself(table: Path, output: Path | None) -> None:
    if output is not None and output.resolve() == table.resolve():
        raise typer.BadParameter("--output is the table itself, which would be lost: name another file")


def _score_folder(
    model: Path,
    folder: Path,
    output: Path,
    id_column: str | None,
    drop: list[str],
    workers: Workers,
    as_json: bool,
) -> None:
    """Score every table of a folder; those that cannot be scored are named at the end."""
    from ..enhance import load_model
    from ..enhance.scoring import FileJob, score_file, tables_in

    load_model(model)  # what is wrong with it is said once and here
    if output.resolve() == folder.resolve():
        raise typer.BadParameter("--output must be another folder than that of the tables")
    jobs = [
        FileJob(model.absolute(), table.absolute(), output.absolute() / table.name, id_column, tuple(drop))
        for table in tables_in(folder)
    ]
    scored = []
    with telling("scoring") as tell:
        for done, one in enumerate(workers.results(score_file, jobs), 1):
            scored.append(one)
            tell(done, len(jobs), None)
    whole = [one for one in scored if not one.problem]
    _refuse_problems([one for one in scored if one.problem], len(jobs), folder, output)
    summary = {
        "scores": str(output),
        "tables": len(whole),
        "rows": sum(one.rows for one in whole),
        "anomalies": sum(one.anomalies for one in whole),
    }
    if as_json:
        emit_json(summary)
    else:
        typer.echo(
            f"{summary['anomalies']} of {summary['rows']} rows in {summary['tables']} tables labelled as "
            f"anomalies; scores in {output}"
        )


def _refuse_problems(problems: list[FileScored], n_jobs: int, folder: Path, output: Path) -> None:
    """Name the tables that could not be scored, and end with an error where there are any."""
    for one in sorted(problems, key=lambda one: one.table):
        typer.echo(f"not scored: {one.problem}", err=True)
    if not problems:
        return
    told = f"{len(problems)} of {n_jobs} tables could not be scored"
    if all(one.exit_code == StorageError.exit_code for one in problems):
        raise StorageError(told, where=str(output), hint="See whether it may be written")
    hint = f"The scores of the others are in {output}" if len(problems) < n_jobs else "See the lines above"
    raise TableError(told, where=str(folder), hint=hint)


def synthesize(
    name: NameArgument,
    table: TableArgument,
    rows: Annotated[int, typer.Option(min=1, help="Rows to make.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV, TSV or Parquet; stdout as CSV when left out.")
    ] = None,
    drop: DropOption = [],  # noqa: B006  as above
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Make the hard anomalies that an enhanced detector learns from, to look at.

    \b
    Examples:
      llmdas-agent synthesize iforest normal.csv --rows 200 --output made.csv
    """
    if as_json and output is None:
        raise typer.BadParameter("--json tells of the file that --output names")
    _refuse_the_table_itself(table, output)
    from ..enhance import synthesize as make_rows
    from ..enhance import write_table
    from ..enhance.files import as_csv

    model, _ = _fitted(name, table, drop, 0.1, seed)
    made = make_rows(model, rows)
    if output is None:
        sys.stdout.write(as_csv(made))
        return
    write_table(output, made)
    if as_json:
        emit_json({"made": str(output), "rows": made.height})
    else:
        typer.echo(f"{made.height} rows in {output}")


def _fitted(
    name: str, table: Path, drop: list[str], contamination: float, seed: int
) -> tuple[EnhancedDetector, pl.DataFrame]:
    from ..enhance import EnhancedDetector, read_table
    from ..enhance.files import named_in_errors

    verify_before_first_use(name)
    with busy(f"fitting {name} on {table.name}"), warnings.catch_warnings():
        # what matters is said in `contribution_`; the libraries' own warnings are not for this reader
        warnings.simplefilter("ignore")
        frame = read_table(table, drop=drop).frame
        model = EnhancedDetector(name, contamination=contamination, random_state=seed)
        with named_in_errors(table):
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
