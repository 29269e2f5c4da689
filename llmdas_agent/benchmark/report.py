"""What a benchmark leaves for its readers: one results file, tables, figures, and a page that holds them."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from ..errors import InputError
from ..files import require_writable, storage_errors, write_whole
from .figures import Box, draw_boxes, draw_portrait, draw_programs, draw_ranking, drawn
from .jobs import Outcome
from .journal import Journal, Record
from .programs import ABLATED, RIVALS
from .quoted import Quoted
from .results import as_frame, mean_over_seeds, values_over_sets
from .statistics import Ranking, rank
from .tables import Table, detectors_of, main_rows, programs_by_detector, tables
from .variants import AS_GIVEN, ENHANCED

__all__ = ["Report", "write_report"]


_ORDER = (
    *("table1", "ablations", "synthesis", "figure3", "critical-difference", "methods", "table2", "figure4a"),
    *("figure4b", "figure5-*", "classifiers", "table4", "table5", "table-f1", "failures"),
)
"""What a reader is shown first; all names that tables and figures have."""


@dataclass(frozen=True)
class Picture:
    """A figure with its words."""

    name: str
    title: str
    note: str
    content: dict[str, bytes]

    def markdown(self) -> str:
        """Return the picture's place in Markdown, heading and note included."""
        return f"## {self.title}\n\n![{self.title}]({self.name}.png)\n\n{self.note}\n"

    @property
    def address(self) -> str:
        """The picture itself, as an address that a page can hold."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.content["svg"]).decode("ascii")


@dataclass(frozen=True)
class Report:
    """Where a report lies, and what it says in short.

    Attributes
    ----------
    folder : Path
    files : tuple of str
        Their names in it.
    gains : Table
        The paper's Table 1.
    missing : int
        Planned jobs without an outcome.
    failures : int
        Planned jobs that failed.
    """

    folder: Path
    files: tuple[str, ...]
    gains: Table | None
    missing: int
    failures: int


def write_report(folder: Path, quoted: Sequence[Quoted] = ()) -> Report:
    """Make tables, figures and the page from a benchmark's outcomes; those of the plan written last count.

    Parameters
    ----------
    folder : Path
        As `run_plan` left it, finished or not.
    quoted : sequence of Quoted
        Figures of others for Figure 3.

    Raises
    ------
    InputError
        When there is no benchmark, or not a single result; ``failures.csv`` is written where jobs failed.
    StorageError
        When it cannot be written.
    """
    journal = Journal(folder)
    record = journal.planned()
    require_writable(folder / "report.html")
    there = journal.outcomes()
    outcomes = [there[key] for key in record.jobs if key in there]
    frame = as_frame(outcomes)
    failed = _failures(outcomes)
    if frame.is_empty():
        raise _no_result(folder, failed)
    means = mean_over_seeds(frame, record.settings["classifiers"][0])
    made = list(tables(means))
    if failed is not None:
        made.append(failed)
    pictures = list(_pictures(means, outcomes, record.settings, quoted))
    missing = len(record.jobs) - len(outcomes)
    facts = _facts(record, outcomes, missing)
    files = {"results.parquet": _parquet(frame)}
    files |= {f"{table.name}.csv": table.content for table in made}
    files |= {f"{one.name}.{suffix}": data for one in pictures for suffix, data in one.content.items()}
    notes = record.settings["notes"]
    parts: list[Table | Picture] = [*pictures, *made]
    parts.sort(key=lambda part: [fnmatchcase(part.name, name) for name in _ORDER].index(True))
    files["report.md"] = _markdown(facts, notes, parts).encode("utf-8")
    files["report.html"] = _page(facts, notes, parts).encode("utf-8")
    for name, data in files.items():
        write_whole(folder / name, data)
    _remove_earlier(folder, files)
    gains = next((table for table in made if table.name == "table1"), None)
    return Report(folder, tuple(files), gains, missing, 0 if failed is None else failed.frame.height)


def _no_result(folder: Path, failed: Table | None) -> InputError:
    """Return the error that says why nothing was measured, after writing down what failed."""
    if failed is None:
        return InputError(
            "holds no result yet",
            where=str(folder),
            hint="Run `llmdas-agent bench run` with the same --output again; it goes on where it stopped",
        )
    listed = folder / "failures.csv"
    write_whole(listed, failed.content)
    first = failed.frame.row(0, named=True)
    named = f"{first['detector']} on {first['set']}"
    return InputError(
        f"holds no result: {failed.frame.height} jobs failed, the first ({named}) with {first['why']}",
        where=str(folder),
        hint=f"{listed} lists all; the same `bench run` tries them again",
    )


def _remove_earlier(folder: Path, files: Collection[str]) -> None:
    """Remove tables and figures of an earlier report that have no part in this one."""
    for name, suffix in product(_ORDER, ("csv", "png", "svg")):
        for path in folder.glob(f"{name}.{suffix}"):
            if path.name not in files:
                with storage_errors(path):
                    path.unlink()


def _pictures(
    means: pl.DataFrame, outcomes: Sequence[Outcome], settings: dict[str, Any], quoted: Sequence[Quoted]
) -> Iterator[Picture]:
    methods = _compared(means)
    _, values = values_over_sets(means, {name: which for name, (_, which) in methods.items()}, "auc_pr")
    boxes = [Box(name, methods[name][0], found, float(found.mean())) for name, found in values.items()]
    boxes += [Box(one.method, "quoted", one.auc_pr, one.mean) for one in quoted]
    if boxes:
        note = "Median and quartiles over the sets that all methods have; the triangle is the mean."
        yield _picture("figure3", "Figure 3: all methods over the sets", note, draw_boxes(boxes, "AUC-PR"))
    if len(values) > 1:
        ranking = rank(values)
        yield _picture("critical-difference", "Critical difference", _told(ranking), draw_ranking(ranking))
    for name, title, labels in (
        ("figure4a", "Figure 4a: other ways to make rows", RIVALS),
        ("figure4b", "Figure 4b: programs with something taken out", ABLATED),
    ):
        rows = programs_by_detector(means, labels)
        if rows:
            note = "Mean AUC-PR; the dashed line is the base alone."
            yield _picture(name, title, note, draw_programs(rows))
    for outcome in outcomes:
        if outcome.portrait is not None:
            detector, name = outcome.about["detector"], outcome.about["set"]
            note = (
                "Made anomalies number a tenth of the training rows. The farthest hundredth of the scores is "
                "drawn at the edge."
            )
            figure = draw_portrait(outcome.portrait, f"{detector} on {name}")
            yield _picture(f"figure5-{detector}", f"Figure 5: {name} under {detector}", note, figure)


def _compared(means: pl.DataFrame) -> dict[str, tuple[str, pl.Expr]]:
    """Return kind and condition of the methods that are shown beside each other."""
    methods = {}
    for name in detectors_of(means):
        methods[name] = ("base", main_rows(name, AS_GIVEN))
        methods[f"{name}, {ENHANCED}"] = ("enhanced", main_rows(name, ENHANCED))
    for peer in means.filter(pl.col("method") == "peer")["detector"].unique(maintain_order=True):
        methods[f"{peer} (peer)"] = ("peer", main_rows(peer, "peer"))
    return methods


def _told(ranking: Ranking) -> str:
    friedman = (
        f"Friedman's test: p = {ranking.p_friedman:.2g}. " if ranking.p_friedman == ranking.p_friedman else ""
    )
    return (
        f"Mean ranks of AUC-PR over {ranking.sets} sets. {friedman}A bar joins methods that do not differ by "
        "Wilcoxon's signed-rank test at .05 after Holm's correction."
    )


def _picture(name: str, title: str, note: str, figure: Figure) -> Picture:
    return Picture(name, title, note, drawn(figure))


def _failures(outcomes: Sequence[Outcome]) -> Table | None:
    rows = [
        {
            **{name: outcome.about[name] for name in ("set", "detector", "program", "seed")},
            "why": outcome.failure,
        }
        for outcome in outcomes
        if outcome.failure
    ]
    note = "They have no part in any mean. The next run tries them again."
    return Table("failures", "What could not be measured", pl.DataFrame(rows), note) if rows else None


def _facts(record: Record, outcomes: Sequence[Outcome], missing: int) -> dict[str, str]:
    """Return where the figures come from."""
    settings, circumstances = record.settings, record.circumstances
    unverified = sorted(name for name, one in settings["detectors"].items() if not one["verified"])
    facts = {
        "command": record.command,
        "mode": settings["mode"],
        "sets": f"{len(settings['sets'])}: {', '.join(settings['sets'])}",
        "detectors": ", ".join(settings["detectors"]),
        "classifier": ", ".join(settings["classifiers"]),
        "seeds": ", ".join(map(str, settings["seeds"])),
        "peers": ", ".join(settings["peers"]) or "none",
        "date": circumstances["date"],
        "machine": circumstances["machine"],
        "versions": ", ".join(
            f"{name} {version}"
            for name, version in (record.versions | circumstances["further packages"]).items()
        ),
        "computing time": f"{sum(one.seconds for one in outcomes) / 60:.1f} minutes, all jobs together",
    }
    if unverified:
        facts["unverified"] = f"the programs of {', '.join(unverified)} come from files and were not verified"
    if missing:
        facts["unfinished"] = f"{missing} of {len(record.jobs)} jobs are not done yet"
    return facts


def _markdown(facts: dict[str, str], notes: list[str], parts: Sequence[Table | Picture]) -> str:
    text = ["# Benchmark\n", f"`{facts['command']}`\n"]
    text.append("\n".join(f"- {name}: {value}" for name, value in facts.items() if name != "command") + "\n")
    if notes:
        text.append("\n".join(f"- {note}" for note in notes) + "\n")
    return "\n".join([*text, *(part.markdown() for part in parts)])


def _page(facts: dict[str, str], notes: list[str], parts: Sequence[Table | Picture]) -> str:
    environment = Environment(
        loader=PackageLoader("llmdas_agent.benchmark", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2")
    return page.render(facts=facts, notes=notes, parts=parts)


def _parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()
