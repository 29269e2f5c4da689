"""Cards: YAML files that describe a detector to a reader who has never seen its code."""

from __future__ import annotations

import difflib
import io
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from .errors import CardError

__all__ = ["BlindSpot", "Build", "DetectorCard", "Paper", "dump_card", "load_card", "parse_card"]

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
ClassPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]
Scalar = bool | int | float | str | None

MAX_CARD_BYTES = 256 * 1024


class _CardPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Build(_CardPart):
    """How the detector is built."""

    class_path: ClassPath = Field(
        alias="class",
        description="Dotted path of a PyOD detector, a scikit-learn outlier detector or a plugin's class.",
        examples=["pyod.models.hbos.HBOS", "sklearn.ensemble.IsolationForest"],
    )
    params: dict[str, Scalar | list[Scalar]] = Field(
        default={}, description="Keyword arguments of the class; leave out what stays at its default."
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class BlindSpot(_CardPart):
    """One kind of anomaly that the detector is known to miss."""

    what: Text = Field(description="The anomalies that go unseen, in one sentence.")
    why: Text = Field(description="Which assumption of the detector hides them.")


class Paper(_CardPart):
    """Where the detector was published."""

    id: Text | None = Field(default=None, description="Short key, such as 'ecod'.")
    short: Text = Field(description="Authors, venue and year, such as 'Li et al., TKDE 2022'.")


class DetectorCard(_CardPart):
    """A detector, described. The fields are a superset of those in PyOD's knowledge base.

    Attributes
    ----------
    name : str
        Short name in lower case; the registry's key.
    full_name : str
        The name a paper would use.
    build : Build
        Class path and parameters.
    description : str or None
        What it does, for a reader who has never seen it.
    assumptions, steps : tuple of str
        What it takes for granted; how it computes its score, in order.
    blind_spots : tuple of BlindSpot
        What it is known to miss, and why.
    strengths, weaknesses, requires : tuple of str
        As in PyOD's knowledge base.
    best_for, avoid_when, category : str or None
        As in PyOD's knowledge base.
    paper : Paper or None
        Its publication.
    default_params : dict
        Parameters of the class at their defaults, for the reader; `build` alone decides.
    """

    name: Name = Field(description="Short name, lower case: letters, digits, '-' and '_'.", examples=["hbos"])
    full_name: Text = Field(description="The name a paper would use.")
    build: Build = Field(description="How the detector is built.")
    description: Text | None = Field(default=None, description="What it does, for one who never saw it.")
    assumptions: tuple[Text, ...] = Field(
        default=(), description="What it takes for granted about normal rows."
    )
    steps: tuple[Text, ...] = Field(default=(), description="How it computes a score, in order.")
    blind_spots: tuple[BlindSpot, ...] = Field(default=(), description="What it is known to miss, and why.")
    strengths: tuple[Text, ...] = Field(default=(), description="What it does well.")
    weaknesses: tuple[Text, ...] = Field(default=(), description="What it does badly.")
    best_for: Text | None = Field(default=None, description="When to choose it.")
    avoid_when: Text | None = Field(default=None, description="When not to.")
    category: Text | None = Field(default=None, description="Its family, such as 'probabilistic'.")
    paper: Paper | None = Field(default=None, description="Where it was published.")
    default_params: dict[str, Scalar | list[Scalar]] = Field(
        default={}, description="The class's own defaults, for the reader; only 'build' decides."
    )
    requires: tuple[Text, ...] = Field(default=(), description="Packages it needs beyond PyOD's own.")


def load_card(path: str | Path) -> DetectorCard:
    """Read and check a card.

    Parameters
    ----------
    path : str or Path
        A YAML file, UTF-8.

    Returns
    -------
    DetectorCard

    Raises
    ------
    CardError
        With file, line, field, what was found and what is allowed.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise CardError(
            "no such file", where=str(path), hint="`llmdas-agent card new NAME` writes a card to fill in"
        ) from None
    except OSError as error:
        raise CardError(f"cannot be read ({error.strerror})", where=str(path)) from None
    if len(raw) > MAX_CARD_BYTES:
        raise CardError(
            f"is larger than {MAX_CARD_BYTES // 1024} KiB", where=str(path), hint="A card is a page of text"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CardError("is not UTF-8 text", where=f"{path}:{line}", hint="Save it as UTF-8") from None
    return parse_card(text, where=str(path))


def parse_card(text: str, *, where: str = "card") -> DetectorCard:
    """Check a card's text; `where` names it in errors.

    Raises
    ------
    CardError
        As `load_card`.
    """
    try:
        node = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark is not None else where
        raise CardError(
            f"is not valid YAML: {error.problem or error.context}",
            where=place,
            hint="Mend the line, then run `llmdas-agent card check` on it",
        ) from None
    except (YAMLError, ValueError) as error:
        raise CardError(f"is not valid YAML: {_first_line(error)}", where=where) from None
    if not isinstance(node, CommentedMap):
        found = "is empty" if node is None else f"holds a {type(node).__name__} where fields are expected"
        raise CardError(
            found, where=f"{where}:1", hint="A card starts with 'name: ...'; see `llmdas-agent card new NAME`"
        )
    try:
        return DetectorCard.model_validate(_plain(node))
    except ValidationError as error:
        raise _card_error(error, node, where) from None


def dump_card(card: DetectorCard) -> str:
    """Return the card as YAML text that `parse_card` reads back to an equal card."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 100
    out = io.StringIO()
    yaml.dump(card.model_dump(mode="json", by_alias=True, exclude_defaults=True), out)
    return out.getvalue()


def _plain(node: Any) -> Any:
    """Turn ruamel's position-carrying containers into plain ones, scalars into Python's own types."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return tuple(_plain(value) for value in node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _card_error(error: ValidationError, node: CommentedMap, where: str) -> CardError:
    first = error.errors()[0]
    path = [part for part in first["loc"] if not _is_union_tag(part, first)]
    line, field = _locate(node, path)
    place = f"{where}:{line}: field '{field}'"
    more = len({tuple(item["loc"][:2]) for item in error.errors()}) - 1
    also = f" ({more} more after this one)" if more > 0 else ""
    if first["type"] == "extra_forbidden":
        known = _fields_beside(path)
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Allowed: {', '.join(known)}"
        return CardError(f"is not a field of a card{also}", where=place, hint=hint)
    if first["type"] == "missing":
        return CardError(
            f"is missing{also}", where=place, hint="Add it; `llmdas-agent card new NAME` shows an example"
        )
    found = re.sub(r"\s+", " ", repr(first["input"]))
    found = found if len(found) <= 60 else found[:57] + "..."
    allowed = _ALLOWED.get(path[-1] if isinstance(path[-1], str) else "", first["msg"])
    return CardError(f"found {found}{also}", where=place, hint=f"Allowed: {allowed}")


_ALLOWED = {
    "name": "lower-case letters, digits, '-' and '_', a letter first, at most 64",
    "class": "a dotted path such as pyod.models.hbos.HBOS",
}


def _is_union_tag(part: int | str, details: Any) -> bool:
    # pydantic names the branch of a union it tried ("int", "list[...]"), which is no place in the file
    return (
        (isinstance(part, str)
        and part in {"bool", "int", "float", "str", "none", "NoneType"})
        or (isinstance(part, str) and part.startswith("list["))
    )


def _fields_beside(path: list[Any]) -> list[str]:
    model: type[BaseModel] = DetectorCard
    for part in path[:-1]:
        inner: type[BaseModel] | None = {"build": Build, "blind_spots": BlindSpot, "paper": Paper}.get(
            str(part)
        )
        model = inner or model
    return [info.alias or name for name, info in model.model_fields.items()]


def _locate(node: CommentedMap, path: list[Any]) -> tuple[int, str]:
    """Return the line, from 1, of the deepest part of `path` that the file has, and the path in words."""
    line, current = node.lc.line, node
    for part in path:
        if isinstance(current, CommentedMap) and part in current:
            line = current.lc.key(part)[0]
        elif isinstance(current, CommentedSeq) and isinstance(part, int) and part < len(current):
            line = current.lc.item(part)[0]
        else:
            break
        current = current[part]
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return line + 1, words


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
