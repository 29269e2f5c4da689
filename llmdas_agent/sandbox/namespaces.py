"""What a program finds when it runs: its modules, its built-in functions, chance that follows the seed."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from llmdas_agent.sandbox.allowed import (
    BUILTINS,
    MODULES,
    RENAMED,
    SCIENTIFIC,
    missing_member,
    missing_module,
)
from llmdas_agent.sandbox.attributes import guarded_getattr, guarded_hasattr
from llmdas_agent.sandbox.stand_ins import Kind, Namespace, real_kinds, serial

__all__ = ["Namespaces", "PrintedText", "program_globals", "seed_chance"]

_PLAIN_TYPES = {bool, int, float, complex, str, list, tuple, dict, set, frozenset, range, slice, type(None)}
# Its constructor takes any memory for any type, objects included.
_NDARRAY = Kind(np.ndarray)
_real_default_rng = np.random.default_rng
_seeds = np.random.SeedSequence(0)


def seed_chance(seed: int) -> None:
    """Seed every source of chance that a program can reach, also those it leaves unseeded."""
    global _seeds
    _seeds = np.random.SeedSequence(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    np.random.default_rng = _default_rng


def _fresh_seed() -> int:
    return int(_seeds.spawn(1)[0].generate_state(1)[0])


def _default_rng(seed: Any = None) -> np.random.Generator:
    return _real_default_rng(_fresh_seed() if seed is None else seed)


def _random_state(seed: Any = None) -> np.random.RandomState:
    return np.random.RandomState(_fresh_seed() if seed is None else seed)


def _seed_numpy(seed: Any = None) -> None:
    np.random.seed(_fresh_seed() if seed is None else seed)


def _seed_python(seed: Any = None) -> None:
    random.seed(_fresh_seed() if seed is None else seed)


def _python_random(seed: Any = None) -> random.Random:
    return random.Random(_fresh_seed() if seed is None else seed)


class _Anything:
    """Stands for every name of `typing`: it can be indexed, joined and called, and means nothing."""

    __slots__ = ()

    def __getitem__(self, item: Any) -> _Anything:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Anything:
        return self

    def __or__(self, other: Any) -> _Anything:
        return self

    __ror__ = __or__


@contextlib.contextmanager
def _catch_warnings(*, record: bool = False, **_settings: Any) -> Iterator[list[Any] | None]:
    yield [] if record else None


def _ignore(*args: Any, **kwargs: Any) -> None:
    """Take the place of what would change or print warnings: nobody reads them here."""


def _wraps(wrapped: Any) -> Callable[[Any], Any]:
    return lambda function: function


def _replacements() -> dict[tuple[str, str], Any]:
    typing = {("typing", name): _Anything() for name in MODULES["typing"]}
    typing |= {
        (module, name): _Anything()
        for module in ("numpy.typing", "collections.abc")
        for name in MODULES[module]
    }
    return typing | {
        ("typing", "TYPE_CHECKING"): False,
        ("typing", "cast"): lambda kind, value: value,
        ("numpy.random", "default_rng"): _default_rng,
        ("numpy", "ndarray"): _NDARRAY,
        ("numpy", "ufunc"): Kind(np.ufunc),
        ("numpy.random", "Generator"): Kind(np.random.Generator),
        ("numpy.random", "RandomState"): Kind(np.random.RandomState, _random_state),
        ("numpy.random", "seed"): _seed_numpy,
        ("random", "Random"): Kind(random.Random, _python_random),
        ("random", "seed"): _seed_python,
        ("functools", "wraps"): _wraps,
        ("warnings", "catch_warnings"): _catch_warnings,
        ("warnings", "filterwarnings"): _ignore,
        ("warnings", "simplefilter"): _ignore,
        ("warnings", "warn"): _ignore,
    }


class Namespaces:
    """The modules that programs may import, each an immutable set of its allowed names.

    Parameters
    ----------
    scientific : bool
        Whether scipy and scikit-learn are loaded too.
    """

    def __init__(self, *, scientific: bool) -> None:
        self._made: dict[str, Namespace] = {}
        replaced = _replacements()
        wanted = [name for name in MODULES if scientific or name not in SCIENTIFIC]
        for name in sorted(wanted, key=lambda name: -name.count(".")):
            self._made[name] = Namespace(name, self._members(name, replaced))

    def _members(self, module: str, replaced: dict[tuple[str, str], Any]) -> dict[str, Any]:
        members = {}
        real = importlib.import_module(module)
        for name in MODULES[module]:
            if (module, name) in replaced:
                members[name] = replaced[module, name]
            elif f"{module}.{name}" in MODULES:
                members[name] = self._made[f"{module}.{name}"]
            elif hasattr(real, name):
                members[name] = _member(module, name, getattr(real, name))
            elif module == "numpy" and hasattr(real, RENAMED.get(name, name)):
                members[name] = getattr(real, RENAMED[name])
        return members

    def load(self, module: str, *name: str) -> Any:
        """Return a module, or one name of it, as an import statement asks.

        Raises
        ------
        ImportError
            When it is not offered.
        """
        if module not in self._made:
            raise ImportError(". ".join(missing_module(module)))
        namespace = self._made[module]
        if not name:
            return namespace
        try:
            return namespace.members[name[0]]
        except KeyError:
            raise ImportError(". ".join(missing_member(module, name[0], namespace.members))) from None


def _member(module: str, name: str, value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        raise TypeError(f"{module}.{name} is a module and would be offered whole")
    if name in ("ConvexHull", "Delaunay", "Voronoi"):
        return Kind(value, lambda points: value(points))  # qhull's options can name files
    if module in SCIENTIFIC and isinstance(value, types.FunctionType):
        return serial(value)
    if module.startswith("sklearn") and isinstance(value, type):
        return Kind(value, serial(value))
    return value


class PrintedText:
    """Keeps what a program prints, up to a number of characters."""

    def __init__(self, limit: int) -> None:
        self._parts: list[str] = []
        self._left = limit

    def print(self, *values: Any, sep: str | None = None, end: str | None = None, **_ignored: Any) -> None:
        """Take the place of the built-in ``print``; ``file`` and ``flush`` mean nothing here."""
        if self._left <= 0:
            return
        text = (" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end)
        self._parts.append(text[: self._left])
        self._left -= len(text)

    def text(self) -> str:
        """Return what was kept, with a note when some was not."""
        return "".join(self._parts) + ("\n[more was printed and dropped]" if self._left < 0 else "")


def _isinstance(value: Any, kinds: Any) -> bool:
    return isinstance(value, real_kinds(kinds))


def _issubclass(kind: Any, kinds: Any) -> bool:
    return issubclass(real_kinds(kind), real_kinds(kinds))


def _type_of(value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray:
        return _NDARRAY
    if kind in _PLAIN_TYPES or issubclass(kind, np.generic):
        return kind
    raise TypeError(f"type() of a {kind.__name__} is not available. Use isinstance()")


def program_globals(namespaces: Namespaces, printed: PrintedText) -> dict[str, Any]:
    """Return the globals that a program is executed in.

    ``__import__`` stands there for numpy's own C code, which asks the running frame for it. The dialect
    leaves a program no way to name it.
    """
    offered = {name: getattr(builtins, name) for name in BUILTINS}
    offered |= {
        "getattr": guarded_getattr,
        "hasattr": guarded_hasattr,
        "isinstance": _isinstance,
        "issubclass": _issubclass,
        "print": printed.print,
        "type": _type_of,
        "__import__": builtins.__import__,
    }
    return {
        "__builtins__": offered,
        "__name__": "synthesis_program",
        "_getattr_": guarded_getattr,
        "_import_": namespaces.load,
    }
