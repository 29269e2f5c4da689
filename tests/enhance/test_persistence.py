from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import skops.io
from pyod.models.lof import LOF
from pyod.models.pca import PCA
from sklearn.base import clone
from sklearn.ensemble import IsolationForest

from llmdas_agent.enhance import EnhancedDetector, load_model, save_model
from llmdas_agent.errors import DetectorError, ModelFolderError, StorageError
from llmdas_agent.synthesizer import Synthesizer


class Stranger(PCA):
    """A detector of a type that no saved model may hold."""


@pytest.fixture(scope="module")
def model(normal: np.ndarray, synthesizer_of: Callable[..., Synthesizer]) -> EnhancedDetector:
    return EnhancedDetector("pca", synthesizer=synthesizer_of(), random_state=0).fit(normal)


@pytest.fixture(scope="module")
def saved(model: EnhancedDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    save_model(model, folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


@pytest.mark.parametrize(
    "base", ["pca", "iforest", "ocsvm", "ecod", LOF(n_neighbors=7), IsolationForest(n_estimators=10)]
)
def test_a_loaded_model_scores_the_same(
    base: object, normal: np.ndarray, new: tuple, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    fitted = EnhancedDetector(base, synthesizer=synthesizer, contamination=0.2, random_state=3).fit(normal)
    save_model(fitted, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    rows = np.vstack(new)
    np.testing.assert_allclose(loaded.decision_function(rows), fitted.decision_function(rows))
    np.testing.assert_allclose(loaded.p_value(rows), fitted.p_value(rows))
    np.testing.assert_array_equal(loaded.predict(rows), fitted.predict(rows))
    np.testing.assert_allclose(loaded.predict_proba(rows), fitted.predict_proba(rows))
    assert loaded.contribution_ == fitted.contribution_
    assert loaded.get_params()["contamination"] == 0.2
    assert not list((tmp_path / "model").rglob("*.npz"))


def test_settings_come_back(synthesizer: Synthesizer, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = EnhancedDetector(
        "iforest", synthesizer=synthesizer, experts=("base", "neighbours"), contamination=0.05, random_state=3
    ).fit(X)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    for name in ("experts", "contamination", "random_state"):
        assert loaded.get_params()[name] == model.get_params()[name]
    assert clone(loaded).fit(X).weights_ == model.weights_


def test_frames_and_names_come_back(mixed: pl.DataFrame, synthesizer: Synthesizer, tmp_path: Path) -> None:
    fitted = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(mixed)
    save_model(fitted, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert list(loaded.feature_names_in_) == mixed.columns
    np.testing.assert_allclose(loaded.decision_function(mixed), fitted.decision_function(mixed))
    # and the loaded one can be fitted and saved again
    save_model(loaded.fit(mixed), tmp_path / "again")
    np.testing.assert_allclose(
        load_model(tmp_path / "again").decision_function(mixed), loaded.decision_function(mixed)
    )


def test_a_base_that_skops_does_not_hold_is_fitted_again(
    normal: np.ndarray, new: tuple, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    fitted = EnhancedDetector(Stranger(n_components=3), synthesizer=synthesizer, random_state=0).fit(normal)
    save_model(fitted, tmp_path / "model")
    assert (tmp_path / "model" / "rows.npz").exists()
    loaded = load_model(tmp_path / "model")
    assert type(loaded.base) is Stranger
    np.testing.assert_allclose(loaded.decision_function(new[0]), fitted.decision_function(new[0]))
    save_model(loaded, tmp_path / "model")
    np.testing.assert_allclose(
        load_model(tmp_path / "model").decision_function(new[0]), fitted.decision_function(new[0])
    )


def test_a_class_that_nobody_else_can_import_is_refused(
    normal: np.ndarray, synthesizer: Synthesizer, tmp_path: Path
) -> None:
    local = type("Local", (PCA,), {})
    fitted = EnhancedDetector(local(), synthesizer=synthesizer, random_state=0).fit(normal)
    with pytest.raises(DetectorError, match="Local"):
        save_model(fitted, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_flipped_byte_in_any_file_is_seen(copied: Path) -> None:
    files = [path for path in copied.rglob("*") if path.is_file()]
    assert len(files) >= 8
    for path in files:
        whole = path.read_bytes()
        for position in {0, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            with pytest.raises(ModelFolderError, match=r"damaged|not the file that was saved"):
                load_model(copied)
        path.write_bytes(whole)
    load_model(copied)


def test_every_byte_of_the_manifest_counts(copied: Path) -> None:
    path = copied / "manifest.json"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with pytest.raises(ModelFolderError):
            load_model(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "fitted.skops").unlink()
    with pytest.raises(ModelFolderError, match=r"fitted\.skops: is missing"):
        load_model(copied)


def _rewrite_manifest(folder: Path, **changes: object) -> None:
    from llmdas_agent.enhance import manifest

    content = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(manifest._rendered(content))


def test_a_newer_version_is_told_so(copied: Path) -> None:
    _rewrite_manifest(copied, format=2)
    with pytest.raises(ModelFolderError, match=r"newer version .*pip install --upgrade"):
        load_model(copied)


def test_a_package_that_the_base_needs_is_named(copied: Path) -> None:
    _rewrite_manifest(copied, base={"name": "deep", "class": "llmdas_no_such_package.Deep"})
    with pytest.raises(ModelFolderError, match="pip install llmdas_no_such_package"):
        load_model(copied)


def test_other_versions_are_a_warning(copied: Path) -> None:
    versions = json.loads((copied / "manifest.json").read_text())["versions"]
    _rewrite_manifest(copied, versions=versions | {"pyod": "1.0.0"})
    with pytest.warns(UserWarning, match=r"pyod 1\.0\.0"):
        load_model(copied)


def test_what_another_version_cannot_build_is_one_line(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("llmdas_agent.enhance.tails.Tails")
    with pytest.raises(ModelFolderError, match=r"model\.skops: cannot be built with the versions"):
        load_model(copied)


class Foreign:
    def __init__(self) -> None:
        self.value = 1


def test_a_foreign_type_is_never_built(copied: Path) -> None:
    (copied / "fitted.skops").write_bytes(skops.io.dumps(Foreign()))
    files = json.loads((copied / "manifest.json").read_text())["files"]
    from llmdas_agent.enhance import manifest

    digest = manifest._sha256(copied / "fitted.skops")
    _rewrite_manifest(copied, files=files | {"fitted.skops": digest})
    with pytest.raises(ModelFolderError, match="Foreign, which is not among the types"):
        load_model(copied)


def test_folders_that_hold_no_model(tmp_path: Path, model: EnhancedDetector) -> None:
    with pytest.raises(ModelFolderError, match="no such folder"):
        load_model(tmp_path / "none")
    with pytest.raises(ModelFolderError, match="is no model"):
        load_model(tmp_path)
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    with pytest.raises(ModelFolderError, match="is there already and is no model"):
        save_model(model, tmp_path)
    with pytest.raises(ModelFolderError, match="is there already and is no model"):
        save_model(model, precious)
    assert precious.read_text() == "keep"
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_model_is_replaced_whole(saved: Path, copied: Path, model: EnhancedDetector) -> None:
    (copied / "left-over.txt").write_text("old")
    save_model(model, copied)
    assert {path.name for path in copied.iterdir()} == {path.name for path in saved.iterdir()}
    assert [path.name for path in copied.parent.iterdir()] == ["model"]


def test_a_disk_that_is_full_leaves_the_old_model(saved: Path, tmp_path: Path) -> None:
    target = Path(shutil.copytree(saved, tmp_path / "model"))
    code = f"""
import resource, signal
from llmdas_agent.enhance import load_model, save_model
from llmdas_agent.errors import StorageError
model = load_model({str(saved)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))
try:
    save_model(model, {str(target)!r})
except StorageError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written" in told.stdout
    load_model(target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_manifest_says_what_is_kept_of_the_rows(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    assert "landmark rows" in manifest["privacy"]
    assert manifest["base"]["class"] == "pyod.models.pca.PCA"
    assert (saved / "synthesizer" / "program.py").read_text().startswith("\nimport numpy")


def test_a_place_that_may_not_be_written(model: EnhancedDetector, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        save_model(model, tmp_path / "file" / "model")
