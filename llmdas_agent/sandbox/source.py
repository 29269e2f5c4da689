"""Before anything else is done with a program: its text must be of a size and shape that is safe to parse."""

from __future__ import annotations

import ast
import io
import symtable
import tokenize
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from llmdas_agent.errors import ProgramError

__all__ = ["parse"]

_Read = TypeVar("_Read")
MAX_BYTES = 64 * 1024
MAX_BRACKETS = 60
MAX_NODES = 10_000
MAX_DEPTH = 120
MAX_INT_BITS = 128
MAX_NAME = 100
MAX_POWER_BITS = 4096


def parse(source: str) -> ast.Module:
    """Parse a program after looking for what would make parsing or compiling it costly.

    Parameters
    ----------
    source : str
        The program's text.

    Returns
    -------
    ast.Module
        The tree, as the program's author wrote it.

    Raises
    ------
    ProgramError
        With code ``parse``: too long, NUL bytes, not encodable, identifiers that are not ASCII, brackets
        or statements nested too deeply, too many nodes, integers or constant powers too large, or a
        syntax error.
    """
    _check_text(source)
    tree: ast.Module = _read(ast.parse, source)
    _check_tree(tree)
    _read(symtable.symtable, source, "<program>", "exec")  # finds names that are declared twice, or too late
    return tree


def _read(reader: Callable[..., _Read], source: str, *arguments: str) -> _Read:
    """Let Python read the text, and tell its complaint as ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings: the author is not there to read it
            return reader(source, *arguments)
    except SyntaxError as error:
        raise _fault(f"the text is not Python: {ascii(error.msg)[1:-1]}", error.lineno) from None
    except (MemoryError, RecursionError):
        raise _fault("the text cannot be parsed: an expression is nested too deeply", None) from None
    except ValueError as error:
        raise _fault(f"the text cannot be parsed: {ascii(str(error))[1:-1]}", None) from None


def _fault(what: str, line: int | None, hint: str = "") -> ProgramError:
    return ProgramError(what, code="parse", line=line, hint=hint)


def _check_text(source: str) -> None:
    try:
        size = len(source.encode("utf-8"))
    except UnicodeEncodeError:
        raise _fault("the text holds lone surrogates and is not UTF-8", None) from None
    if size > MAX_BYTES:
        raise _fault(
            f"the text has {size} bytes; at most {MAX_BYTES} are read", None, "Write a shorter program"
        )
    if "\0" in source:
        raise _fault("the text holds a NUL character", source.count("\n", 0, source.index("\0")) + 1)
    depth = 0
    for position, character in enumerate(source):
        if character in "([{":
            depth += 1
            if depth > MAX_BRACKETS:
                line = source.count("\n", 0, position) + 1
                raise _fault(f"brackets are nested more than {MAX_BRACKETS} deep", line)
        elif character in ")]}":
            depth = max(depth - 1, 0)
    if not source.isascii():
        _check_identifiers(source)


def _check_identifiers(source: str) -> None:
    """Refuse look-alike names: Python folds them to ASCII, and a reader sees one name and gets another."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and not token.string.isascii():
                raise _fault(
                    f"the name {token.string!a} is not ASCII", token.start[0], "Use letters a to z in names"
                )
    except (tokenize.TokenError, SyntaxError):
        return  # not Python at all: ast.parse says why, and in which line


def _check_tree(tree: ast.Module) -> None:
    for count, (node, depth) in enumerate(_walk(tree)):
        line = getattr(node, "lineno", None)
        if count > MAX_NODES:
            raise _fault(f"the program has more than {MAX_NODES} parts", line, "Write a shorter program")
        if depth > MAX_DEPTH:
            raise _fault(
                f"the program nests more than {MAX_DEPTH} deep", line, "Split it into small functions"
            )
        if (
            isinstance(node, ast.Constant)
            and type(node.value) is int
            and node.value.bit_length() > MAX_INT_BITS
        ):
            raise _fault(f"an integer literal needs more than {MAX_INT_BITS} bits", line, "Use a float")
        if any(len(name) > MAX_NAME for name in _names(node)):
            raise _fault(f"a name has more than {MAX_NAME} letters", line)
        if isinstance(node, ast.BinOp):
            _check_power(node)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node itself holds, as text."""
    for field in ("id", "attr", "arg", "name", "asname", "module"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield name
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield every node with its depth; `ast.walk` would not say how deep it is."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def _check_power(node: ast.BinOp) -> None:
    left, right = node.left, node.right
    if not (isinstance(node.op, ast.Pow | ast.LShift) and isinstance(right, ast.Constant | ast.BinOp)):
        return
    if isinstance(right, ast.BinOp):
        nested = isinstance(right.op, ast.Pow | ast.LShift) and isinstance(left, ast.Constant)
        if nested and type(getattr(left, "value", None)) is int:
            raise _fault(
                "a constant power of a power is not computed", node.lineno, "Write the number itself"
            )
        return
    if not (isinstance(left, ast.Constant) and type(left.value) is int and type(right.value) is int):
        return
    bits = left.value.bit_length() * right.value if isinstance(node.op, ast.Pow) else right.value
    if bits > MAX_POWER_BITS:
        raise _fault(f"a constant needs more than {MAX_POWER_BITS} bits", node.lineno, "Use a float")
