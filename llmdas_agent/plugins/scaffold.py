"""Writes the package that a plugin is: from a template, and from a synthesizer that is registered here."""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import storage_errors, write_whole
from .loading import BUILTIN

if TYPE_CHECKING:
    from ..cards import DetectorCard

__all__ = ["Package"]

_EVERYWHERE = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "{module}/__init__.py",
    "plugin.py": "{module}/plugin.py",
    "test_conformance.py": "tests/test_conformance.py",
}
_WITH_A_CLASS = {
    "detector.py": "{module}/detector.py",
    "card.yaml": "{module}/cards/{name}.yaml",
}


@dataclass(frozen=True, slots=True)
class Package:
    """A plugin's package on disk.

    Attributes
    ----------
    folder : Path
        Where its ``pyproject.toml`` is.
    name : str
        The detector's name.
    module : str
        The module to be imported.
    """

    folder: Path
    name: str
    module: str

    @classmethod
    def at(cls, folder: Path, name: str) -> Package:
        """Return the package in a folder, or the one that would be made there.

        Parameters
        ----------
        folder : Path
            One that is not there, an empty one, or one with a package in it.
        name : str
            The detector's name.

        Raises
        ------
        InputError
            When the name is not allowed, or the folder holds something else.
        """
        from ..cards import NAME_PATTERN

        if not re.fullmatch(NAME_PATTERN, name):
            allowed = "lower-case letters, digits, '-' and '_', a letter first, at most 64"
            raise InputError(f"found {name!r:.60}", where="NAME", hint=f"Allowed: {allowed}")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            found = sorted(folder.glob("*/plugin.py"))
            if len(found) != 1 or not (folder / "pyproject.toml").is_file():
                raise InputError(
                    "is there already and holds no package of ours",
                    where=str(folder),
                    hint="Name a new folder, or one that `llmdas-agent plugin new` made",
                )
            return cls(folder, name, found[0].parent.name)
        package = cls(folder, name, f"llmdas_{name.replace('-', '_')}")
        if package.distribution == BUILTIN:
            raise InputError(
                f"a package for '{name}' would be named {BUILTIN}, and take the place of this one",
                where="NAME",
                hint="Choose another name, or export into a package that `llmdas-agent plugin new` made",
            )
        return package

    @property
    def distribution(self) -> str:
        """The name that pip will know it by."""
        return re.sub(r"[-_]+", "-", self.module).rstrip("-")

    @property
    def class_name(self) -> str:
        """The detector's class."""
        found = "".join(part.capitalize() for part in re.split(r"[-_]", self.name))
        return f"{found}Detector" if keyword.iskeyword(found) else found

    @property
    def module_folder(self) -> Path:
        """Where its modules, cards and synthesizers are."""
        return self.folder / self.module

    @property
    def card(self) -> Path:
        """The detector's card."""
        return self.module_folder / "cards" / f"{self.name}.yaml"

    @property
    def exists(self) -> bool:
        """Whether it was written before."""
        return (self.module_folder / "plugin.py").is_file()

    def write_new(self) -> None:
        """Write the package with a small detector that is to be replaced.

        Raises
        ------
        InputError
            When it is there already.
        StorageError
            When it cannot be written.
        """
        if self.exists:
            raise InputError("is there already", where=str(self.folder), hint="Name a new folder")
        self._write(_EVERYWHERE | _WITH_A_CLASS)

    def write_synthesizer(self, card: DetectorCard, write: Callable[[Path], None]) -> None:
        """Put a card and a synthesizer into the package, which is made where there is none.

        A card that is there and says the same stays as its author wrote it.

        Parameters
        ----------
        card : DetectorCard
            The detector's card.
        write : callable
            Writes the synthesizer's files into an empty folder.

        Raises
        ------
        StorageError
            When it cannot be written.
        """
        from ..cards import dump_card, load_card

        if not self.exists:
            self._write(_EVERYWHERE)
        if not self.card.exists() or load_card(self.card) != card:
            write_whole(self.card, dump_card(card))
        place = self.module_folder / "synthesizers" / self.name
        with storage_errors(place):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        write(place)

    def _write(self, files: dict[str, str]) -> None:
        words = {
            "name": self.name,
            "module": self.module,
            "distribution": self.distribution,
            "class": self.class_name,
            "version": metadata.version(BUILTIN),
        }
        templates = resources.files(__package__) / "template"
        for source, target in files.items():
            text = (templates / f"{source}.tmpl").read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace("{{" + word + "}}", value)
            write_whole(self.folder / target.format(module=self.module, name=self.name), text)
