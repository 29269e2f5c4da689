"""Commands that plugins add: named in the help, imported when they are called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import PluginError, in_a_line

__all__ = ["RootGroup", "warn_of_plugins"]


class RootGroup(TyperGroup):
    """The root of the command line: the package's own commands, then those of plugins.

    Plugins are asked only for a page of help or a command that is not the package's own, and then only
    those whose entry points say that they bring commands.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *sorted(_brought(self))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; one of a plugin as a name and a line of help."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or cmd_name not in _brought(self):
            return own
        stub = typer.Typer(add_completion=False)
        stub.command(cmd_name, help=_brought(self)[cmd_name][0][1].help)(lambda: None)
        return typer.main.get_command(stub)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that a command line calls, imported, and the arguments that are left."""
        name = args[0]
        if super().get_command(ctx, name) is None and name in _brought(self):
            return name, _imported(name, _brought(self)[name]), args[1:]
        return super().resolve_command(ctx, args)


def _brought(group: TyperGroup) -> dict[str, list[tuple[str, Any]]]:
    """Return the commands that plugins bring, without those whose name is the package's own."""
    from ..plugins import load_command_plugins

    plugins = load_command_plugins()
    for name in group.commands.keys() & plugins.commands.keys():
        for owner, _ in plugins.commands[name]:
            plugins.blame(owner, f"its command '{name}' is left out: llmdas-agent has one of that name")
    return {name: claims for name, claims in plugins.commands.items() if name not in group.commands}


def _imported(name: str, claims: list[tuple[str, Any]]) -> Any:
    from ..plugins import sole, waiting_for

    owner, entry = sole("command", name, claims)
    module, _, attribute = entry.app.partition(":")
    try:
        with waiting_for(owner):
            app = getattr(importlib.import_module(module), attribute)
        if not isinstance(app, typer.Typer):
            raise TypeError(f"{entry.app} is no typer.Typer")
        return typer.main.get_command(app)
    except (Exception, SystemExit) as error:  # importing a plugin runs a stranger's code
        raise PluginError(
            f"command '{name}' of {owner} could not be imported: {in_a_line(error)}",
            where="plugins",
            hint=f"`pip uninstall {owner}` removes it",
        ) from error


def warn_of_plugins() -> None:
    """Name the plugins that could not be used, after a command that asked for them."""
    manager = sys.modules.get("llmdas_agent.plugins.manager")
    if manager is None:
        return
    loaders = (manager.load_plugins, manager.load_command_plugins)
    problems = [problem for load in loaders if load.cache_info().currsize for problem in load().problems]
    for problem in dict.fromkeys(problems):
        sys.stderr.write(f"warning: {problem}\n")
