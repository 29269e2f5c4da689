"""A base detector from a card or an object, under PyOD's contract: higher scores are more abnormal."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OutlierMixin,
    clone,
    is_classifier,
    is_outlier_detector,
)

from .cards import DetectorCard
from .errors import DetectorError, did_you_mean, in_a_line
from .quiet import quiet

__all__ = ["Detector", "DetectorSource", "SklearnDetector", "guarded", "import_class"]


class Detector(Protocol):
    """What this package asks of a detector."""

    def fit(self, X: NDArray[np.float64], y: None = None) -> Any:
        """Fit on normal rows, shape (n, d)."""

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, shape (m,), higher for more abnormal rows."""


class SklearnDetector(BaseDetector):  # type: ignore[misc]  # PyOD has no types
    """A scikit-learn outlier detector under PyOD's contract: its sign is turned.

    Parameters
    ----------
    estimator : estimator
        Such as `sklearn.ensemble.IsolationForest`, a pipeline that ends in one, or
        `sklearn.neighbors.LocalOutlierFactor` with ``novelty=True``.
    contamination : float
        Share of outliers expected in training, in (0, 0.5].
    """

    def __init__(self, estimator: BaseEstimator, contamination: float = 0.1) -> None:
        super().__init__(contamination=contamination)
        self.estimator = estimator

    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Fit a clone of the estimator and set PyOD's attributes."""
        self._set_n_classes(y)
        self.estimator_ = clone(self.estimator).fit(X)
        self.decision_scores_ = self.decision_function(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the estimator's scores with the sign turned, shape (m,)."""
        return -np.asarray(self.estimator_.decision_function(X), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DetectorSource:
    """Where a base detector comes from: builds as many unfitted copies as are asked for.

    Attributes
    ----------
    name : str
        The registry's key.
    make : callable
        ``make(random_state) -> Detector``, unfitted. The seed goes wherever none was given.
    card : DetectorCard or None
        Its card, when it was built from one.
    class_path : str
        Dotted path of the class.
    """

    name: str
    make: Callable[[int | None], Detector] = field(repr=False)
    card: DetectorCard | None
    class_path: str

    @classmethod
    def from_card(cls, card: DetectorCard) -> DetectorSource:
        """Return the source that a card describes.

        Parameters
        ----------
        card : DetectorCard
            The card; its ``build`` alone decides.

        Returns
        -------
        DetectorSource

        Raises
        ------
        DetectorError
            When the class cannot be imported, is no detector, or refuses the parameters.
        """
        kind = import_class(card.build.class_path, where=f"card '{card.name}': field 'build.class'")

        def make(random_state: int | None) -> Detector:
            return _from_card(kind, card, _seed(random_state))

        make(0)
        return cls(card.name, make, card, card.build.class_path)

    @classmethod
    def from_object(cls, detector: object, name: str | None = None) -> DetectorSource:
        """Return the source of a detector object, which itself stays untouched.

        Parameters
        ----------
        detector : object
            A PyOD detector, a scikit-learn outlier detector, a pipeline that ends in one, or anything with
            ``fit`` and ``decision_function``.
        name : str, optional
            The registry's key; by default the class's name in lower case.

        Returns
        -------
        DetectorSource

        Raises
        ------
        DetectorError
            When the object is no detector, or cannot be copied.
        """
        kind = type(detector)
        path = f"{kind.__module__}.{kind.__qualname__}"
        classifies = isinstance(detector, BaseEstimator) and is_classifier(detector)
        if isinstance(detector, type) or not _is_detector(kind) or classifies:
            raise DetectorError(
                f"{detector!r:.80} is no detector",
                where="base",
                hint="Give a name, a card, or an unfitted PyOD or scikit-learn outlier detector",
            )

        def make(random_state: int | None) -> Detector:
            return _copied(detector, path, _seed(random_state))

        make(0)
        return cls(name or _plain_name(kind), make, None, path)

    def try_out(self) -> None:
        """Fit the detector on a toy table and score other rows of it.

        What the detector prints or warns of meanwhile is not shown.

        Raises
        ------
        DetectorError
            When it does not fit, or its scores are not one finite number per row that rises outward.
        """
        rng = np.random.default_rng(0)
        X, near = rng.normal(size=(200, 5)), rng.normal(size=(60, 5))
        # just outside: further out some scores fall again, as where a column's ends count as neighbours
        far = 2.5 * rng.normal(size=(60, 5))
        detector = self.make(0)
        with self.guarded(f"{self.class_path} fails on a toy table of 200 rows and 5 columns"):
            detector.fit(X)
            scores = np.asarray(detector.decision_function(np.vstack([near, far])), dtype=np.float64)
        _check_toy_scores(scores, len(near), self.class_path, f"detector '{self.name}'")

    def guarded(self, failure: str) -> contextlib.AbstractContextManager[None]:
        """Let the detector work on toy data, as the function `guarded` does."""
        hint = "Check its parameters, or fit it by hand on a table of your own"
        return guarded(failure, where=f"detector '{self.name}'", hint=hint)


@contextlib.contextmanager
def guarded(failure: str, *, where: str, hint: str) -> Iterator[None]:
    """Let a stranger's detector work: what it prints or warns of is not shown, and what it raises is named.

    Parameters
    ----------
    failure : str
        What it means when something is raised, for the error.
    where, hint : str
        As in `DetectorError`.

    Raises
    ------
    DetectorError
        In place of any exception, an exit among them.
    """
    try:
        with quiet:
            yield
    except (Exception, SystemExit) as error:  # it may raise anything
        raise DetectorError(f"{failure}: {in_a_line(error)}", where=where, hint=hint) from error


def import_class(class_path: str, *, where: str) -> type:
    """Import a detector's class; what its module prints meanwhile is not shown.

    Parameters
    ----------
    class_path : str
        Dotted path, module and class.
    where : str
        Named in errors.

    Returns
    -------
    type

    Raises
    ------
    DetectorError
        When the module or class does not exist, a package is missing, or the class is no detector.
    """
    module_name, _, class_name = class_path.rpartition(".")
    try:
        with quiet:
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise DetectorError(
                f"there is no module '{missing}' for class '{class_path}'",
                where=where,
                hint=_near_module(missing),
            ) from None
        raise DetectorError(
            f"class '{class_path}' needs the package '{missing}', which is not installed",
            where=where,
            hint=f"`pip install {missing}`",
        ) from None
    except (Exception, SystemExit) as error:  # importing a stranger's module runs its code
        raise DetectorError(
            f"module '{module_name}' fails to import: {in_a_line(error)}", where=where
        ) from error
    kind = getattr(module, class_name, None)
    if kind is None:
        near = [
            name for name, value in vars(module).items() if inspect.isclass(value) and _is_detector(value)
        ]
        raise DetectorError(
            f"module '{module_name}' has no class '{class_name}'",
            where=where,
            hint=did_you_mean(class_name, near),
        )
    if not inspect.isclass(kind) or not _is_detector(kind) or inspect.isabstract(kind):
        raise DetectorError(
            f"'{class_path}' is no detector",
            where=where,
            hint="It must be a class with fit(X) and decision_function(X), such as pyod.models.hbos.HBOS",
        )
    return kind


def _is_detector(kind: type) -> bool:
    # LocalOutlierFactor offers decision_function only on instances with novelty=True
    scores = hasattr(kind, "decision_function") or issubclass(kind, OutlierMixin)
    return scores and callable(getattr(kind, "fit", None)) and not issubclass(kind, ClassifierMixin)


def _seed(random_state: int | None) -> int | None:
    """Return a seed of 32 bits, which is what NumPy and scikit-learn take; small ones stay as they are."""
    return None if random_state is None else random_state % 2**32


def _from_card(kind: type, card: DetectorCard, random_state: int | None) -> Detector:
    where = f"card '{card.name}': field 'build.params'"
    params = copy.deepcopy(card.build.params)
    accepted = _parameters(kind)
    seeded = "random_state" in accepted and "random_state" not in params
    try:
        with quiet:
            detector = kind(**params, **({"random_state": random_state} if seeded else {}))
    except (Exception, SystemExit) as error:  # a stranger's constructor may raise anything
        unknown = [key for key in params if key not in accepted]
        raise DetectorError(
            f"{card.build.class_path} refuses its parameters: {in_a_line(error)}",
            where=where,
            hint=did_you_mean(unknown[0], accepted) if unknown else "Correct them, or leave them out",
        ) from error
    return _under_pyod(detector, card.build.class_path, where)


def _copied(detector: object, class_path: str, random_state: int | None) -> Detector:
    try:
        with quiet:
            twin = clone(detector, safe=False)
            unseeded = {
                key: random_state
                for key, value in (twin.get_params() if hasattr(twin, "get_params") else {}).items()
                if key.split("__")[-1] == "random_state" and value is None
            }
            if unseeded and random_state is not None:
                twin.set_params(**unseeded)
    except (Exception, SystemExit) as error:  # cloning runs a stranger's constructor
        raise DetectorError(
            f"{class_path} cannot be copied: {in_a_line(error)}",
            where="base",
            hint="Its constructor must only store its parameters, under their own names",
        ) from error
    return _under_pyod(twin, class_path, "base")


def _under_pyod(detector: Any, class_path: str, where: str) -> Detector:
    """Return the detector itself where its scores rise with abnormality, else with the sign turned."""
    risen: Detector = detector
    if isinstance(detector, BaseDetector) or not isinstance(detector, BaseEstimator):
        return risen
    if not hasattr(detector, "decision_function"):
        raise DetectorError(
            f"{class_path} cannot score rows it was not fitted on",
            where=where,
            hint="For LocalOutlierFactor set novelty: true",
        )
    return SklearnDetector(detector) if is_outlier_detector(detector) else risen


def _check_toy_scores(scores: NDArray[np.float64], n_near: int, class_path: str, where: str) -> None:
    if scores.shape != (2 * n_near,):
        raise DetectorError(
            f"{class_path}.decision_function returned an array of shape {scores.shape} for {2 * n_near} rows",
            where=where,
            hint="It must return one score per row",
        )
    strange = int(np.sum(~np.isfinite(scores)))
    if strange:
        raise DetectorError(
            f"{class_path}.decision_function returned {strange} scores that are not finite, of {len(scores)}",
            where=where,
            hint="It must return one finite score per row",
        )
    if np.ptp(scores) == 0:
        raise DetectorError(
            f"{class_path}.decision_function gives all of {len(scores)} rows the same score",
            where=where,
            hint="It must rise with abnormality; check the parameters",
        )
    near, far = scores[None, :n_near], scores[n_near:, None]
    auroc = float(np.mean(far > near) + np.mean(far == near) / 2)
    # A linear detector may sit near 0.5 here and be right elsewhere; a turned sign shows as nearly 0.
    if auroc < 0.25:
        raise DetectorError(
            f"{class_path} does not score rows far from the data above rows inside it (AUROC {auroc:.2f})",
            where=where,
            hint="decision_function must rise with abnormality; is its sign turned?",
        )


def _parameters(kind: type) -> Mapping[str, inspect.Parameter]:
    try:
        found = inspect.signature(kind).parameters
    except ValueError:  # a class written in C may not tell
        return {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in found.items() if parameter.kind in named}


def _plain_name(kind: type) -> str:
    return re.sub(r"^[^a-z]+|[^a-z0-9_-]", "", kind.__name__.lower())[:64] or "detector"


def _near_module(missing: str) -> str:
    parent, _, leaf = missing.rpartition(".")
    if not parent:
        return f"`pip install {missing}`, correct the path, or name the module's folder in PYTHONPATH"
    try:
        paths = importlib.import_module(parent).__path__
    except (ImportError, AttributeError):
        return "Correct the class path"
    return did_you_mean(leaf, [module.name for module in pkgutil.iter_modules(paths)])
