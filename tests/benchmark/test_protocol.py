"""Data sets in files of each kind, the published split, and the metrics."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyod.models.ecod import ECOD
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer

from llmdas_agent.benchmark.datasets import Dataset, digest_of, find_datasets, load_dataset
from llmdas_agent.benchmark.protocol import Split, one_class_split, score_as_given
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import TableError

BARE = io.BytesIO()
np.save(BARE, np.zeros((5, 2)))


def test_every_kind_of_file_gives_the_same_set(tmp_path: Path) -> None:
    X, y = np.arange(14.0).reshape(7, 2) / 10, np.array([0, 1, 0, 0, 1, 0, 0])
    np.savez(tmp_path / "Beta.npz", X=X, y=y)
    savemat(tmp_path / "alpha.mat", {"X": X, "y": y[:, None]})
    frame = pl.DataFrame({"one": X[:, 0], "Y": y, "two": X[:, 1]})
    frame.write_csv(tmp_path / "gamma.CSV")
    frame.write_csv(tmp_path / "delta.tsv", separator="\t")
    frame.rename({"Y": "label"}).write_parquet(tmp_path / "epsilon.parquet")
    (tmp_path / "notes.txt").write_text("not a data set")
    paths = find_datasets(tmp_path)
    assert [path.name for path in paths] == [
        "alpha.mat",
        "Beta.npz",
        "delta.tsv",
        "epsilon.parquet",
        "gamma.CSV",
    ]
    for path in paths:
        dataset = load_dataset(path)
        assert dataset.name == path.stem
        np.testing.assert_array_equal(dataset.X, X.astype(np.float32).astype(float))
        np.testing.assert_array_equal(dataset.y, y)


def test_the_first_half_of_the_normal_rows_trains() -> None:
    dataset = Dataset("t", np.arange(7.0)[:, None], np.array([0, 1, 0, 0, 1, 0, 0]))
    split = one_class_split(dataset)
    np.testing.assert_array_equal(split.X_train.ravel(), [0.0, 2.0])
    np.testing.assert_array_equal(split.X_test.ravel(), [3.0, 5.0, 6.0, 1.0, 4.0])
    np.testing.assert_array_equal(split.y_test, [0, 0, 0, 1, 1])
    assert split.average_precision(split.y_test.astype(float)) == 1.0


def test_a_base_is_scored_as_its_library_gives_it() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    split = one_class_split(Dataset("breast", X, 1 - y))
    given_scores = score_as_given(DetectorSource.from_object(ECOD()), split, 0)
    np.testing.assert_array_equal(given_scores, ECOD().fit(split.X_train).decision_function(split.X_test))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_f1_is_that_of_the_highest_scores(pairs: list[tuple[bool, int]]) -> None:
    y = np.array([label for label, _ in pairs], dtype=int)
    if not 0 < y.sum() < len(y):
        return
    scores = np.array([score for _, score in pairs], dtype=float)
    found = Split(np.empty((0, 1)), np.empty((len(y), 1)), y).metrics(scores)
    k = int(y.sum())
    marked = scores >= np.sort(scores)[::-1][k - 1]
    hits = np.sum(marked & (y == 1))
    assert found.f1 == pytest.approx(2 * hits / (marked.sum() + k))
    pairwise = scores[y == 1][:, None] - scores[y == 0][None]
    assert found.auc_roc == pytest.approx(np.mean((pairwise > 0) + 0.5 * (pairwise == 0)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", b"nothing", "is no data set"),
        ("a.npz", b"", "is no data set with X and y: No data left in file"),
        ("a.npz", BARE.getvalue(), "is no data set with X and y: it holds a single array without a name"),
        ("a.mat", b"nothing" * 40, "is no data set"),
        ("a.csv", b"x,z\n1,0\n", "has 0 columns named label or y"),
        ("a.csv", b"x,y,label\n1,0,0\n", "has 2 columns named"),
        ("a.csv", b"x,y\nred,0\n", "column 'x' is not of numbers"),
        ("a.csv", b"x,y\n1,0\n,0\n", "missing"),
        ("a.csv", b"x,y\n1,0\n2,2\n", "neither 0 nor 1"),
        ("a.csv", b"x,y\n1,0\n2,1\n", "1 normal rows"),
        ("a.csv", b"x,y\n1e39,0\n2,1\n", "beyond what float32 holds"),
    ],
)
def test_files_that_are_no_data_sets(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        load_dataset(tmp_path / name)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="nowhere: is no folder"):
        find_datasets(tmp_path / "nowhere")
    with pytest.raises(TableError, match="bench fetch"):
        find_datasets(tmp_path)
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 2)), y=np.zeros(4))
    with pytest.raises(TableError, match="4 labels"):
        load_dataset(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", Z=np.zeros((3, 2)))
    with pytest.raises(TableError, match="is no data set"):
        load_dataset(tmp_path / "b.npz")
    (tmp_path / "a.csv").write_text("x,y\n1,0\n")
    with pytest.raises(TableError, match=r"a\.csv and a\.npz, two sets of one name"):
        find_datasets(tmp_path)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a.csv", "a.d.csv", "a.npz"), r"a\.csv and a\.npz"),
        (("Band.csv", "band.tsv"), r"Band\.csv and band\.tsv"),
    ],
)
def test_two_sets_of_one_name_are_seen_wherever_they_stand(
    tmp_path: Path, names: tuple[str, ...], told: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("x,y\n1,0\n")
    with pytest.raises(TableError, match=told):
        find_datasets(tmp_path)


def test_folders_and_broken_links_are_no_data_sets(tmp_path: Path) -> None:
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    (tmp_path / "a.csv").write_text("x,y\n1,0\n")
    assert [path.name for path in find_datasets(tmp_path)] == ["a.csv"]
    with pytest.raises(TableError, match=r"gone\.csv: cannot be read \(no such file or directory\)"):
        digest_of(tmp_path / "gone.csv")
