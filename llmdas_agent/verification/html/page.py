"""The page: what is known of a program and its detector, put into the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from threadpoolctl import threadpool_limits

from ...programs import Proposal
from ...report import BlindSpotProfile, VerificationReport
from ..families import FAMILIES
from ..verify import Trial
from .code import coloured_lines
from .grids import facts_of, grids_of, in_words
from .pictures import KIND_MARKS, draw_rows, draw_scores
from .scenes import Scene, scene_of

__all__ = ["render_html"]


@dataclass(frozen=True, slots=True)
class _Pictured:
    """A scenario with its two pictures."""

    scene: Scene
    rows: Markup
    scores: Markup
    beyond: int


def render_html(
    trial: Trial,
    report: VerificationReport,
    *,
    proposal: Proposal | None = None,
    profile: BlindSpotProfile | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """Write a verification report as one page of HTML.

    Parameters
    ----------
    trial : Trial
        The program on the toy scenarios; its rows are drawn.
    report : VerificationReport
        What the checks say of it.
    proposal : Proposal, optional
        The reasons that were given for the program.
    profile : BlindSpotProfile, optional
        What the detector was measured to miss.
    provenance : mapping, optional
        Where the program comes from, names and plain values; None and empty ones are left out.

    Returns
    -------
    str
        It has no script and asks for nothing: styles and pictures are inside, and its own policy forbids the
        rest. Every text of the card, the program and the checks is escaped. Equal for equal arguments.
    """
    scenes = _scenes(trial)
    kinds = list(dict.fromkeys(kind for scene in scenes for kind in scene.anomalous))
    page = _environment().get_template("report.html.j2")
    text = page.render(
        trial=trial,
        report=report,
        card=trial.bench.source.card,
        source=trial.bench.source,
        proposal=proposal,
        profile=profile,
        family_words={family.name: family.words for family in FAMILIES},
        provenance={name: value for name, value in (provenance or {}).items() if value not in (None, "")},
        style=Markup(resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")),
        kinds=[(kind, KIND_MARKS[k % len(KIND_MARKS)][1]) for k, kind in enumerate(kinds)],
        scenes=[_pictured(scene, kinds) for scene in scenes],
        code=coloured_lines(trial.program.source),
        fault_lines={verdict.evidence.get("line") for verdict in report.failures()} - {None},
    )
    # a program may hold half a surrogate pair, which no file can
    return text.encode("utf-8", "replace").decode("utf-8")


def _scenes(trial: Trial) -> list[Scene]:
    if trial.evidence is None:
        return []
    # many small products: threads would only wait for each other
    with threadpool_limits(1):
        return [scene_of(run, trial.bench.rng(run.toy.scenario, "picture")) for run in trial.evidence.runs]


def _pictured(scene: Scene, kinds: list[str]) -> _Pictured:
    rows, beyond = draw_rows(scene, kinds)
    return _Pictured(scene, rows, draw_scores(scene), beyond)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"facts": facts_of, "grids": grids_of, "in_words": in_words}
    return environment
