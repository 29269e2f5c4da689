"""``doctor``: what this machine offers."""

from __future__ import annotations

from .output import JsonOption, console, emit_json

__all__ = ["doctor"]

_PACKAGES = (
    "llmdas-agent",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyod",
    "RestrictedPython",
    "langgraph",
    "polars",
)


def doctor(as_json: JsonOption = False) -> None:
    """Show the sandbox's layers, the plugins, the versions and the folders in use.

    \b
    Examples:
      llmdas-agent doctor
      llmdas-agent doctor --json
    """
    import platform
    from importlib.metadata import version

    from rich.table import Table

    from ..config import data_dir
    from ..plugins import load_plugins
    from ..sandbox import layers

    versions = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    found = layers()
    plugins = load_plugins()
    if as_json:
        emit_json(
            {
                "sandbox": [{"name": one.name, "state": one.state, "detail": one.detail} for one in found],
                "versions": versions,
                "data_dir": str(data_dir()),
                "detectors": sorted(plugins.detectors),
                "plugin_problems": [str(problem) for problem in plugins.problems],
            }
        )
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("sandbox layer", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("detail")
    colours = {"active": "green", "weaker": "yellow", "missing": "red"}
    for one in found:
        table.add_row(one.name, f"[{colours[one.state]}]{one.state}[/]", one.detail)
    screen = console()
    screen.print(table)
    screen.print("\nversions   " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    screen.print(f"registry and runs   {data_dir()}", soft_wrap=True)
    screen.print("detectors   " + ", ".join(sorted(plugins.detectors)))
