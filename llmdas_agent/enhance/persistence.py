"""Saved models: a folder of plain JSON and skops files, never a pickle.

::

    manifest.json     format, versions, the base's class, SHA-256 of every other file
    model.skops       encoder, classifiers, curves, thresholds
    fitted.skops      the fitted base; or
    rows.npz          where skops cannot hold it: the rows fitted, encoded, from which it is fitted again on
                      loading
    card.yaml         the base's card, when it was given by name or card; else
    base.skops        the unfitted base, or
    base.json         its class and parameters, where skops cannot hold it
    synthesizer/      the synthesizer's own files, plain text

**What of your rows is in it.** Medians, ranges, category levels and quantiles of the columns; up to 3,000
rows, encoded, among which neighbours are looked for; the landmark rows of the classifiers; whatever the base
keeps of the rows it was fitted on, which for some kinds is all of them (ECOD); and ``rows.npz`` where it is
there. Guard the folder as you would the table.
"""

from __future__ import annotations

import copy
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..cards import DetectorCard, dump_card, load_card
from ..detectors import DetectorSource, import_class
from ..errors import DetectorError, ModelFolderError, in_a_line
from ..files import storage_errors, write_whole
from ..plugins import BUILTIN, are_disabled, load_plugins
from ..registry import resolve
from ..synthesizer import Synthesizer
from .bases import CuredBase
from .ensemble import Ensemble
from .estimator import EnhancedDetector
from .manifest import checked_manifest, require_place, write_manifest
from .trust import is_trusted

__all__ = ["load_model", "save_model"]

_FITTED = ("decision_scores_", "threshold_", "labels_", "_mu", "_sigma", "_classes", "n_features_in_")


def save_model(model: EnhancedDetector, folder: str | Path) -> None:
    """Save a fitted detector as a folder; the module's text says what it holds of the rows fitted.

    It is written under a temporary name beside its place and then moved there: a model that was there
    before is replaced whole or not at all.

    Parameters
    ----------
    model : EnhancedDetector
        Fitted.
    folder : str or Path
        A new folder, an empty one, or one that holds a model.

    Raises
    ------
    ModelFolderError
        When the folder holds something else.
    DetectorError
        When the base is an object that can be written down in no way, or of a class that no other program
        can import.
    StorageError
        When it cannot be written.
    """
    check_is_fitted(model, "ensemble_")
    folder = Path(folder).absolute()
    require_place(folder)
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(model, building)
        with storage_errors(folder):
            building.chmod(0o755)
            _move_into_place(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def load_model(folder: str | Path) -> EnhancedDetector:
    """Load a saved detector.

    Nothing in the folder is executed: objects are of the types that `trust` lists and no others, arrays are
    read without pickle.

    Parameters
    ----------
    folder : str or Path
        As `save_model` wrote it.

    Returns
    -------
    EnhancedDetector
        Fitted.

    Raises
    ------
    ModelFolderError
        When there is no such folder, it is no model, a file is damaged or holds a foreign type, it is from a
        newer version, or a package that the base needs is not installed.
    """
    folder = Path(folder)
    try:
        return _loaded(folder)
    except OSError as error:
        what = f"cannot be read ({(error.strerror or str(error)).lower()})"
        raise ModelFolderError(what, where=str(error.filename or folder)) from error


def _loaded(folder: Path) -> EnhancedDetector:
    manifest = checked_manifest(folder)
    package = manifest["base"].get("package", "")
    if package and are_disabled():
        raise ModelFolderError(
            f"its base came with the package {package}, and plugins are switched off",
            where=str(folder),
            hint="Unset LLMDAS_DISABLE_PLUGINS",
        )
    try:
        import_class(manifest["base"]["class"], where=str(folder))
    except DetectorError as error:
        hint = f"The base came with the package {package}: `pip install {package}`" if package else error.hint
        raise ModelFolderError(error.what, where=error.where, hint=hint) from error
    state = _load_skops(folder / "model.skops")
    base = _load_base(folder)
    synthesizer = Synthesizer.read(folder / "synthesizer", "registered")
    model = EnhancedDetector(
        base,
        synthesizer=synthesizer,
        experts=state["ensemble"].experts,
        contamination=state["contamination"],
        random_state=state["random_state"],
    )
    model.synthesizer_ = synthesizer
    model.card_ = base if isinstance(base, DetectorCard) else None
    model.encoder_, model.ensemble_ = state["encoder"], state["ensemble"]
    for name in _FITTED:
        setattr(model, name, state["fitted"][name])
    _restore_base(model.ensemble_, folder, base)
    return model


def _write(model: EnhancedDetector, folder: Path) -> None:
    source = resolve(model.card_ or model.base)
    state = {
        "contamination": model.contamination,
        "random_state": model.random_state,
        "encoder": model.encoder_,
        "ensemble": _without_base(model.ensemble_),
        "fitted": {name: getattr(model, name) for name in _FITTED},
    }
    data = _dumped(state)
    if data is None:
        raise DetectorError(
            "cannot be saved: contamination or random_state is of a type that skops does not hold",
            where="model",
            hint="Give numbers",
        )
    files = {"model.skops": data} | _base_description(model, source) | _fitted_base(model.ensemble_)
    for name, content in files.items():
        write_whole(folder / name, content)
    model.synthesizer_.write(folder / "synthesizer")
    owner = load_plugins().owner(source.name)
    package = "" if owner == BUILTIN else owner
    write_manifest(folder, {"name": source.name, "class": source.class_path, "package": package})


def _base_description(model: EnhancedDetector, source: DetectorSource) -> dict[str, bytes]:
    """Return the file from which the unfitted base is built again."""
    if source.card is not None:
        return {"card.yaml": dump_card(source.card).encode("utf-8")}
    import_class(source.class_path, where="base")
    base: Any = model.base
    data = _dumped(clone(base))
    if data is not None:
        return {"base.skops": data}
    try:
        params = json.dumps({"class": source.class_path, "params": base.get_params(deep=False)}, indent=1)
    except TypeError:
        raise DetectorError(
            f"{source.class_path} cannot be saved: skops does not know it, and its parameters are not plain",
            where="base",
            hint="Describe it in a card and give that as the base",
        ) from None
    return {"base.json": params.encode("utf-8")}


def _load_base(folder: Path) -> Any:
    if (folder / "card.yaml").exists():
        return load_card(folder / "card.yaml")
    if (folder / "base.skops").exists():
        return _load_skops(folder / "base.skops")
    described = json.loads((folder / "base.json").read_bytes())
    return import_class(described["class"], where=str(folder))(**described["params"])


def _without_base(ensemble: Ensemble) -> Ensemble:
    bare = copy.copy(ensemble)
    bare.rows_ = None
    bare.base_ = copy.copy(ensemble.base_)
    bare.base_.detector_ = None  # type: ignore[assignment]
    return bare


def _fitted_base(ensemble: Ensemble) -> dict[str, bytes]:
    """Return the fitted base, or the rows to fit it again where skops does not hold it faithfully."""
    data = _dumped(ensemble.base_.detector_)
    if data is not None and _same_scores(ensemble.base_, data, ensemble):
        return {"fitted.skops": data}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, rows=np.asarray(ensemble.rows_))
    return {"rows.npz": buffer.getvalue()}


def _same_scores(base: CuredBase, data: bytes, ensemble: Ensemble) -> bool:
    if ensemble.rows_ is None:
        return True  # it came out of skops itself
    loaded = copy.copy(base)
    loaded.detector_ = skops.io.loads(data, trusted=_trusted_types(data))
    probe = ensemble.rows_[:100]
    return bool(np.allclose(loaded.score(probe), base.score(probe)))


def _restore_base(ensemble: Ensemble, folder: Path, base: Any) -> None:
    fitted = ensemble.base_
    if not (folder / "rows.npz").exists():
        fitted.detector_ = _load_skops(folder / "fitted.skops")
        return
    with np.load(folder / "rows.npz", allow_pickle=False) as stored:
        ensemble.rows_ = stored["rows"]
    ensemble.base_ = CuredBase(fitted.random_state, fitted.treatment).fit(resolve(base), ensemble.rows_)


def _dumped(value: Any) -> bytes | None:
    """Return what skops makes of a value, None when it cannot hold it or would hold a type not trusted."""
    try:
        data: bytes = skops.io.dumps(value)
    except Exception:  # whatever keeps a stranger's object out of skops, the caller has another way
        return None
    return data if all(map(is_trusted, skops.io.get_untrusted_types(data=data))) else None


def _trusted_types(data: bytes) -> list[str]:
    return [name for name in skops.io.get_untrusted_types(data=data) if is_trusted(name)]


def _load_skops(path: Path) -> Any:
    data = path.read_bytes()
    foreign = [name for name in skops.io.get_untrusted_types(data=data) if not is_trusted(name)]
    if foreign:
        raise ModelFolderError(
            f"holds {foreign[0]}, which is not among the types that a model may hold",
            where=str(path),
            hint="Do not use it; fit the model again",
        )
    try:
        return skops.io.loads(data, trusted=_trusted_types(data))
    except Exception as error:  # whatever comes of objects whose classes are another version's here
        raise ModelFolderError(
            f"cannot be built with the versions that are installed: {in_a_line(error)}",
            where=str(path),
            hint="Install those that manifest.json beside it names, or fit the model again",
        ) from error


def _move_into_place(building: Path, folder: Path) -> None:
    if not folder.exists():
        building.rename(folder)
        return
    grave = building.with_name(building.name + "-old")
    folder.rename(grave)
    try:
        building.rename(folder)
    except BaseException:
        grave.rename(folder)
        raise
    shutil.rmtree(grave)
