"""The scripts in examples/, run as a reader runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from places import ROOT


def test_the_breast_cancer_tables_hold_features_alone_and_the_truth_apart(tmp_path: Path) -> None:
    script = ROOT / "examples" / "breast_cancer.py"
    done = subprocess.run(
        [sys.executable, str(script), "tables"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    normal, new, truth = (
        pl.read_csv(tmp_path / "tables" / f"{name}.csv") for name in ("normal", "new", "truth")
    )
    assert normal.shape == (250, 30) and new.shape == (319, 30)
    assert normal.columns == new.columns
    assert truth["diagnosis"].value_counts(sort=True).rows() == [("malignant", 212), ("benign", 107)]
    assert normal.join(new, on=normal.columns, how="inner").is_empty()
    assert "llmdas-agent fit iforest normal.csv --output model/" in done.stdout
    assert "llmdas-agent score model/ new.csv --output scores.csv" in done.stdout
