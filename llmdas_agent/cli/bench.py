"""``bench``: measure bases, enhanced detectors and peers on labelled data sets."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError
from .backends import BackendOption, JobsOption, SchedulerOption, chosen_workers, telling
from .output import JsonOption, console, emit_json

if TYPE_CHECKING:
    from rich.table import Table as ScreenTable

    from ..benchmark.plan import Detector
    from ..benchmark.report import Report
    from ..benchmark.tables import Table

__all__ = ["app"]

app = typer.Typer(
    name="bench",
    help="""Measure what enhancing gains, on your own copy of the data.

    \b
    Examples:
      llmdas-agent bench fetch datasets/
      llmdas-agent bench run datasets/ --output results/
      llmdas-agent bench report results/
    """,
    no_args_is_help=True,
)

OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="Folder of the results; a run that is there goes on.")
]
QuotedOption = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV", help="Figures of others for Figure 3, marked as quoted: columns method, set, auc_pr."
    ),
]


DetectorsOption = Annotated[
    str, typer.Option(metavar="NAMES", help="Names of detectors or files of cards, with commas between.")
]
SeedsOption = Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")]
ModeOption = Annotated[
    Literal["calibrated", "paper"],
    typer.Option(help="How base and classifier are joined: as `fit` does, or as in the paper."),
]
ClassifiersOption = Annotated[
    str, typer.Option(metavar="NAMES", help="In mode paper: forest, svc; the first is the main one.")
]
ProgramsOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Take programs from files NAME.py here, unverified, sandboxed."),
]
PeersOption = Annotated[str, typer.Option(metavar="NAMES", help="Detectors to compare with, or `none`.")]
PartsOption = Annotated[
    str,
    typer.Option(
        metavar="NAMES",
        help="What else to measure: swaps (Table 2), rivals (Figure 4a), ablations (Figure 4b), portrait "
        "(Figure 5), or `none`.",
    ),
]
PortraitOption = Annotated[str, typer.Option(metavar="SET", help="The set of Figure 5.")]


@app.command("run")
def run(
    folder: Annotated[
        Path, typer.Argument(help="Folder of .npz, .mat, CSV, TSV or Parquet files, with labels.")
    ],
    output: OutputOption = Path("results"),
    detectors: DetectorsOption = "pca,iforest,ocsvm,ecod",
    seeds: SeedsOption = 5,
    mode: ModeOption = "calibrated",
    classifiers: ClassifiersOption = "",
    programs: ProgramsOption = None,
    peers: PeersOption = "knn,lof,lunar,gmm,kde,inne,dif",
    parts: PartsOption = "swaps,rivals,ablations,portrait",
    portrait: PortraitOption = "thyroid",
    quoted: QuotedOption = None,
    jobs: JobsOption = 1,
    backend: BackendOption = "joblib",
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure detectors, enhanced detectors and peers on every set of a folder.

    \b
    Examples:
      llmdas-agent bench run datasets/ --output results/
      llmdas-agent bench run datasets/ --detectors pca,iforest --seeds 5 --jobs 8 --output results/
      llmdas-agent bench run datasets/ --mode paper --programs their_programs/ --output paper/
      llmdas-agent bench run datasets/ --backend dask --scheduler tcp://10.0.0.1:8786 --output results/

    Half of the normal rows train, in file order; all other rows test. Settings are the same for all sets,
    and test labels enter the metrics alone. Results are kept as they come: Ctrl-C, or a kill, loses nothing
    that is done, and the same command goes on.
    """
    from ..benchmark.plan import PARTS, Plan
    from ..benchmark.quoted import read_quoted
    from ..benchmark.report import write_report
    from ..benchmark.running import run_plan

    _refuse_the_data_s_own(folder, output)
    others = read_quoted(quoted) if quoted else []
    plan = Plan.of(
        folder,
        _detectors(_names(detectors), programs),
        mode=mode,
        classifiers=_names(classifiers),
        seeds=seeds,
        peers=_names(peers),
        parts=_of(_names(parts), PARTS, "--parts"),
        portrait=portrait,
    )
    command = shlex.join(["llmdas-agent", *sys.argv[1:]])
    _say_what_is_damaged(output)
    try:
        with telling("measuring") as tell:
            run_plan(plan, output, chosen_workers(backend, scheduler, jobs), command=command, tell=tell)
        made = write_report(output, others)
    except KeyboardInterrupt:
        _say_how_to_go_on(output, command)
        raise typer.Exit(130) from None
    _conclude(made, as_json)


@app.command("report")
def report(
    results: Annotated[Path, typer.Argument(help="A folder that `bench run` wrote, finished or not.")],
    quoted: QuotedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the tables, figures and the page again from results that are there.

    \b
    Examples:
      llmdas-agent bench report results/
      llmdas-agent bench report results/ --quoted anollm.csv
    """
    from ..benchmark.quoted import read_quoted
    from ..benchmark.report import write_report

    _conclude(write_report(results, read_quoted(quoted) if quoted else []), as_json)


@app.command("fetch")
def fetch(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    sets: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Sets with commas between, such as thyroid,wbc; all if left out."),
    ] = "",
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where the files lie, if not in ADBench's repository.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring ADBench's public data sets, checked against the SHA-256 sums that come with this package.

    \b
    Examples:
      llmdas-agent bench fetch datasets/
      llmdas-agent bench fetch datasets/ --sets thyroid,wbc,vowels

    A file that is there and whole is not brought again.
    """
    from ..benchmark.fetch import BASE_URL
    from ..benchmark.fetch import fetch as bring

    found = bring(
        folder,
        _names(sets),
        base_url=base_url or BASE_URL,
        listen=lambda path: typer.echo(f"{path.name}: there, and what it should be", err=True),
    )
    if as_json:
        emit_json({"folder": str(folder), "files": [path.name for path in found]})
    else:
        typer.echo(f"{len(found)} sets in {folder}\n\nNext:\n  llmdas-agent bench run {folder}")


def _detectors(names: list[str], programs: Path | None) -> list[Detector]:
    from ..benchmark.plan import Detector
    from ..benchmark.programs import from_folder, from_registry
    from ..registry import resolve
    from .tables import verify_before_first_use

    if not names:
        raise typer.BadParameter("--detectors names none")
    found = []
    for name in names:
        source = resolve(name)
        if source.card is None:
            raise typer.BadParameter(f"{name} has no card")
        if programs is None:
            verify_before_first_use(name)
            own = from_registry(source.name)
        else:
            own = from_folder(programs, source.name)
        found.append(Detector(source.card, own))
    return found


def _names(text: str) -> list[str]:
    """Return the parts of a list with commas; none for ``none``."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    return [] if found == ["none"] else list(dict.fromkeys(found))


def _of(names: list[str], known: tuple[str, ...], option: str) -> list[str]:
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{option} knows {', '.join(known)}, and not '{name}'")
    return names


def _conclude(made: Report, as_json: bool) -> None:
    """Say what came out, the gains first."""
    if as_json:
        gains = made.gains.frame.to_dicts() if made.gains else []
        emit_json(
            {
                "results": str(made.folder),
                "gains": gains,
                "missing": made.missing,
                "failures": made.failures,
                "files": list(made.files),
            }
        )
        return
    if made.gains is not None:
        columns = ("detector", "against", "base", "enhanced", "gain", "wins", "losses", "p (t)")
        console().print(_on_screen(made.gains, columns))
    if made.missing:
        typer.echo(f"{made.missing} jobs are not done yet; the same `bench run` goes on")
    if made.failures:
        listed = made.folder / "failures.csv"
        typer.echo(f"{made.failures} jobs failed, see {listed}; the same `bench run` tries them again")
    typer.echo(f"report   {made.folder / 'report.html'} and report.md, beside every table and figure")
    typer.echo(f"results  {made.folder / 'results.parquet'}")


def _on_screen(table: Table, columns: tuple[str, ...]) -> ScreenTable:
    from rich.markup import escape
    from rich.table import Table as ScreenTable

    shown = ScreenTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        shown.add_column(name, justify="right" if table.is_number(name) else "left", no_wrap=True)
    places = [table.frame.columns.index(name) for name in columns]
    for cells in table.cells():
        shown.add_row(*(escape(cells[place]) for place in places))
    return shown


def _refuse_the_data_s_own(folder: Path, output: Path) -> None:
    if output.resolve() == folder.resolve():
        raise InputError(
            "holds the data, among which tables of results would count as sets",
            where="--output",
            hint="Name another folder",
        )


def _say_what_is_damaged(output: Path) -> None:
    from ..benchmark.journal import Journal

    journal = Journal(output)
    for number in journal.damaged():
        typer.echo(
            f"{journal.results}: line {number} is damaged, its job is done again unless a later line has it",
            err=True,
        )


def _say_how_to_go_on(output: Path, command: str) -> None:
    from ..benchmark.journal import Journal

    kept = len(Journal(output).outcomes())
    typer.echo(
        f"\nstopped; {kept} results are kept in {output}. The same command goes on:\n  {command}", err=True
    )
