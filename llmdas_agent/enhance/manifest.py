"""The manifest of a model's folder: what is in it, byte for byte, and what wrote it."""

from __future__ import annotations

import hashlib
import json
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import ModelFolderError
from ..files import require_writable, write_whole

__all__ = ["FORMAT", "checked_manifest", "is_model_folder", "require_place", "write_manifest"]

FORMAT = 1

_NAME = "manifest.json"
_KIND = "llmdas-agent enhanced detector"
_PACKAGES = ("llmdas-agent", "numpy", "pyod", "scikit-learn", "scipy", "skops")
_DECISIVE = ("pyod", "scikit-learn")
_PRIVACY = (
    "Holds values of the rows it was fitted on: medians, ranges, category levels and quantiles of columns, "
    "landmark rows of the classifiers, and what the base keeps, which may be all rows. Guard it well."
)


def write_manifest(folder: Path, base: dict[str, Any]) -> None:
    """Write the manifest of a folder whose other files are complete.

    Parameters
    ----------
    folder : Path
        The model's folder.
    base : dict
        What is said of the base, JSON-plain.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "kind": _KIND,
        "format": FORMAT,
        "base": base,
        "privacy": _PRIVACY,
        "versions": {package: metadata.version(package) for package in _PACKAGES},
        "files": {path.relative_to(folder).as_posix(): _sha256(path) for path in files},
    }
    write_whole(folder / _NAME, _rendered(manifest))


def is_model_folder(folder: Path) -> bool:
    """Return whether a folder holds a model, whole or damaged, of any version."""
    try:
        return _KIND in (folder / _NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def require_place(folder: Path) -> None:
    """Refuse a folder that no model can be put at.

    Parameters
    ----------
    folder : Path
        May be new, empty, or one that holds a model.

    Raises
    ------
    ModelFolderError
        When it holds something else, or is none.
    StorageError
        When it cannot be written.
    """
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not is_model_folder(folder) and not empty:
        raise ModelFolderError(
            "is there already and is no model", where=str(folder), hint="Name a folder that is not there yet"
        )
    require_writable(folder, folder=True)


def checked_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest, after every file was seen to be the one that was written.

    Raises
    ------
    ModelFolderError
        When there is no such folder, it is no model's, it is from a newer version, or a file is missing or
        damaged.
    """
    where = str(folder)
    if not folder.is_dir():
        raise ModelFolderError(
            "no such folder", where=where, hint="`llmdas-agent fit NAME TABLE --output FOLDER` makes one"
        )
    if not (folder / _NAME).is_file():
        raise ModelFolderError(
            f"is no model: it has no {_NAME}", where=where, hint="Give a folder that `fit` wrote"
        )
    raw = (folder / _NAME).read_bytes()
    damaged = ModelFolderError(
        "is damaged",
        where=str(folder / _NAME),
        hint="Copy the folder again from where it was made, or fit again",
    )
    try:
        manifest = json.loads(raw)
        newer = manifest["format"] > FORMAT
    except (ValueError, KeyError, TypeError):
        raise damaged from None
    if newer:
        raise ModelFolderError(
            f"was written by a newer version (format {manifest['format']}; this one reads up to {FORMAT})",
            where=where,
            hint="`pip install --upgrade llmdas-agent`",
        )
    if _rendered(manifest).encode("utf-8") != raw or manifest["kind"] != _KIND:
        raise damaged
    _check_files(folder, manifest["files"])
    _warn_of_versions(folder, manifest["versions"])
    return dict(manifest)


def _check_files(folder: Path, files: dict[str, str]) -> None:
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            what = "is missing"
        elif _sha256(path) != digest:
            what = "is not the file that was saved"
        else:
            continue
        raise ModelFolderError(
            what, where=str(path), hint="Copy the folder again from where it was made, or fit again"
        )


def _warn_of_versions(folder: Path, saved: dict[str, str]) -> None:
    other = [
        f"{package} {saved[package]}, here {metadata.version(package)}"
        for package in _DECISIVE
        if saved[package] != metadata.version(package)
    ]
    if other:
        warnings.warn(f"{folder} was saved with {', '.join(other)}; scores may differ", stacklevel=4)


def _rendered(manifest: dict[str, Any]) -> str:
    # a checksum over the rest, and one way alone to write it: so a byte that changed anywhere is seen
    body = {key: value for key, value in manifest.items() if key != "checksum"}
    plain = json.dumps(body, indent=1, sort_keys=True)
    checksum = hashlib.sha256(plain.encode("utf-8")).hexdigest()
    return json.dumps(body | {"checksum": checksum}, indent=1, sort_keys=True) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
