"""Bringing ADBench's public data sets, each checked against the SHA-256 that is known of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..errors import InputError, StorageError, UnknownNameError, did_you_mean, in_a_line
from ..files import storage_errors

__all__ = ["BASE_URL", "fetch", "known_sets"]

BASE_URL = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical/"
"""Where the files of ADBench lie (Han et al., NeurIPS 2022)."""


@cache
def known_sets() -> dict[str, str]:
    """Return the SHA-256 of every file that can be brought, by the file's name."""
    text = files("llmdas_agent.benchmark").joinpath("adbench.sha256").read_text(encoding="ascii")
    pairs = (line.split() for line in text.splitlines())
    return {name: digest for digest, name in pairs}


def fetch(
    folder: Path,
    names: Sequence[str] = (),
    *,
    base_url: str = BASE_URL,
    listen: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Bring data files into a folder; those that are there and whole are not brought again.

    Parameters
    ----------
    folder : Path
        Made when it is not there.
    names : sequence of str
        Of sets, such as ``thyroid``, ``38_thyroid`` or ``38_thyroid.npz``; all when empty.
    base_url : str
        Address that a file's name is put after.
    listen : callable
        Told after every file.

    Returns
    -------
    list of Path

    Raises
    ------
    UnknownNameError
        When there is no such set.
    InputError
        When pooch is not installed, the server does not give a file, or gives another than is known; a
        file that does not agree is not kept.
    StorageError
        When it cannot be written.
    """
    chosen = [_file_of(name) for name in names] or list(known_sets())
    pooch = _pooch()
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    address = base_url if base_url.endswith("/") else f"{base_url}/"
    found = []
    for name in chosen:
        path = _brought(pooch, address, name, folder)
        found.append(path)
        listen(path)
    return found


def _brought(pooch: Any, address: str, name: str, folder: Path) -> Path:
    known = f"sha256:{known_sets()[name]}"
    try:
        return Path(
            pooch.retrieve(address + name, known_hash=known, fname=name, path=folder, progressbar=False)
        )
    except PermissionError as error:
        raise StorageError("cannot be written", where=str(folder), hint="Choose another folder") from error
    except (OSError, ValueError) as error:  # what pooch raises for the network, and for another digest
        raise InputError(
            f"could not be brought: {in_a_line(error)}",
            where=address + name,
            hint="What was brought before is kept; run the command again, or name another --base-url",
        ) from error


def _file_of(name: str) -> str:
    by_name = {}
    for file in known_sets():
        stem = file.removesuffix(".npz")
        for form in (file, stem, stem.partition("_")[2]):
            by_name[form.lower()] = file
    if name.lower() not in by_name:
        plain = [file.removesuffix(".npz").partition("_")[2] for file in known_sets()]
        raise UnknownNameError(f"there is no set '{name}'", where="ADBench", hint=did_you_mean(name, plain))
    return by_name[name.lower()]


def _pooch() -> Any:
    try:
        pooch = importlib.import_module("pooch")
    except ImportError as error:
        raise InputError(
            "fetching needs pooch, which is not installed",
            where="bench fetch",
            hint='`pip install "llmdas-agent[bench]"`',
        ) from error
    # one line of ours for every file is enough
    pooch.get_logger().setLevel("ERROR")
    return pooch
