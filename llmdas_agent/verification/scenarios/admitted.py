"""The toy scenarios that detectors and programs are tried on: the package's own, and those of plugins."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...errors import in_a_line
from ...plugins import BUILTIN, Plugins, load_plugins
from ...quiet import quiet
from .scenario import Array, Scenario

__all__ = ["admitted"]

_ROWS = 300


def admitted(own: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """Return the package's own scenarios, then those of plugins.

    Unsound ones, and such as have a name that is taken, are left out and named among the plugins' problems.
    """
    return _admitted(load_plugins(), own)


@cache
def _admitted(plugins: Plugins, own: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    # once for the plugins of a process: every bench asks, and a scenario's anomalies may take a second
    named = plugins.unambiguous("toy scenario", {one.name: one for one in own}, plugins.scenarios)
    found = []
    for owner, scenario in named.values():
        fault = "" if owner == BUILTIN else _fault(scenario)
        if fault:
            plugins.blame(owner, f"its toy scenario '{scenario.name}' is left out: {fault}")
        else:
            found.append(scenario)
    return tuple(found)


def _fault(scenario: Scenario) -> str:
    """Return what is wrong with a plugin's scenario, in a line; empty when nothing is."""
    try:
        with quiet:
            _try_out(scenario)
    except (Exception, SystemExit) as error:  # a stranger's scenario may raise anything; it is named
        return in_a_line(error)
    return ""


def _try_out(scenario: Scenario) -> None:
    """Ask a scenario for everything that it will be asked for, and raise where something is wrong."""
    for name in ("d", "n_train"):
        value = getattr(scenario, name)
        if not isinstance(value, int) or value < 1:
            raise TypeError(f"{name} is {value!r:.40}, where a number of at least 1 is expected")
    for n in (scenario.n_train, _ROWS):
        rows = _rows(scenario.sample(n, np.random.default_rng(0)), (n, scenario.d), "sample")
        if not np.array_equal(rows, scenario.sample(n, np.random.default_rng(0))):
            raise ValueError("sample gives other rows under the same seed")
        _rows(scenario.snap(rows), rows.shape, "snap")
        _rows(scenario.log_density(rows), (n,), "log_density")
    if not scenario.levels.low < scenario.levels.median:
        raise ValueError("log_density gives the same for all rows")
    for kind, rows in scenario.anomalies(_ROWS, np.random.default_rng(0)).items():
        _rows(rows, (len(rows), scenario.d), f"anomalies, kind '{kind}',")


def _rows(found: Array, shape: tuple[int, ...], what: str) -> Array:
    if not isinstance(found, np.ndarray) or found.shape != shape:
        got = found.shape if isinstance(found, np.ndarray) else type(found).__name__
        raise ValueError(f"{what} must return an array of shape {shape}, and returned {got}")
    if not np.isfinite(found.astype(np.float64)).all():
        raise ValueError(f"{what} returned numbers that are not finite")
    return found
