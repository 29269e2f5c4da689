"""The prompts, as Markdown that a user can read and override."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template

from ...config import data_dir
from ...errors import InputError
from ...files import write_whole

__all__ = ["NAMES", "Prompts"]

NAMES = {
    "system": (),
    "describe": ("card",),
    "propose": ("card", "description", "profile", "modules", "checks"),
    "revise": ("number", "report"),
    "unusable": ("number", "report"),
    "refine": ("report", "comparison"),
    "better": ("program", "report"),
}
"""The prompts, each with the fields that it may use as ``$field``."""


class Prompts:
    """The prompts of one run.

    A file ``NAME.md`` in the run's own folder goes before one in ``data_dir() / "prompts"``, which goes
    before the package's. The first use copies what it found into the run's folder, so that a run that goes on
    later asks in the same words.

    Parameters
    ----------
    folder : Path
        ``RUN/prompts``.
    """

    def __init__(self, folder: Path) -> None:
        self._templates: dict[str, Template] = {}
        for name, fields in NAMES.items():
            kept = folder / f"{name}.md"
            path = next((one for one in (kept, data_dir() / "prompts" / f"{name}.md") if one.exists()), None)
            text = path.read_text(encoding="utf-8") if path else _packaged(name)
            self._templates[name] = _checked(text, fields, str(path))
            if path != kept:
                write_whole(kept, text)

    def fill(self, name: str, **fields: object) -> str:
        """Return a prompt with its fields filled in."""
        return self._templates[name].substitute({key: str(value) for key, value in fields.items()}).strip()


def _packaged(name: str) -> str:
    return (resources.files(__package__) / f"{name}.md").read_text(encoding="utf-8")


def _checked(text: str, fields: tuple[str, ...], where: str) -> Template:
    template = Template(text)
    hint = f"It may use {', '.join('$' + name for name in fields) or 'no field'}; write $$ for a dollar sign"
    if not template.is_valid():
        raise InputError("holds a dollar sign that begins no field", where=where, hint=hint)
    unknown = sorted(set(template.get_identifiers()) - set(fields))
    if unknown:
        raise InputError(f"'${unknown[0]}' is no field of this prompt", where=where, hint=hint)
    return template
