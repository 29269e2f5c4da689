"""Loads each plugin on its own, so that a broken one is a named warning and never a dead command."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pluggy

from ..errors import PluginError
from . import builtin, hookspecs
from .hookspecs import PROJECT, DetectorEntry

__all__ = ["BUILTIN", "Plugins", "Problem", "load_plugins"]

BUILTIN = "llmdas-agent"
"""The distribution that the built-in detectors come with."""


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
        return f"plugin {self.plugin}: {self.what}; `pip uninstall {self.plugin}` removes it"


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
        """Return the entry of a name.

        Parameters
        ----------
        name : str
            The detector's name.

        Returns
        -------
        DetectorEntry or None
            None when no plugin brings it.

        Raises
        ------
        PluginError
            When it is claimed twice.
        """
        claims = self.detectors.get(name, [])
        if len(claims) > 1:
            owners = [owner for owner, _ in claims]
            foreign = next((owner for owner in owners if owner != BUILTIN), BUILTIN)
            raise PluginError(
                f"detector '{name}' is brought by {' and by '.join(owners)}",
                where="plugins",
                hint=f"Keep one: `pip uninstall {foreign}`, or ask its author to choose another name",
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
    # The hook is not called as one, since the first implementation that raises would silence the others.
    for implementation in manager.hook.llmdas_detectors.get_hookimpls():
        owner = _distribution(implementation.plugin_name)
        try:
            with _off_stdout():
                entries = _checked(implementation.function())
        except (Exception, SystemExit) as error:  # a stranger's code may raise anything; it is named
            problems.append(Problem(owner, f"its hook llmdas_detectors failed: {_line(error)}"))
            continue
        for entry in entries:
            detectors.setdefault(entry.name, []).append((owner, entry))
    return Plugins(detectors, tuple(problems))


def _load_entry_points(manager: pluggy.PluginManager) -> list[Problem]:
    problems = []
    for entry_point in sorted(metadata.entry_points(group=PROJECT)):
        owner = entry_point.dist.name if entry_point.dist is not None else entry_point.name
        # One distribution may bring several plugins; pluggy wants a name for each.
        name = f"{owner}:{entry_point.name}"
        try:
            with _off_stdout():
                plugin = entry_point.load()
            manager.register(plugin, name=name)
            # Called after each one, so that a misspelt hook is blamed on the plugin that has it.
            manager.check_pending()
        except (Exception, SystemExit) as error:  # importing a plugin runs a stranger's code
            if manager.has_plugin(name):
                manager.unregister(name=name)
            problems.append(Problem(owner, f"could not be loaded: {_line(error)}"))
    return problems


def _checked(entries: object) -> Sequence[DetectorEntry]:
    if not isinstance(entries, (list, tuple)) or not all(isinstance(item, DetectorEntry) for item in entries):
        raise TypeError(f"it returned {_in_words(entries)}, where a list of DetectorEntry is expected")
    for entry in entries:
        if not isinstance(entry.card, Path) or not isinstance(entry.synthesizer, Path | None):
            raise TypeError("a DetectorEntry holds paths of the class pathlib.Path")
        if not entry.card.is_file():
            raise FileNotFoundError(f"there is no card {entry.card}")
    return entries


def _in_words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {', '.join(sorted({type(item).__name__ for item in value}))}"
    return type(value).__name__


def _distribution(plugin_name: str) -> str:
    return plugin_name.partition(":")[0]


def _off_stdout() -> contextlib.AbstractContextManager[object]:
    """Keep a stranger's prints off stdout, where a command's own result goes."""
    return contextlib.redirect_stdout(io.StringIO())


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
