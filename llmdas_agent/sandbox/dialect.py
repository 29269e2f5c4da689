"""What the language allows: RestrictedPython's reviewed syntax, widened to ordinary model-written numpy.

A program can define no classes and set no attributes, so every object in it is of a type that is known here.
Indexing, iteration, unpacking and in-place arithmetic on such objects run no foreign code and stay as they
are; attribute access and imports, the two ways to something new, become calls of guards:

===============================  ===========================================
``a.b``                          ``_getattr_(a, "b")``
``import numpy as np``           ``np = _import_("numpy")``
``from numpy import sqrt``       ``sqrt = _import_("numpy", "sqrt")``
===============================  ===========================================

Annotations are dropped, since they would be executed.
"""

from __future__ import annotations

import ast
import builtins
import functools
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from RestrictedPython.transformer import RestrictingNodeTransformer, copy_locations

from llmdas_agent.errors import ProgramError
from llmdas_agent.sandbox.allowed import BUILTINS, MODULES, SCIENTIFIC, missing_member, missing_module
from llmdas_agent.sandbox.signature import PassesRng, passes_rng
from llmdas_agent.sandbox.source import parse

__all__ = ["CheckedProgram", "check"]

MAX_FAULTS = 6
WHY_NOT = {
    "open": "Programs cannot read or write files",
    "input": "Programs cannot ask for input",
    "eval": "Write the expression itself",
    "exec": "Write the statements themselves",
    "compile": "Write the code itself",
    "setattr": "Keep values in variables or a dict",
    "delattr": "Keep values in variables or a dict",
    "vars": "Keep values in a dict",
    "globals": "Pass values as arguments",
    "locals": "Pass values as arguments",
}


@dataclass(frozen=True, slots=True)
class CheckedProgram:
    """A program that may be run.

    Attributes
    ----------
    tree : ast.Module
        The transformed tree, ready to compile.
    passes_rng : {"position", "name", "no"}
        How the entry point takes the generator.
    scientific : bool
        Whether it imports from scipy or scikit-learn.
    """

    tree: ast.Module
    passes_rng: PassesRng
    scientific: bool


@functools.lru_cache(maxsize=64)
def check(source: str) -> CheckedProgram:
    """Check a program without running it.

    Raises
    ------
    ProgramError
        With code ``parse``, ``dialect`` or ``signature``.
    """
    tree = parse(source)
    dialect = Dialect()
    try:
        # what was found by then is told below
        with suppress(_EnoughError):
            tree = dialect.visit(tree)
            dialect.check_builtins()
    except RecursionError:
        raise ProgramError("the program nests too deeply", code="dialect") from None
    if dialect.faults:
        (line, what, hint), *others = dict.fromkeys(sorted(dialect.faults, key=lambda fault: fault[0]))
        also = "; ".join(f"line {at}: {text}" for at, text, _ in others)
        hint = ". ".join(part for part in (hint, also and f"Also {also}") if part)
        raise ProgramError(what, code="dialect", line=line or None, hint=hint)
    scientific = not dialect.modules.isdisjoint(SCIENTIFIC)
    return CheckedProgram(ast.fix_missing_locations(tree), passes_rng(tree), scientific)


class _EnoughError(Exception):
    """Enough faults have been found."""


class Dialect(RestrictingNodeTransformer):
    """Turns an author's tree into one whose every access is guarded, and notes what is not allowed.

    After `MAX_FAULTS` it stops: nobody reads more, and hints cost time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[tuple[int, str, str]] = []
        self.modules: set[str] = set()
        self.bound: set[str] = set()
        self.read: dict[str, int] = {}

    def error(self, node: ast.AST, info: str, hint: str = "") -> None:
        """Note what is not allowed, with its line."""
        self.faults.append((getattr(node, "lineno", 0), info, hint))
        if len(self.faults) == MAX_FAULTS:
            raise _EnoughError

    def not_allowed(self, node: ast.AST) -> None:
        """Refuse a kind of statement or expression."""
        kind = type(node).__name__
        self.error(node, f"{kind} is not available", "Use plain functions, loops and if statements")

    def check_name(self, node: ast.AST, name: str | None, allow_magic_methods: bool = False) -> None:
        """Allow ``x``, ``_x``, ``_`` and ``__``; keep ``__x`` and ``_x_`` for Python and the guards."""
        if name is not None:
            self.bound.add(name)
            self._check_reserved(node, name)

    def _check_reserved(self, node: ast.AST, name: str) -> None:
        if name in ("_", "__"):
            return
        if name.startswith("__") or (name.startswith("_") and name.endswith("_")):
            self.error(node, f"the name '{name}' is reserved", "Names may begin with one underscore at most")

    def check_builtins(self) -> None:
        """Note the use of built-in functions that programs do not have."""
        for name, line in self.read.items():
            if name not in self.bound and name not in BUILTINS and hasattr(builtins, name):
                self.faults.append((line, f"'{name}' is not available", WHY_NOT.get(name, "")))

    # Names, attributes, subscripts

    def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
        if not isinstance(node.ctx, ast.Load):
            self.check_name(node, node.id)
        elif node.id != "__name__":
            self._check_reserved(node, node.id)
            self.read.setdefault(node.id, node.lineno)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # noqa: N802
        if node.attr.startswith("_"):
            self.error(node, f"the attribute '{node.attr}' is private", "Use public methods only")
        if not isinstance(node.ctx, ast.Load):
            self.error(
                node, f"the attribute '{node.attr}' cannot be set", "Keep values in variables or a dict"
            )
        node = self.node_contents_visit(node)
        guard = ast.Name("_getattr_", ast.Load())
        call = ast.Call(func=guard, args=[node.value, ast.Constant(node.attr)], keywords=[])
        copy_locations(call, node)
        return call

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:  # noqa: N802
        return self.node_contents_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg is not None and node.arg.startswith("__"):
            self.error(node, f"the argument name '{node.arg}' is reserved")
        return self.node_contents_visit(node)

    # Statements that run as they are written

    def _as_written(self, node: ast.AST) -> ast.AST:
        seen: ast.AST = self.node_contents_visit(node)
        return seen

    visit_Assign = visit_AugAssign = visit_With = visit_Call = visit_ListComp = _as_written  # noqa: N815
    visit_SetComp = visit_DictComp = visit_GeneratorExp = _as_written  # noqa: N815

    def guard_iter(self, node: Any) -> ast.AST:
        """Leave loops as they are: no object of the dialect runs foreign code when it is iterated."""
        if getattr(node, "is_async", 0):
            self.error(node.target, "async is not available")
        return self._as_written(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:  # noqa: N802
        if node.value is None:
            if isinstance(node.target, ast.Name):
                self.check_name(node, node.target.id)
            return ast.copy_location(ast.Pass(), node)
        assign = ast.Assign(targets=[node.target], value=node.value)
        copy_locations(assign, node)
        return self._as_written(assign)

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> ast.AST:  # noqa: N802
        for name in node.names:
            self.check_name(node, name)
        return node

    visit_Nonlocal = visit_Global  # noqa: N815

    # Functions

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        self.check_name(node, node.name)
        self.check_function_argument_names(node)
        if getattr(node, "type_params", None):
            self.error(node, "type parameters are not available")
        node.returns = None
        return self.node_contents_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:  # noqa: N802
        self.error(node, "classes are not available", "Use functions, and dicts to hold values together")
        return node

    def visit_TemplateStr(self, node: ast.AST) -> ast.AST:  # noqa: N802
        self.not_allowed(node)
        return node

    # Imports

    def visit_Import(self, node: ast.Import) -> ast.AST | list[ast.AST]:  # noqa: N802
        made: list[ast.AST] = []
        for alias in node.names:
            if not self._knows(node, alias.name):
                continue
            name = alias.asname or alias.name.partition(".")[0]
            module = alias.name if alias.asname else name
            made.append(self._binding(node, name, [module]))
        return made or ast.copy_location(ast.Pass(), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST]:  # noqa: N802
        nothing = ast.copy_location(ast.Pass(), node)
        if node.level:
            self.error(node, "a relative import has nothing to be relative to")
            return nothing
        module = node.module or ""
        if module == "__future__" or not self._knows(node, module):
            return nothing
        made: list[ast.AST] = []
        for alias in node.names:
            if alias.name not in MODULES[module] and f"{module}.{alias.name}" not in MODULES:
                self.error(node, *missing_member(module, alias.name))
                continue
            self.modules.add(module)
            made.append(self._binding(node, alias.asname or alias.name, [module, alias.name]))
        return made or nothing

    def _knows(self, node: ast.AST, module: str) -> bool:
        if module in MODULES:
            self.modules.add(module)
            return True
        self.error(node, *missing_module(module))
        return False

    def _binding(self, node: ast.stmt, name: str, arguments: list[str]) -> ast.AST:
        self.check_name(node, name)
        call = ast.Call(
            func=ast.Name("_import_", ast.Load()),
            args=[ast.Constant(text) for text in arguments],
            keywords=[],
        )
        assign = ast.Assign(targets=[ast.Name(name, ast.Store())], value=call)
        copy_locations(assign, node)
        return assign
