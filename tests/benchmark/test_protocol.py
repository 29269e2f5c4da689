from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyod.models.ecod import ECOD
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer

from llmdas_agent.benchmark.datasets import Dataset, find_datasets, load_dataset
from llmdas_agent.benchmark.protocol import one_class_split, score_as_given
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import TableError


def test_both_kinds_of_file_are_read_and_sorted_without_case(tmp_path: Path) -> None:
    X, y = np.arange(12.0).reshape(6, 2) / 10, np.array([0, 1, 0, 0, 1, 0])
    np.savez(tmp_path / "Beta.npz", X=X, y=y)
    savemat(tmp_path / "alpha.mat", {"X": X, "y": y[:, None]})
    (tmp_path / "notes.txt").write_text("not a data set")
    paths = find_datasets(tmp_path)
    assert [path.name for path in paths] == ["alpha.mat", "Beta.npz"]
    for path in paths:
        dataset = load_dataset(path)
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
    given = score_as_given(DetectorSource.from_object(ECOD()), split, 0)
    np.testing.assert_array_equal(given, ECOD().fit(split.X_train).decision_function(split.X_test))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.npz", b"nothing", "is no data set"), ("a.mat", b"nothing" * 40, "is no data set")],
)
def test_files_that_are_no_data_sets(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        load_dataset(tmp_path / name)


def test_data_that_do_not_fit_each_other(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="LLMDAS_DATASETS"):
        find_datasets(tmp_path)
    np.savez(tmp_path / "a.npz", X=np.zeros((3, 2)), y=np.zeros(4))
    with pytest.raises(TableError, match="4 labels"):
        load_dataset(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", Z=np.zeros((3, 2)))
    with pytest.raises(TableError, match="is no data set"):
        load_dataset(tmp_path / "b.npz")
