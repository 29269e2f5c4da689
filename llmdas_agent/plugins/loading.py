"""Loads each plugin on its own, so that a broken one is a named warning and never a dead command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

import pluggy

from ..errors import in_a_line
from ..quiet import quiet
from .hookspecs import PROJECT

__all__ = [
    "BUILTIN",
    "Installed",
    "Problem",
    "are_disabled",
    "brings_commands",
    "installed",
    "register",
    "waiting_for",
]

BUILTIN = "llmdas-agent"
"""The distribution that the built-in detectors come with."""

PATIENCE = 5.0
"""Seconds after which a user is told which plugin a command waits for."""


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
class Installed:
    """An entry point of a distribution that is installed.

    Attributes
    ----------
    distribution : str
        The distribution's name, the one that pip knows.
    version : str
        Its version; empty where its metadata does not tell.
    entry_point : importlib.metadata.EntryPoint
        Not loaded yet.
    """

    distribution: str
    version: str
    entry_point: metadata.EntryPoint


def are_disabled() -> bool:
    """Return whether ``LLMDAS_DISABLE_PLUGINS`` switches all plugins off but the built-in one."""
    return os.environ.get("LLMDAS_DISABLE_PLUGINS", "0") not in ("", "0")


def installed() -> Iterator[Installed]:
    """Yield the entry points of all plugins that are installed, in a fixed order."""
    for entry_point in sorted(metadata.entry_points(group=PROJECT)):
        found = entry_point.dist
        if found is None:
            yield Installed(entry_point.name, "", entry_point)
        else:
            yield Installed(found.name, found.version, entry_point)


def brings_commands(found: Installed) -> bool:
    """Return whether an entry point is named as one that brings commands."""
    name = found.entry_point.name
    return name == "commands" or name.endswith("-commands")


@contextmanager
def waiting_for(plugin: str) -> Iterator[None]:
    """Keep a plugin's code quiet at work; where it takes long or is interrupted, say on stderr whose it is.

    Parameters
    ----------
    plugin : str
        Its distribution.
    """
    way_out = f"`pip uninstall {plugin}` removes it, LLMDAS_DISABLE_PLUGINS=1 goes without any plugin"
    told = f"still waiting for plugin {plugin}; {way_out}\n"
    clock = threading.Timer(PATIENCE, lambda: sys.stderr.write(told))
    clock.daemon = True
    clock.start()
    try:
        with quiet:
            yield
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted while waiting for plugin {plugin}; {way_out}\n")
        raise
    finally:
        clock.cancel()


def register(manager: pluggy.PluginManager, found: Installed) -> Problem | None:
    """Load an entry point and register it, or say why it could not be.

    Parameters
    ----------
    manager : pluggy.PluginManager
        With the hookspecs.
    found : Installed
        The entry point.

    Returns
    -------
    Problem or None
    """
    # One distribution may bring several plugins; pluggy wants a name for each.
    name = f"{found.distribution}:{found.entry_point.name}"
    try:
        _refuse_newer(found)
        with waiting_for(found.distribution):
            plugin = found.entry_point.load()
            manager.register(plugin, name=name)
        # Called after each one, so that a misspelt hook is blamed on the plugin that has it.
        manager.check_pending()
    except (Exception, SystemExit) as error:  # importing a plugin runs a stranger's code
        if manager.has_plugin(name):
            manager.unregister(name=name)
        return Problem(found.distribution, f"could not be loaded: {in_a_line(error)}")
    implements_commands = any(
        implementation.plugin_name == name for implementation in manager.hook.llmdas_commands.get_hookimpls()
    )
    if implements_commands and not brings_commands(found):
        entry = found.entry_point.name
        manager.unregister(name=name)
        return Problem(
            found.distribution,
            f"could not be loaded: its entry point brings commands and must be named '{entry}-commands'",
        )
    return None


def _refuse_newer(found: Installed) -> None:
    """Refuse a plugin whose own metadata asks for another version of this package."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    here = metadata.version(BUILTIN)
    requires = (found.entry_point.dist and found.entry_point.dist.requires) or []
    for requirement in map(Requirement, requires):
        # one of an extra is not asked for, and one of another Python or system is not meant for this one
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        meant = applies and canonicalize_name(requirement.name) == BUILTIN
        if meant and not requirement.specifier.contains(here, prereleases=True):
            raise ImportError(f"it needs {BUILTIN} {requirement.specifier}, and {here} is installed")
