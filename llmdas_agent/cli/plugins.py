"""Commands on plugins."""

from __future__ import annotations

import typer

from .output import JsonOption, console, emit_json

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What installed packages bring.", rich_markup_mode=None)


@app.callback()
def plugin() -> None:
    """See what installed packages bring."""


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List each plugin with the detectors it brings, and what went wrong.

    \b
    Examples:
      llmdas-agent plugin list
    """
    from rich.table import Table

    from ..plugins import load_plugins

    plugins = load_plugins()
    brought: dict[str, list[str]] = {}
    for name, claims in plugins.detectors.items():
        for owner, _ in claims:
            brought.setdefault(owner, []).append(name)
    if as_json:
        problems = [{"plugin": problem.plugin, "what": problem.what} for problem in plugins.problems]
        emit_json({"plugins": brought, "problems": problems})
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("plugin", no_wrap=True)
    table.add_column("detectors")
    for owner, names in sorted(brought.items()):
        table.add_row(owner, ", ".join(sorted(names)))
    console().print(table)
