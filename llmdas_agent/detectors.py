"""A base detector from a card or from an object, always with PyOD's contract: higher scores are more abnormal."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyod.models.base import BaseDetector
from sklearn.base import BaseEstimator, ClassifierMixin, OutlierMixin, clone

from .cards import DetectorCard
from .errors import DetectorError, did_you_mean

__all__ = ["Detector", "DetectorSource", "SklearnDetector", "import_class"]


class Detector(Protocol):
    """What this package asks of a detector."""

    def fit(self, X: NDArray[np.float64], y: None = None) -> Any:
        """Fit on normal rows, shape (n, d)."""

    def decision_function(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return scores, shape (m,), higher for more abnormal rows."""


class SklearnDetector(BaseDetector):  # type: ignore[misc]
    """A scikit-learn outlier detector under PyOD's contract: its sign is turned.

    Parameters
    ----------
    estimator : estimator
        Such as `sklearn.ensemble.IsolationForest`; `sklearn.neighbors.LocalOutlierFactor` with
        ``novelty=True``.
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
        ``make(random_state) -> Detector``, unfitted.
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

        Raises
        ------
        DetectorError
            When the class cannot be imported, is no detector, or refuses the parameters.
        """
        kind = import_class(card.build.class_path, where=f"card '{card.name}': field 'build.class'")
        params = {key: list(v) if isinstance(v, tuple) else v for key, v in card.build.params.items()}

        def make(random_state: int | None) -> Detector:
            return _instance(kind, params, random_state, card)

        make(0)
        return cls(card.name, make, card, card.build.class_path)

    @classmethod
    def from_object(cls, detector: Any, name: str | None = None) -> DetectorSource:
        """Return the source of an unfitted detector object, which itself stays untouched.

        Raises
        ------
        DetectorError
            When the object is no detector.
        """
        kind = type(detector)
        path = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(detector, type) or not _is_detector(kind):
            raise DetectorError(
                f"{detector!r:.80} is no detector",
                where="base",
                hint="Give a name, a card, or an unfitted PyOD or scikit-learn outlier detector",
            )

        def make(random_state: int | None) -> Detector:
            copy = clone(detector)
            if random_state is not None and copy.get_params().get("random_state", 0) is None:
                copy.set_params(random_state=random_state)
            return copy if isinstance(copy, BaseDetector) else _turned(copy, path)

        make(0)
        return cls(name or kind.__name__.lower(), make, None, path)

    def try_out(self) -> None:
        """Fit the detector on a toy table and score other rows of it.

        Raises
        ------
        DetectorError
            When it does not fit, or its scores are not one finite number per row that rises outward.
        """
        where = f"detector '{self.name}'"
        rng = np.random.default_rng(0)
        X, near, far = rng.normal(size=(200, 5)), rng.normal(size=(60, 5)), 8.0 * rng.normal(size=(60, 5))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                detector = self.make(0)
                detector.fit(X)
                scores = np.asarray(detector.decision_function(np.vstack([near, far])), dtype=np.float64)
        except Exception as error:  # a stranger's detector may raise anything; it is named with its cause
            raise DetectorError(
                f"{self.class_path} fails on a toy table of 200 rows and 5 columns: {type(error).__name__}: {error}",
                where=where,
                hint="Check the card's build.params",
            ) from error
        if scores.shape != (120,) or not np.isfinite(scores).all():
            raise DetectorError(
                f"{self.class_path}.decision_function returned shape {scores.shape} with {np.isnan(scores).sum()} NaN for 120 rows",
                where=where,
                hint="It must return one finite score per row",
            )
        if np.mean(scores[60:, None] > scores[None, :60]) < 0.5:
            raise DetectorError(
                f"{self.class_path} scores rows far from the data lower than rows inside it",
                where=where,
                hint="decision_function must rise with abnormality (PyOD's convention); turn its sign",
            )


def import_class(class_path: str, *, where: str) -> type:
    """Import a detector's class.

    Parameters
    ----------
    class_path : str
        Dotted path, module and class.
    where : str
        Named in errors.

    Raises
    ------
    DetectorError
        When the module or class does not exist, a package is missing, or the class is no detector.
    """
    module_name, _, class_name = class_path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            hint = _near_module(missing)
            raise DetectorError(
                f"there is no module '{missing}' for class '{class_path}'", where=where, hint=hint
            ) from None
        raise DetectorError(
            f"class '{class_path}' needs the package '{missing}', which is not installed",
            where=where,
            hint=f"`pip install {missing}`",
        ) from None
    except Exception as error:  # importing a stranger's module runs its code
        raise DetectorError(
            f"module '{module_name}' fails to import: {type(error).__name__}: {error}", where=where
        ) from error
    kind = getattr(module, class_name, None)
    if kind is None:
        classes = [
            name for name, value in vars(module).items() if inspect.isclass(value) and _is_detector(value)
        ]
        raise DetectorError(
            f"module '{module_name}' has no class '{class_name}'",
            where=where,
            hint=did_you_mean(class_name, classes),
        )
    if not inspect.isclass(kind) or not _is_detector(kind):
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


def _instance(kind: type, params: dict[str, Any], random_state: int | None, card: DetectorCard) -> Detector:
    accepted = inspect.signature(kind).parameters
    seeded = (
        {"random_state": random_state} if "random_state" in accepted and "random_state" not in params else {}
    )
    try:
        detector = kind(**params, **seeded)
    except Exception as error:  # a stranger's constructor may raise anything
        unknown = [key for key in params if key not in accepted]
        hint = did_you_mean(unknown[0], accepted) if unknown else "Check the parameters in the card"
        raise DetectorError(
            f"{card.build.class_path} refuses its parameters: {error}",
            where=f"card '{card.name}': field 'build.params'",
            hint=hint,
        ) from error
    return _turned(detector, card.build.class_path) if isinstance(detector, OutlierMixin) else detector


def _turned(estimator: Any, class_path: str) -> Detector:
    if not hasattr(estimator, "decision_function"):
        raise DetectorError(
            f"{class_path} cannot score rows it was not fitted on",
            where="build.params",
            hint="For LocalOutlierFactor set novelty: true",
        )
    return SklearnDetector(estimator) if isinstance(estimator, OutlierMixin) else estimator


def _near_module(missing: str) -> str:
    parent, _, leaf = missing.rpartition(".")
    if not parent:
        return f"`pip install {missing}`, or correct the class path"
    try:
        paths = importlib.import_module(parent).__path__
    except (ImportError, AttributeError):
        return "Correct the class path"
    return did_you_mean(leaf, [module.name for module in pkgutil.iter_modules(paths)])
