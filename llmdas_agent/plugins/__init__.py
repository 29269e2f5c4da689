"""Detectors by ``pip install``: the hooks, and the manager that loads each plugin on its own."""

from .hookspecs import DetectorEntry, hookimpl
from .manager import Plugins, Problem, load_plugins

__all__ = ["DetectorEntry", "Plugins", "Problem", "hookimpl", "load_plugins"]
