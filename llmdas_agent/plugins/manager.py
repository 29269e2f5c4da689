"""What the installed plugins bring, each asked on its own and only for what is needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from ..errors import PluginError, in_a_line
from . import builtin, hookspecs
from .hookspecs import PROJECT, CommandEntry, DetectorEntry
from .loading import (
    BUILTIN,
    Problem,
    are_disabled,
    brings_commands,
    installed,
    register,
    waiting_for,
)

if TYPE_CHECKING:
    from ..agent.proposers import Proposer
    from ..report import Verdict
    from ..verification.checks import Evidence
    from ..verification.scenarios import Scenario

    Check = Callable[[Evidence], Verdict]

__all__ = ["Claims", "Plugins", "load_command_plugins", "load_plugins", "sole"]

T = TypeVar("T")

Claims = dict[str, list[tuple[str, T]]]
"""Name to everything that claims it, each with its distribution."""


class Plugins:
    """What the installed plugins bring.

    A plugin is asked for a kind of thing when that kind is first needed. What goes wrong then, in one
    plugin, becomes one of the `problems`, and the others go on.

    Parameters
    ----------
    manager : pluggy.PluginManager
        With the hookspecs, and the plugins that could be loaded.
    problems : list of Problem, optional
        Those of the plugins that could not.

    Attributes
    ----------
    problems : list of Problem
        Plugins, or parts of them, that could not be used, as far as they were asked.
    """

    def __init__(self, manager: pluggy.PluginManager, problems: list[Problem] | None = None) -> None:
        self._manager = manager
        self.problems = problems or []

    @cached_property
    def detectors(self) -> Claims[DetectorEntry]:
        """Detectors by name; more than one claim to a name is a conflict that `detector` reports."""
        claims = self._asked("llmdas_detectors", DetectorEntry, lambda entry: entry.name, _check_detector)
        self.blame_conflicts("detector", claims)
        return claims

    @cached_property
    def scenarios(self) -> Claims[Scenario]:
        """Toy scenarios by name, without the package's own."""
        return self._asked("llmdas_scenarios", "Scenario", lambda one: one.name, _check_scenario)

    @cached_property
    def checks(self) -> Claims[Check]:
        """Checks by name, without the package's own."""
        return self._asked("llmdas_checks", "function", lambda check: check.__name__, _check_check)

    @cached_property
    def proposers(self) -> Claims[Proposer]:
        """Proposers by name, without the package's own."""
        return self._asked("llmdas_proposers", "Proposer", lambda one: one.name, _check_proposer)

    @cached_property
    def commands(self) -> Claims[CommandEntry]:
        """Commands by name, without the package's own."""
        return self._asked("llmdas_commands", CommandEntry, lambda entry: entry.name, _check_command)

    def detector(self, name: str) -> DetectorEntry | None:
        """Return the entry of a name.

        Parameters
        ----------
        name : str
            The detector's name.

        Returns
        -------
        DetectorEntry or None
            None when no plugin brings it.

        Raises
        ------
        PluginError
            When it is claimed twice.
        """
        claims = self.detectors.get(name, [])
        return sole("detector", name, claims)[1] if claims else None

    def owner(self, detector: str) -> str:
        """Return the distribution that brings a detector, or an empty string."""
        claims = self.detectors.get(detector, [])
        return claims[0][0] if claims else ""

    def blame(self, plugin: str, what: str) -> None:
        """Note what went wrong with a plugin, once."""
        problem = Problem(plugin, what)
        if problem not in self.problems:
            self.problems.append(problem)

    def blame_conflicts(self, kind: str, claims: Claims[Any], own: Collection[str] = ()) -> None:
        """Note every plugin that brings a name which is the package's own or another plugin's.

        Parameters
        ----------
        kind : str
            Named in the problem.
        claims : Claims
            What plugins bring.
        own : collection of str
            The package's own names.
        """
        for name, found in claims.items():
            owners = _owners(name in own, found)
            first = min(owners, key=lambda owner: owner != BUILTIN)
            for owner in owners:
                if owner != first:
                    self.blame(owner, f"brings {kind} '{name}', which {first} brings too")

    def unambiguous(self, kind: str, own: Mapping[str, T], brought: Claims[T]) -> dict[str, tuple[str, T]]:
        """Return the package's own things of a kind, then those that plugins bring under names of their own.

        For things that are used all together: where a name is taken, those who bring it are left out and
        noted, and the others go on.

        Parameters
        ----------
        kind : str
            Named in the problem.
        own : mapping
            The package's own, by name.
        brought : Claims
            From one of the attributes.

        Returns
        -------
        dict
            Name to distribution and thing.
        """
        found = {name: (BUILTIN, thing) for name, thing in own.items()}
        for name, claims in brought.items():
            owners = _owners(name in own, claims)
            if len(owners) == 1:
                found[name] = claims[0]
                continue
            for owner, _ in claims:
                others = " and ".join(one for one in owners if one != owner) or "it"
                self.blame(owner, f"its {kind} '{name}' is left out: {others} brings one of that name too")
        return found

    def _asked(
        self, hook: str, kind: type | str, name: Callable[[Any], str], check: Callable[[Any], None]
    ) -> Claims[Any]:
        claims: Claims[Any] = {}
        # The hook is not called as one, since the first implementation that raises would silence the others.
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            owner = implementation.plugin_name.partition(":")[0]
            try:
                with waiting_for(owner):
                    found = _listed(implementation.function(), kind)
                    if owner != BUILTIN:
                        for item in found:
                            check(item)
                    named = [(_checked_name(name(item)), item) for item in found]
            except (Exception, SystemExit) as error:  # a stranger's code may raise anything; it is named
                self.blame(owner, f"its hook {hook} failed: {in_a_line(error)}")
                continue
            for its_name, item in named:
                claims.setdefault(its_name, []).append((owner, item))
        return claims


def sole(kind: str, name: str, claims: list[tuple[str, T]]) -> tuple[str, T]:
    """Return the distribution that brings a name, and what it brings.

    Parameters
    ----------
    kind : str
        Named in the error.
    name : str
        What is asked for.
    claims : list
        All that claim it, one at least.

    Returns
    -------
    tuple
        Distribution and thing.

    Raises
    ------
    PluginError
        When it is claimed twice.
    """
    owners = [owner for owner, _ in claims]
    if len(owners) > 1:
        foreign = next((owner for owner in owners if owner != BUILTIN), BUILTIN)
        raise PluginError(
            f"{kind} '{name}' is brought by {' and by '.join(owners)}",
            where="plugins",
            hint=f"Keep one: `pip uninstall {foreign}`, or ask its author to choose another name",
        )
    return claims[0]


@functools.cache
def load_plugins() -> Plugins:
    """Load every plugin installed; once per process."""
    return _loaded(commands_only=False)


@functools.cache
def load_command_plugins() -> Plugins:
    """Load the plugins whose entry points say that they bring commands; once per process."""
    return _loaded(commands_only=True)


def _loaded(*, commands_only: bool) -> Plugins:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(builtin, name=BUILTIN)
    found = (
        [] if are_disabled() else [one for one in installed() if brings_commands(one) or not commands_only]
    )
    problems = [problem for one in found if (problem := register(manager, one)) is not None]
    return Plugins(manager, problems)


def _owners(is_own: bool, claims: list[tuple[str, Any]]) -> list[str]:
    """Return everyone who claims a name, the package first where the name is its own."""
    return [BUILTIN] * is_own + [owner for owner, _ in claims]


def _listed(found: object, kind: type | str) -> list[Any]:
    expected = kind if isinstance(kind, str) else kind.__name__
    sound = isinstance(found, (list, tuple)) and (
        isinstance(kind, str) or all(isinstance(item, kind) for item in found)
    )
    if not sound:
        raise TypeError(f"it returned {_in_words(found)}, where a list of {expected} is expected")
    return list(found)  # type: ignore[call-overload, no-any-return]


def _check_detector(entry: DetectorEntry) -> None:
    from ..cards import load_card

    if not isinstance(entry.card, Path) or not isinstance(entry.synthesizer, Path | None):
        raise TypeError("a DetectorEntry holds paths of the class pathlib.Path")
    if not entry.card.is_file():
        raise FileNotFoundError(f"there is no card {entry.card}")
    if entry.synthesizer is not None and not entry.synthesizer.is_dir():
        raise FileNotFoundError(f"there is no synthesizer {entry.synthesizer}")
    card = load_card(entry.card)
    if card.name != entry.name:
        raise ValueError(f"the card {entry.card} is named '{card.name}', not as its file")


def _check_scenario(scenario: Any) -> None:
    known = {"name", "d", "n_train"} & set(dir(scenario))
    # asked of the class, since `levels` of the object would compute them
    known |= {"sample", "log_density", "snap", "levels", "anomalies"} & set(dir(type(scenario)))
    for name in ("name", "d", "n_train", "sample", "log_density", "snap", "levels", "anomalies"):
        if name not in known:
            raise TypeError(f"{scenario!r:.60} is no Scenario: it has no {name}")


def _check_check(check: Any) -> None:
    if not callable(check) or not hasattr(check, "__name__"):
        raise TypeError(f"{check!r:.60} is no function")


def _check_proposer(proposer: Any) -> None:
    if not hasattr(proposer, "name") or not callable(getattr(proposer, "propose", None)):
        raise TypeError(f"{proposer!r:.60} is no Proposer: it needs a name and propose(brief)")


def _check_command(entry: CommandEntry) -> None:
    if not isinstance(entry.help, str | None) or not (entry.help or "").isprintable():
        raise TypeError(f"command {entry.name!r:.60} has help {entry.help!r:.60}, where one line is expected")
    module, _, attribute = entry.app.partition(":") if isinstance(entry.app, str) else ("", "", "")
    if not module or not attribute:
        raise ValueError(
            f"command {entry.name!r:.60} has app {entry.app!r:.60}, where 'module:attribute' is expected"
        )


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise TypeError(f"it brings the name {name!r:.60}, where one line of text is expected")
    return name


def _in_words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {', '.join(sorted({type(item).__name__ for item in value}))}"
    return type(value).__name__
