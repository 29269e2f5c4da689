"""Several programs in one, each making its share of the rows.

The texts stand one after the other. Every name that a program has at its top level gets a prefix of its own,
so that none means another's; comments stay. Imports stand once, at the head.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence

from ...programs import ENTRY_POINT, SynthesisProgram
from ...sandbox import check_source
from ...sandbox.allowed import BUILTINS
from ...sandbox.signature import passes_rng
from .names import Place, Use, bound_name, top_level

__all__ = ["holds_several", "together"]

_OPENING = '"""Several programs together'
_ARGUMENTS = {"position": ", rng", "name": ", rng=rng", "no": ""}

_HEAD = '{opening}: each of {count} makes its share of the rows."""\n\n{imports}\n'
_FRAME = '''import numpy as np


def {entry}(n_samples, model, X_train, rng):
    """Return the rows of all parts, in random order."""
    shares = [n_samples // {count} + (k < n_samples % {count}) for k in range({count})]
    made = [X_train[:0]]
{calls}
    return rng.permutation(np.concatenate(made))
'''
_CALL = """    if shares[{k}]:
        made.append({prefix}{entry}(shares[{k}], model, X_train{rng}))"""


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
        In the dialect again. It can be too large for it where the parts are long.

    Raises
    ------
    ProgramError
        When one of them does not pass `check_source`.
    """
    count, numbers = len(programs), _free_numbers(programs)
    parts = [_Part(program, f"part{next(numbers)}_") for program in programs]
    calls = "\n".join(
        _CALL.format(k=k, prefix=part.prefix, entry=ENTRY_POINT, rng=part.rng) for k, part in enumerate(parts)
    )
    frame = _Part(SynthesisProgram(_FRAME.format(entry=ENTRY_POINT, count=count, calls=calls)), "")
    kept = _kept_imports([*parts, frame])
    imports = {line for part in (*parts, frame) for line in part.imports(kept)}
    head = _HEAD.format(opening=_OPENING, count=count, imports="\n".join(sorted(imports, key=_order)))
    texts = [f"# Part {k} of {count}\n{part.rewritten(kept)}" for k, part in enumerate(parts, start=1)]
    return SynthesisProgram("\n\n".join([head, *texts, frame.rewritten(kept)]))


def holds_several(program: SynthesisProgram) -> bool:
    """Return whether a program was put together from others."""
    return program.source.startswith(_OPENING)


def _order(line: str) -> tuple[bool, bool, str]:
    """Return where a line of imports stands among others: what Python wants at the head first."""
    return "__future__" not in line, line.startswith("from"), line


def _free_numbers(programs: Sequence[SynthesisProgram]) -> Iterator[int]:
    """Return numbers such that no word in any of the texts begins like a prefix with one of them."""
    taken = {int(number) for one in programs for number in re.findall(r"\bpart(\d+)_", one.source)}
    return (number for number in itertools.count(1) if number not in taken)


def _kept_imports(parts: Sequence[_Part]) -> frozenset[str]:
    """Return the imported names that mean the same in every part that has them, and so need no prefix."""
    foreign = {name for part in parts for name in part.names.foreign}
    origins = {
        name: {part.names.imported(name) for part in parts} - {None}
        for part in parts
        for name in part.names.bound
    }
    return frozenset(name for name, found in origins.items() if len(found) == 1 and name not in foreign)


class _Part:
    """A program that is to stand beside others.

    Attributes
    ----------
    prefix : str
        What its names at the top level get.
    rng : str
        The end of the arguments that its entry point is called with.
    names : TopLevel
        Its names.

    Parameters
    ----------
    program : SynthesisProgram
        The program.
    prefix : str
        Nothing in the text begins with it; may be empty.
    """

    def __init__(self, program: SynthesisProgram, prefix: str) -> None:
        check_source(program)
        tree = ast.parse(program.source)
        # the columns of a tree count bytes
        self._text = program.source.encode()
        self._starts = [0, *(match.end() for match in re.finditer(rb"\n", self._text))]
        self._body = tree.body
        self.prefix = prefix
        self.rng = _ARGUMENTS[passes_rng(tree)]
        self.names = top_level(tree)
        froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
        self._members = [alias for node in froms for alias in node.names]

    def imports(self, kept: frozenset[str]) -> list[str]:
        """Return the imports that can stand at the head, a line for each name."""
        return [
            (f"from {node.module} " if isinstance(node, ast.ImportFrom) else "")
            + f"import {self._alias(alias, kept)}"
            for node in self._movable()
            for alias in node.names
        ]

    def rewritten(self, kept: frozenset[str]) -> str:
        """Return the text with its names prefixed, without the imports that stand at the head."""
        moved = self._movable()
        gone = [self._taken_out(node) for node in moved]
        docstring = self._body[0] if self._has_docstring() else None
        opening = ""
        if docstring is not None:
            gone.append(self._taken_out(docstring))
            opening = _as_comment(self._text[slice(*self._span(docstring))].decode())
        aliases = [alias for node in moved for alias in node.names]
        # a dictionary, because an f-string is replaced once for all the names in it
        edits = dict(
            self._edit(use, kept)
            for use in self.names.uses
            if use.node not in aliases and self._new_name(use.name, kept) != use.name
        )
        edits |= dict.fromkeys(gone, "")
        text = self._text
        for (start, end), new in sorted(edits.items(), reverse=True):
            text = text[:start] + new.encode() + text[end:]
        return opening + self._first_meanings() + text.decode().strip("\n") + "\n"

    def _first_meanings(self) -> str:
        """Return what names of built-in functions mean until the program binds them, if ever it does."""
        found = sorted(BUILTINS & set(self.names.bound)) if self.prefix else []
        return "".join(f"{self.prefix}{name} = {name}\n" for name in found)

    def _new_name(self, name: str, kept: frozenset[str]) -> str:
        ours = name in self.names.bound and not (name in kept and self.names.imported(name))
        return self.prefix + name if ours else name

    def _edit(self, use: Use, kept: frozenset[str]) -> tuple[tuple[int, int], str]:
        """Return which bytes to replace for a new name, and by what."""
        node, new = use.node, self._new_name(use.name, kept)
        if isinstance(node, ast.alias):
            return self._span(node), self._alias(node, kept)
        if isinstance(node, ast.Name):
            node.id = new
            if use.within is not None:
                # before Python 3.12 it is not known where in an f-string a name stands
                return self._span(use.within), ast.unparse(use.within)
            return self._span(node), new
        begin = node.type if isinstance(node, ast.ExceptHandler) and node.type else node
        after = self._span(begin)[1 if begin is not node else 0]
        found = re.compile(rb"\b%b\b" % use.name.encode()).search(self._text, after)
        assert found is not None
        return found.span(), new

    def _alias(self, alias: ast.alias, kept: frozenset[str]) -> str:
        """Return a part of an import with the name that it binds now."""
        old = bound_name(alias)
        new = self._new_name(old, kept)
        if new == old:
            return alias.name + (f" as {alias.asname}" if alias.asname else "")
        return f"{alias.name if alias.asname or alias in self._members else old} as {new}"

    def _movable(self) -> list[ast.Import | ast.ImportFrom]:
        """Return the imports that bind names which nothing else in the program binds."""
        return [
            node
            for node in self._body
            if isinstance(node, ast.Import | ast.ImportFrom)
            and (
                (isinstance(node, ast.ImportFrom) and node.module == "__future__")
                or all(self.names.imported(bound_name(alias)) for alias in node.names)
            )
        ]

    def _has_docstring(self) -> bool:
        first = self._body[0]
        return (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        )

    def _span(self, node: ast.expr | ast.stmt | Place) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first, last = self._starts[node.lineno - 1], self._starts[node.end_lineno - 1]
        return first + node.col_offset, last + node.end_col_offset

    def _taken_out(self, statement: ast.stmt) -> tuple[int, int]:
        """Return where a statement begins and what follows it does, on this line or, if alone, the next."""
        start, end = self._span(statement)
        more = re.compile(rb"[ \t]*(;[ \t]*|\n)?" if start in self._starts else rb"[ \t]*(;[ \t]*)?")
        found = more.match(self._text, end)
        return start, found.end() if found else end


def _as_comment(docstring: str) -> str:
    """Return a docstring's text as comment lines."""
    inside = re.sub(r"""\A[rRuU]*('{3}|"{3}|'|")|('{3}|"{3}|'|")\Z""", "", docstring)
    return "".join(f"# {line}".rstrip() + "\n" for line in inside.strip().split("\n")) + "\n"
