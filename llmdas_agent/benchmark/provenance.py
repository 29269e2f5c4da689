"""Where figures come from: versions, machine, date, and the code that scores depend on."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Any

__all__ = ["circumstances", "versions"]

_PACKAGES = ("llmdas-agent", "numpy", "scipy", "scikit-learn", "pyod")
_OPTIONAL = ("torch", "joblib", "distributed")


@cache
def versions() -> dict[str, str]:
    """Return the versions that scores depend on, and a digest of the enhanced detector's own code.

    The digest keeps figures of two states of a working copy apart, which have the same version.
    """
    found = {package: metadata.version(package) for package in _PACKAGES}
    code = hashlib.sha256()
    for path in sorted(files("llmdas_agent").joinpath("enhance").iterdir(), key=lambda entry: entry.name):
        if path.name.endswith(".py"):
            code.update(path.read_bytes())
    return {"python": platform.python_version(), **found, "enhance": code.hexdigest()[:12]}


def circumstances() -> dict[str, Any]:
    """Return what else a reader of the figures may want to know: date, machine, further packages."""
    further = {}
    for package in _OPTIONAL:
        try:
            further[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            further[package] = "not installed"
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "machine": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "further packages": further,
    }
