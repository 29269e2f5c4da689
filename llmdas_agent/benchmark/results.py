"""The outcomes of a benchmark as one table, and the parts of it that tables and figures are made of."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .jobs import Outcome
from .programs import OWN

__all__ = ["METRICS", "as_frame", "mean_over_seeds", "values_over_sets"]

METRICS = ("auc_pr", "auc_roc", "f1")

_SCHEMA = {
    "set": pl.String,
    "detector": pl.String,
    "method": pl.String,
    "program": pl.String,
    "verified": pl.Boolean,
    "classifier": pl.String,
    "seed": pl.Int64,
    "auc_pr": pl.Float64,
    "auc_roc": pl.Float64,
    "f1": pl.Float64,
    "weight": pl.Float64,
    "n_train": pl.Int64,
    "n_test": pl.Int64,
    "n_columns": pl.Int64,
    "n_anomalies": pl.Int64,
    "seconds": pl.Float64,
    "note": pl.String,
}


def as_frame(outcomes: Iterable[Outcome]) -> pl.DataFrame:
    """Return one row for each result: a method on a set under a seed.

    ``seconds`` is what the job took that the result came from, together with its other results.
    """
    rows = [
        {
            **outcome.about,
            **outcome.size,
            "seconds": outcome.seconds,
            "method": result.method,
            "auc_pr": result.auc_pr,
            "auc_roc": result.auc_roc,
            "f1": result.f1,
            "weight": result.weight,
            "note": result.note,
        }
        for outcome in outcomes
        for result in outcome.results
    ]
    frame = pl.DataFrame(rows, schema=_SCHEMA)
    return frame.sort(pl.col("set").str.to_lowercase(), "detector", "method", "program", "classifier", "seed")


def mean_over_seeds(frame: pl.DataFrame, classifier: str) -> pl.DataFrame:
    """Return one row for each method on each set, metrics and weight being means over seeds.

    Parameters
    ----------
    frame : polars.DataFrame
        As `as_frame` gives it.
    classifier : str
        The one whose rows are ``main``, with a detector's own program; bases and peers are so too.

    Returns
    -------
    polars.DataFrame
    """
    main = pl.col("program").is_in(["", OWN]) & pl.col("classifier").is_in(["", classifier])
    by = ["set", "detector", "method", "program", "classifier"]
    return (
        frame.group_by(by, maintain_order=True)
        .agg(
            *(pl.col(name).mean() for name in (*METRICS, "weight", "seconds")),
            pl.col("n_train").first(),
            pl.col("n_columns").first(),
            pl.col("seed").n_unique().alias("seeds"),
            pl.col("note").unique(maintain_order=True).str.join("; "),
        )
        .with_columns(main=main)
    )


def values_over_sets(
    frame: pl.DataFrame, methods: dict[str, pl.Expr], metric: str
) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Return the sets on which all of the methods were measured, and each method's values on them.

    Parameters
    ----------
    frame : polars.DataFrame
        As `mean_over_seeds` gives it.
    methods : dict
        For each name the condition that selects its rows, one a set. Methods without any row are left out.
    metric : str
        One of `METRICS`.

    Returns
    -------
    sets : list of str
    values : dict
        For each method an array of shape (len(sets),).
    """
    found = {
        name: dict(frame.filter(which).select("set", metric).iter_rows()) for name, which in methods.items()
    }
    found = {name: by_set for name, by_set in found.items() if by_set}
    if not found:
        return [], {}
    common = [
        name for name in frame["set"].unique(maintain_order=True) if all(name in by for by in found.values())
    ]
    return common, {name: np.array([by[one] for one in common]) for name, by in found.items()}
