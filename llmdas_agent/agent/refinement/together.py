"""Several programs in one, each making its share of the rows.

Each stands as it is, comments and all, in a function of its own that gives back its entry point: the names of
one mean nothing in the others.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from ...programs import ENTRY_POINT, SynthesisProgram
from ...sandbox import check_source
from ...sandbox.signature import passes_rng

__all__ = ["holds_several", "parts_of", "together"]

_OPENING = '"""Several programs together'
_ARGUMENTS = {"position": ", rng", "name": ", rng=rng", "no": ""}

_FRAME = '''{opening}: each of {count} makes its share of the rows."""

import numpy as np


{parts}


def {entry}(n_samples, model, X_train, rng):
    """Return the rows of all parts, in random order."""
    shares = [n_samples // {count} + (k < n_samples % {count}) for k in range({count})]
    made = [X_train[:0]]
{calls}
    return rng.permutation(np.concatenate(made))
'''
_PART = """def part{number}():
{body}

    return {entry}"""
_CALL = """    if shares[{k}]:
        made.append(part{number}()(shares[{k}], model, X_train{rng}))"""


def together(programs: Sequence[SynthesisProgram]) -> SynthesisProgram:
    """Return one program that makes rows by all of these.

    Its entry point deals ``n_samples`` to the parts as evenly as it can, the first ones having one row more
    where something remains; a part that has no share is not called. The parts are called one after the
    other with the same generator, so that the first draws from it what it would draw alone, and each other
    one goes on where the one before it stopped; parts of the three-argument form share ``np.random`` in the
    same way. The generator then shuffles the rows.

    Parameters
    ----------
    programs : sequence of SynthesisProgram
        At least two that pass `check_source`; such as were put together before may be among them.

    Returns
    -------
    SynthesisProgram
        In the dialect again. It can be too large for it where the parts are long, and a part that reads a
        built-in name before it gives it another meaning breaks; either is found when it is verified.

    Raises
    ------
    ProgramError
        When one of them does not pass `check_source`.
    """
    parts, calls = [], []
    for k, program in enumerate(programs):
        check_source(program)
        tree = ast.parse(program.source)
        parts.append(_PART.format(number=k + 1, body=_nested(program.source, tree), entry=ENTRY_POINT))
        calls.append(_CALL.format(number=k + 1, k=k, rng=_ARGUMENTS[passes_rng(tree)]))
    told = {"opening": _OPENING, "count": len(programs), "entry": ENTRY_POINT}
    return SynthesisProgram(_FRAME.format(parts="\n\n\n".join(parts), calls="\n".join(calls), **told))


def holds_several(program: SynthesisProgram) -> bool:
    """Return whether a program was put together from others."""
    return program.source.startswith(_OPENING)


def parts_of(program: SynthesisProgram) -> Iterator[list[ast.stmt]]:
    """Return the statements of a program, or of each part of one that was put together, in their order.

    Raises
    ------
    SyntaxError, ValueError
        When it is no Python.
    """
    return _parts(ast.parse(program.source).body)


def _parts(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    inside = [node.body for node in body if isinstance(node, ast.FunctionDef) and _is_part(node)]
    if not inside:
        yield body
    for part in inside:
        yield from _parts(part)


def _is_part(function: ast.FunctionDef) -> bool:
    match function.body[-1]:
        case ast.Return(ast.Name(name)):
            return name == ENTRY_POINT
    return False


def _nested(source: str, tree: ast.Module) -> str:
    """Return a program's text as the body of a function: what is global there is nonlocal here."""
    lines = source.encode().split(b"\n")  # the columns of a tree count bytes
    within_strings: set[int] = set()
    shared: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            row, column = node.lineno - 1, node.col_offset
            lines[row] = lines[row][:column] + lines[row][column:].replace(b"global", b"nonlocal", 1)
            shared |= set(node.names)
        elif isinstance(node, ast.JoinedStr | ast.Constant):
            # the rest of a string of several lines is what it says
            within_strings |= set(range(node.lineno, node.end_lineno or node.lineno))
    opening = [f"    {name} = None".encode() for name in sorted(shared)]
    indented = [b"    " + line if line and k not in within_strings else line for k, line in enumerate(lines)]
    return b"\n".join([*opening, *indented]).decode().rstrip()
