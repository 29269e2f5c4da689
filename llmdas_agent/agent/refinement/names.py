"""Which names a program has at its top level, and every place in its text that means one of them.

An argument, a local variable or the target of a comprehension of the same name is another thing, and so are
attributes and the names of arguments in calls. Programs of the sandbox's dialect have no classes, which would
be scopes of another kind.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeGuard

from ...sandbox.allowed import BUILTINS

__all__ = ["Place", "TopLevel", "Use", "bound_name", "top_level"]

Place = ast.Name | ast.FunctionDef | ast.ExceptHandler | ast.Global | ast.alias

Origin = tuple[str, str | None]
"""What an import binds: a module, and a member of it or None."""

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a name stands that is no local one.

    Attributes
    ----------
    name : str
        The name.
    node : ast.Name, ast.FunctionDef, ast.ExceptHandler, ast.Global or ast.alias
        Where.
    within : ast.JoinedStr or None
        The outermost f-string around it.
    """

    name: str
    node: Place
    within: ast.JoinedStr | None


@dataclass(slots=True)
class TopLevel:
    """The names of a program that are no local ones.

    Attributes
    ----------
    uses : list of Use
        All places, in no order.
    bound : dict of set
        The names that the program binds at its top level, each with what imports bind it to; None among
        these stands for every other way.
    """

    uses: list[Use] = field(default_factory=list)
    bound: dict[str, set[Origin | None]] = field(default_factory=dict)

    @property
    def foreign(self) -> set[str]:
        """The names that are read and bound nowhere: built-in ones."""
        return {use.name for use in self.uses} - set(self.bound)

    def imported(self, name: str) -> Origin | None:
        """Return what a name is imported from, where one import says so and it means nothing else before."""
        origins = self.bound.get(name, set())
        return next(iter(origins)) if len(origins) == 1 and name not in BUILTINS else None


def top_level(tree: ast.Module) -> TopLevel:
    """Return the names of a program that are no local ones.

    Parameters
    ----------
    tree : ast.Module
        A program in the sandbox's dialect.

    Returns
    -------
    TopLevel
    """
    reader = _Reader()
    reader.visit(tree)
    return reader.found


def bound_name(alias: ast.alias) -> str:
    """Return the name that a part of an import binds."""
    return alias.asname or alias.name.partition(".")[0]


class _Reader(ast.NodeVisitor):
    """Walks through a program, knowing which names are local where it is."""

    def __init__(self) -> None:
        self.found = TopLevel()
        self._local: frozenset[str] = frozenset()
        self._fstring: ast.JoinedStr | None = None

    def _note(self, name: str, node: Place) -> bool:
        """Note a use, unless it is of a local name; return whether it was noted."""
        if name in self._local:
            return False
        self.found.uses.append(Use(name, node, self._fstring))
        return True

    def _bind(self, name: str, node: Place, origin: Origin | None = None) -> None:
        if self._note(name, node):
            self.found.bound.setdefault(name, set()).add(origin)

    @contextmanager
    def _inside(self, local: frozenset[str]) -> Iterator[None]:
        outside, self._local = self._local, local
        yield
        self._local = outside

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._note(node.id, node)
        else:
            self._bind(node.id, node)

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._note(name, node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, node)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            module = alias.name if alias.asname else bound_name(alias)
            self._bind(bound_name(alias), alias, (module, None))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module != "__future__":
            for alias in node.names:
                self._bind(bound_name(alias), alias, (node.module or "", alias.name))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._bind(node.name, node)
        outside = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        self._function(node.args, outside, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.args], [node.body])

    def _function(
        self, arguments: ast.arguments, outside: Iterable[ast.AST], body: Iterable[ast.AST]
    ) -> None:
        # defaults, annotations and decorators are read where the function is defined
        for node in outside:
            self.visit(node)
        own = {node.arg for node in ast.iter_child_nodes(arguments) if isinstance(node, ast.arg)}
        declared: set[str] = set()
        for node in body:
            own |= set(_bound_in(node))
            declared |= set(_declared_in(node))
        with self._inside((self._local | own) - declared):
            for node in body:
                self.visit(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first, *rest = node.generators
        # the first iterable is read outside
        self.visit(first.iter)
        targets = [generator.target for generator in node.generators]
        own = {name.id for target in targets for name in ast.walk(target) if _is_stored(name)}
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        conditions = [condition for generator in node.generators for condition in generator.ifs]
        with self._inside(self._local | own):
            for part in (*targets, *(generator.iter for generator in rest), *conditions, *made):
                self.visit(part)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        around, self._fstring = self._fstring, self._fstring or node
        self.generic_visit(node)
        self._fstring = around


def _bound_in(node: ast.AST, *, comprehended: bool = False) -> Iterator[str]:
    """Yield the names that a piece of a function binds in that function."""
    inside: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.FunctionDef):
        yield node.name
        inside = [*node.decorator_list, node.args]
    elif isinstance(node, ast.Lambda):
        inside = [node.args]
    elif isinstance(node, ast.NamedExpr):
        # also out of a comprehension
        yield node.target.id
        inside = [node.value]
    elif _is_stored(node) and not comprehended:
        yield node.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.alias):
        yield bound_name(node)
    for child in inside:
        yield from _bound_in(child, comprehended=comprehended or isinstance(node, _COMPREHENSIONS))


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _declared_in(node: ast.AST) -> Iterator[str]:
    """Yield the names that a piece of a function declares to be no local ones."""
    if isinstance(node, ast.Global):
        yield from node.names
    elif not isinstance(node, ast.FunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _declared_in(child)
