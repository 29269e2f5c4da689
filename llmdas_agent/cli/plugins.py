"""Commands on plugins: ``plugin list``, ``plugin verify``, ``plugin new``, and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, PluginError
from .output import JsonOption, busy, checks_table, console, emit_json

if TYPE_CHECKING:
    from ..plugins import Plugins

__all__ = ["app", "export", "require_sound"]

KINDS = ("detectors", "scenarios", "checks", "proposers", "commands")

app = typer.Typer(no_args_is_help=True, help="What installed packages bring.", rich_markup_mode=None)


@app.callback()
def plugin() -> None:
    """See what installed packages bring, and make such a package."""


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List each plugin with its version, what it registers, and what went wrong.

    \b
    Examples:
      llmdas-agent plugin list
      llmdas-agent plugin list --json

    With LLMDAS_DISABLE_PLUGINS=1 in the environment, no installed plugin is loaded by any command;
    `llmdas-agent --strict-plugins COMMAND` ends with an error where one cannot be used.
    """
    from rich.markup import escape
    from rich.table import Table

    from ..plugins import BUILTIN, are_disabled, installed

    plugins = _asked_for_everything()
    versions = {one.distribution: one.version for one in installed()} | {BUILTIN: _version(BUILTIN)}
    rows: list[dict[str, Any]] = [
        {
            "plugin": owner,
            "version": version,
            "problems": [problem.what for problem in plugins.problems if problem.plugin == owner],
            **{kind: _names(plugins, kind, owner) for kind in KINDS},
        }
        for owner, version in sorted(versions.items())
    ]
    if as_json:
        emit_json({"plugins": rows, "disabled": are_disabled()})
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("plugin", "version", "registers"):
        table.add_column(title, no_wrap=title != "registers")
    for row in rows:
        brought = "; ".join(f"{kind} {', '.join(row[kind])}" for kind in KINDS if row[kind])
        fault = "could not be used" if row["problems"] else "nothing"
        off = are_disabled() and row["plugin"] != BUILTIN
        table.add_row(row["plugin"], row["version"], "disabled" if off else escape(brought) or fault)
    console().print(table)


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A detector that a plugin brings.")],
    as_json: JsonOption = False,
) -> None:
    """Verify the synthesizer of a plugin on this machine, as `fit` does before its first use.

    \b
    Examples:
      llmdas-agent plugin verify knn

    Exit code 0: it passes. 5: it does not, and stays unused.
    """
    from ..registry import Registry, resolve
    from ..verification import admit

    synthesizer = Registry().get(name)
    if synthesizer.origin != "plugin":
        raise InputError(
            f"the synthesizer '{name}' is {synthesizer.origin}, not a plugin's",
            where="NAME",
            hint="`llmdas-agent plugin list` shows what plugins bring",
        )
    with busy(f"verifying {name}"):
        report = admit(synthesizer, resolve(synthesizer.card))
    if as_json:
        emit_json({"accepted": report.accepted, **report.model_dump()})
    else:
        console().print(checks_table(report))
        console().print("\n[bold green]passes[/]")


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The detector's name: lower case, digits, '-' and '_'.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder; llmdas-NAME when left out.")
    ] = None,
) -> None:
    """Start a package that brings a detector: module, card, README and conformance tests.

    \b
    Examples:
      llmdas-agent plugin new my-detector
    """
    from ..plugins.scaffold import Package

    package = Package.at(output or Path(f"llmdas-{name}"), name)
    package.write_new()
    typer.echo(f"{package.folder} holds a package that works as it stands. Next:")
    typer.echo(f"  pip install -e {package.folder}")
    typer.echo(f"  python -m pytest {package.folder}")
    typer.echo(f"then put your detector into {package.module_folder / 'detector.py'} and describe it in")
    typer.echo(f"{package.card}")


def export(
    name: Annotated[str, typer.Argument(help="A detector's name, as in `llmdas-agent list`.")],
    plugin: Annotated[
        Path, typer.Option("--plugin", metavar="DIR", help="A new folder, or one that `plugin new` made.")
    ],
) -> None:
    """Put a synthesizer with its card into a package, so that others can install it.

    \b
    Examples:
      llmdas-agent export hbos --plugin llmdas-hbos/
      llmdas-agent export my-detector --plugin llmdas-my-detector/
    """
    from ..plugins.scaffold import Package
    from ..registry import Registry

    synthesizer = Registry().get(name)
    package = Package.at(plugin, name)
    package.write_synthesizer(synthesizer.card, synthesizer.write)
    typer.echo(f"{package.folder} holds '{name}' with its card and synthesizer. Next:")
    typer.echo(f"  pip install -e {package.folder}")
    typer.echo(f"  python -m pytest {package.folder}")


def require_sound() -> None:
    """End the command where a plugin cannot be used.

    Raises
    ------
    PluginError
        With the first problem.
    """
    problems = _asked_for_everything().problems
    if problems:
        raise PluginError(
            str(problems[0]),
            where="--strict-plugins",
            hint="Without --strict-plugins the command goes on without it",
        )


def _asked_for_everything() -> Plugins:
    """Return the plugins after each was asked for all that it brings, so that all problems are known."""
    from ..plugins import load_plugins
    from ..verification import all_scenarios
    from ..verification.checks import CHECKS

    plugins = load_plugins()
    all_scenarios()
    plugins.unambiguous("check", {check.__name__: check for check in CHECKS}, plugins.checks)
    plugins.blame_conflicts("proposer", plugins.proposers, {"embedded"})
    for kind in ("detectors", "commands"):
        plugins.blame_conflicts(kind[:-1], getattr(plugins, kind))
    return plugins


def _names(plugins: Plugins, kind: str, owner: str) -> list[str]:
    claims = getattr(plugins, kind)
    return sorted(name for name, found in claims.items() if owner in [claimant for claimant, _ in found])


def _version(distribution: str) -> str:
    from importlib.metadata import version

    return version(distribution)
