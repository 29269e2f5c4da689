"""Cards: YAML files that describe a detector to a reader who has never seen its code."""

from __future__ import annotations

import io
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError
from ruamel.yaml import YAML

from . import marked_yaml
from .errors import CardError, did_you_mean
from .marked_yaml import MarkedYaml, field_name, read_marked_yaml

__all__ = [
    "BlindSpot",
    "Build",
    "DetectorCard",
    "Paper",
    "card_schema",
    "card_template",
    "dump_card",
    "load_card",
    "parse_card",
]

MAX_CARD_BYTES = 64 * 1024
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,63}$"

# Control characters would reach terminals and prompts; tab and newline are the two that text needs.
_CLEAN = r"^[^\x00-\x08\x0b-\x1f\x7f-\u009f]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=_CLEAN)]
ClassPath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$", max_length=200)
]
ParamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Scalar = bool | int | FiniteFloat | Annotated[str, StringConstraints(pattern=_CLEAN, max_length=4000)] | None
Params = dict[ParamName, Scalar | list[Scalar]]


class _CardPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Build(_CardPart):
    """How the detector is built."""

    class_path: ClassPath = Field(
        alias="class",
        description="Dotted path of a PyOD detector, a scikit-learn outlier detector or a plugin's class.",
        examples=["pyod.models.hbos.HBOS", "sklearn.ensemble.IsolationForest"],
    )
    params: Params = Field(
        default={}, description="Keyword arguments of the class; leave out what stays at its default."
    )


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
    default_params: Params = Field(
        default={}, description="The class's own defaults, for the reader; only 'build' decides."
    )
    requires: tuple[Text, ...] = Field(default=(), description="Packages it needs beyond PyOD's own.")

    def missing_for_a_reader(self) -> tuple[str, ...]:
        """Return the fields left empty that a reader without the code would need, in the card's order."""
        return tuple(
            field
            for field in ("description", "assumptions", "steps", "blind_spots")
            if not getattr(self, field)
        )


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
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_CARD_BYTES + 1)
    except FileNotFoundError:
        raise CardError(
            "no such file", where=str(path), hint="`llmdas-agent card new NAME` writes a card to fill in"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        raise CardError(f"cannot be read ({reason})", where=str(path)) from None
    _refuse_large(len(raw), str(path))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise CardError("is not UTF-8 text", where=f"{path}:{line}", hint="Save it as UTF-8") from None
    return parse_card(text, where=str(path))


def parse_card(text: str, *, where: str = "card") -> DetectorCard:
    """Check a card's text.

    Parameters
    ----------
    text : str
        YAML.
    where : str
        Names the text in errors.

    Returns
    -------
    DetectorCard

    Raises
    ------
    CardError
        As `load_card`.
    """
    _refuse_large(len(text), where)
    document = read_marked_yaml(text, where=where)
    if not isinstance(document.value, dict):
        empty = document.value is None
        raise CardError(
            "is empty" if empty else f"holds {_in_words(document.value)} where fields are expected",
            where=f"{where}:1",
            hint="A card starts with 'name: ...'; `llmdas-agent card new NAME` writes one to fill in",
        )
    try:
        return DetectorCard.model_validate(document.value)
    except ValidationError as error:
        raise _card_error(error, document, where) from None


def dump_card(card: DetectorCard) -> str:
    """Write a card as text.

    Parameters
    ----------
    card : DetectorCard
        The card; fields at their defaults are left out.

    Returns
    -------
    str
        YAML that `parse_card` reads back to an equal card.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    yaml.allow_unicode = True
    yaml.width = 100
    out = io.StringIO()
    yaml.dump(card.model_dump(mode="json", by_alias=True, exclude_defaults=True), out)
    return out.getvalue()


def card_template(name: str) -> str:
    """Return a commented card to fill in.

    Parameters
    ----------
    name : str
        The detector's short name.

    Returns
    -------
    str
        YAML; as it stands it describes and builds PyOD's HBOS.

    Raises
    ------
    CardError
        When the name is not allowed.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise CardError(f"found {name!r:.60}", where="NAME", hint=f"Allowed: {_ALLOWED_IN[('name',)]}")
    text = resources.files(__package__).joinpath("card_template.yaml").read_text(encoding="utf-8")
    return text.replace("NAME", name)


def card_schema() -> dict[str, Any]:
    """Return the JSON Schema of a card, for editors that complete and check YAML by it."""
    schema = DetectorCard.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Detector card of llmdas-agent"
    schema["description"] = "A detector, described to a reader who has never seen its code."
    return schema


_PARAM_VALUE = "a finite number, text, true/false, null or a list of these"
_ALLOWED_IN: dict[marked_yaml.Path, str] = {
    ("name",): "lower-case letters, digits, '-' and '_', a letter first, at most 64",
    ("build", "class"): "a dotted path such as pyod.models.hbos.HBOS",
    ("build", "params"): f"parameters below it, each 'name: value', the value {_PARAM_VALUE}",
    ("default_params",): f"parameters below it, each 'name: value', the value {_PARAM_VALUE}",
}
_ALLOWED_FOR = {
    "string_type": "text (in quotes where it looks like a number or a date)",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most 4000 characters",
    "string_pattern_mismatch": "text without control characters",
    "tuple_type": "a list, every item on its own line after '- '",
}
_PARTS: dict[str, type[_CardPart]] = {"build": Build, "blind_spots": BlindSpot, "paper": Paper}


def _card_error(error: ValidationError, document: MarkedYaml, where: str) -> CardError:
    """Turn the gravest of pydantic's findings into one that names line, field, found and allowed.

    A field that does not exist comes first, since the field that is then missing is mostly the one meant.
    """
    rank = {"extra_forbidden": 0, "missing": 2}
    places = [(rank.get(item["type"], 1), _known(item["loc"], document), item) for item in error.errors()]
    kind, known, first = min(places, key=lambda place: (place[0], document.lines[place[1]]))
    path = (*known, str(first["loc"][-1])) if kind == 2 else known
    others = len({(known, item["loc"][-1] if kind == 2 else "") for kind, known, item in places}) - 1
    also = f" ({others} more after this one)" if others else ""
    place = f"{where}:{document.lines[known]}: field '{field_name(path)}'"
    if kind == 0:
        return CardError(f"is not a field of a card{also}", where=place, hint=_field_hint(path))
    if kind == 2:
        example = "`llmdas-agent card new NAME` writes an example"
        return CardError(f"is missing{also}", where=place, hint=f"Add it; {example}")
    if first["loc"][-1] == "[key]":
        hint = "Allowed: letters, digits and '_', no digit first"
        return CardError(f"is no name of a parameter{also}", where=place, hint=hint)
    found = _in_words(_value_at(document.value, known))
    return CardError(f"found {found}{also}", where=place, hint=f"Allowed: {_allowed(path, first['type'])}")


def _known(loc: marked_yaml.Path, document: MarkedYaml) -> marked_yaml.Path:
    """Return the longest part of `loc` that the file has; pydantic appends the branch of a union it tried."""
    return next(loc[:end] for end in range(len(loc), -1, -1) if loc[:end] in document.lines)


def _value_at(value: Any, path: marked_yaml.Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _allowed(path: marked_yaml.Path, kind: str) -> str:
    if path in _ALLOWED_IN:
        return _ALLOWED_IN[path]
    if path[:2] == ("build", "params") or path[0] == "default_params":
        return _PARAM_VALUE
    if kind in _ALLOWED_FOR:
        return _ALLOWED_FOR[kind]
    return f"fields below it: {', '.join(_fields(_PARTS[str(path[0])]))}"


def _fields(part: type[_CardPart]) -> list[str]:
    return [info.alias or name for name, info in part.model_fields.items()]


def _field_hint(path: marked_yaml.Path) -> str:
    if len(path) == 1 and path[0] in _fields(Build):
        return "It belongs below 'build'"
    return did_you_mean(str(path[-1]), _fields(DetectorCard if len(path) == 1 else _PARTS[str(path[0])]))


def _in_words(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return "fields" if isinstance(value, dict) else "a list"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_large(size: int, where: str) -> None:
    if size > MAX_CARD_BYTES:
        raise CardError(
            f"is larger than {MAX_CARD_BYTES // 1024} KiB", where=where, hint="A card is a page of text"
        )
