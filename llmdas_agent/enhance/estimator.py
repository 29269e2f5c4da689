"""`EnhancedDetector`: a base detector joined with a classifier that learnt from hard anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pyod.models.base import BaseDetector
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_random_state
from threadpoolctl import threadpool_limits

from ..cards import DetectorCard
from ..detectors import DetectorSource, import_class
from ..errors import InputError, NotAcceptedError, TableError, UnknownNameError
from ..registry import Registry, resolve
from ..synthesizer import Synthesizer
from .bases import Treatment
from .ensemble import EXPERTS, Ensemble
from .explaining import Explanation, explanation_of
from .frames import Table
from .gate import Contribution
from .tables import TableEncoder

__all__ = ["EnhancedDetector"]

Array = NDArray[np.float64]

_MAX_REFERENCE = 10_000
_MIN_ROWS = 10
_CHUNK = 20_000


class EnhancedDetector(BaseDetector):  # type: ignore[misc]
    """A detector made better by hard anomalies that a verified program made for its kind.

    Needs no labels and makes no network connection; the program runs in the sandbox.

    Four *experts* look at every row: the base detector; the row's nearest neighbours among the normal ones;
    the tails of columns and principal components; and classifiers that tell normal rows from made ones (the
    program's and a broad background). What each makes of normal rows that it was not fitted on (3 folds, or
    5 below 300 rows) is its yardstick: scores are turned into tail surprises. The first three are averaged;
    the classifiers are joined to them by a soft maximum, and only where they were seen to add to what the
    neighbours know of recombined rows. No labels enter, and a row's score does not depend on the rows that
    are scored with it.

    Parameters
    ----------
    base : str, Path, DetectorCard or detector
        A detector's name, its card or the card's file, or an unfitted PyOD or scikit-learn detector.
    synthesizer : Synthesizer or str, optional
        A verified synthesizer or its name; looked up by the base's name when left out.
    experts : sequence of str
        Who takes part: ``base`` always; ``neighbours``, ``tails`` and ``classifier`` where they are named.
    contamination : float or PyThresh object
        Share of the training rows that `threshold_` is to cut off, in (0, 0.5].
    random_state : int, RandomState or None
        The same number gives the same scores.

    Attributes
    ----------
    decision_scores_ : array, shape (n,)
        Scores of the training rows, each by experts that have not seen it; in rank they follow
        ``decision_function(X_train)`` up to that correction.
    threshold_ : float
        Scores above it are labelled 1.
    labels_ : array of int, shape (n,)
        0 normal, 1 outlier, of the training rows.
    contribution_ : Contribution
        The classifier's weight in the join, and why.
    weights_ : dict
        Each expert's weight; a classifier weight of 0 means synthesis is not used here.
    treatment_ : str
        What had to be done to the columns before the base scored soundly; mostly "as given".
    synthesizer_ : Synthesizer
        The one that was used.
    card_ : DetectorCard or None
        The base's card; None when an object was given.
    n_features_in_ : int
        Number of columns fitted.
    feature_names_in_ : array of str
        Their names, when a frame was fitted.

    Examples
    --------
    >>> from llmdas_agent import EnhancedDetector  # doctest: +SKIP
    >>> detector = EnhancedDetector("iforest", random_state=0).fit(X)  # doctest: +SKIP
    >>> detector.decision_function(X_new)  # doctest: +SKIP
    """

    def __init__(
        self,
        base: str | Path | DetectorCard | Any = "iforest",
        *,
        synthesizer: Synthesizer | str | None = None,
        experts: Sequence[str] = EXPERTS,
        contamination: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(contamination=contamination)
        self.base = base
        self.synthesizer = synthesizer
        self.experts = experts
        self.random_state = random_state

    def fit(self, X: Table, y: Any = None) -> Self:
        """Fit on rows that are normal, or nearly all of them.

        Parameters
        ----------
        X : array or frame, shape (n, d)
            Numbers, categories, booleans and missing values; at least 10 rows. Above 10,000, a random
            10,000 of them are used.
        y : ignored
            Kept for scikit-learn's interface.

        Raises
        ------
        TableError
            When the table cannot be used.
        InputError
            When the contamination is neither a share nor a thresholder.
        UnknownNameError, CardError, DetectorError
            When `base` is none.
        NotAcceptedError
            When the synthesizer is not verified.
        SandboxError
            When the sandbox cannot work on this machine.
        """
        experts = _known(self.experts)
        _require_share(self.contamination)
        source = resolve(self.base)
        synthesizer = _verified(self.synthesizer, self.base, source)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        encoder = TableEncoder().fit(X)
        Z = encoder.transform(X)
        if len(Z) < _MIN_ROWS:
            raise TableError(
                f"has too few rows, n_samples={len(Z)}; at least {_MIN_ROWS} are needed", where="table"
            )
        if np.array_equal(Z.min(axis=0), Z.max(axis=0)):
            raise TableError("has no column that varies", where="table", hint="See whether it was read right")
        reference = _reference_rows(len(Z), seed)
        # one thread: the result then does not depend on the number of cores, and small matrices gain nothing
        with threadpool_limits(1):
            ensemble = Ensemble(seed, experts).fit(
                source, synthesizer.proposal.program, Z[reference], encoder.snap
            )
        # only now, so that a fit that fails does not leave this table's encoder before an older one's experts
        self.card_, self.synthesizer_ = source.card, synthesizer
        self.encoder_, self.ensemble_ = encoder, ensemble
        self.n_features_in_ = encoder.n_columns_
        self._set_n_classes(None)
        self.decision_scores_ = np.empty(len(Z))
        self.decision_scores_[reference] = self.ensemble_.held_scores_
        self.decision_scores_[~reference] = self._scores(Z[~reference])
        self._process_decision_scores()
        return self

    def decision_function(self, X: Table) -> Array:
        """Return scores of rows, shape (m,), in nats of surprise, higher for more abnormal rows.

        Raises
        ------
        TableError
            When the columns are not those fitted.
        """
        check_is_fitted(self, "ensemble_")
        return self._scores(self.encoder_.transform(X))

    def explain(self, X: Table) -> Explanation:
        """Say for each row which expert spoke and what each column adds to its score.

        Costs about as much as scoring each row once per column.

        Raises
        ------
        InputError
            When the neighbours do not take part.
        TableError
            When the columns are not those fitted.
        """
        check_is_fitted(self, "ensemble_")
        if "neighbours" not in self.ensemble_.experts:
            raise InputError(
                "rows are explained by the normal rows next to them, and the neighbours do not take part",
                where="experts",
                hint="Fit with 'neighbours' among the experts",
            )
        return explanation_of(self.ensemble_, self.encoder_.transform(X), self.encoder_.blocks_)

    def p_value(self, X: Table) -> Array:
        """Return conformal p-values of rows, shape (m,), in (0, 1], small for abnormal rows.

        The share of held-out normal training rows that score as high or higher, the row itself counted
        (Vovk, Gammerman and Shafer, 2005). A new normal row has one of at most α about a share α of the
        time.
        """
        return self.p_values_of(self.decision_function(X))

    def p_values_of(self, scores: Array) -> Array:
        """Return the conformal p-values of scores that `decision_function` gave, shape (m,)."""
        check_is_fitted(self, "ensemble_")
        held = np.sort(self.ensemble_.held_scores_)
        # the same row may come out a rounding error apart in another batch
        tolerance = 1e-9 * max(float(np.abs(held).max()), 1.0)
        at_or_above = len(held) - np.searchsorted(held, scores - tolerance, side="left")
        return np.asarray((at_or_above + 1) / (len(held) + 1))

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that missing values and text are taken as they are."""
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        return tags

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns fitted, shape (n_features_in_,), where a frame with names was."""
        check_is_fitted(self, "encoder_")
        names = self.encoder_.names_
        if names is None or not all(isinstance(name, str) for name in names):
            raise AttributeError("feature_names_in_ exists only after fitting a frame with names")
        return np.asarray(names, dtype=object)

    @property
    def contribution_(self) -> Contribution:
        """What the classifier adds, and why."""
        check_is_fitted(self, "ensemble_")
        return self.ensemble_.contribution_

    @property
    def weights_(self) -> dict[str, float]:
        """Each expert's weight in the join."""
        check_is_fitted(self, "ensemble_")
        return self.ensemble_.weights_

    @property
    def treatment_(self) -> Treatment:
        """What had to be done to the columns before the base scored soundly."""
        check_is_fitted(self, "ensemble_")
        return self.ensemble_.base_.treatment

    def _scores(self, Z: Array) -> Array:
        # in parts, so that memory stays flat for long tables
        parts = [self.ensemble_.score(Z[start : start + _CHUNK]) for start in range(0, len(Z), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0)


def _reference_rows(n: int, seed: int) -> NDArray[np.bool_]:
    chosen = np.zeros(n, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(n)[:_MAX_REFERENCE]] = True
    return chosen


def _require_share(contamination: Any) -> None:
    # PyOD takes whatever is no number of these types for a thresholder, and fails once all is fitted
    if isinstance(contamination, (int, float)):
        usable = 0 < contamination <= 0.5
    else:
        usable = hasattr(contamination, "predict")
    if not usable:
        hint = "Give a share above 0, up to 0.5, or a PyThresh object"
        raise InputError(f"is {contamination!r}", where="contamination", hint=hint)


def _known(experts: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in experts if name not in EXPERTS]
    if unknown or isinstance(experts, str):
        raise UnknownNameError(
            f"no expert '{unknown[0] if unknown else experts}'",
            where="experts",
            hint=f"Name some of {EXPERTS}",
        )
    return tuple(name for name in EXPERTS if name == "base" or name in experts)


def _verified(synthesizer: Synthesizer | str | None, base: object, source: DetectorSource) -> Synthesizer:
    if synthesizer is None:
        synthesizer = _looked_up(base, source)
    elif isinstance(synthesizer, str):
        synthesizer = Registry().get(synthesizer)
    synthesizer.require_verified()
    return synthesizer


def _looked_up(base: object, source: DetectorSource) -> Synthesizer:
    """Return the synthesizer of the base's name, which must be about the base's class."""
    synthesizer = Registry().get(source.name)
    about = synthesizer.card.build.class_path
    if source.class_path != about and type(base) is not import_class(about, where=f"card '{source.name}'"):
        raise NotAcceptedError(
            f"the synthesizer '{source.name}' was verified for {about}, not for {source.class_path}",
            where="base",
            hint="Run `llmdas-agent add-detector` with a card of this detector under a name of its own",
        )
    return synthesizer
