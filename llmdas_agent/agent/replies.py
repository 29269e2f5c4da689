"""A program out of a language model's reply.

A reply is read as a sequence of top-level Python statements, whatever stands around and between them. The
program is the last complete ``generate_hard_anomalies`` among them and the statements that it needs: usage
code, drafts and prose are left behind, and nothing is added but the import of a name such as ``np``.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import symtable
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from ..programs import ENTRY_POINT
from .statements import Broken, Patience, Statement, read_statements

__all__ = ["Taken", "take_program"]

MAX_REPLY = 256 * 1024
"""How much of a reply is looked at, characters."""

MAX_PARSED_AGAIN = 2 * MAX_REPLY

_CONTRACT = f"def {ENTRY_POINT}(n_samples, model, X_train, rng):"
_ASK = f"Answer with one Python code block that defines `{_CONTRACT}` at its top level"

_KNOWN_IMPORTS = {
    "np": "import numpy as np",
    "numpy": "import numpy",
    "math": "import math",
    "random": "import random",
    "stats": "from scipy import stats",
}

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)', re.DOTALL)
_LINE_OF_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)')
_ESCAPED_LINE_END = re.compile(r"(?:[^\\]|\\[^n])*+\\n", re.DOTALL)
_INSIDE_A_BLOCK = re.compile(
    r"^(?:class|if|try|with|def|for|while)\b.*:[ \t]*(?:\n[ \t].*|\n)*\Z", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a reply held.

    Attributes
    ----------
    source : str
        The program; empty when nothing was usable.
    problem : str
        Why nothing was usable and what to answer instead, as the next message says it; empty otherwise.
    """

    source: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """A piece of a reply that may hold code: inside a fence, inside a JSON string, or all of it."""

    text: str
    closed: bool
    """Whether its end was marked, so that it cannot have been cut there."""


def take_program(reply: str, *, cut: bool = False) -> Taken:
    """Return the program that a reply holds.

    Parameters
    ----------
    reply : str
        The text, as the model wrote it.
    cut : bool
        Whether it was cut at the token limit.

    Returns
    -------
    Taken
        Never raises; every line of its source is a line of the reply, but for an import of numpy or the like
        where the name is used and not imported.
    """
    text = reply[:MAX_REPLY].replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not text.strip() and not cut:
        return _nothing("the reply was empty")
    spoken = _THOUGHT.sub("", text)
    blocks = list(_blocks(spoken))
    with warnings.catch_warnings():
        # the parser's advice on the program's text is for its author, not for this process
        warnings.simplefilter("ignore")
        patience = Patience(MAX_PARSED_AGAIN)
        read = [read_statements(block.text, patience, cut=cut and not block.closed) for block in blocks]
    statements = [statement for found, _ in read for statement in found]
    entries = [one for one in statements if one.defines(ENTRY_POINT)]
    if entries:
        return Taken(_assemble(entries[-1], read))
    return _explain(statements, [broken for _, faults in read for broken in faults], cut=cut)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the pieces that may hold code: those in fences when there are any, else everything."""
    fenced = list(_fenced(text))
    for block in fenced or [_Block(text, closed=False)]:
        strings = list(_json_strings(block.text))
        if strings:
            for inner in strings:
                yield from _fenced(inner) if _FENCE.search(inner) else [_Block(inner, block.closed)]
        else:
            yield _Block(_at_left_margin(block.text), block.closed)


def _fenced(text: str) -> Iterator[_Block]:
    position = 0
    while (opening := _FENCE.search(text, position)) is not None:
        mark = opening.group(1)
        closing = re.compile(rf"^[ \t]*{mark[0]}{{{len(mark)},}}[ \t]*$", re.MULTILINE).search(
            text, opening.end()
        )
        end = closing.start() if closing else len(text)
        yield _Block(text[opening.end() : end], closed=closing is not None)
        position = closing.end() if closing else len(text)


def _json_strings(text: str) -> Iterator[str]:
    """Yield the JSON strings that hold the entry point; of one that was cut, too."""
    whole = text.lstrip().startswith(("{", "["))
    for match in (_JSON_STRING if whole else _LINE_OF_STRING).finditer(text):
        at = match.group(1).find(f"def {ENTRY_POINT}")
        # in prose, only code on several lines is quoted as JSON
        if at >= 0 and (whole or _ESCAPED_LINE_END.match(match.group(1), at)):
            try:
                yield json.loads(f'"{match.group(1)}"', strict=False)
            except ValueError:  # an escape that JSON does not know, or one that was cut in half
                yield match.group(1).replace("\\n", "\n").replace('\\"', '"').replace("\\t", "\t")


def _at_left_margin(text: str) -> str:
    """Take off the indentation that code has as a whole, as under a list or a paragraph."""
    text = textwrap.dedent(text)
    entry = re.search(rf"^([ \t]+)def {ENTRY_POINT}\b", text, re.MULTILINE)
    if entry is None or _INSIDE_A_BLOCK.search(text[: entry.start()]):
        return text
    return re.sub(rf"^{entry.group(1)}", "", text, flags=re.MULTILINE)


def _assemble(entry: Statement, read: list[tuple[list[Statement], list[Broken]]]) -> str:
    """Return the entry point's text with that of everything it needs, in the reply's order."""
    own = next(found for found, _ in read if entry in found)
    everything = [statement for found, _ in read for statement in found]
    order = {id(statement): position for position, statement in enumerate(everything)}
    at = order[id(entry)]
    beside = {id(statement) for statement in own}
    binding: dict[str, list[Statement]] = {}
    for statement in everything:
        for name in () if statement.is_usage(ENTRY_POINT) else statement.binds:
            binding.setdefault(name, []).append(statement)

    def nearness(statement: Statement) -> tuple[bool, bool, int]:
        position = order[id(statement)]
        return id(statement) not in beside, position > at, abs(position - at)

    about = [one for one in own if one.is_docstring and order[id(one)] < at][-1:]
    kept, missing = {id(one): one for one in (*about, entry)}, set[str]()
    wanted, known = list(_free_names(entry)), set[str]()
    while wanted:
        name = wanted.pop()
        if name in known:
            continue
        known.add(name)
        if name not in binding:
            missing.add(name)
            continue
        nearest = min(binding[name], key=nearness)
        if id(nearest) not in kept:
            kept[id(nearest)] = nearest
            wanted.extend(_free_names(nearest))
    imports = [_KNOWN_IMPORTS[name] for name in sorted(missing) if name in _KNOWN_IMPORTS]
    parts = [kept[key] for key in sorted(kept, key=order.__getitem__)]
    return "\n".join([*imports, _laid_out(parts)])


def _laid_out(parts: list[Statement]) -> str:
    """Join statements with blank lines where a reader expects them."""
    text = ""
    before: Statement | None = None
    for one in parts:
        if before is not None:
            apart = before.is_definition or one.is_definition
            text += "\n\n\n" if apart else "\n" if before.is_import == one.is_import else "\n\n"
        text += one.text
        before = one
    return text + "\n"


def _free_names(statement: Statement) -> set[str]:
    """Return the names that a statement takes from outside itself, built-in ones left out."""
    try:
        table = symtable.symtable(statement.text, "<reply>", "exec")
    except (SyntaxError, ValueError, RecursionError):  # it parses but cannot be compiled: the checks say why
        loads = (node.id for node in ast.walk(statement.node) if isinstance(node, ast.Name))
        return {name for name in loads if not hasattr(builtins, name)} - statement.binds
    free: set[str] = set()
    tables = [table]
    while tables:
        one = tables.pop()
        tables.extend(one.get_children())
        free.update(
            symbol.get_name()
            for symbol in one.get_symbols()
            if symbol.is_referenced() and (one.get_type() == "module" or symbol.is_global())
        )
    return {name for name in free if not hasattr(builtins, name)} - statement.binds


def _explain(statements: list[Statement], broken: list[Broken], *, cut: bool) -> Taken:
    """Say what kept a reply from being used."""
    faulty = [one for one in broken if one.name == ENTRY_POINT]
    if faulty and cut and faulty[-1].at_end:
        return _nothing(
            f"the reply was cut at the token limit inside {ENTRY_POINT}",
            "Answer with a shorter program and no text around it",
        )
    if faulty:
        return _nothing(f"{ENTRY_POINT} is not valid Python: {faulty[-1].reason}")
    if cut and not statements:
        return _nothing(
            "the reply was cut at the token limit before any code",
            "Answer with the code block alone, without an introduction",
        )
    for one in statements:
        if one.defines_inside(ENTRY_POINT):
            return _nothing(f"{ENTRY_POINT} is defined inside '{one.name}', not at the top level")
    others = [one.name for one in statements if one.is_definition]
    if others:
        return _nothing(f"the reply defines {', '.join(others[:5])}, but no function named {ENTRY_POINT}")
    if broken:
        return _nothing(f"the code of the reply is not valid Python: {broken[0].reason}")
    return _nothing("the reply holds no Python function")


def _nothing(why: str, instead: str = _ASK) -> Taken:
    return Taken("", f"nothing usable: {why}. {instead}")
