"""Commands on cards."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import JsonOption, emit_json

if TYPE_CHECKING:
    from ..cards import DetectorCard

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, help="Write and check the cards that describe detectors.", rich_markup_mode=None
)

# What a language model cannot make up for, said once a card lacks it.
_ADVICE = {
    "description": "description (what it does)",
    "assumptions": "assumptions (what it takes for granted)",
    "steps": "steps (how it computes a score)",
    "blind_spots": "blind_spots (what it misses, and why)",
}


@app.callback()
def card() -> None:
    """Write and check the cards that describe detectors."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Cards, YAML.")],
    as_json: JsonOption = False,
) -> None:
    """Check cards, and try out the detectors that they build.

    Each detector is built, fitted on a toy table and asked for scores. What the card does not tell a language
    model is said as advice and is no error.

    \b
    Examples:
      llmdas-agent card check my_card.yaml
      llmdas-agent card check cards/*.yaml --json
    """
    from ..errors import LlmdasError

    findings: list[dict[str, Any]] = []
    failed: list[LlmdasError] = []
    for file in files:
        try:
            loaded = _checked(file)
        except LlmdasError as refusal:  # the other files are checked as well; all errors are shown below
            failed.append(refusal)
            findings.append({"file": str(file), "ok": False, **refusal.as_dict()})
            continue
        findings.append(
            {
                "file": str(file),
                "ok": True,
                "name": loaded.name,
                "class": loaded.build.class_path,
                "missing": list(loaded.missing_for_a_reader()),
            }
        )
        if not as_json:
            typer.echo(f"{file}: {_in_a_line(loaded)}")
    if as_json:
        emit_json({"cards": findings})
        if failed:
            raise typer.Exit(failed[0].exit_code)
    for error in failed[1:]:
        typer.echo(f"error: {error}", err=True)
    if failed:
        raise failed[0]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The detector's short name.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it.  [default: NAME.yaml]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a commented card to fill in; as it stands it describes PyOD's HBOS.

    \b
    Examples:
      llmdas-agent card new my-detector
    """
    from ..cards import card_template
    from ..errors import InputError
    from ..files import write_whole

    text = card_template(name)
    path = output or Path(f"{name}.yaml")
    if path.exists() and not force:
        raise InputError(
            "is there already", where=str(path), hint="Choose another --output, or replace it with --force"
        )
    write_whole(path, text)
    if as_json:
        emit_json({"name": name, "path": str(path)})
        return
    typer.echo(f"wrote {path}; fill it in, then run:")
    typer.echo(f"  llmdas-agent card check {path}")
    typer.echo(f"  llmdas-agent add-detector {path}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of cards, for editors that complete and check YAML.

    \b
    Examples:
      llmdas-agent card schema > card.schema.json
    """
    from ..cards import card_schema

    sys.stdout.write(json.dumps(card_schema(), indent=1) + "\n")


def _checked(file: Path) -> DetectorCard:
    from ..cards import load_card
    from ..detectors import DetectorSource

    loaded = load_card(file)
    DetectorSource.from_card(loaded).try_out()
    return loaded


def _in_a_line(loaded: DetectorCard) -> str:
    builds = f"'{loaded.name}' builds {loaded.build.class_path}, which fits and scores"
    missing = [_ADVICE[field] for field in loaded.missing_for_a_reader()]
    if not missing:
        return f"{builds}; well described, {len(loaded.blind_spots)} blind spots"
    return f"{builds}; a language model would work better with {', '.join(missing)}"
