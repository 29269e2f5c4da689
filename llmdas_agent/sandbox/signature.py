"""How the entry point has to be called: the contract's four arguments, or the three-argument form."""

from __future__ import annotations

import ast
import inspect
from typing import Literal

from llmdas_agent.errors import ProgramError
from llmdas_agent.programs import ENTRY_POINT

__all__ = ["PassesRng", "passes_rng"]

PassesRng = Literal["position", "name", "no"]
"""How the entry point takes the generator; ``no`` for the three-argument form."""


def passes_rng(tree: ast.Module) -> PassesRng:
    """Find the entry point and say how it wants the generator.

    Raises
    ------
    ProgramError
        With code ``signature``: there is none, or it cannot be called as the contract says.
    """
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == ENTRY_POINT]
    entry = defined[-1] if defined else None
    if entry is None:
        raise _not_callable(f"the program defines no function {ENTRY_POINT} at its top level", None)
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(entry)):
        raise _not_callable(f"{ENTRY_POINT} yields instead of returning an array", entry.lineno)
    signature = _signature(entry.args)
    if "rng" in signature.parameters and _takes(signature, rng=None):
        return "name"
    if "rng" not in signature.parameters and _takes(signature):
        return "no"
    if _takes(signature, None):
        return "position"
    shown = ", ".join(list(signature.parameters)[:8])
    raise _not_callable(f"{ENTRY_POINT} takes ({shown}), not three or four arguments", entry.lineno)


def _signature(arguments: ast.arguments) -> inspect.Signature:
    """Return a signature with these arguments; a default is there or not, its value does not matter."""
    kinds = inspect.Parameter
    positional = [
        *((argument, kinds.POSITIONAL_ONLY) for argument in arguments.posonlyargs),
        *((argument, kinds.POSITIONAL_OR_KEYWORD) for argument in arguments.args),
    ]
    required = len(positional) - len(arguments.defaults)
    found = [
        kinds(argument.arg, kind, default=kinds.empty if place < required else None)
        for place, (argument, kind) in enumerate(positional)
    ]
    if arguments.vararg:
        found.append(kinds(arguments.vararg.arg, kinds.VAR_POSITIONAL))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(
            kinds(argument.arg, kinds.KEYWORD_ONLY, default=kinds.empty if default is None else None)
        )
    if arguments.kwarg:
        found.append(kinds(arguments.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(found)


def _takes(signature: inspect.Signature, *more: None, **by_name: None) -> bool:
    """Say whether a call with n_samples, model, X_train and these further arguments fits."""
    try:
        signature.bind(None, None, None, *more, **by_name)
    except TypeError:
        return False
    return True


def _not_callable(what: str, line: int | None) -> ProgramError:
    wanted = f"Write: def {ENTRY_POINT}(n_samples, model, X_train, rng):"
    return ProgramError(what, code="signature", line=line, hint=wanted)


def _own_nodes(function: ast.FunctionDef) -> list[ast.AST]:
    """Return the nodes of a function's body, without those of functions inside it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
    return found
