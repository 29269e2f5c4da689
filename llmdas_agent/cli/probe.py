"""The command ``probe``: what a detector misses, printed, drawn and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import JsonOption, SeedOption, busy, console, emit_json, profile_table

__all__ = ["probe"]


def probe(
    detector: Annotated[str, typer.Argument(help="A name, or a card's file.")],
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the profile into this file: .png, .svg or .pdf."),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep the profile beside the card: mine.profile.json for mine.yaml."),
    ] = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure which kinds of improbable rows a detector misses, on toy data.

    \b
    Examples:
      llmdas-agent probe ecod
      llmdas-agent probe my_card.yaml --picture my_profile.svg --keep
      llmdas-agent probe ecod --json

    All rows are equally improbable under the known density of the toy data: a detector that saw the density
    would rank every kind alike. The profile of a name is kept in the data folder, as profiles/NAME.json.
    """
    from ..registry import resolve
    from ..verification import ToyBench
    from ..verification import probe as measure
    from ..verification.profile_picture import check_format, save_profile

    if picture is not None:
        check_format(picture)
    source = resolve(detector)
    source.try_out()
    with busy(f"probing {source.name}"):
        profile = measure(ToyBench(source, seed=seed))
    if picture is not None:
        save_profile(profile, picture)
    kept = _keep(detector, profile.model_dump_json(indent=1) + "\n") if keep else None
    if as_json:
        emit_json(profile.model_dump())
        return
    screen = console()
    screen.print(profile_table(profile))
    for note in profile.notes:
        screen.print(note, soft_wrap=True, markup=False)
    for what, path in (("picture", picture), ("profile", kept)):
        if path is not None:
            screen.print(f"{what}  {path}", soft_wrap=True, markup=False)


def _keep(detector: str, text: str) -> Path:
    from ..config import data_dir
    from ..files import write_whole

    card = Path(detector)
    is_file = card.suffix in (".yaml", ".yml")
    path = card.with_suffix(".profile.json") if is_file else data_dir() / "profiles" / f"{detector}.json"
    write_whole(path, text)
    return path
