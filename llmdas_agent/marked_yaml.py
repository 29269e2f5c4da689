"""YAML as plain values that remember their lines, so that an error can name the place to mend.

Of YAML only what a page of text needs is read: fields, lists, text, numbers, true/false and null. Whatever
would make a small file large or a value something else (aliases, tags, deep nesting) is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from .errors import CardError

__all__ = ["MarkedYaml", "Path", "field_name", "read_marked_yaml"]

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings, indices into lists."""

MAX_INTEGER = 2**63
# A date is text to us, and '<<' and '=' are ordinary keys: YAML 1.1 would give them a meaning.
_TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "merge", "value")}
_PLAIN_TAGS = _TEXT | {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "null", "map", "seq")}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class MarkedYaml:
    """A document as plain values.

    Attributes
    ----------
    value : dict, list, str, int, float, bool or None
        The document; keys are always text.
    lines : dict
        The line, from 1, of every value in it, by its path; the document itself has the empty path.
    """

    value: Any
    lines: dict[Path, int]


def field_name(path: Path) -> str:
    """Return a path in words.

    Parameters
    ----------
    path : tuple
        Keys of mappings and indices into lists.

    Returns
    -------
    str

    Examples
    --------
    >>> field_name(("blind_spots", 0, "why"))
    'blind_spots[0].why'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def read_marked_yaml(text: str, *, where: str) -> MarkedYaml:
    """Read one document.

    Parameters
    ----------
    text : str
        The document.
    where : str
        The file's name, for errors.

    Returns
    -------
    MarkedYaml

    Raises
    ------
    CardError
        With the line, and the field where there is one.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise CardError(
            f"holds the character U+{error.character:04X}, which no text may hold",
            where=f"{where}:{line}",
            hint="Delete it",
        ) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CardError(
            f"is not valid YAML: {error.problem or error.context}",
            where=f"{where}:{mark.line + 1}" if mark is not None else where,
            hint="Mend the line; `llmdas-agent card check` tries it again",
        ) from None
    except RecursionError:
        raise CardError("is nested too deeply", where=where, hint="A card has at most four levels") from None
    except (YAMLError, ValueError) as error:
        raise CardError(f"is not valid YAML: {' '.join(str(error).split())}", where=where) from None
    reader = _NodeReader(yaml.constructor, where)
    return MarkedYaml(reader.value(root, ()) if root is not None else None, reader.lines)


class _NodeReader:
    def __init__(self, constructor: Any, where: str) -> None:
        self.lines: dict[Path, int] = {}
        self._constructor = constructor
        self._where = where
        self._seen: set[int] = set()

    def value(self, node: MappingNode | SequenceNode | ScalarNode, path: Path) -> Any:
        if id(node) in self._seen:
            # the node's own line is that of its anchor
            self.lines.setdefault(path, self.lines[path[:-1]])
            raise self._error("is an alias, which a card does not use", path, "Write the value out")
        self._seen.add(id(node))
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            raise self._error("has a tag, which a card does not use", path, f"Delete '{node.tag}'")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._error("has a field whose name is not text", path, "Start the line with a name")
            name = self._text(key.value, path)
            inner = (*path, name)
            line = key.start_mark.line + 1
            if name in found:
                first = self.lines[inner]
                self.lines[inner] = line
                raise self._error(f"is already given in line {first}", inner, "Keep one of the two")
            self.lines[inner] = line
            found[name] = self.value(value, inner)
        return found

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        if node.tag in _TEXT:
            return self._text(node.value, path)
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, KeyError, YAMLError):  # '!!int word', or a number of thousands of digits
            raise self._error("is no readable number", path, "Give it as text, in quotes") from None
        if isinstance(value, int) and abs(value) >= MAX_INTEGER:
            raise self._error("is a whole number beyond 64 bits", path, "Give it as text, in quotes")
        return value

    def _text(self, text: str, path: Path) -> str:
        strange = _UNPRINTABLE.search(text)
        if strange:
            code = f"U+{ord(strange.group()):04X}"
            raise self._error(f"holds the control character {code}", path, "Delete it")
        return text

    def _error(self, what: str, path: Path, hint: str) -> CardError:
        field = f": field '{field_name(path)}'" if path else ""
        return CardError(what, where=f"{self._where}:{self.lines[path]}{field}", hint=hint)
