"""The top-level Python statements of a text that may hold much else."""

from __future__ import annotations

import ast
import re
import unicodedata
from dataclasses import dataclass
from itertools import takewhile

__all__ = ["Broken", "Patience", "Statement", "read_statements"]

_START = re.compile(
    r"(?:import|from|def|async|class|if|try|with|for|while)\b|@|\"\"\"|'''|[A-Za-z_]\w*\s*(?::[^=\n]+)?=[^=]"
)
_GOES_ON = re.compile(r"(?:else|elif|except|finally)\b|[)\]}]")
_LEAVING = re.compile(r"\s+(?:return|raise)\b|\s*[)\]}]")
_INCOMPLETE = ("was never closed", "unterminated triple-quoted", "expected 'except' or 'finally'")
_MAX_CHUNKS = 60
_MAX_CHARS = 64 * 1024

_LOOK_ALIKES = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\u3000", " ")
    | dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", "")
    | dict.fromkeys("\u2018\u2019\u201a", "'")
    | dict.fromkeys("\u201c\u201d\u201e", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | {"\u3001": ",", "\u3002": ".", "\u3010": "[", "\u3011": "]"}
)


@dataclass(frozen=True, eq=False, slots=True)
class Statement:
    """One statement.

    Attributes
    ----------
    node : ast.stmt
        Its tree.
    text : str
        Its text.
    binds : frozenset of str
        The names that it binds at the top level.
    """

    node: ast.stmt
    text: str
    binds: frozenset[str]

    @property
    def is_definition(self) -> bool:
        """Whether it defines a function or a class."""
        return isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)

    @property
    def is_import(self) -> bool:
        """Whether it is an import."""
        return isinstance(self.node, ast.Import | ast.ImportFrom)

    @property
    def is_docstring(self) -> bool:
        """Whether it is nothing but text, such as what a module says of itself."""
        return (
            isinstance(self.node, ast.Expr)
            and isinstance(self.node.value, ast.Constant)
            and isinstance(self.node.value.value, str)
        )

    @property
    def name(self) -> str:
        """What it defines; empty when it is no definition."""
        return getattr(self.node, "name", "")

    def defines(self, name: str) -> bool:
        """Whether it is the definition of a function of this name."""
        return isinstance(self.node, ast.FunctionDef) and self.node.name == name

    def defines_inside(self, name: str) -> bool:
        """Whether a function of this name is defined somewhere inside it."""
        inside = (node for node in ast.walk(self.node) if node is not self.node)
        return any(isinstance(node, ast.FunctionDef) and node.name == name for node in inside)

    def is_usage(self, name: str) -> bool:
        """Whether it is no definition and mentions this name: it uses the program, and is none of it."""
        return not self.is_definition and any(
            isinstance(node, ast.Name) and node.id == name for node in ast.walk(self.node)
        )


@dataclass(frozen=True, slots=True)
class Broken:
    """A statement that does not parse.

    Attributes
    ----------
    name : str
        The function that it begins to define; empty when it is none.
    reason : str
        Why not, with the line.
    at_end : bool
        Whether it is the last one of its text.
    """

    name: str
    reason: str
    at_end: bool


class Patience:
    """What may be parsed more than once: a statement that is grown or shortened until it parses.

    Without a limit, a text in which nothing ends is parsed again from each of its lines.

    Parameters
    ----------
    characters : int
        How many, over all texts.
    """

    def __init__(self, characters: int) -> None:
        self._left = characters

    def covers(self, piece: str) -> bool:
        """Take a text's characters from what is left, and return whether that sufficed."""
        self._left -= len(piece)
        return self._left >= 0


def read_statements(text: str, patience: Patience, *, cut: bool) -> tuple[list[Statement], list[Broken]]:
    """Return the statements of a text and those that begin like one but do not parse.

    Parameters
    ----------
    text : str
        Python with anything else between its statements; line ends are ``\\n``.
    patience : Patience
        How much may be parsed again; where it has run out, a statement is what the parser makes of one chunk.
    cut : bool
        Whether the text may have been cut at its end, so that its last statement is not to be trusted.

    Returns
    -------
    list of Statement, list of Broken
        In the text's order.
    """
    found: list[Statement] = []
    broken: list[Broken] = []
    chunks = _chunks(text)
    position = 0
    while position < len(chunks):
        if not _START.match(_uncommented(chunks[position])):
            position += 1
            continue
        piece, used, fault = _read(chunks, position, patience)
        position += used
        last = position >= len(chunks)
        if fault is None and cut and last:
            piece, fault = _without_last_line(piece), "it ends before it returns"
        elif fault is not None:
            piece = _ending_with_return(piece, patience)
        tree = _parse(piece) if piece else None
        if isinstance(tree, ast.Module):
            found.extend(_statements(tree, piece))
        else:
            broken.append(Broken(_begun(chunks[position - used]), fault or "", at_end=last))
    return found, broken


def _chunks(text: str) -> list[str]:
    """Split before every line that begins at the left margin; comments belong to what follows them."""
    chunks: list[list[str]] = []
    comments: list[str] = []
    for line in text.split("\n"):
        if line.startswith("#"):
            comments.append(line)
            continue
        at_margin = line[:1].strip() != ""
        if at_margin and not (_GOES_ON.match(line) and chunks) and not _decorated(chunks):
            chunks.append([*comments, line])
        elif chunks:
            chunks[-1] += [*comments, line]
        comments = []
    return ["\n".join(lines).rstrip() for lines in chunks]


def _uncommented(chunk: str) -> str:
    return re.sub(r"\A(?:#[^\n]*\n)+", "", chunk).translate(_LOOK_ALIKES)


def _decorated(chunks: list[list[str]]) -> bool:
    return bool(chunks) and chunks[-1][-1].startswith("@")


def _read(chunks: list[str], position: int, patience: Patience) -> tuple[str, int, str | None]:
    """Return a statement's text, how many chunks it takes, and why it does not parse, if it does not."""
    first: tuple[str, int, str | None] | None = None
    piece = ""
    for used, chunk in enumerate(chunks[position : position + _MAX_CHUNKS], start=1):
        piece = f"{piece}\n{chunk}" if piece else chunk
        if len(piece) > _MAX_CHARS or (used > 1 and not patience.covers(piece)):
            break
        piece, tree = _parse_either(piece)
        if isinstance(tree, ast.Module):
            return piece, used, None
        first = first or (piece, used, tree)
        if not any(sign in tree for sign in _INCOMPLETE):
            break
    return first or (chunks[position][:_MAX_CHARS], 1, f"it is longer than {_MAX_CHARS} characters")


def _parse_either(text: str) -> tuple[str, ast.Module | str]:
    """Parse a text as it stands, or with look-alikes of ASCII characters replaced where that helps."""
    tree = _parse(text)
    plain = text.translate(_LOOK_ALIKES)
    if plain != text and (isinstance(tree, str) or _has_wide_names(tree, text)):
        other = _parse(plain)
        if isinstance(other, ast.Module):
            return plain, other
    return text, tree


def _has_wide_names(tree: ast.Module, text: str) -> bool:
    """Whether a name is spelt with letters that Python folds to ASCII."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    words = {word for word in re.findall(r"\w+", text) if not word.isascii()}
    return any(unicodedata.normalize("NFKC", word) in names for word in words)


def _parse(text: str) -> ast.Module | str:
    """Return the tree, or why there is none."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        lines = text.split("\n")
        line = lines[error.lineno - 1].strip() if error.lineno and error.lineno <= len(lines) else ""
        return f"{error.msg}, in the line `{line[:120]}`"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "it nests too deeply"


def _ending_with_return(piece: str, patience: Patience) -> str:
    """Return the beginning of a broken function that parses and ends by returning; the rest never runs."""
    lines = piece.split("\n")
    ends = [end for end, line in enumerate(lines, start=1) if _LEAVING.match(line)]
    beginnings = ("\n".join(lines[:end]) for end in ends[:_MAX_CHUNKS])
    affordable = takewhile(patience.covers, beginnings)
    return next((one for one in affordable if _returns_at_end(_parse(one))), "")


def _without_last_line(piece: str) -> str:
    """Return a function of a cut text without the line that was being written, if it ends by returning."""
    beginning = piece.rpartition("\n")[0]
    return beginning if _returns_at_end(_parse(beginning)) else ""


def _returns_at_end(tree: ast.Module | str) -> bool:
    if isinstance(tree, str) or not tree.body:
        return False
    last: ast.stmt | None = tree.body[-1]
    if not isinstance(last, ast.FunctionDef):
        return False
    return _always_leaves(last.body)


def _always_leaves(body: list[ast.stmt]) -> bool:
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return _always_leaves(last.body) and _always_leaves(last.orelse)
    if isinstance(last, ast.With):
        return _always_leaves(last.body)
    return isinstance(last, ast.Return | ast.Raise)


def _begun(piece: str) -> str:
    """Return the name of the function that a text begins to define."""
    begun = re.match(r"(?:@[^\n]*\n)*(?:async )?def\s+(\w+)", _uncommented(piece))
    return begun.group(1) if begun else ""


def _statements(tree: ast.Module, text: str) -> list[Statement]:
    lines = text.split("\n")
    encoded = text.encode().split(b"\n")
    made = []
    for node in tree.body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(one.lineno for one in decorators)])
        words = "\n".join(lines[first - 1 : node.end_lineno]) if decorators else _segment(encoded, node)
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
            words = f"{lines[first - 1]}\n{words}"
        made.append(Statement(node, words, frozenset(_bound(node))))
    return made


def _segment(lines: list[bytes], node: ast.stmt) -> str:
    """Return a node's text, as `ast.get_source_segment` does, which splits the whole text for each node."""
    piece = lines[node.lineno - 1 : node.end_lineno]
    piece[-1] = piece[-1][: node.end_col_offset]
    piece[0] = piece[0][node.col_offset :]
    return b"\n".join(piece).decode()


def _bound(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds where it stands, not those inside its functions."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    names: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            names |= _bound(child) if isinstance(child, ast.stmt) else _bound_in_all(child.body)
        else:
            stores = (one for one in ast.walk(child) if isinstance(one, ast.Name))
            names |= {one.id for one in stores if isinstance(one.ctx, ast.Store)}
    return names


def _bound_in_all(body: list[ast.stmt]) -> set[str]:
    return set().union(*map(_bound, body))
