"""Verified synthesizers: those that the user's runs registered, and those that plugins and the package bring.

The user's registry keeps every one it ever took, numbered, and a file that says which is current::

    LLMDAS_HOME/synthesizers/NAME/current      "0001", "0002": the last is current, it replaced the first
    LLMDAS_HOME/synthesizers/NAME/0001/ 0002/  each a synthesizer's folder

so that registering and rolling back are one atomic replacement of a small file, and none is ever lost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from .cards import DetectorCard, load_card
from .config import data_dir
from .errors import BusyError, ModelFolderError, UnknownNameError, did_you_mean
from .files import storage_errors, write_whole
from .plugins import BUILTIN, load_plugins
from .synthesizer import Origin, Synthesizer

if TYPE_CHECKING:
    from .detectors import DetectorSource

__all__ = ["Registry", "resolve"]

_CURRENT = "current"


class Registry:
    """The synthesizers that this user can name.

    A registered one goes before one that a plugin or the package brings under the same name.

    Parameters
    ----------
    root : Path, optional
        Folder of the user's own; ``data_dir() / "synthesizers"`` when left out.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else data_dir() / "synthesizers"

    def names(self) -> list[str]:
        """Return all names that have a synthesizer, sorted."""
        return sorted(set(self._registered()) | set(self._brought()))

    def get(self, name: str) -> Synthesizer:
        """Return the synthesizer of this name.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        ModelFolderError
            When its folder is damaged.
        """
        history = self._history(name) if name in self._registered() else []
        if history:  # another process may have removed it meanwhile
            return Synthesizer.read(self.root / name / history[-1], "registered")
        if name in self._brought():
            load_plugins().detector(name)  # a name claimed twice is an error, not a choice
            folder, origin = self._brought()[name]
            return Synthesizer.read(folder, origin)
        known = did_you_mean(name, self.names())
        hint = f"`llmdas-agent add-detector CARD` makes one from a card. {known}".strip()
        raise UnknownNameError(f"there is no synthesizer for '{name}'", where="registry", hint=hint)

    def add(self, synthesizer: Synthesizer) -> Synthesizer:
        """Register a synthesizer and make it the current one of its name.

        Returns
        -------
        Synthesizer
            The same, with its folder.

        Raises
        ------
        NotAcceptedError
            When its report does not accept its program.
        ModelFolderError
            When it is not known which one was current; then nothing has changed.
        StorageError
            When it cannot be written; then nothing has changed.
        """
        synthesizer.require_verified()
        home = self.root / synthesizer.name
        with self._writing(synthesizer.name):
            history = self._history(synthesizer.name)
            number = max((int(path.name) for path in home.glob("[0-9]" * 4)), default=0) + 1
            folder = home / f"{number:04d}"
            with storage_errors(home):
                home.mkdir(parents=True, exist_ok=True)
                building = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
            try:
                synthesizer.write(building)
                with storage_errors(folder):
                    building.chmod(0o755)
                    building.rename(folder)
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
            self._remember(synthesizer.name, [*history, folder.name])
        return Synthesizer.read(folder, "registered")

    def rollback(self, name: str) -> Synthesizer:
        """Take back the last registration of a name: what it replaced serves again.

        Returns
        -------
        Synthesizer
            The one that serves now, which may be one that a plugin or the package brings.

        Raises
        ------
        UnknownNameError
            When none of this name is registered, or the registered one replaced none.
        ModelFolderError
            When it is not known which one is current.
        StorageError
            When it cannot be written; then nothing has changed.
        """
        self._require_registered(name)
        with self._writing(name):
            self._require_registered(name)  # another process may have removed it meanwhile
            history = self._history(name)
            if len(history) > 1:
                self._remember(name, history[:-1])
            elif name in self._brought():
                with storage_errors(self.root / name):
                    (self.root / name / _CURRENT).unlink()
            else:
                raise UnknownNameError(
                    f"'{name}' has only one synthesizer",
                    where="registry",
                    hint=f"`llmdas-agent remove {name}` removes it",
                )
        return self.get(name)

    def remove(self, name: str) -> None:
        """Remove a registered synthesizer with its older versions.

        Raises
        ------
        UnknownNameError
            When none of this name is registered.
        StorageError
            When it cannot be removed.
        """
        self._require_registered(name)
        with self._writing(name), storage_errors(self.root / name):
            self._require_registered(name)  # another process may have removed it meanwhile
            grave = Path(tempfile.mkdtemp(prefix=".removed-", dir=self.root))
            (self.root / name).rename(grave / name)
            shutil.rmtree(grave)

    def cards(self) -> dict[str, DetectorCard]:
        """Return the card of every detector that can be named, with or without a synthesizer.

        A damaged synthesizer has none: that is told where it is named, and does not hide the others.
        """
        plugins = load_plugins()
        cards = {name: load_card(claims[0][1].card) for name, claims in plugins.detectors.items()}
        for name in self._registered():
            with suppress(ModelFolderError):
                cards[name] = self.get(name).card
        return cards

    def card(self, name: str) -> DetectorCard:
        """Return the card of this detector.

        Raises
        ------
        UnknownNameError
            With the nearest name that exists.
        """
        if name in self._registered():
            return self.get(name).card
        entry = load_plugins().detector(name)
        if entry is not None:
            return load_card(entry.card)
        known = set(load_plugins().detectors) | set(self._registered())
        raise UnknownNameError(
            f"there is no detector '{name}'", where="registry", hint=did_you_mean(name, known)
        )

    def _registered(self) -> list[str]:
        return [path.parent.name for path in sorted(self.root.glob(f"[!.]*/{_CURRENT}"))]

    def _require_registered(self, name: str) -> None:
        if name in self._registered():
            return
        if name in self._brought():
            hint = "It comes with the package or a plugin; only what was registered here can be taken back"
        else:
            hint = did_you_mean(name, self._registered())
        raise UnknownNameError(f"no synthesizer '{name}' is registered", where="registry", hint=hint)

    def _history(self, name: str) -> list[str]:
        """Return the numbers of a name, each of which replaced the one before; the last is current."""
        path = self.root / name / _CURRENT
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError):
            text = ""
        history = text.split()
        if not history or not all(number.isdecimal() for number in history):
            raise ModelFolderError(
                "does not say which synthesizer is current",
                where=str(path),
                hint="Write into it the number of the folder beside it that is to serve, such as 0001",
            )
        return history

    def _remember(self, name: str, history: list[str]) -> None:
        write_whole(self.root / name / _CURRENT, "\n".join(history) + "\n")

    def _brought(self) -> dict[str, tuple[Path, Origin]]:
        found: dict[str, tuple[Path, Origin]] = {}
        for name, claims in load_plugins().detectors.items():
            owner, entry = claims[0]
            if entry.synthesizer is not None:
                found[name] = (entry.synthesizer, "shipped" if owner == BUILTIN else "plugin")
        return found

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        lock = FileLock(self.root / f".{name}.lock", timeout=10)
        with storage_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:  # an OSError too, but none of the place's
                raise BusyError(
                    f"another process is writing '{name}'",
                    where=str(self.root),
                    hint="Wait for it, then try again",
                ) from None
        try:
            yield
        finally:
            lock.release()


def resolve(base: object, registry: Registry | None = None) -> DetectorSource:
    """Return the source of a detector that a user named, described or built.

    Parameters
    ----------
    base : str, Path, DetectorCard or detector
        A name, a card's file (``.yaml``, ``.yml``), a card, or an unfitted detector object. An object
        whose class is that of a known card takes that card's name.
    registry : Registry, optional
        Where names are looked up.

    Returns
    -------
    DetectorSource

    Raises
    ------
    UnknownNameError, CardError, DetectorError
        As fits what was given.
    """
    # importing PyOD takes seconds, and commands that only list names never come here
    from .detectors import DetectorSource, import_class

    registry = registry or Registry()
    if isinstance(base, Path) or (isinstance(base, str) and base.endswith((".yaml", ".yml"))):
        return DetectorSource.from_card(load_card(base))
    if isinstance(base, str):
        return DetectorSource.from_card(registry.card(base))
    if isinstance(base, DetectorCard):
        return DetectorSource.from_card(base)
    source = DetectorSource.from_object(base)
    for name, card in registry.cards().items():
        path = card.build.class_path
        same_class_name = path.rpartition(".")[2] == type(base).__name__
        if same_class_name and import_class(path, where=f"card '{name}'") is type(base):
            return DetectorSource.from_object(base, name)
    return source
