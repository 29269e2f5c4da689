"""The command line: the root app, and how an error ends it."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import Annotated

import typer

from ..errors import LlmdasError, StorageError, in_a_line
from ..files import OUT_OF_SPACE
from . import (
    add_detector,
    bench,
    cards,
    compare,
    doctor,
    plugins,
    probe,
    refine,
    registry,
    runs,
    tables,
    verify,
)
from .output import discard, emit_json
from .plugin_commands import RootGroup, warn_of_plugins

__all__ = ["app", "main"]

app = typer.Typer(
    name="llmdas-agent",
    cls=RootGroup,
    # rich is not imported for a page of help
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"llmdas-agent {version('llmdas-agent')}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    strict_plugins: Annotated[
        bool, typer.Option("--strict-plugins", help="End with an error where a plugin cannot be used.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make anomaly detectors better with hard anomalies, written as verified programs.

    \b
    Examples:
      llmdas-agent add-detector my_card.yaml                 a card becomes a verified synthesizer
      llmdas-agent fit iforest normal.csv --output model/    base detector + synthesizer -> enhanced detector
      llmdas-agent score model/ new.csv --output scores.csv  columns score, label, p_value in row order
      llmdas-agent list                                      what can be named
    """
    if debug:
        os.environ["LLMDAS_DEBUG"] = "1"
    if strict_plugins:
        plugins.require_sound()


app.command("add-detector")(add_detector.add_detector)
app.command("fit")(tables.fit)
app.command("score")(tables.score)
app.command("synthesize")(tables.synthesize)
app.command("list")(registry.list_)
app.command("show")(registry.show)
app.command("remove")(registry.remove)
app.command("refine")(refine.refine)
app.command("rollback")(refine.rollback)
app.command("verify")(verify.verify)
app.command("probe")(probe.probe)
app.command("compare")(compare.compare)
app.command("outbox")(runs.outbox)
app.command("replay")(runs.replay)
app.command("doctor")(doctor.doctor)
app.add_typer(cards.app, name="card")
app.command("export")(plugins.export)
app.add_typer(plugins.app, name="plugin")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """Run the command line; the console script."""
    code = _run()
    warn_of_plugins()
    try:
        # what is still kept back: what that raises could not be caught when the interpreter ends
        typer.echo(nl=False)
    except OSError as error:
        code = _told(error) or code
    sys.exit(code)


def _run() -> int | str | None:
    """Return what the command line ends with, having told any error."""
    try:
        app()
    except SystemExit as ended:
        # at a broken pipe, whichever it was, typer exits with 1 and says nothing
        return _told(ended.__context__) if isinstance(ended.__context__, BrokenPipeError) else ended.code
    except Exception as error:
        return _told(error)
    return 0


def _told(error: Exception) -> int:
    """Say what failed, nothing where stdout's reader has only seen enough; return the exit code."""
    if _is_unread(error):
        discard(sys.stdout)
        return 0
    known = error if isinstance(error, LlmdasError) else _as_known(error)
    _explain(known)
    return known.exit_code


def _as_known(error: Exception) -> LlmdasError:
    if isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
        # files of ours are written under `storage_errors`: this is stdout, or some library's own
        known: LlmdasError = StorageError(
            f"not all could be written ({os.strerror(error.errno).lower()})",
            where=error.filename or "output",
            hint="Free some space, or send the output elsewhere, and run the command again",
        )
    else:
        known = LlmdasError(
            f"a fault of ours: {in_a_line(error)}",
            hint="Run it again with --debug to see where, and report it",
        )
    known.__cause__ = error
    return known


def _is_unread(error: Exception) -> bool:
    """Return whether an error tells of a broken pipe, and stdout is one."""
    if not isinstance(error, BrokenPipeError):
        return False
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)
    return bool(poller.poll(0))


def _explain(error: LlmdasError) -> None:
    """Say what failed: one line on stderr for a person, one object on stdout for a program."""
    if os.environ.get("LLMDAS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    line = " ".join(str(error).split())
    sys.stderr.write(f"error: {line}\n")
    if "--json" in sys.argv:
        with suppress(OSError):  # stdout may be what failed
            emit_json(error.as_dict())
