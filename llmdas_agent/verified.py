"""What was verified on this machine: the programs that plugins bring, before their first use.

A plugin's author verified the program elsewhere, with other versions of other packages. A small record says
that it passed here too; a new version of anything that the findings depend on makes the record void.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from .config import data_dir
from .files import write_whole
from .report import VerificationReport

__all__ = ["is_verified_here", "record_verified"]


def is_verified_here(detector: str, digest: str, distribution: str) -> bool:
    """Return whether a plugin's program passed on this machine, with the versions that are installed now.

    Parameters
    ----------
    detector : str
        The detector's name.
    digest : str
        The program's.
    distribution : str
        The plugin's distribution.

    Returns
    -------
    bool
    """
    try:
        record = json.loads(_path(detector).read_bytes())
        return bool(record == {"digest": digest, "versions": _here(distribution, *record["versions"])})
    except (OSError, ValueError, TypeError, KeyError, metadata.PackageNotFoundError):
        return False  # a record that is missing, damaged or of packages that are gone records nothing


def record_verified(report: VerificationReport, distribution: str) -> None:
    """Remember that a plugin's program passed on this machine.

    Parameters
    ----------
    report : VerificationReport
        Made here; it must accept the program.
    distribution : str
        The plugin's distribution.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    assert report.accepted
    record = {"digest": report.program_digest, "versions": _here(distribution, *report.versions)}
    write_whole(_path(report.detector), json.dumps(record, indent=1) + "\n")


def _here(*packages: str) -> dict[str, str]:
    return {package: metadata.version(package) for package in packages}


def _path(detector: str) -> Path:
    return data_dir() / "verified" / f"{detector}.json"
