"""Toy scenarios: seeded data whose true density is known, so that what is improbable can be decided exactly.

Most are Gaussian mixtures seen through an invertible map of the columns; some have columns rounded to whole
numbers. Each file holds one kind of density or the scenarios of one kind of table.
"""

from .admitted import admitted
from .coded import collinear, integers, one_hot
from .gaussian import copula, few_rows, gaussian, more_columns, scales, wide
from .mixture import MixtureScenario, RoundedMixtureScenario
from .ring import RingScenario
from .scenario import Scenario
from .shaped import banana, clusters, grid, low_rank, ring
from .warps import Bend, Linear, Scale, SinhArcsinh, Warp, WarpedScenario

__all__ = [
    "SCENARIOS",
    "Bend",
    "Linear",
    "MixtureScenario",
    "RingScenario",
    "RoundedMixtureScenario",
    "Scale",
    "Scenario",
    "SinhArcsinh",
    "Warp",
    "WarpedScenario",
    "all_scenarios",
]

SCENARIOS: tuple[Scenario, ...] = (
    few_rows(),
    clusters(),
    banana(),
    ring(),
    grid(),
    gaussian(),
    integers(),
    collinear(),
    scales(),
    more_columns(),
    one_hot(),
    copula(),
    low_rank(),
    wide(),
)
"""The toy scenarios, the cheapest first."""


def all_scenarios() -> tuple[Scenario, ...]:
    """Return the toy scenarios of the package, then those of plugins that are sound."""
    return admitted(SCENARIOS)
