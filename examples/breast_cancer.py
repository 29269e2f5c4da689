"""Write a real table to try: scikit-learn's breast cancer data, as CSV files.

    python examples/breast_cancer.py [FOLDER]

``normal.csv`` holds benign rows to fit on, ``new.csv`` other benign rows and all malignant ones to score,
both with the thirty measured columns alone. ``truth.csv`` says, row by row, what each row of ``new.csv`` is:
for the reader, never for the detector.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer

N_FIT = 250
SEED = 0


def main(folder: Path) -> None:
    data = load_breast_cancer()
    benign = np.flatnonzero(data.target == 1)
    malignant = np.flatnonzero(data.target == 0)
    new = np.random.default_rng(SEED).permutation(np.concatenate([benign[N_FIT:], malignant]))
    columns = [str(name) for name in data.feature_names]
    diagnosis = np.where(data.target[new] == 1, "benign", "malignant")

    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(data.data[benign[:N_FIT]], schema=columns).write_csv(folder / "normal.csv")
    pl.DataFrame(data.data[new], schema=columns).write_csv(folder / "new.csv")
    pl.DataFrame({"id": new, "diagnosis": diagnosis}).write_csv(folder / "truth.csv")

    print(f"{folder / 'normal.csv'}: {N_FIT} benign rows, {len(columns)} columns")
    print(f"{folder / 'new.csv'}: {len(benign) - N_FIT} other benign rows, {len(malignant)} malignant ones")
    print(f"{folder / 'truth.csv'}: which is which")
    print("Try next, in that folder:")
    print("  llmdas-agent fit iforest normal.csv --output model/")
    print("  llmdas-agent score model/ new.csv --output scores.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
