"""What programs get in place of modules, classes and functions that would give them too much."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

__all__ = ["Kind", "Namespace", "real_kinds", "serial"]


class Namespace:
    """A module as programs see it: a fixed set of names."""

    __slots__ = ("members", "name")

    def __init__(self, name: str, members: dict[str, Any]) -> None:
        self.name = name
        self.members = types.MappingProxyType(members)

    def __repr__(self) -> str:
        return f"<module '{self.name}'>"


class Kind:
    """A class as programs see it: good for ``isinstance``, and callable only where making one is safe.

    Parameters
    ----------
    kind : type
        The class itself.
    make : callable, optional
        What a call does instead of the class.
    """

    __slots__ = ("kind", "make")

    def __init__(self, kind: type, make: Callable[..., Any] | None = None) -> None:
        self.kind = kind
        self.make = make

    def __repr__(self) -> str:
        return f"<class '{self.kind.__name__}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make one, where that is safe."""
        if self.make is None:
            raise TypeError(
                f"{self.kind.__name__} cannot be called here; for new arrays use np.zeros or np.empty"
            )
        return self.make(*args, **kwargs)


def real_kinds(kinds: Any) -> Any:
    """Return the classes behind what a program passes to ``isinstance``."""
    if type(kinds) is tuple:
        return tuple(real_kinds(kind) for kind in kinds)
    return kinds.kind if type(kinds) is Kind else kinds


def serial(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a scientific function run in this process alone, whatever number of workers is asked for.

    Parameters
    ----------
    function : callable
        A function, a method or a class.

    Returns
    -------
    callable
        The same without ``n_jobs``, ``workers`` and ``memory``.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        for name in ("n_jobs", "workers"):
            kwargs.pop(name, None)
        if kwargs.pop("memory", None) is not None:
            raise TypeError("'memory' is not available: nothing can be cached on disk")
        return function(*args, **kwargs)

    return call
