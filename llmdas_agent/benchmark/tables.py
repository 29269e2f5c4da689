"""The tables of a benchmark: the paper's by name, the ablations, and every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from .programs import ABLATED, OWN, RIVALS
from .results import METRICS, values_over_sets
from .statistics import Comparison, compare
from .variants import ABLATIONS, AS_GIVEN, CURED, ENHANCED, PAPER_FORM, WITHOUT_SYNTHESIS

__all__ = ["Table", "detectors_of", "main_rows", "programs_by_detector", "tables"]

_NAMES = {"auc_pr": "AUC-PR", "auc_roc": "AUC-ROC", "f1": "F1"}


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes
    ----------
    name : str
        Of its files.
    title : str
        What it shows, for a heading.
    frame : polars.DataFrame
        Its content, numbers in full.
    note : str
        How to read it.
    decimals : int
        Shown of numbers that are no counts.
    signed : tuple of str
        Columns whose numbers are shown with their sign.
    """

    name: str
    title: str
    frame: pl.DataFrame
    note: str = ""
    decimals: int = 3
    signed: tuple[str, ...] = field(default=())

    @property
    def content(self) -> bytes:
        """The table as the content of a CSV file."""
        return self.frame.write_csv().encode("utf-8")

    def cells(self) -> Iterator[list[str]]:
        """Yield the rows as text."""
        for row in self.frame.iter_rows():
            yield [self._shown(name, value) for name, value in zip(self.frame.columns, row, strict=True)]

    def is_number(self, column: str) -> bool:
        """Return whether a column holds numbers."""
        return self.frame.schema[column].is_numeric()

    def markdown(self) -> str:
        """Return the table in Markdown, heading and note included."""
        rules = ["---:" if self.is_number(name) else "---" for name in self.frame.columns]
        lines = [self.frame.columns, rules, *self.cells()]
        text = "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        return f"## {self.title}\n\n{text}\n" + (f"\n{self.note}\n" if self.note else "")

    def _shown(self, column: str, value: Any) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return "–"
        if column.startswith("p ") and value < 0.001:
            return "< .001"
        if isinstance(value, float):
            sign = "+" if column in self.signed else ""
            decimals = 1 if column.endswith("%") or column.startswith("seconds") else self.decimals
            text = f"{value:{sign}.{decimals}f}"
            return text[1:] if text.startswith("-") and not float(text) else text
        return str(value)


def tables(means: pl.DataFrame) -> Iterator[Table]:
    """Yield all tables for which there are results.

    Parameters
    ----------
    means : polars.DataFrame
        As `mean_over_seeds` gives it.
    """
    detectors = detectors_of(means)
    made = [
        _gains(means, detectors),
        _ablations(means, detectors),
        _synthesis(means, detectors),
        _methods(means),
    ]
    swapped = [f"of {name}" for name in detectors]
    made += [_programs(means, "table2", "Table 2: programs swapped between detectors", swapped)]
    made += [
        _every_set(means, detectors, name, metric) for name, metric in zip(_SET_TABLES, METRICS, strict=True)
    ]
    made += [_programs(means, "figure4a", "Figure 4a in numbers", RIVALS)]
    made += [_programs(means, "figure4b", "Figure 4b in numbers", ABLATED)]
    made += [_classifiers(means)]
    yield from (table for table in made if table is not None and table.frame.height)


_SET_TABLES = ("table4", "table5", "table-f1")


def detectors_of(means: pl.DataFrame) -> list[str]:
    """Return the detectors that were enhanced, in the order of their names."""
    return sorted(means.filter(pl.col("method") == ENHANCED)["detector"].unique())


def main_rows(detector: str, method: str) -> pl.Expr:
    """Return the condition for a detector's rows under a method, its own program and first classifier."""
    return (pl.col("detector") == detector) & (pl.col("method") == method) & pl.col("main")


def _gains(means: pl.DataFrame, detectors: list[str]) -> Table:
    rows = []
    for name in detectors:
        for against in (AS_GIVEN, CURED):
            which = {one: main_rows(name, one) for one in (against, ENHANCED)}
            _, values = values_over_sets(means, which, "auc_pr")
            if len(values) == 2:
                rows.append(
                    {
                        "detector": name,
                        "against": against,
                        **_told(compare(values[ENHANCED], values[against])),
                    }
                )
    note = (
        "AUC-PR, means over the sets; every set's value is the mean over seeds. t and p: paired, one-tailed. "
        "better: by more than .005; worse: by more than .02 and by more than .05."
    )
    return Table(
        "table1",
        "Table 1: what enhancing gains",
        pl.DataFrame(rows),
        note,
        4,
        ("gain", "relative gain, %", "t"),
    )


def _told(found: Comparison) -> dict[str, Any]:
    return {
        "base": found.mean_other,
        "enhanced": found.mean,
        "gain": found.gain,
        "relative gain, %": 100 * found.relative_gain,
        "wins": found.wins,
        "losses": found.losses,
        "better": found.better,
        "worse": found.worse,
        "much worse": found.much_worse,
        "sets": found.sets,
        "t": found.t,
        "p (t)": found.p_t,
        "p (Wilcoxon)": found.p_wilcoxon,
    }


def _ablations(means: pl.DataFrame, detectors: list[str]) -> Table:
    rows = []
    for name in detectors:
        which = {method: main_rows(name, method) for method in (AS_GIVEN, CURED, *ABLATIONS, ENHANCED)}
        sets, values = values_over_sets(means, which, "auc_pr")
        used = means.filter(which[ENHANCED] & (pl.col("weight") > 0)).height
        rows.append(
            {
                "detector": name,
                **{method: float(values[method].mean()) if method in values else None for method in which},
                "synthesis used on": used,
                "sets": len(sets),
            }
        )
    note = "Mean AUC-PR. Parts that the mode does not have are left empty."
    return Table("ablations", "Ablations: what each part brings", pl.DataFrame(rows), note, 4)


def _synthesis(means: pl.DataFrame, detectors: list[str]) -> Table | None:
    """Return what the classifier on made rows adds to all other parts together."""
    rows = []
    for name in detectors:
        compared = {method: main_rows(name, method) for method in (WITHOUT_SYNTHESIS, ENHANCED)}
        _, values = values_over_sets(means, compared, "auc_pr")
        if len(values) < 2:
            continue
        difference = values[ENHANCED] - values[WITHOUT_SYNTHESIS]
        rows.append(
            {
                "detector": name,
                "gain": float(difference.mean()),
                "better by more than .002": int(np.sum(difference > 0.002)),
                "worse by more than .002": int(np.sum(difference < -0.002)),
                "worse by more than .01": int(np.sum(difference < -0.01)),
                "largest gain": float(difference.max()),
                "largest loss": float(difference.min()),
                "sets": len(difference),
            }
        )
    if not rows:
        return None
    note = f"AUC-PR of {ENHANCED} less that of {WITHOUT_SYNTHESIS}."
    signed = ("gain", "largest gain", "largest loss")
    return Table("synthesis", "What the made anomalies add", pl.DataFrame(rows), note, 4, signed)


def _methods(means: pl.DataFrame) -> Table:
    shown = means.filter(pl.col("main"))
    frame = (
        shown.group_by("detector", "method", maintain_order=True)
        .agg(
            *(pl.col(metric).mean().alias(_NAMES[metric]) for metric in METRICS),
            pl.len().alias("sets"),
            pl.col("seconds").mean().alias("seconds a set"),
        )
        .sort("AUC-PR", descending=True)
    )
    note = (
        "Means over the sets. Seconds are those of the whole job, in which a base is fitted both ways and an "
        "enhanced detector with all of its parts."
    )
    return Table("methods", "Every method", frame, note)


def _every_set(means: pl.DataFrame, detectors: list[str], name: str, metric: str) -> Table:
    """Return all sets with the bases, the enhanced detectors and the peers, the losses first."""
    frame = (
        means.select("set", "n_train", "n_columns")
        .unique(maintain_order=True)
        .group_by("set", maintain_order=True)
        .first()
    )
    losses = []
    for detector in detectors:
        for method in (AS_GIVEN, CURED, ENHANCED):
            label = f"{detector}: {method}"
            column = means.filter(main_rows(detector, method)).select("set", pl.col(metric).alias(label))
            frame = frame.join(column, on="set", how="left", maintain_order="left")
        losses.append(pl.col(f"{detector}: {ENHANCED}") - pl.col(f"{detector}: {CURED}"))
    peers = means.filter(pl.col("method") == "peer")
    for peer in peers["detector"].unique(maintain_order=True):
        column = peers.filter(pl.col("detector") == peer).select("set", pl.col(metric).alias(peer))
        frame = frame.join(column, on="set", how="left", maintain_order="left")
    if losses:
        frame = frame.sort(pl.min_horizontal(losses), nulls_last=True, maintain_order=True)
    frame = frame.rename({"n_train": "rows fitted", "n_columns": "columns"})
    shown = {"table4": "Table 4", "table5": "Table 5"}.get(name, "Like Tables 4 and 5")
    note = "The sets on which an enhanced detector loses most against its cured base come first."
    return Table(name, f"{shown}: {_NAMES[metric]} on every set", frame, note)


def _programs(means: pl.DataFrame, name: str, title: str, labels: Sequence[str]) -> Table | None:
    """Return the detectors with their own programs and with others."""
    rows = programs_by_detector(means, labels)
    if not rows:
        return None
    note = f"Mean AUC-PR of {PAPER_FORM} over the sets. {OWN}: the program written for the detector."
    return Table(name, title, pl.DataFrame(rows, infer_schema_length=None), note, 4)


def programs_by_detector(means: pl.DataFrame, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each detector its mean AUC-PR alone, with its own program and with those of the labels.

    All in the paper's form. Empty when no detector was measured with any of them.
    """
    there = [label for label in labels if (means["program"] == label).any()]
    if not there:
        return []
    rows = []
    for detector in detectors_of(means):
        which = {AS_GIVEN: main_rows(detector, AS_GIVEN), OWN: main_rows(detector, PAPER_FORM)}
        mine = (pl.col("detector") == detector) & (pl.col("method") == PAPER_FORM)
        which |= {label: mine & (pl.col("program") == label) for label in there}
        _, values = values_over_sets(means, which, "auc_pr")
        found = {label: float(values[label].mean()) if label in values else None for label in which}
        rows.append({"detector": detector, **found})
    return rows


def _classifiers(means: pl.DataFrame) -> Table | None:
    own = means.filter((pl.col("method") == ENHANCED) & (pl.col("program") == OWN))
    if own["classifier"].n_unique() < 2:
        return None
    frame = own.group_by("detector", maintain_order=True).agg(
        *(
            pl.col("auc_pr").filter(pl.col("classifier") == name).mean().alias(name)
            for name in own["classifier"].unique(maintain_order=True)
        )
    )
    return Table("classifiers", "Classifiers", frame, "Mean AUC-PR.", 4)
