"""The page: what a refinement tried, found and decided."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ....verification import html as verification_html
from ...runs import RunFolder
from ...spending import spent
from ..archive import Archive
from ..outcome import Outcome
from ..search import rounds_of
from .lineage import line_of
from .pictures import draw_duel, draw_search

__all__ = ["render"]


def render(folder: RunFolder, outcome: Outcome) -> str:
    """Write a refinement as one page of HTML.

    Parameters
    ----------
    folder : RunFolder
        The run.
    outcome : Outcome
        How it ended.

    Returns
    -------
    str
        It has no script and asks for nothing: style and pictures are inside, and its own policy forbids the
        rest. Every text of a program, a report or a chat model is escaped.
    """
    archive, rounds = Archive(folder), rounds_of(folder)
    best = next(iter(archive.valid), archive[1])
    last = archive[outcome.challenger] if outcome.challenger else best
    steps = line_of(archive, last.number)
    line = {1, *(step.child.number for step in steps)}
    environment = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    met = outcome.duel
    text = environment.get_template("refinement.html.j2").render(
        folder=folder,
        card=folder.card(),
        outcome=outcome,
        entries=archive.entries,
        last=last,
        steps=steps,
        line=line,
        rounds=rounds,
        total=spent(folder.outbox),
        duel_rows=_by_scenario(met.incumbent, met.challenger) if met and not met.failure else [],
        search_picture=draw_search(archive.entries, rounds, line),
        duel_picture=draw_duel(met) if met and not met.failure else "",
        style=_style(verification_html.__name__, "report.css") + _style(__package__, "refinement.css"),
    )
    # a chat model may write half a surrogate pair, which no file can hold
    return text.encode("utf-8", "replace").decode("utf-8")


def _style(package: str, name: str) -> Markup:
    return Markup(resources.files(package).joinpath(name).read_text(encoding="utf-8"))


def _by_scenario(
    incumbent: dict[str, float], challenger: dict[str, float]
) -> list[tuple[str, int, float, float]]:
    """Return, for each scenario, on how many seeds the two met, and their means."""
    found: dict[str, list[tuple[float, float]]] = {}
    for pair, value in incumbent.items():
        found.setdefault(pair.rpartition("/")[0], []).append((value, challenger[pair]))
    rows = []
    for name, values in found.items():
        old, new = (sum(side) / len(values) for side in zip(*values, strict=True))
        rows.append((name, len(values), old, new))
    return rows
