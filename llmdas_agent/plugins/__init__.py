"""Detectors by ``pip install``: the hooks, and the manager that loads each plugin on its own."""

from .hookspecs import CommandEntry, DetectorEntry, hookimpl
from .loading import BUILTIN, Problem, are_disabled, installed, waiting_for
from .manager import Plugins, load_command_plugins, load_plugins, sole

__all__ = [
    "BUILTIN",
    "CommandEntry",
    "DetectorEntry",
    "Plugins",
    "Problem",
    "are_disabled",
    "hookimpl",
    "installed",
    "load_command_plugins",
    "load_plugins",
    "sole",
    "waiting_for",
]
