"""Loads each plugin on its own, so that a broken one is a named warning and never a dead command."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import metadata

import pluggy

from ..errors import PluginError
from . import builtin, hookspecs
from .hookspecs import PROJECT, DetectorEntry

__all__ = ["BUILTIN", "Plugins", "Problem", "load_plugins"]

BUILTIN = "llmdas-agent"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one plugin.

    Attributes
    ----------
    plugin : str
        Its distribution.
    what : str
        What went wrong, one line.
    """

    plugin: str
    what: str

    def __str__(self) -> str:
        remove = f"`pip uninstall {self.plugin}` removes it"
        return f"plugin {self.plugin}: {self.what}; {remove}"


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the installed plugins bring.

    Attributes
    ----------
    detectors : dict
        Name to the entries that claim it, each with its distribution; more than one claim is a conflict
        that `detector` reports.
    problems : tuple of Problem
        Plugins, or parts of them, that could not be used.
    """

    detectors: dict[str, list[tuple[str, DetectorEntry]]]
    problems: tuple[Problem, ...]

    def detector(self, name: str) -> DetectorEntry | None:
        """Return the entry of this name, or None.

        Raises
        ------
        PluginError
            When two distributions claim the name.
        """
        claims = self.detectors.get(name, [])
        if len(claims) > 1:
            owners = " and ".join(owner for owner, _ in claims)
            last = next((owner for owner, _ in claims if owner != BUILTIN), BUILTIN)
            raise PluginError(
                f"detector '{name}' is brought by {owners}",
                where="plugins",
                hint=f"Keep one: `pip uninstall {last}`, or ask its author to choose another name",
            )
        return claims[0][1] if claims else None


@functools.cache
def load_plugins() -> Plugins:
    """Load every plugin installed and ask it for its detectors; once per process."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name=BUILTIN)
    problems = _load_entry_points(manager)
    detectors: dict[str, list[tuple[str, DetectorEntry]]] = {}
    for implementation in manager.hook.llmdas_detectors.get_hookimpls():
        owner = implementation.plugin_name
        try:
            entries = _checked(implementation.function())
        except Exception as error:  # a stranger's code may raise anything; the plugin is named and left out
            problems.append(Problem(owner, f"its hook llmdas_detectors failed: {_line(error)}"))
            continue
        for entry in entries:
            detectors.setdefault(entry.name, []).append((owner, entry))
    return Plugins(detectors, tuple(problems))


def _load_entry_points(manager: pluggy.PluginManager) -> list[Problem]:
    problems = []
    for entry_point in metadata.entry_points(group=PROJECT):
        owner = entry_point.dist.name if entry_point.dist is not None else entry_point.name
        try:
            manager.register(entry_point.load(), name=owner)
            manager.check_pending()
        except Exception as error:  # as above: importing a plugin runs a stranger's code
            if manager.has_plugin(owner):
                manager.unregister(name=owner)
            problems.append(Problem(owner, f"could not be loaded: {_line(error)}"))
    return problems


def _checked(entries: object) -> list[DetectorEntry]:
    if not isinstance(entries, (list, tuple)) or not all(isinstance(item, DetectorEntry) for item in entries):
        raise TypeError(f"returned {type(entries).__name__}, expected a list of DetectorEntry")
    return list(entries)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
